"""Building blocks for strategies: affinity, sets of nodes, random draws, deadlines, turns, call times."""

from typing import TYPE_CHECKING, Any

from balancer.kit.affinity import Affinity
from balancer.kit.deadlines import Deadline, Deadlines
from balancer.kit.places import Place, Places
from balancer.kit.ranking import LeastLoaded
from balancer.kit.strips import ByWeight, Strip, Strips
from balancer.kit.turns import InTurn, Turn

if TYPE_CHECKING:
    from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes

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
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from balancer.kit import call_times  # imported here: it has options, for which pydantic is imported

    return getattr(call_times, name)
