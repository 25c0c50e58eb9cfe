"""Building blocks for strategies: affinity, sets of nodes, random draws, deadlines, turns, call times."""

from balancer.kit.affinity import Affinity
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.deadlines import Deadline, Deadlines
from balancer.kit.places import Place, Places
from balancer.kit.ranking import LeastLoaded
from balancer.kit.strips import ByWeight, Strip, Strips
from balancer.kit.turns import InTurn, Turn, Turns

__all__ = [
    "Affinity",
    "ByWeight",
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
