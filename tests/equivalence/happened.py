"""What came of a plan, in a form in which two of them can be held against each other. It must not know of what."""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask, Over, Pause
from balancer.core.metrics import PoolStats
from balancer.errors import BalancerError
from tests.equivalence.listening import Told

__all__ = ["Decided", "Granted", "Happened", "Refused", "recording"]

Decision = Ask | Pause | Over
D = TypeVar("D", Ask, Ask | Pause | Over, Pause | Over)


class Granted(NamedTuple):
    """A caller was given a lease."""

    task: int
    url: str
    lease_id: int
    at_s: float


class Refused(NamedTuple):
    """A caller's first try was given an error: out of time, no endpoint, or too many waiters."""

    task: int
    kind: type[BalancerError]
    message: str
    at_s: float


class Decided(NamedTuple):
    """A course was told something, and what it said: where to ask and how long, a pause, a give-up and why."""

    event: str
    now: float
    decision: Decision


def recording(into: list[Decided]) -> type[AttemptPlan]:
    """Return the course, made to write down what it says from the first failure on; before, there may be none."""

    class Recording(AttemptPlan):
        __slots__ = ()

        def failed(self, now: float, asked_s: float = 0.0) -> Pause | Over:
            return _written(into, "failed", now, super().failed(now, asked_s))

        def resume(self, now: float, out: frozenset[str]) -> Ask | Pause | Over:
            return _written(into, "resume", now, super().resume(now, out))

        def look(self, now: float, out: frozenset[str]) -> Ask:
            return _written(into, "look", now, super().look(now, out))

        def no_endpoint(self, now: float, out: frozenset[str]) -> Ask | Pause | Over:
            decision = super().no_endpoint(now, out)
            return _written(into, "no endpoint", now, decision) if self.tries > 1 else decision

        def no_lease(self, now: float) -> Pause | Over:
            decision = super().no_lease(now)
            return _written(into, "no lease", now, decision) if self.tries > 1 else decision

    return Recording


def _written(into: list[Decided], event: str, now: float, decision: D) -> D:
    into.append(Decided(event, now, decision))
    return decision


@dataclass(frozen=True, slots=True)
class Happened:
    """A history.

    Attributes:
        answers: what callers were given, in order.
        decisions: what courses said once something had failed, in order.
        told: the calls to the strategy, in order.
        calls: calls begun and calls that failed, by URL.
        completed, lost, refused, unfinished: requests by their end.
        stats: the counters at the horizon.
    """

    answers: list[Granted | Refused]
    decisions: list[Decided]
    told: list[Told]
    calls: dict[str, tuple[int, int]]
    completed: int
    lost: int
    refused: int
    unfinished: int
    stats: PoolStats
