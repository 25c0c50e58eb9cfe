"""Notices of a proxy about the health of endpoints: outages whose ends are known, also without a call.

Such an ejection has no length in the trace, because it lasts until a check finds the endpoint alive. A pool's own
ejections have one, which is its cooldown and not that of the outage: they are not used here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from balancer_simulator.fitting.calls import Bools, Calls, PreparedTrace

__all__ = ["ToldOutage", "began_s", "inside_of", "told_outages"]


@dataclass(frozen=True, slots=True)
class ToldOutage:
    """An outage by the proxy's notices, on the time axis of the prepared trace. `over`: it was found alive again."""

    from_s: float
    to_s: float
    over: bool


def told_outages(prepared: PreparedTrace) -> Mapping[str, Sequence[ToldOutage]]:
    """Return the outages of each endpoint that notices tell, in order."""
    shifts_s = _shifts_s(prepared)
    ends_s: dict[str, float] = {}
    for each in prepared.attempts:
        ends_s[each.run] = max(each.ended_s, ends_s.get(each.run, 0.0))
    since_s: dict[tuple[str, str], float] = {}
    found: dict[str, list[ToldOutage]] = {}
    for event in prepared.trace.events:
        if event.endpoint is None or event.run not in shifts_s:
            continue
        key, at_s = (event.run, event.endpoint), event.at_s + shifts_s[event.run]
        if event.event == "ejected" and event.value is None:
            since_s.setdefault(key, at_s)
        elif event.event in ("restored", "probing", "left") and key in since_s:
            begun_s = since_s.pop(key)
            if event.event == "restored" and at_s > begun_s:
                found.setdefault(event.endpoint, []).append(ToldOutage(begun_s, at_s, over=True))
    for (run, name), begun_s in since_s.items():
        if ends_s[run] > begun_s:
            found.setdefault(name, []).append(ToldOutage(begun_s, ends_s[run], over=False))
    return found


def _shifts_s(prepared: PreparedTrace) -> dict[str, float]:
    """Return, by run, what was added to its times."""
    first_s: dict[str, float] = {}
    for each in prepared.trace.attempts:
        first_s[each.run] = min(each.asked_s, first_s.get(each.run, each.asked_s))
    shifted_s: dict[str, float] = {}
    for each in prepared.attempts:
        shifted_s[each.run] = min(each.asked_s, shifted_s.get(each.run, each.asked_s))
    return {run: shifted_s[run] - at_s for run, at_s in first_s.items()}


def began_s(calls: Calls, outage: ToldOutage) -> float:
    """Return when an outage began: with the first of the calls that failed in a row until the proxy noticed it."""
    before = np.flatnonzero(~calls.open & (calls.begun_s <= outage.from_s) & (calls.ended_s <= outage.to_s))
    ordered = before[np.argsort(calls.ended_s[before], kind="stable")]
    good = np.flatnonzero(~calls.failed[ordered])
    row = ordered[good[-1] + 1 :] if len(good) else ordered
    return float(min([outage.from_s, *calls.begun_s[row[calls.quick[row]]]]))


def inside_of(calls: Calls, from_s: float, to_s: float) -> Bools:
    """Return which calls an outage made fail: begun in it, or under way when it came."""
    return np.asarray(calls.failed & (calls.ended_s >= from_s) & (calls.begun_s <= to_s))
