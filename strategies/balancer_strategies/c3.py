"""`c3`: by response time and, far more, by queue: the cubic replica ranking.

Load metric: (R - s + q^3 s) / weight, where R is the mean response time, s the mean service time and q the queue that
the call would find, itself included: twice the queue counts eight times, so that no endpoint is fed until it is
overrun, however fast it was. Selection rule: the least of `choices` distinct endpoints drawn at random, ties at random.

Suresh, Canini, Schmid, Feldmann, "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection", NSDI
2015. There each server reports its queue and its service time. Endpoints here report nothing, so that

- s is the time of a call by the leases that were out when it ended, itself included: the time between two ends, if all
  take equally long, whether the endpoint runs them side by side or one after another;
- q = 1 + in-flight x `clients`, the paper's concurrency compensation without its reported part. In-flight is counted
  at the pick: a rank that is kept is out of date with the next lease.

With nothing out q is 1, and the rank is R. Weights are ours: equal ones change nothing. For failures, and for
endpoints that have not been heard of, see `balancer.kit.call_times`.
"""

import random

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Strategy

__all__ = ["C3"]


class _Known(CallTime):
    """Also the mean service time, in seconds; 0 before the first end."""

    __slots__ = ("service_s",)

    def __init__(self) -> None:
        super().__init__()
        self.service_s = 0.0


class C3(LeastLoaded):
    """The least R - s + q^3 s (response time, service time, queue) of a few endpoints drawn at random."""

    name = "c3"

    class Options(CallTimeOptions):
        """And how many pools there are."""

        clients: int = Field(1, ge=1, le=10**6, description="how many pools like this one use the same endpoints")

    note = _Known

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._clients = float(options.clients)
        self._times = CallTimes(options)

    def load(self, node: Node, now: float) -> float:
        """Return (R - s + q^3 s) / weight."""
        response_s = self._times.expected_s(node, now)
        service_s = node.note.service_s or response_s
        queue = 1.0 + node.in_flight * self._clients
        return (response_s + (queue**3 - 1.0) * service_s) / node.weight

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        known: _Known = node.note
        counted_s = self._times.counted_s(node, outcome, elapsed_s)
        self._times.learn(node, counted_s, now)
        if outcome is not Outcome.IGNORED or not known.service_s:
            known.service_s += (counted_s / (node.in_flight + 1) - known.service_s) / known.ends
        super().finish(node, outcome, elapsed_s, now)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [C3]
