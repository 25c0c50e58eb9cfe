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

# Virtual time is kept exactly and looked at in ticks of 1/64 of the period of an endpoint of weight 1. The
# order within a tick hardly shows, and finding the next endpoint costs the same among 4 and among 10 000.
_TICKS = 64


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
        self._step_s = options.decay_s * _STALE
        # Nodes with a free slot, by the tick they are due in, first come first served within one; and a
        # heap of these ticks. There are few of them however many endpoints there are.
        self._due: dict[int, list[_Record]] = {}
        self._ticks: list[int] = []
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
        self._unqueue(record)
        if record.duration_s:
            self._speed_sum -= 1.0 / record.duration_s
            self._speed_count -= 1

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
        record = self._first() if request.open else self._first_admitted(request)
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
            if now - record.updated_s >= self._step_s:  # fade what is older first: this is new, however long it took
                self._fade(record, now)
            # Only successes tell of speed: to fail at once is not to be fast. The step is that of a mean
            # over the decayed number of successes.
            record.successes += 1.0
            if elapsed_s > _SHORTEST_S or record.duration_s != _SHORTEST_S:
                self._learn_speed(record, elapsed_s, now)
        elif outcome is not Outcome.IGNORED:
            self._weigh(record, now)  # likewise
            record.failures += 1.0
            self._weigh(record, now)
        if node.in_flight + 1 == node.limit:  # it was full, so it is not queued
            self._queue(record)

    def _weigh(self, record: _Record, now: float) -> None:
        """Decay what is known, and work out the weight that follows from it."""
        options = self._options
        self._fade(record, now)
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
        # Time alone changes it only while there are failures to forget, or it is still starting.
        record.stale_s = now + self._step_s if record.failures or ramp < 1.0 else math.inf

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

    # An interrupt may come between any two of these steps, and must cost no other endpoint than its own. So a
    # tick is in the heap before it has records, an empty one goes only when it comes first, and twice is no harm.

    def _queue(self, record: _Record) -> None:
        tick = int(record.due * _TICKS)
        records = self._due.get(tick)
        if records is None:
            heappush(self._ticks, tick)
            self._due[tick] = [record]
        else:
            records.append(record)

    def _unqueue(self, record: _Record) -> None:
        records = self._due.get(int(record.due * _TICKS), [])
        if record in records:
            records.remove(record)

    def _first(self) -> _Record | None:
        ticks = self._ticks
        while ticks:
            records = self._due.get(ticks[0])
            if records:
                return records.pop(0)
            self._due.pop(ticks[0], None)
            heappop(ticks)
        return None

    def _first_admitted(self, request: Request) -> _Record | None:
        for tick in sorted(self._ticks):
            records = self._due.get(tick, [])
            for index, record in enumerate(records):
                if request.admits(record.node.endpoint):
                    return records.pop(index)
        return None


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedHealth]
