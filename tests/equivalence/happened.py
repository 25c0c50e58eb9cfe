"""What came of a plan, in a form in which two of them can be held against each other. It must not know of what."""

from dataclasses import dataclass
from typing import NamedTuple

from balancer.core.metrics import PoolStats
from balancer.errors import BalancerError
from tests.equivalence.listening import Told

__all__ = ["Granted", "Happened", "Refused"]


class Granted(NamedTuple):
    """A caller was given a lease."""

    task: int
    url: str
    lease_id: int
    at_s: float


class Refused(NamedTuple):
    """A caller was given an error: out of time, no endpoint, or too many waiters."""

    task: int
    kind: type[BalancerError]
    message: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Happened:
    """A history.

    Attributes:
        answers: what callers were given, in order.
        told: the calls to the strategy, in order.
        calls: calls begun and calls that failed, by URL.
        completed, lost, refused, unfinished: requests by their end.
        stats: the counters at the horizon.
    """

    answers: list[Granted | Refused]
    told: list[Told]
    calls: dict[str, tuple[int, int]]
    completed: int
    lost: int
    refused: int
    unfinished: int
    stats: PoolStats
