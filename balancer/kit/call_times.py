"""Call times: how long a call of a node is expected to take, learned from its ended calls.

- A success counts with its time. A failure or an overload counts as at least `failure_factor` times the usual time, so
  that failing at once does not look fast. An ignored outcome counts as the expected time.
- While a node is idle, its time fades with `decay_s`, so that a slow node is tried again. As soon as a call is out, the
  full time counts again: one call finds out, and the others stay away. A node without an ended call is tried first;
  with a call out, its time is the usual one.
"""

from math import exp
from typing import Final

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.kit.places import Place
from balancer.strategy import Node, StrategyOptions

__all__ = ["SHORTEST_S", "CallTime", "CallTimeOptions", "CallTimes"]

# A known time fades only down to this. So in-flight calls still count among faded nodes, and with a clock that stands
# still. Shorter calls say more about the caller's machine than about the endpoint.
SHORTEST_S: Final = 1e-4
_FIRST_GUESS_S = 1.0  # the usual time before the first success
_USUAL_OVER = 64  # the usual time is a mean of about so many calls
_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class CallTimeOptions(StrategyOptions):
    """How many endpoints are compared, and how call times are learned."""

    choices: int = Field(2, ge=1, description="how many endpoints are drawn; 1: any one, load has no effect")
    decay_s: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="after this many seconds a call time counts 37%"
    )
    failure_factor: float = Field(
        100.0, ge=1, le=10_000, description="a failure counts as a call of at least this many times the mean time"
    )


class CallTime(Place):
    """The call time of one node. It is the node's note; subclass it to note more.

    Attributes:
        mean_s: how long a call takes, in seconds; 0 before the first end.
        ends: how many ends are in the mean, decayed.
        heard_s: the time of the last end.
    """

    __slots__ = ("ends", "heard_s", "mean_s")

    def __init__(self) -> None:
        super().__init__()
        self.mean_s = 0.0
        self.ends = 0.0
        self.heard_s = 0.0


class CallTimes:
    """The call times of the nodes of one strategy. The note of every node is a `CallTime`.

    Attributes:
        usual_s: the mean time of a success over all nodes, in seconds.
    """

    def __init__(self, options: CallTimeOptions) -> None:
        self._decay_s = options.decay_s
        self._failure_factor = options.failure_factor
        self._successes = 0
        self.usual_s = _FIRST_GUESS_S

    def expected_s(self, node: Node, now: float) -> float:
        """Return how many seconds a call of `node` is expected to take (>= SHORTEST_S)."""
        known: CallTime = node.note
        if node.in_flight:
            return known.mean_s or self.usual_s
        return max(SHORTEST_S, known.mean_s * self.left(known, now))

    def left(self, known: CallTime, now: float) -> float:
        """Return the factor (0 to 1) by which the known time has faded since the last end."""
        return exp((known.heard_s - now) / self._decay_s)

    def counted_s(self, node: Node, outcome: Outcome, elapsed_s: float) -> float:
        """Return the seconds that an ended call counts. A success also updates the usual time."""
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
        """Add a call to the mean over all ends. Each end has a weight of exp(-age / decay_s)."""
        known: CallTime = node.note
        known.ends = known.ends * self.left(known, now) + 1.0
        known.mean_s += (counted_s - known.mean_s) / known.ends
        known.heard_s = now
