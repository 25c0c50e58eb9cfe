"""Which endpoints are fit to serve.

Decides from the outcomes of calls when an endpoint is ejected, how long it rests, and how it comes back: at first one
probe, then slowly. It must not know leases that wait, strategies or limits: it says how an endpoint stands, and
`balancer.core.rules` makes slots and weights of that.

The tests for outliers are gRFC A50's (success rate, failure percentage), which need many endpoints, and two that do
not: failures in a row, and the endpoint's own decayed success rate. Back-off with equal jitter is as in Brooker,
"Exponential Backoff and Jitter" (2015); panic and slow start are Envoy's.
"""

import math
import random
from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from math import inf

from balancer.core.outliers import outliers, success_rate
from balancer.core.states import TRANSITIONS, Event, Health, Record
from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import HealthSettings

__all__ = ["HealthWatch"]


_OUT = (Health.EJECTED, Health.HALF_OPEN)
_IN = (Health.HEALTHY, Health.SLOW_START)
_UNFIT = (Health.EJECTED, Health.RESTING)
_RAMP_STEPS = 10  # a weight that grows is told to the strategy so many times
_LEAST_RAMP = 0.1
# Decayed counts are brought up to date when this part of `decay_s` has passed; a success counts 6% too much at most.
_STALE = 1 / 16
_MOST_TRIPS = 64  # 2**64 times any cooldown is more than the longest
_SMALL = 3  # endpoints of which one may be ejected, though it is more than the share
_ROUNDING = 1e-9  # 0.28 * 25 is 7.000000000000001


class HealthWatch:
    """The health of all endpoints in service of one pool.

    Args:
        settings: what is tested, and how long things take.
        rng: for jitter.

    Attributes:
        panic: True while too few are fit, so that all must serve.
        due_s: when `tick` has something to do next; `inf`: never.
        moved: the records that stand otherwise since somebody last cleared this.
        unfit: the records that are ejected or resting.
    """

    def __init__(self, settings: HealthSettings, rng: random.Random) -> None:
        self._settings = settings
        self._random = rng.random
        self._records: dict[Record, None] = {}
        self._out = 0
        self._timers: list[tuple[float, int, Record]] = []
        self._tickets = count()
        self._compare_s = -inf
        self._stale_s = min(settings.decay_s * _STALE, settings.interval_s)
        self.panic = False
        self.due_s = inf
        self.moved: list[Record] = []
        self.unfit: dict[Record, None] = {}

    # -- membership --------------------------------------------------------------------------------

    def join(self, key: Hashable, now: float) -> Record:
        """Watch an endpoint from now on; it is healthy until it shows otherwise."""
        record = Record(key, now)
        self._records[record] = None
        self._restrain(now)
        return record

    def leave(self, record: Record, now: float) -> None:
        """Forget an endpoint. Another may have to come back, so that not too many are ejected."""
        del self._records[record]
        self.unfit.pop(record, None)
        self._out -= record.state in _OUT
        record.until_s = inf
        self._next_due()
        self._restrain(now)

    # -- what happens ------------------------------------------------------------------------------

    def granted(self, record: Record, lease: Lease) -> None:
        """Learn of a lease of an endpoint that is half open: the first is the probe."""
        if record.state is Health.HALF_OPEN and record.probe is None:
            record.probe = lease.id

    def ended(self, record: Record, lease: Lease, outcome: Outcome, now: float) -> None:
        """Learn how a lease ended."""
        self._fade(record, now)
        if now >= self._compare_s:
            self._compare(now)
        rest_s = self._rest_s(lease, outcome)
        if record.probe == lease.id:
            record.probe = None
            if outcome is not Outcome.IGNORED:
                self._judge_probe(record, outcome, rest_s, now)
        elif record.state in _IN:
            self._judge_call(record, outcome, rest_s, now)
        elif rest_s:
            self._rest_longer(record, rest_s, now)
        quiet = record.state is Health.HEALTHY and not record.failures_in_row
        record.look_s = record.updated_s + self._stale_s if quiet else -inf

    def pinged(self, record: Record, ok: bool, now: float) -> None:
        """Learn from an active probe, which is no lease.

        While the endpoint is in service, a failed one counts in the row of failures. A good one says little (a server
        that fails every call may answer pings): it takes back the failed pings of that row. But if a program was run,
        it is as good as a probe by a lease.
        """
        if record.state in _IN:
            self._fade(record, now)
            if ok:
                record.failures_in_row -= record.failed_pings
                record.failed_pings = 0
            else:
                record.look_s = -inf
                record.failed_pings += 1
                self._count_failure(record, 0.0, now)
        elif ok and record.state is Health.HALF_OPEN and self._settings.ping == "program":
            self._move(record, Event.PROBED_WELL, now)

    def tick(self, now: float) -> None:
        """Let time do what is due."""
        while self._timers and self._timers[0][0] <= now:
            at_s, _, record = heappop(self._timers)
            if at_s != record.until_s:
                continue  # something else happened meanwhile
            if record.state is Health.SLOW_START:
                self._warm(record, now)
            else:
                self._move(record, Event.COOLED, now)
        self._next_due()

    # -- looking -----------------------------------------------------------------------------------

    def most(self, record: Record) -> float:
        """Return how many slots may be in use at once, as far as health is concerned."""
        if record.state is Health.RESTING:
            return 0
        if record.state in _IN or (self.panic and not record.asked):
            return inf
        return 1 if record.state is Health.HALF_OPEN else 0

    def ramp(self, record: Record, now: float) -> float:
        """Return the part of its weight that counts."""
        if record.state is not Health.SLOW_START:
            return 1.0
        step_s = self._settings.slow_start_s / _RAMP_STEPS
        steps = math.floor((now - record.since_s) / step_s + _ROUNDING)
        return min(1.0, max(_LEAST_RAMP, steps / _RAMP_STEPS))

    # -- tests -------------------------------------------------------------------------------------

    def _judge_call(self, record: Record, outcome: Outcome, rest_s: float, now: float) -> None:
        """Book a call to an endpoint in service, and see what follows."""
        if outcome is Outcome.SUCCESS:
            record.failures_in_row = record.failed_pings = 0
            record.successes += 1.0
            record.good += 1
        elif outcome is not Outcome.IGNORED:
            record.bad += 1
            if outcome is Outcome.OVERLOAD:
                record.overload_s = now
            if outcome is not Outcome.OVERLOAD or not self._others_are_overloaded(record, now):
                record.failures += 1.0
                self._count_failure(record, rest_s, now)
        if rest_s and record.state in _IN:
            self._move(record, Event.ASKED_REST, now, rest_s)

    def _others_are_overloaded(self, record: Record, now: float) -> bool:
        """Return whether half of the others were overloaded lately: then it is no outlier, and who stays gets more.

        O(N), for an overload.
        """
        others = [other for other in self._records if other is not record and other.state in _IN]
        busy = sum(now - other.overload_s <= self._settings.interval_s for other in others)
        return bool(others) and 2 * busy >= len(others)

    def _rest_longer(self, record: Record, rest_s: float, now: float) -> None:
        """Let an endpoint out of service have the rest that it asks for, if that is longer than what it has."""
        if record.state is Health.HALF_OPEN:
            self._move(record, Event.ASKED_REST, now, rest_s)
            return
        if record.state is Health.EJECTED:
            record.asked = True
            self.moved.append(record)
        if now + rest_s > record.until_s:
            self._time(record, now + rest_s)

    def _rest_s(self, lease: Lease, outcome: Outcome) -> float:
        """Return for how long the endpoint asks to be left alone; 0: it does not."""
        asked_s = lease.hint.retry_after_s if lease.hint and outcome is Outcome.OVERLOAD else None
        return min(asked_s, self._settings.max_cooldown_s) if asked_s and asked_s > 0 else 0.0

    def _count_failure(self, record: Record, rest_s: float, now: float) -> None:
        settings = self._settings
        record.failures_in_row += 1
        seen = record.successes + record.failures
        in_row = 0 < settings.consecutive_failures <= record.failures_in_row
        own = seen >= settings.success_volume and record.successes < settings.success_rate * seen
        if in_row or own:
            self._trip(record, now, rest_s)

    def _compare(self, now: float) -> None:
        """Hold the endpoints against one another: gRFC A50, on the outcomes since the last time."""
        settings = self._settings
        self._compare_s = now + settings.interval_s
        for record in self._records:
            self._fade(record, now)
        candidates = [record for record in self._records if record.state in _IN and record.good + record.bad]
        candidates.sort(key=success_rate)  # the worst first: not all may be ejected
        for record in outliers(candidates, self._settings):
            if record.state in _IN:
                self._trip(record, now)
        for record in self._records:
            record.good = record.bad = 0

    def _judge_probe(self, record: Record, outcome: Outcome, rest_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            self._move(record, Event.PROBED_WELL, now)
        else:
            self._move(record, Event.PROBED_BADLY, now, rest_s)

    # -- moving ------------------------------------------------------------------------------------

    def _trip(self, record: Record, now: float, rest_s: float = 0.0) -> None:
        """Eject it, if that does not take out too many."""
        if self._out < self._allowed():
            self._move(record, Event.TRIPPED, now, rest_s)

    def _allowed(self) -> int:
        """Return how many may be ejected at once."""
        endpoints, share = len(self._records), self._settings.max_ejected_share
        least = 1 if share and endpoints <= _SMALL else 0
        return max(0, min(endpoints - 1, max(math.floor(share * endpoints + _ROUNDING), least)))

    def _restrain(self, now: float) -> None:
        """Bring back as many as are ejected too many, those first that would be back first."""
        while self._out > self._allowed():
            out = [record for record in self._records if record.state in _OUT]
            first = min(out, key=lambda record: (record.state is Health.EJECTED, record.until_s))
            rest_s = first.until_s - now if first.asked else 0.0
            self._move(first, Event.READMITTED, now)
            if rest_s > 0:
                self._move(first, Event.ASKED_REST, now, rest_s)
        self._look_for_panic()

    def _move(self, record: Record, event: Event, now: float, least_s: float = 0.0) -> None:
        """Take the transition, and do what comes with the new state; a rest lasts `least_s` at least."""
        before, record.state = record.state, TRANSITIONS[record.state, event]
        if before is Health.HEALTHY and now - record.since_s > record.cooldown_s:
            record.trips = 0
        self._out += (record.state in _OUT) - (before in _OUT)
        if record.state in _UNFIT:
            self.unfit[record] = None
        else:
            self.unfit.pop(record, None)
        record.since_s, record.until_s, record.probe, record.look_s = now, inf, None, -inf
        record.asked = record.state is Health.EJECTED and least_s > 0
        self.moved.append(record)
        if record.state is Health.EJECTED:
            record.ejections += 1
            self._time(record, now + max(least_s, self._next_cooldown_s(record)))
        elif record.state is Health.RESTING:
            self._time(record, now + least_s)
        elif record.state is Health.SLOW_START:
            if before is not Health.RESTING:  # who comes back from a rest has not been judged, and has it still to come
                record.successes = record.failures = 0.0
                record.failures_in_row = record.failed_pings = 0
                record.good = record.bad = 0
            self._warm(record, now)
        self._look_for_panic()

    def _next_cooldown_s(self, record: Record) -> float:
        settings = self._settings
        record.cooldown_s = min(settings.max_cooldown_s, settings.cooldown_s * 2.0**record.trips)
        record.trips = min(record.trips + 1, _MOST_TRIPS)
        return record.cooldown_s * (0.5 + 0.5 * self._random())

    def _warm(self, record: Record, now: float) -> None:
        """Go on with a slow start: to its next step or, past the last, to health."""
        slow_start_s = self._settings.slow_start_s
        if now - record.since_s >= slow_start_s * (1.0 - 1e-9):
            self._move(record, Event.WARMED, now)
            return
        self.moved.append(record)
        step_s = slow_start_s / _RAMP_STEPS
        steps = math.floor((now - record.since_s) / step_s + _ROUNDING) + 1
        self._time(record, max(record.since_s + steps * step_s, math.nextafter(now, inf)))

    def _time(self, record: Record, at_s: float) -> None:
        record.until_s = at_s
        heappush(self._timers, (at_s, next(self._tickets), record))
        self._next_due()

    def _next_due(self) -> None:
        while self._timers and self._timers[0][0] != self._timers[0][2].until_s:
            heappop(self._timers)
        self.due_s = self._timers[0][0] if self._timers else inf

    def _look_for_panic(self) -> None:
        endpoints = len(self._records)
        panic = endpoints - self._out < self._settings.panic_share * endpoints - _ROUNDING
        if panic is not self.panic:
            self.panic = panic
            self.moved += [record for record in self._records if record.state in _OUT]

    def _fade(self, record: Record, now: float) -> None:
        """Book the fresh successes and let what is older count less."""
        if record.fresh:
            record.successes += record.fresh
            record.good += record.fresh
            record.fresh = 0
        if now - record.updated_s >= self._stale_s:
            fade = math.exp((record.updated_s - now) / self._settings.decay_s)
            record.successes *= fade
            record.failures *= fade
            record.updated_s = now
