"""Health of endpoints: ejection, cooldown, probing, slow start.

From the outcomes of calls, it decides when an endpoint is ejected, how long it is out, and how it comes back: first one
probe, then slowly. `balancer.core.rules` turns health into slots and weights.

Two outlier tests say which endpoint fails so much that it stands out: failures in a row, and the endpoint's own success
rate. Most pools are small, so neither compares endpoints. For speed, successes are only counted at first, and booked in
batches, before anything else is.

Sources: back-off with equal jitter as in Brooker, "Exponential Backoff and Jitter" (2015); slow start as in Envoy.
"""

import math
import random
from collections.abc import Hashable
from math import inf

from balancer.core.live_heap import LiveHeap
from balancer.core.states import TRANSITIONS, Health, HealthEvent, HealthRecord
from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import HealthSettings

__all__ = ["HealthWatch", "most_ejected"]


_OUT = (Health.EJECTED, Health.HALF_OPEN)
_IN = (Health.HEALTHY, Health.SLOW_START)
_RAMP_STEPS = 10  # how many steps a growing weight has
_LEAST_RAMP = 0.1
# Successes within this part of `decay_s` are a batch, and count from its end. So one counts at most 6% too much.
_BATCH = 1 / 16
# The first failed probes double the cooldown, so that an endpoint that fails for seconds is soon found to be up. Each
# further one multiplies it by four, so that a dead endpoint gets few probes.
_GENTLE_PROBES = 2
_MOST_BAD_PROBES = 64  # 2**64 times any cooldown is more than the longest
# After so many successes in a row, without the probe, the next cooldown is the first one again. An endpoint that fails
# 60% of its calls has such a row once in a hundred.
_FORGIVEN_AFTER = 5
_SMALL = 3  # in pools of at most so many endpoints one may be ejected, even if that is more than the share
_ROUNDING = 1e-9  # 0.28 * 25 is 7.000000000000001
_LATELY_S = 10.0  # for so long an overload of another endpoint counts as recent


class HealthWatch:
    """The health of all endpoints in service of one pool.

    Args:
        settings: the tests and the times.
        rng: for jitter.

    Attributes:
        moved: the records whose state has changed since a caller last cleared this list.
        spared: the records that would be ejected if more might be, since a caller last cleared this list.
    """

    def __init__(self, settings: HealthSettings, rng: random.Random) -> None:
        self._settings = settings
        self._random = rng.random
        self._forgives_time_outs = settings.timeouts == "ignore"
        self._records: dict[HealthRecord, None] = {}
        self._out = 0
        self._timers: LiveHeap[HealthRecord] = LiveHeap(lambda entry: entry[0] == entry[2].until_s)
        self._batch_s = settings.decay_s * _BATCH
        self.moved: list[HealthRecord] = []
        self.spared: list[HealthRecord] = []

    @property
    def due_s(self) -> float:
        """When `tick` has something to do next; inf: never."""
        timer = self._timers.first()
        return inf if timer is None else timer[0]

    @property
    def watched(self) -> int:
        """How many endpoints there are."""
        return len(self._records)

    @property
    def allowed(self) -> int:
        """How many of them may be ejected at once."""
        return most_ejected(self._settings, len(self._records))

    # -- membership --------------------------------------------------------------------------------

    def join(self, key: Hashable, now: float, *, slowly: bool = False, doubted: bool = False) -> HealthRecord:
        """Watch an endpoint from now on. It starts as healthy; `slowly`: with a slow start; `doubted`: with a probe."""
        record = HealthRecord(key, now)
        self._records[record] = None
        self._begin(record, now)
        if doubted:
            self._move(record, HealthEvent.DOUBTED, now)
        elif slowly:
            self._move(record, HealthEvent.JOINED, now)
        self._restrain(now)
        return record

    def leave(self, record: HealthRecord, now: float) -> None:
        """Forget an endpoint. Another one may come back, so that not too many are ejected."""
        del self._records[record]
        self._out -= record.state in _OUT
        record.until_s = inf
        self._restrain(now)

    def listen(self, record: HealthRecord, *, each: bool) -> None:
        """Ask for the end of every lease of an endpoint (`each`), or only for ends that may change its health."""
        record.each = each
        if each:
            record.look_s = -inf

    # -- what happens ------------------------------------------------------------------------------

    def granted(self, record: HealthRecord, lease: Lease) -> None:
        """Record a lease of an endpoint that is half open. The first one is the probe."""
        if record.state is Health.HALF_OPEN and record.probe is None:
            record.probe = lease.id
            if self._settings.probe_s:
                self._time(record, lease.granted_s + self._settings.probe_s)

    def counted(self, record: HealthRecord, now: float) -> bool:
        """Begin a batch with a success at or after `record.look_s`, if that is all it needs; else return False.

        It may change something if the endpoint was out of service since its last end, or if every end must be seen.
        """
        if record.look_s == -inf:
            return False
        self._book(record, now)
        record.fresh = 1
        record.look_s = record.fresh_until_s = now + self._batch_s
        return True

    def ended(self, record: HealthRecord, lease: Lease, outcome: Outcome, now: float) -> None:
        """Record the outcome of a lease. Not needed for a success before `record.look_s`, which may be counted in
        `fresh`, and for one that `counted` takes.
        """
        if self._forgives_time_outs and outcome is Outcome.FAILURE and lease.hint is not None and lease.hint.timed_out:
            outcome = Outcome.IGNORED
        self._book(record, now)
        rest_s = self._rest_s(lease, outcome)
        if record.probe == lease.id:
            record.probe = None
            record.until_s = inf
            if outcome is not Outcome.IGNORED:
                self._judge_probe(record, lease, outcome, rest_s, now)
        elif record.state in _IN:
            self._judge_call(record, lease, outcome, rest_s, now)
        elif rest_s:
            self._rest_longer(record, rest_s, now)
        if record.state in _IN and not record.each:
            record.look_s = record.fresh_until_s = now + self._batch_s

    def pinged(self, record: HealthRecord, ok: bool, now: float, *, conclusive: bool = False) -> None:
        """Record a ping, which is not a lease.

        Args:
            record: of the endpoint.
            ok: whether it answered.
            now: the time.
            conclusive: True if a program was run. If it went well, it counts like a probe by a lease. Other pings have
                no effect on an endpoint that is out of service.
        """
        if record.state in _IN:
            self._book(record, now)
            if not ok:
                record.row, record.failing = 0, True
            # A good ping removes only the failed pings from the row: a server that fails every call may answer pings.
            record.failed_pings = 0 if ok else record.failed_pings + 1
            self._trip("" if ok else self._row(record), record, now)
        elif ok and conclusive and record.state is Health.HALF_OPEN:
            self._move(record, HealthEvent.PROBED_WELL, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        while (timer := self._timers.first()) is not None and timer[0] <= now:
            self._timers.remove_first(timer)
            record = timer[2]
            if record.state is Health.SLOW_START:
                self._warm(record, now)
            elif record.state is Health.HALF_OPEN:
                self._move(record, HealthEvent.PROBED_WELL, now)  # the probe has run for long enough
            else:
                self._move(record, HealthEvent.COOLED, now)

    # -- looking -----------------------------------------------------------------------------------

    def most(self, record: HealthRecord) -> float:
        """Return how many slots health allows."""
        if record.state in _IN:
            return inf
        return 1 if record.state is Health.HALF_OPEN else 0

    def ramp(self, record: HealthRecord, now: float) -> float:
        """Return the part of its weight that counts (0.1 to 1)."""
        if record.state is not Health.SLOW_START:
            return 1.0
        step_s = self._settings.slow_start_s / _RAMP_STEPS
        steps = math.floor((now - record.since_s) / step_s + _ROUNDING)
        return min(1.0, max(_LEAST_RAMP, steps / _RAMP_STEPS))

    # -- tests -------------------------------------------------------------------------------------

    def _failed(self, record: HealthRecord, now: float) -> str:
        """Count a failed call. Return in words why its endpoint stands out; "": it does not."""
        record.failed_calls += 1
        self._fade(record, now)
        record.bad += 1.0
        seen, least = record.good + record.bad, self._settings.success_rate
        if row := self._row(record):
            return row
        if seen < self._settings.success_volume or record.good >= least * seen:
            return ""
        return f"{record.good / seen:.0%} of its latest calls succeeded, less than {least:.0%}"

    def _row(self, record: HealthRecord) -> str:
        calls, pings = record.failed_calls, record.failed_pings
        if not 0 < self._settings.consecutive_failures <= calls + pings:
            return ""
        told = [f"{calls} failures" if calls != 1 else "1 failure"] if calls else []
        told += [f"{pings} failed ping{'s' * (pings > 1)}"] if pings else []
        return f"{' and '.join(told)} in a row"

    def _fade(self, record: HealthRecord, now: float) -> None:
        """Let each outcome count 37% after `decay_s`."""
        if now > record.faded_s:
            fade = math.exp((record.faded_s - now) / self._settings.decay_s)
            record.good *= fade
            record.bad *= fade
            record.faded_s = now

    def _judge_call(self, record: HealthRecord, lease: Lease, outcome: Outcome, rest_s: float, now: float) -> None:
        """Book the outcome of a call to an endpoint in service; it may be ejected."""
        if outcome is Outcome.SUCCESS:
            self._add(record, 1, now)
        elif outcome is not Outcome.IGNORED:
            if outcome is Outcome.OVERLOAD:
                record.overload_s = now
            if outcome is not Outcome.OVERLOAD or not self._others_are_overloaded(record, now):
                record.row, record.failing, record.last = 0, True, getattr(lease, "raised", "")
                self._trip(self._failed(record, now), record, now, rest_s)
        if rest_s and record.state in _IN:
            self._move(record, HealthEvent.ASKED_REST, now, rest_s)

    def _others_are_overloaded(self, record: HealthRecord, now: float) -> bool:
        """Return whether at least half of the others were overloaded lately. Then an ejection would overload them more.

        O(N), for each overload.
        """
        others = [other for other in self._records if other is not record and other.state in _IN]
        busy = sum(now - other.overload_s <= _LATELY_S for other in others)
        return bool(others) and 2 * busy >= len(others)

    def _others_are_failing(self, record: HealthRecord) -> bool:
        """Return whether most others fail too. Then a failed probe says nothing about its endpoint. O(N)."""
        others = [other for other in self._records if other is not record and other.state in _IN]
        return 2 * sum(other.failing and not other.fresh for other in others) > len(others)

    def _rest_longer(self, record: HealthRecord, rest_s: float, now: float) -> None:
        """Extend the time out of service to the rest that the endpoint asks for, if that is longer."""
        if record.state is Health.HALF_OPEN:
            record.why = f"it asked for a rest of {rest_s:.3g} s while it was on trial"
            self._move(record, HealthEvent.ASKED_REST, now, rest_s)
            return
        if record.state is Health.EJECTED:
            record.asked = True
        if now + rest_s > record.until_s:
            self._time(record, now + rest_s)

    def _rest_s(self, lease: Lease, outcome: Outcome) -> float:
        """Return for how many seconds the endpoint asks for no calls; 0: it does not ask."""
        asked_s = lease.hint.retry_after_s if lease.hint and outcome is Outcome.OVERLOAD else None
        return min(asked_s, self._settings.max_cooldown_s) if asked_s and asked_s > 0 else 0.0

    def _judge_probe(self, record: HealthRecord, lease: Lease, outcome: Outcome, rest_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            self._move(record, HealthEvent.PROBED_WELL, now)
        else:
            record.last = getattr(lease, "raised", "")
            record.why = f"its probe failed{f': {record.last}' if record.last else ''}"
            self._move(record, HealthEvent.PROBED_BADLY, now, rest_s)

    # -- moving ------------------------------------------------------------------------------------

    def _trip(self, why: str, record: HealthRecord, now: float, rest_s: float = 0.0) -> None:
        """Eject an endpoint that a test has found, unless too many would be out: then it is spared."""
        if not why:
            return
        why += f", last: {record.last}" if record.last else ""
        if self._out < self.allowed:
            record.why = why
            self._move(record, HealthEvent.TRIPPED, now, rest_s)
            return
        if not record.spared:
            self.spared.append(record)
        record.spared = why

    def _restrain(self, now: float) -> None:
        """Bring back endpoints while too many are ejected. The first are those with the earliest return."""
        while self._out > self.allowed:
            out = [record for record in self._records if record.state in _OUT]
            first = min(out, key=lambda record: (record.state is Health.EJECTED, record.until_s))
            rest_s = first.until_s - now if first.asked else 0.0
            self._move(first, HealthEvent.READMITTED, now)
            if rest_s > 0:
                self._move(first, HealthEvent.ASKED_REST, now, rest_s)

    def _move(self, record: HealthRecord, event: HealthEvent, now: float, least_s: float = 0.0) -> None:
        """Change the state, and start what belongs to the new one. A rest lasts at least `least_s` seconds."""
        before, record.state = record.state, TRANSITIONS[record.state, event]
        if event is HealthEvent.PROBED_BADLY and not self._others_are_failing(record):
            record.bad_probes = min(record.bad_probes + 1, _MOST_BAD_PROBES)
        self._out += (record.state in _OUT) - (before in _OUT)
        record.since_s, record.until_s, record.probe, record.look_s = now, inf, None, -inf
        record.asked = record.state is Health.EJECTED and least_s > 0
        if record.state is Health.EJECTED:
            record.spared = ""
        self.moved.append(record)
        if record.state is Health.EJECTED:
            self._time(record, now + max(least_s, self._next_cooldown_s(record)))
        elif record.state is Health.RESTING:
            self._time(record, now + least_s)
        elif record.state is Health.SLOW_START:
            if before is not Health.RESTING:  # after a rest its counts stay, as it was not ejected
                self._begin(record, now)
            self._warm(record, now)

    def _next_cooldown_s(self, record: HealthRecord) -> float:
        settings, bad_probes = self._settings, record.bad_probes
        doublings = bad_probes + max(0, bad_probes - _GENTLE_PROBES)
        cooldown_s = min(settings.max_cooldown_s, settings.cooldown_s * 2.0**doublings)
        return cooldown_s * (0.5 + 0.5 * self._random())

    def _warm(self, record: HealthRecord, now: float) -> None:
        """Continue a slow start: take the next step or, after the last, become healthy."""
        slow_start_s = self._settings.slow_start_s
        if now - record.since_s >= slow_start_s * (1.0 - 1e-9):
            self._move(record, HealthEvent.WARMED, now)
            return
        self.moved.append(record)
        step_s = slow_start_s / _RAMP_STEPS
        steps = math.floor((now - record.since_s) / step_s + _ROUNDING) + 1
        self._time(record, max(record.since_s + steps * step_s, math.nextafter(now, inf)))

    def _time(self, record: HealthRecord, at_s: float) -> None:
        self._timers.push(at_s, record)
        record.until_s = at_s

    def _begin(self, record: HealthRecord, now: float) -> None:
        """Reset all counts."""
        record.fresh = record.row = 0
        record.failing = False
        record.failed_calls = record.failed_pings = 0
        record.good = record.bad = 0.0
        record.faded_s = now

    def _book(self, record: HealthRecord, now: float) -> None:
        """Book the successes that were only counted so far."""
        if record.fresh:
            self._add(record, record.fresh, min(now, record.fresh_until_s))

    def _add(self, record: HealthRecord, successes: int, at_s: float) -> None:
        """Book a batch, and end the row of failures. They are a little old, so each counts a little too much."""
        record.fresh = 0
        record.row = row = record.row + successes
        record.failing = False
        if row >= _FORGIVEN_AFTER:
            record.bad_probes = 0
            record.spared = ""
        record.failed_calls = record.failed_pings = 0
        self._fade(record, at_s)
        record.good += successes


def most_ejected(settings: HealthSettings, endpoints: int) -> int:
    """Return how many of so many endpoints may be ejected at once."""
    least = 1 if settings.max_ejected_share and endpoints <= _SMALL else 0
    return max(0, min(endpoints - 1, max(math.floor(settings.max_ejected_share * endpoints + _ROUNDING), least)))
