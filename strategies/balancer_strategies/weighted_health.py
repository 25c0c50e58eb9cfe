"""`weighted_health`: shares by weight, less for endpoints that fail or are slow.

Load metric: the virtual deadline of an endpoint. It moves on by 1 / (weight x health x slow start) with every leased
slot. Selection rule: earliest deadline first (EDF, see `balancer.kit.deadlines`), which is smooth: weights of 2:1 give
shares of 2:1 in every short window. A random phase at the start keeps many pools from running in step.

Health is the success rate times the speed, both decayed, so that old failures are forgotten. It changes shares but
takes no endpoint out: if callers wait for the only free slot, that slot is used.
"""

import math
import random

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.deadlines import Deadline, Deadlines, bounded
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["WeightedHealth"]

_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find
# One imaginary success, so that a single failure halves the rate of an unknown endpoint instead of making it 0.
_PRIOR = 1.0
# Calls shorter than this say more about the caller's machine than about the endpoint's speed.
_SHORTEST_S = 0.01
# A weight is recomputed at once after a failure, else after this part of `decay_s`. An outcome counts only 1 -
# exp(-1/64) = 1.6% less by then, and not every lease needs an exp().
_STALE = 1 / 64


class _Record(Deadline):
    """The data of one node, and its deadline."""

    __slots__ = ("duration_s", "failures", "joined_s", "stale_s", "successes", "updated_s")

    def __init__(self, node: Node, now: float) -> None:
        super().__init__(node, node.weight)
        self.joined_s = now
        self.successes = 0.0
        self.failures = 0.0
        self.duration_s = 0.0  # mean duration of successful calls; 0 before the first
        self.updated_s = now  # when the counts were last decayed
        self.stale_s = now  # when the weight must be recomputed


class WeightedHealth(Strategy):
    """Shares by weight x health (success rate and speed, decayed) x slow start, smooth in short windows."""

    name = "weighted_health"

    class Options(StrategyOptions):
        """How fast it learns and forgets."""

        decay_s: float = Field(30.0, gt=0, description="after this many seconds an outcome counts 37%")
        floor: float = Field(0.01, gt=0, le=1, description="least health, so that a bad endpoint is tried now and then")
        speed: float = Field(1.0, ge=0, le=2, description="how much speed counts: 0 not at all, 1 in proportion")
        slow_start_s: float = Field(10.0, ge=0, description="a new endpoint's weight grows from 10% over this time")

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._options = options
        self._random = rng.random
        self._step_s = options.decay_s * _STALE
        self._deadlines = Deadlines[_Record]()
        self._speed_sum = 0.0  # of 1 / duration, over the nodes with a known duration
        self._speed_count = 0

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        record = node.note = _Record(node, now)
        record.weight = self._weigh(record, now)
        self._deadlines.start(record, self._random())

    def leave(self, node: Node, now: float) -> None:
        """O(N)."""
        record: _Record = node.note
        self._deadlines.drop(record)
        if record.duration_s:
            self._speed_sum -= 1.0 / record.duration_s
            self._speed_count -= 1

    def change(self, node: Node, now: float) -> None:
        """O(N)."""
        record: _Record = node.note
        self._deadlines.reweigh(record, self._weigh(record, now))

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N) for an open request."""
        record = self._deadlines.first(request)
        if record is None:
            return None
        if now >= record.stale_s:
            record.weight = self._weigh(record, now)
        self._deadlines.count(record, request.takes(record.node), record.weight)
        return record.node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(log N)."""
        record: _Record = node.note
        if outcome is _SUCCESS:
            if now - record.updated_s >= self._step_s:  # first fade older data: this call is new, however long it took
                self._fade(record, now)
            # Only successes say something about speed: failing at once is not being fast. The step is that of a mean
            # over the decayed number of successes.
            record.successes += 1.0
            if elapsed_s > _SHORTEST_S or record.duration_s != _SHORTEST_S:
                self._learn_speed(record, elapsed_s, now)
        elif outcome is not Outcome.IGNORED:
            self._fade(record, now)  # as above
            record.failures += 1.0
            record.weight = self._weigh(record, now)
        self._deadlines.settle(record)

    def _weigh(self, record: _Record, now: float) -> float:
        """Decay the data, and return the resulting weight."""
        options = self._options
        self._fade(record, now)
        good = record.successes + _PRIOR
        health = good / (good + record.failures)
        if record.duration_s:
            # By the mean of the speeds, not of the durations. Otherwise one endpoint that is a thousand times slower
            # would make the others look a thousand times faster, also compared with a new endpoint, which counts 1.
            mean_speed = self._speed_sum / self._speed_count
            health *= (1.0 / record.duration_s / mean_speed) ** options.speed
        age_s = now - record.joined_s
        ramp = max(0.1, age_s / options.slow_start_s) if age_s < options.slow_start_s else 1.0
        # Time alone changes it only while there are failures to forget, or in a slow start.
        record.stale_s = now + self._step_s if record.failures or ramp < 1.0 else math.inf
        weight = bounded(record.node.weight * max(options.floor, health) * ramp)
        self._deadlines.refine(weight)
        return weight

    def _fade(self, record: _Record, now: float) -> None:
        fade = math.exp((record.updated_s - now) / self._options.decay_s)
        record.updated_s = now
        record.successes *= fade
        record.failures *= fade

    def _learn_speed(self, record: _Record, elapsed_s: float, now: float) -> None:
        known_s = record.duration_s
        duration_s = elapsed_s if elapsed_s > _SHORTEST_S else _SHORTEST_S
        if known_s:
            duration_s = known_s + (duration_s - known_s) / record.successes
            self._speed_sum += 1.0 / duration_s - 1.0 / known_s
            if record.stale_s > now + self._step_s:
                record.stale_s = now + self._step_s
        else:
            self._speed_sum += 1.0 / duration_s
            self._speed_count += 1
            record.stale_s = now
        record.duration_s = duration_s


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedHealth]
