"""`prequal`: the fastest endpoint, of those that are not among the busiest.

Load metric: an endpoint is hot if more is in flight there than at the `quantile` of all in service, else cold. Cold
ones come first, by call time / weight; then hot ones, by (in-flight + 1) / weight; then those whose last call failed,
likewise, until a call succeeds or they have been left alone for `decay_s`. Selection rule: the least of `choices`
distinct endpoints drawn at random, ties at random.

This is the hot-cold lexicographic rule of Wydrowski, Kleinberg, Rumble, Archer, "Load is Not What You Should Balance:
Introducing Prequal", NSDI 2024: quantile 0 looks at in-flight alone, 1 at call times alone. There a probe asks each
server drawn for its requests in flight and its latency at that number. Here the pool counts its own leases, which are
all there are if nobody else uses the endpoints, and the latency is the mean of how long calls took, decayed
(`balancer.kit.call_times`, also for endpoints that have not been heard of). The quantile is rounded down, so that in a
small pool, too, an endpoint that is alone at the top is hot. Who failed last comes last because in-flight comes before
call times: an endpoint that fails at once is never busy, and would be preferred to all that are hot (sinkholing).
Weights are ours: equal ones change nothing.
"""

import random

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Request, Strategy

__all__ = ["Prequal"]

_COLD, _HOT, _FAILING = range(3)  # in the order in which they are chosen
_ABSENT = -1


class _Known(CallTime):
    """Also whether the last call failed, and with how many slots out the node is counted; `_ABSENT` while it is not."""

    __slots__ = ("counted", "failed")

    def __init__(self) -> None:
        super().__init__()
        self.failed = False
        self.counted = _ABSENT


class Prequal(LeastLoaded):
    """The fastest of a few endpoints drawn at random, unless it is among the busiest of all."""

    name = "prequal"

    class Options(CallTimeOptions):
        """And who is busy."""

        quantile: float = Field(
            0.84, ge=0, le=1, description="busier than this part of the endpoints is hot; 0: only in-flight counts"
        )

    note = _Known

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._decay_s = options.decay_s
        self._times = CallTimes(options)
        self._in_flights = _InFlights(options.quantile)

    def load(self, node: Node, now: float) -> tuple[int, float]:
        """Return whether it is cold, hot or failing, and its load among those."""
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
    """How many nodes have how many slots out, and the quantile of that: in-flight moves by steps, and it follows.

    Between any two calls the counts agree, even if a Ctrl-C interrupts one half-way: Python looks for signals after
    a call, and once a count has changed nothing is called here.
    """

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._nodes: dict[int, int] = {}  # by slots out
        self._total = 0
        self._threshold = 0
        self._within = 0  # nodes with `_threshold` slots out or fewer

    def move(self, known: _Known, in_flight: int) -> None:
        """Count a node with `in_flight` slots out, `_ABSENT` for not at all, and not where it was; O(1)."""
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
        """Return the quantile of the slots out, rounded down to one that some node has; O(1), amortised."""
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
