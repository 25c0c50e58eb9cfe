"""`peak_ewma`: the endpoint where a call is expected to end first, by a moving average that follows peaks at once.

Load metric: cost x (in-flight + 1) / weight. The cost is a moving average of call times (EWMA, `decay_s`). A longer
call raises it at once to its own time, so it follows a peak immediately and a recovery slowly. Selection rule: the
least of `choices` distinct endpoints drawn at random, ties at random.

The cost and the rule are Finagle's (`Ewma` balancer over power-of-two choices) and tower's (`PeakEwma`). Differences:
an endpoint's cost fades only while it is idle, so that calls that hang do not make it look better. A failure counts as
a long call (`balancer.kit.call_times`). Weights are our addition; equal ones change nothing.
"""

import random

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.call_times import CallTime, CallTimeOptions, CallTimes
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Strategy

__all__ = ["PeakEwma"]


class PeakEwma(LeastLoaded):
    """The least of (call time, peaks at once, decayed) x (in flight + 1) of a few endpoints drawn at random."""

    name = "peak_ewma"

    Options = CallTimeOptions

    note = CallTime

    def __init__(self, options: CallTimeOptions, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._times = CallTimes(options)

    def load(self, node: Node, now: float) -> float:
        """Return cost x (in-flight + 1) / weight."""
        return self._times.expected_s(node, now) * (node.in_flight + 1) / node.weight

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        known: CallTime = node.note
        counted_s = self._times.counted_s(node, outcome, elapsed_s)
        left = self._times.left(known, now)
        known.mean_s = max(counted_s, known.mean_s * left + counted_s * (1.0 - left))
        known.heard_s = now
        super().finish(node, outcome, elapsed_s, now)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [PeakEwma]
