"""`peak_ewma`: the endpoint where a call is expected to end first, by a moving average that is quick to fear.

Load metric: cost x (in-flight + 1) / weight, where cost is a moving average over time of how long calls take (EWMA,
`decay_s`), which a longer call raises at once to what it took: it believes a peak immediately and a recovery slowly.
Selection rule: the least of `choices` distinct endpoints drawn at random, ties at random.

The cost and the rule are Finagle's (`Ewma` balancer over power-of-two choices) and tower's (`PeakEwma`). Unlike there
an endpoint's cost fades only while it is idle, so that calls that hang do not make it look better, and a failure
counts as a long call (`balancer.kit.call_times`). Weights are ours: equal ones change nothing.
"""

import random

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.ranking import LeastOfDraws
from balancer.strategy import Node, Request, Strategy

__all__ = ["PeakEwma"]


class PeakEwma(Strategy):
    """The least of (call time, peaks at once, decayed) x (in flight + 1) of a few endpoints drawn at random."""

    name = "peak_ewma"

    Options = CallTimeOptions

    def __init__(self, options: CallTimeOptions, rng: random.Random) -> None:
        self._times = CallTimes(options)
        self._draws = LeastOfDraws(rng, options.choices, self._load)

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = CallTime()
        self._draws.settle(node)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._draws.leave(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._draws.settle(node)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(choices) for an open request."""
        return self._draws.pick(request, now)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        self._learn(node, self._times.counted_s(node, outcome, elapsed_s), now)
        self._draws.settle(node)

    def _load(self, node: Node, now: float) -> float:
        return self._times.expected_s(node, now) * (node.in_flight + 1) / node.weight

    def _learn(self, node: Node, counted_s: float, now: float) -> None:
        known: CallTime = node.note
        left = self._times.left(known, now)
        known.mean_s = max(counted_s, known.mean_s * left + counted_s * (1.0 - left))
        known.heard_s = now


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [PeakEwma]
