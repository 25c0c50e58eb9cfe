"""Calls of a trace as columns, by endpoint, on one time axis.

It decides what a row says about the time of a call: all of it; only a lower bound (the call was open, was cut, or its
caller gave up); or nothing, as when the endpoint refused it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer.observing.traces import Attempt, Trace
from balancer.observing.traces.rows import mistake_in
from balancer_simulator.scenario.distributions import Floats

__all__ = ["FEWEST", "Bools", "Calls", "PreparedTrace", "prepare_trace", "until"]

Bools = NDArray[np.bool_]

# Calls that ended. Of 40 simulated runs intervals from 60 calls held 35 ends, from 30 calls 27, and one that is wrong
# one time in three is no interval. docs/prediction.md has the figures, and the command.
FEWEST: Final = 50

_GAP_S: Final = 1.0  # between two runs, whose clocks are unrelated
_ALIKE: Final = 0.02  # failures of equal length within this ratio, and nothing longer: a time-out
_FEW: Final = 3
_MS: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one endpoint, in the order of their grants.

    Attributes:
        endpoint: its name.
        begun_s, ended_s: from the grant to the end, or so far.
        kinds: index of each call's kind in `PreparedTrace.kinds`.
        open: the call took longer than until `ended_s`: it had not ended, was cut, or timed out.
        failed: it failed; False for a call that had not ended.
        refused: the endpoint said that it was busy.
        rest_s: the rest that it asked for; NaN without one.
        waited_s: from the question to the grant.
    """

    endpoint: str
    begun_s: Floats
    ended_s: Floats
    kinds: NDArray[np.intp]
    open: Bools
    failed: Bools
    refused: Bools
    rest_s: Floats
    waited_s: Floats

    def __len__(self) -> int:
        return len(self.begun_s)

    @property
    def held_s(self) -> Floats:
        """Seconds of each call, or seconds so far."""
        return self.ended_s - self.begun_s

    @property
    def quick(self) -> Bools:
        """Which calls failed at once, without work: in less than half of the time of a success."""
        done = ~self.open & ~self.failed & ~self.refused
        if not done.any():
            return self.failed & ~self.open
        failures = self.failed & ~self.open
        return np.asarray(failures & (self.held_s < np.median(self.held_s[done]) / 2))

    @property
    def worked(self) -> Bools:
        """Which calls were at work in the server."""
        return np.asarray(~self.quick & ~self.refused)

    def only(self, which: Bools) -> "Calls":
        """Return the calls that `which` selects."""
        columns = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "endpoint"}
        return Calls(self.endpoint, **columns)


@dataclass(frozen=True, slots=True)
class PreparedTrace:
    """A trace, ready to be fitted.

    Attributes:
        trace: as it was read.
        attempts: with instants on one axis: the first request is at 0, and runs follow each other.
        kinds: names of the kinds of calls; "all" for calls without one.
        by_endpoint: the calls of each endpoint that had any.
        lasts_s: until the end of the last call, or the cut.
        timeout_s: after which callers gave up; None if there is no sign of that.
        notices: by endpoint, from when until when a proxy found it dead, and whether that was over.
    """

    trace: Trace
    attempts: tuple[Attempt, ...]
    kinds: tuple[str, ...]
    by_endpoint: dict[str, Calls]
    lasts_s: float
    timeout_s: float | None
    notices: dict[str, list[tuple[float, float, bool]]]

    def calls_of(self, name: str) -> Calls:
        """Return the calls of an endpoint, which may have had none."""
        return self.by_endpoint.get(name) or _calls_of(name, [], self.kinds, None)

    @property
    def ended(self) -> int:
        """How many calls have ended."""
        return sum(not each.open for each in self.attempts)

    @property
    def is_rounded(self) -> bool:
        """Whether all times are whole milliseconds, as in an access log."""
        times = np.array([[each.granted_s, each.ended_s] for each in self.attempts]) / _MS
        return bool((np.abs(times - np.round(times)) < 1e-2).all())

    @property
    def moment_s(self) -> float:
        """Seconds by which two times may be apart for their rounding alone."""
        return 2 * _MS if self.is_rounded else 0.0


def until(trace: Trace, at_s: float) -> Trace:
    """Return the trace of one run as it was `at_s` seconds after its first request.

    Calls that were under way then are open. Calls that were not granted yet are missing, because no row has them.
    """
    end_s = min(each.asked_s for each in trace.attempts) + at_s
    attempts = [
        each if each.ended_s <= end_s else replace(each, ended_s=end_s, open=True, outcome=None)
        for each in trace.attempts
        if each.granted_s < end_s
    ]
    return replace(
        trace, attempts=attempts, events=[each for each in trace.events if each.at_s <= end_s], ended=set[str]()
    )


def prepare_trace(trace: Trace) -> PreparedTrace:
    """Return the trace on one time axis, by endpoint.

    Raises:
        ValueError: it has no calls, or an impossible one.
    """
    if not trace.attempts:
        raise ValueError("it has no calls")
    for place, each in enumerate(trace.attempts):
        if mistake := mistake_in(each):
            raise ValueError(f"attempts[{place}]: {mistake}")
    runs: dict[str, list[Attempt]] = {}
    for each in trace.attempts:
        runs.setdefault(each.run, []).append(each)
    attempts: list[Attempt] = []
    at_s = 0.0
    notices: dict[str, list[tuple[float, float, bool]]] = {}
    for run, mine in runs.items():
        shift_s = at_s - min(each.asked_s for each in mine)
        moved = [_shifted(each, shift_s) for each in mine]
        attempts += moved
        at_s = max(each.ended_s for each in moved) + _GAP_S
        for name, from_s, to_s in _notices(trace, run):
            over_s = at_s - _GAP_S if to_s is None else to_s + shift_s
            notices.setdefault(name, []).append((from_s + shift_s, over_s, to_s is not None))
    kinds = tuple(sorted({each.kind or "all" for each in attempts}))
    timeout_s = _timeout_of(attempts)
    grouped: dict[str, list[Attempt]] = {}
    for each in attempts:
        grouped.setdefault(each.endpoint, []).append(each)
    by_endpoint = {name: _calls_of(name, mine, kinds, timeout_s) for name, mine in sorted(grouped.items())}
    return PreparedTrace(trace, tuple(attempts), kinds, by_endpoint, at_s - _GAP_S, timeout_s, notices)


def _notices(trace: Trace, run: str) -> Iterator[tuple[str, float, float | None]]:
    """Yield when a proxy found an endpoint dead, and alive again. A pool ejects for a set time: no outage."""
    down: dict[str, float] = {}
    for event in trace.events:
        if event.run != run or event.endpoint is None:
            continue
        if event.event == "ejected" and event.value is None:
            down.setdefault(event.endpoint, event.at_s)
        elif event.event == "restored" and event.endpoint in down:
            yield event.endpoint, down.pop(event.endpoint), event.at_s
    yield from ((name, from_s, None) for name, from_s in down.items())


def _calls_of(name: str, attempts: Sequence[Attempt], kinds: Sequence[str], timeout_s: float | None) -> Calls:
    """Return the columns of some calls of one endpoint."""
    # A log is in the order of ends. Calls that begin at the same instant must not be in it: it tells which end first.
    shuffled = [attempts[place] for place in np.random.default_rng(len(attempts)).permutation(len(attempts))]
    ordered = sorted(shuffled, key=lambda each: each.granted_s)
    place = {kind: number for number, kind in enumerate(kinds)}

    def column(of: Callable[[Attempt], Any], kind: Any = np.float64) -> NDArray[Any]:
        return np.fromiter(map(of, ordered), kind, len(ordered))

    begun_s, ended_s = column(lambda each: each.granted_s), column(lambda each: each.ended_s)
    failed = column(lambda each: each.outcome == "failure" and not each.open, np.bool_)
    cut = column(lambda each: each.open or each.outcome == "ignored", np.bool_)
    if timeout_s is not None:
        cut |= failed & (ended_s - begun_s >= timeout_s * (1 - _ALIKE))
    return Calls(
        name,
        begun_s,
        ended_s,
        column(lambda each: place[each.kind or "all"], np.intp),
        cut,
        failed,
        column(lambda each: each.outcome == "overload" and not each.open, np.bool_),
        column(lambda each: np.nan if each.retry_after_s is None else each.retry_after_s),
        column(lambda each: each.waited_s),
    )


def _shifted(each: Attempt, by_s: float) -> Attempt:
    return replace(
        each,
        asked_s=each.asked_s + by_s,
        granted_s=each.granted_s + by_s,
        ended_s=max(each.ended_s, each.granted_s) + by_s,
    )


def _timeout_of(attempts: Sequence[Attempt]) -> float | None:
    """Return the time-out of callers, after which several of the longest calls failed; None if there is no sign of
    one.
    """
    ended = [each for each in attempts if not each.open]
    failed = sorted(each.held_s for each in ended if each.outcome == "failure")
    if len(failed) < _FEW:
        return None
    most_s = failed[-1]
    alike = [held_s for held_s in failed if held_s >= most_s * (1 - _ALIKE)]
    longer = any(each.held_s > most_s for each in ended if each.outcome != "failure")
    # If all failures are alike, the server may fail in that way. A time-out ends only the slowest calls.
    slow = sum(each.held_s >= most_s / 2 for each in ended if each.outcome == "success")
    return alike[0] if len(alike) >= _FEW and not longer and (slow or len(alike) < len(failed)) else None
