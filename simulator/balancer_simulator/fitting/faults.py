"""Faults of an endpoint in a trace: single failures, and outages with their rate and length.

Failures in a row are an outage if chance does not explain them. The rate of outages has a Gamma distribution (Jeffreys'
prior), also if none was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from balancer_simulator.fitting.calls import Bools, Calls

__all__ = ["ObservedFaults", "ObservedOutage", "observed_faults_of", "rate_of"]

_LEAST: Final = 3  # failures in a row
_BY_CHANCE: Final = 0.05  # expected rows of that length in the whole trace, if failures were independent
_PRIOR: Final = 0.5  # of outages: Jeffreys' prior of a rate


@dataclass(frozen=True, slots=True)
class ObservedOutage:
    """An outage: from the first failed call to its end, halfway from the last failure to the next success.

    `over` is False if no call has succeeded yet. Then it is known only until the last failure, because a pool ejects
    such an endpoint and does not try it for a while.
    """

    from_s: float
    to_s: float
    over: bool


@dataclass(frozen=True, slots=True)
class ObservedFaults:
    """Faults of an endpoint.

    Attributes:
        outages: in which all calls failed.
        mttr_s: mean length of outages; None if none was seen.
        watched_s: seconds in which it was up, as far as calls show.
        quick_part, slow_part: share of the calls outside of outages that fail at once, and after their work.
        quick_s: duration of a call that fails at once.
    """

    outages: tuple[ObservedOutage, ...]
    mttr_s: float | None
    watched_s: float
    quick_part: float
    slow_part: float
    quick_s: float


def observed_faults_of(calls: Calls, notices: Sequence[tuple[float, float, bool]] = ()) -> tuple[ObservedFaults, Bools]:
    """Return the faults, and which calls were in an outage. An outage that `notices` tell lasts as long as they say."""
    ended, quick = ~calls.open, calls.quick
    # A crash ends calls together that began one by one; a call that fails at once shows the state at its begin.
    shown_s = np.where(calls.failed & ~quick, calls.ended_s, calls.begun_s)
    order = np.flatnonzero(ended)[np.argsort(shown_s[ended], kind="stable")]
    failed = calls.failed[order]
    inside = np.zeros(len(calls), dtype=np.bool_)
    outages = [ObservedOutage(*each) for each in notices]
    for from_s, to_s, _ in notices:
        inside |= calls.failed & (calls.ended_s >= from_s) & (calls.begun_s <= to_s)
    for first, last in _runs(failed, _length(failed)):
        places = order[first : last + 1]
        over = last + 1 < len(order)
        quickly = quick[places].any()  # a crash ends the calls under way, which began before
        from_s = float((calls.ended_s if quickly else calls.begun_s)[places].min())
        to_s = float(calls.ended_s[places].max())
        next_s = max(to_s, float(calls.begun_s[order[last + 1]])) if over else np.inf
        inside[places] = True
        inside |= calls.failed & (calls.ended_s >= from_s) & (calls.ended_s <= to_s)
        if over:  # it ended at an unknown instant, as a pool may have delayed the next call
            to_s = (to_s + next_s) / 2
        if not any(from_s <= until_s and next_s >= since_s for since_s, until_s, _ in notices):
            outages.append(ObservedOutage(from_s, to_s, over))
    outages.sort(key=lambda outage: outage.from_s)
    outside = ended & ~inside
    many = max(1, int(outside.sum()))
    quick_s = float(np.median(calls.held_s[quick])) if quick.any() else 0.01
    lasts_s = float(calls.ended_s.max() - calls.begun_s.min()) if len(calls) else 0.0
    down_s = sum(each.to_s - each.from_s for each in outages)
    mttr_s = down_s / max(1, sum(each.over for each in outages)) if outages else None
    quick_part, slow_part = (int((each & outside).sum()) / many for each in (quick, calls.failed & ~quick))
    up_s = max(lasts_s - down_s, lasts_s / 100)
    return ObservedFaults(tuple(outages), mttr_s, up_s, quick_part, slow_part, quick_s), inside


def rate_of(outages: int, watched_s: float, draw: np.random.Generator | None = None) -> float:
    """Return the outages per second: the likeliest or, if none was seen, that of half a one. With `draw`, a random
    value from its distribution.
    """
    drawn = draw.gamma(outages + _PRIOR) if draw else max(outages, _PRIOR)
    return float(drawn) / max(watched_s, 1e-9)


def _length(failed: Bools) -> int:
    """Return how many failures in a row are no chance, by the number of failures outside of long rows."""
    part = 0.5 * float(failed.mean()) if len(failed) else 0.0
    if not 0 < part < 1:
        return _LEAST
    return max(_LEAST, int(np.ceil(np.log(_BY_CHANCE / len(failed)) / np.log(part))))


def _runs(failed: Bools, least: int) -> list[tuple[int, int]]:
    """Return the first and last index of each row of at least `least` failures."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], failed.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]
