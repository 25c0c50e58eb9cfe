"""`weighted_health`: shares by weight, less for the endpoints that fail or are slow.

Load metric: the virtual time at which an endpoint is due, which moves on by 1 / (weight x health x
slow start) with every lease. Selection rule: earliest due first (EDF; the scheduler of Envoy and gRPC,
gRFC A58), which is smooth: a weight of 2:1 is 2:1 in every short window. A random phase at the start
keeps many pools from marching in step.

Health is the success rate times the speed, both decayed, so that an old fault is forgotten. It moves
choices, it takes nobody out: where callers queue for the only free slot, that slot is used.
"""

import math
import random
from heapq import heappop, heappush

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["WeightedHealth"]

_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find
# One imagined success, so that a single failure halves the rate of an unknown endpoint and does not end it.
_PRIOR = 1.0
# Calls shorter than this tell more about the caller's machine than about the endpoint's speed.
_SHORTEST_S = 0.01
# A weight is worked out anew at once after a failure, else when this part of `decay_s` has passed: an
# outcome counts 1 - exp(-1/64) = 1.6% less by then, and a lease need not wait for an exp().
_STALE = 1 / 64
# Weights span nine orders and no more: virtual time moves on by 1 / weight, and a double that has reached
# 1e9 still tells steps of 1e-7 apart.
_LEAST_WEIGHT = 1e-9


class _Record:
    """What is known of one node, and what follows from it."""

    __slots__ = ("due", "duration_s", "failures", "joined_s", "node", "stale_s", "successes", "updated_s", "weight")

    def __init__(self, node: Node, now: float) -> None:
        self.node = node
        self.joined_s = now
        self.due = 0.0
        self.successes = 0.0
        self.failures = 0.0
        self.duration_s = 0.0  # mean duration of the calls that succeeded; 0 before the first
        self.updated_s = now  # when the counts were last decayed
        self.weight = node.endpoint.weight
        self.stale_s = now  # when the weight is to be worked out anew


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
        # Nodes with a free slot: a heap of the virtual times they are due, all different, and whose each is.
        # Bare floats compare faster than tuples, which is felt at 10 000 endpoints.
        self._heap: list[float] = []
        self._whose: dict[float, _Record] = {}
        self._clock = 0.0  # virtual time: when the last pick was due
        self._speed_sum = 0.0  # of 1 / duration, over the nodes whose duration is known
        self._speed_count = 0

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        record = node.note = _Record(node, now)
        self._weigh(record, now)
        record.due = self._clock + self._random() / record.weight
        if node.free:
            self._queue(record)

    def leave(self, node: Node, now: float) -> None:
        """O(N)."""
        record: _Record = node.note
        self._learn_duration(record, 0.0)
        self._unqueue(record)

    def change(self, node: Node, now: float) -> None:
        """O(N)."""
        record: _Record = node.note
        self._unqueue(record)
        before = record.weight
        self._weigh(record, now)
        # What is left of its period shrinks or grows with the weight, so that the new one counts at once.
        record.due = self._clock + max(0.0, record.due - self._clock) * before / record.weight
        if node.free:
            self._queue(record)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N) for an open request."""
        if not self._heap:
            return None
        record = self._whose.pop(heappop(self._heap)) if request.open else self._pop_admitted(request)
        if record is None:
            return None
        if now >= record.stale_s:
            self._weigh(record, now)
        # An endpoint that was full for long is due at once, but is not owed what it could not take.
        if record.due > self._clock:
            self._clock = record.due
        record.due = self._clock + 1.0 / record.weight
        if record.node.in_flight + 1 < record.node.limit:
            self._queue(record)
        return record.node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(log N)."""
        record: _Record = node.note
        if outcome is _SUCCESS:
            if now >= record.stale_s:  # fade what is older first: this is new, however long it took
                self._weigh(record, now)
            # Only successes tell of speed: to fail at once is not to be fast. The step is that of a mean
            # over the decayed number of successes.
            record.successes += 1.0
            if elapsed_s > _SHORTEST_S or record.duration_s != _SHORTEST_S:
                self._learn_speed(record, elapsed_s)
        elif outcome is not Outcome.IGNORED:
            self._weigh(record, now)  # likewise
            record.failures += 1.0
            self._weigh(record, now)
        if node.in_flight + 1 == node.limit:  # it was full, so it is not queued
            self._queue(record)

    def _weigh(self, record: _Record, now: float) -> None:
        """Decay what is known, and work out the weight that follows from it."""
        options = self._options
        fade = math.exp((record.updated_s - now) / options.decay_s)
        record.updated_s = now
        record.stale_s = now + options.decay_s * _STALE
        record.successes *= fade
        record.failures *= fade
        good = record.successes + _PRIOR
        health = good / (good + record.failures)
        if record.duration_s:
            # By the mean of the speeds, not of the durations: one endpoint a thousand times slower must not make
            # the others, and with them the scale on which a new endpoint counts 1, a thousand times better.
            mean_speed = self._speed_sum / self._speed_count
            health *= (1.0 / record.duration_s / mean_speed) ** options.speed
        age_s = now - record.joined_s
        ramp = max(0.1, age_s / options.slow_start_s) if age_s < options.slow_start_s else 1.0
        weight = record.node.endpoint.weight * max(options.floor, health) * ramp
        record.weight = max(_LEAST_WEIGHT, weight)

    def _learn_speed(self, record: _Record, elapsed_s: float) -> None:
        duration_s = max(elapsed_s, _SHORTEST_S)
        if record.duration_s:
            duration_s = record.duration_s + (duration_s - record.duration_s) / record.successes
        else:
            record.stale_s = 0.0
        self._learn_duration(record, duration_s)

    def _learn_duration(self, record: _Record, duration_s: float) -> None:
        for known_s, sign in ((record.duration_s, -1), (duration_s, 1)):
            if known_s:
                self._speed_count += sign
                self._speed_sum += sign / known_s
        record.duration_s = duration_s

    def _queue(self, record: _Record) -> None:
        while self._whose.setdefault(record.due, record) is not record:
            # Many can be due at one instant, e.g. all that were overdue. Each goes to one of the 2 N next
            # instants at random, which are half empty or more: O(1), where the first empty one is O(N) away.
            record.due += math.ulp(record.due) * math.ceil(self._random() * 2 * len(self._whose))
        heappush(self._heap, record.due)

    def _unqueue(self, record: _Record) -> None:
        if self._whose.get(record.due) is record:
            del self._whose[record.due]
            self._heap = sorted(self._whose)  # a sorted list is a heap

    def _pop_admitted(self, request: Request) -> _Record | None:
        skipped = []
        found = None
        while self._heap and found is None:
            record = self._whose.pop(heappop(self._heap))
            if request.admits(record.node.endpoint):
                found = record
            else:
                skipped.append(record)
        for record in skipped:
            self._queue(record)
        return found


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedHealth]
