"""`prequal`: the fastest endpoint, of those that are not among the busiest.

Load metric: an endpoint is hot if it has more in flight than the `quantile` of all in service, else cold. Cold ones
come first, by call time / weight. Then hot ones, by (in-flight + 1) / weight. Last, by the same load, those whose last
call failed, until a call succeeds or they had no calls for `decay_s`. Selection rule: the least of `choices` distinct
endpoints drawn at random, ties at random.

This is the hot-cold lexicographic rule of Wydrowski, Kleinberg, Rumble, Archer, "Load is Not What You Should Balance:
Introducing Prequal", NSDI 2024. Quantile 0 looks at in-flight alone, 1 at call times alone. In the paper a probe asks
each drawn server for its requests in flight and its latency at that number. Here the pool counts its own leases, which
are all calls if nobody else uses the endpoints. The latency is the decayed mean of call times
(`balancer.kit.call_times`, also for endpoints without ended calls). The quantile is rounded down, so that also in a
small pool an endpoint that is alone at the top is hot. A failed endpoint comes last because in-flight comes before call
times: an endpoint that fails at once is never busy, and would be preferred to all hot ones (sinkholing). Weights are
our addition; equal ones change nothing.
"""

import random

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Request, Strategy

__all__ = ["Prequal"]

_COLD, _HOT, _FAILING = range(3)  # in the order of preference
_ABSENT = -1


class _Known(CallTime):
    """Also has whether the last call failed, and the in-flight count of the node; `_ABSENT` if it is not counted."""

    __slots__ = ("counted", "failed")

    def __init__(self) -> None:
        super().__init__()
        self.failed = False
        self.counted = _ABSENT


class Prequal(LeastLoaded):
    """The fastest of a few endpoints drawn at random, unless it is among the busiest of all."""

    name = "prequal"

    class Options(CallTimeOptions):
        """How many endpoints are compared, how call times are learned, and which endpoints are busy."""

        quantile: float = Field(
            0.84,
            ge=0,
            le=1,
            description="an endpoint busier than this part of all is hot; 0: only leases in flight count",
        )

    note = _Known

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._decay_s = options.decay_s
        self._times = CallTimes(options)
        self._in_flights = _InFlights(options.quantile)

    def load(self, node: Node, now: float) -> tuple[int, float]:
        """Return the class (cold, hot or failing), and the load within that class."""
        known: _Known = node.note
        if known.failed and (node.in_flight or now < known.heard_s + self._decay_s):
            return _FAILING, (node.in_flight + 1) / node.weight
        if node.in_flight > self._in_flights.threshold():
            return _HOT, (node.in_flight + 1) / node.weight
        return _COLD, self._times.expected_s(node, now) / node.weight

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        super().join(node, now)
        self._count(node)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._in_flights.move(node.note, _ABSENT)
        super().leave(node, now)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._count(node)
        super().change(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(choices) for an open request, amortised."""
        node = super().pick(request, now)
        if node is not None:
            self._in_flights.move(node.note, node.in_flight + request.takes(node))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        known: _Known = node.note
        if outcome is not Outcome.IGNORED:
            known.failed = outcome is not Outcome.SUCCESS
        self._times.learn(node, self._times.counted_s(node, outcome, elapsed_s), now)
        self._count(node)
        super().finish(node, outcome, elapsed_s, now)

    def _count(self, node: Node) -> None:
        self._in_flights.move(node.note, node.in_flight if node.limit else _ABSENT)


class _InFlights:
    """The distribution of in-flight counts over nodes, and its quantile, which is updated in steps.

    The counts agree between any two calls, even after an interrupt such as Ctrl-C. Python handles signals after a call,
    and after a count has changed no call is made here.
    """

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._nodes: dict[int, int] = {}  # number of nodes, by slots out
        self._total = 0
        self._threshold = 0
        self._within = 0  # nodes with at most `_threshold` slots out

    def move(self, known: _Known, in_flight: int) -> None:
        """Count a node with `in_flight` slots out (`_ABSENT`: not at all) in place of its earlier count; O(1)."""
        before = known.counted
        if before == in_flight:
            return
        nodes, threshold = self._nodes, self._threshold
        joined, left = nodes.get(in_flight, 0) + 1, nodes.get(before, 0) - 1
        known.counted = in_flight
        if before != _ABSENT:
            nodes[before] = left
            self._total -= 1
            self._within -= before <= threshold
        if in_flight != _ABSENT:
            nodes[in_flight] = joined
            self._total += 1
            self._within += in_flight <= threshold

    def threshold(self) -> int:
        """Return the quantile of the slots out, rounded down to a number that some node has; O(1), amortised."""
        rank = int(self._quantile * (self._total - 1)) + 1  # from the least; there is a node, as one is compared
        while self._within < rank:
            more = self._nodes.get(self._threshold + 1, 0)
            self._threshold += 1
            self._within += more
        while (fewer := self._within - self._nodes.get(self._threshold, 0)) >= rank:
            self._threshold -= 1
            self._within = fewer
        return self._threshold


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Prequal]
