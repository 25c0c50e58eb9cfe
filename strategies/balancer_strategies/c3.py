"""`c3`: by response time and, much more, by queue length: the cubic replica ranking.

Load metric: (R - s + q^3 s) / weight. R is the mean response time, s the mean service time, and q the queue that the
call would find, itself included. A queue of twice the length counts eight times. So no endpoint is overrun, however
fast it was. Selection rule: the least of `choices` distinct endpoints drawn at random, ties at random.

Suresh, Canini, Schmid, Feldmann, "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection", NSDI
2015. In the paper each server reports its queue and its service time. Here endpoints report nothing, so:

- s is the time of a call divided by the number of leases that were out when it ended, itself included. That is the time
  between two ends if all calls take equally long, whether the endpoint runs them in parallel or one after another.
- q = 1 + in-flight x `clients`: the paper's concurrency compensation without its reported part. In-flight is read at
  the pick, as a stored rank is out of date with the next lease.

With nothing out, q is 1 and the rank is R. Weights are our addition; equal ones change nothing. For failures, and for
endpoints without ended calls, see `balancer.kit.call_times`.
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
    """Also has the mean service time, in seconds; 0 before the first end."""

    __slots__ = ("service_s",)

    def __init__(self) -> None:
        super().__init__()
        self.service_s = 0.0


class C3(LeastLoaded):
    """The least R - s + q^3 s (response time, service time, queue) of a few endpoints drawn at random."""

    name = "c3"

    class Options(CallTimeOptions):
        """How many endpoints are compared, how call times are learned, and how many pools there are."""

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
