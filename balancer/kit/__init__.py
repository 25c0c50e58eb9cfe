"""Parts that strategies are composed of: where nodes stand, how one is drawn, who is due, what a call takes.

For authors of strategies. A part knows nodes and requests, and no strategy, clock or thread.
"""

from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.deadlines import Deadline, Deadlines
from balancer.kit.places import Place, Places
from balancer.kit.ranking import LeastLoaded
from balancer.kit.strips import Strip, Strips
from balancer.kit.turns import InTurn, Turn, Turns

__all__ = [
    "CallTime",
    "CallTimeOptions",
    "CallTimes",
    "Deadline",
    "Deadlines",
    "InTurn",
    "LeastLoaded",
    "Place",
    "Places",
    "Strip",
    "Strips",
    "Turn",
    "Turns",
]
