"""How long a call of a node is expected to take, from how its calls ended.

Decides what an end tells, and what is expected of a node that has not been heard of, or not for long:

- A success took as long as it took. A failure or an overload counts as a call of at least `failure_factor` times
  the usual, so that to fail at once is not to be fast. What ended with an outcome that says nothing counts as a call
  that took what was expected: the node has been heard of, that is all.
- While a node is idle what is known of it fades, by `decay_s`, so that one that was slow is tried again. As soon as
  a call is out the full time counts once more: one call finds out, the others stay where they are. A node that was
  never heard of is tried first, and with a call out it is taken to be usual.

It must not know how a node is chosen.
"""

from math import exp
from typing import Final

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.kit.places import Place
from balancer.strategy import Node, StrategyOptions

__all__ = ["SHORTEST_S", "CallTime", "CallTimeOptions", "CallTimes"]

# What is known fades down to this and no further, so that in-flight counts among those that have faded, and where a
# clock stands still. Shorter calls tell more of the caller's machine than of the endpoint.
SHORTEST_S: Final = 1e-4
_FIRST_GUESS_S = 1.0  # what is usual before the first success
_USUAL_OVER = 64  # calls: the mean that says what is usual is over about so many
_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class CallTimeOptions(StrategyOptions):
    """How many endpoints are compared, and what is made of their call times."""

    choices: int = Field(2, ge=1, description="how many endpoints are drawn; 1: any, and load does not count")
    decay_s: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="after this many seconds a call time counts 37%"
    )
    failure_factor: float = Field(
        100.0, ge=1, le=10_000, description="a failure counts as a call of at least so many times the usual time"
    )


class CallTime(Place):
    """What is known of one node. It is the node's note; subclass it to note more.

    Attributes:
        mean_s: how long a call takes, in seconds; 0 before the first end.
        ends: how many ends it is a mean of, decayed.
        heard_s: the instant of the last end.
    """

    __slots__ = ("ends", "heard_s", "mean_s")

    def __init__(self) -> None:
        super().__init__()
        self.mean_s = 0.0
        self.ends = 0.0
        self.heard_s = 0.0


class CallTimes:
    """What calls take, for the nodes of one strategy. The note of every node is a `CallTime`.

    Attributes:
        usual_s: how long a success takes, whichever node it is of.
    """

    __slots__ = ("_decay_s", "_failure_factor", "_successes", "usual_s")

    def __init__(self, options: CallTimeOptions) -> None:
        self._decay_s = options.decay_s
        self._failure_factor = options.failure_factor
        self._successes = 0
        self.usual_s = _FIRST_GUESS_S

    def expected_s(self, node: Node, now: float) -> float:
        """Return how long a call of `node` is expected to take (>= SHORTEST_S)."""
        known: CallTime = node.note
        if node.in_flight:
            return known.mean_s or self.usual_s
        return max(SHORTEST_S, known.mean_s * self.left(known, now))

    def left(self, known: CallTime, now: float) -> float:
        """Return which part of what is known is left if nothing has ended since, between 0 and 1."""
        return exp((known.heard_s - now) / self._decay_s)

    def counted_s(self, node: Node, outcome: Outcome, elapsed_s: float) -> float:
        """Return how long a call counts that has ended; take note of it if it tells what is usual."""
        took_s = elapsed_s if elapsed_s > SHORTEST_S else SHORTEST_S
        if outcome is _SUCCESS:
            if self._successes < _USUAL_OVER:
                self._successes += 1
                if self._successes == 1:
                    self.usual_s = took_s
            self.usual_s += (took_s - self.usual_s) / self._successes
            return took_s
        if outcome is Outcome.IGNORED:
            return node.note.mean_s or self.usual_s
        return max(took_s, self._failure_factor * self.usual_s)

    def learn(self, node: Node, counted_s: float, now: float) -> None:
        """Let a call count in the mean: over all ends, each with a weight of exp(-age / decay_s)."""
        known: CallTime = node.note
        known.ends = known.ends * self.left(known, now) + 1.0
        known.mean_s += (counted_s - known.mean_s) / known.ends
        known.heard_s = now
