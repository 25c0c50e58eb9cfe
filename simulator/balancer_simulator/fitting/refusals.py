"""Refusals of an endpoint: the number of calls at once beyond which it says that it is busy.

A call that is refused must find at least as many others at work, and one that is accepted fewer. The limit is the
number for which fewest calls say otherwise. A refusal below the limit, or where there is none, is a failure like any
other: several in a row are an outage.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from balancer_simulator.fitting.calls import Bools, Calls

__all__ = ["ObservedRefusals", "refusals_of"]

_LEAST: Final = 3  # refusals that a limit must explain
_CLEARLY: Final = 0.8  # share of the calls at the limit that must have been refused


@dataclass(frozen=True, slots=True)
class ObservedRefusals:
    """Refusals of an endpoint.

    Attributes:
        calls: that it refused.
        beyond: calls that it accepts at once; None if no such limit explains the refusals.
        explained: refusals at that limit.
        retry_after_s: the median rest that these asked for; None: they did not ask.
        refuse_s: the median duration of these.
    """

    calls: int
    beyond: int | None = None
    explained: int = 0
    retry_after_s: float | None = None
    refuse_s: float = 0.0


def refusals_of(calls: Calls, moment_s: float = 0.0) -> tuple[ObservedRefusals, Calls]:
    """Return the refusals, and the calls with those that no limit explains as failures.

    `moment_s`: instants of the trace may be wrong by this.
    """
    refused = calls.refused
    if not refused.any():
        return ObservedRefusals(0), calls
    there = _there(calls, moment_s)
    beyond = _limit(there, refused)
    # Below the limit by a few: a call that ended was not seen yet to have ended.
    explained = refused & (2 * there > beyond) if beyond is not None else np.zeros(len(calls), dtype=np.bool_)
    found = replace(calls, refused=explained, failed=calls.failed | (refused & ~explained))
    if beyond is None:
        return ObservedRefusals(int(refused.sum())), found
    rests_s = calls.rest_s[explained]
    told = rests_s[rests_s > 0]  # NaN is not
    return ObservedRefusals(
        int(refused.sum()),
        beyond,
        int(explained.sum()),
        float(np.median(told)) if 2 * len(told) > len(rests_s) else None,
        float(np.median(calls.held_s[explained])),
    ), found


def _there(calls: Calls, moment_s: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return how many accepted calls were under way when each call came: at most for one that was refused, at least for
    another one. Of those that came at the same instant, the accepted ones were first.
    """
    begun_s, ended_s = calls.begun_s[~calls.refused], np.sort(calls.ended_s[~calls.refused])
    before, after = np.searchsorted(begun_s, calls.begun_s), np.searchsorted(begun_s, calls.begun_s, side="right")
    at_s = calls.begun_s + np.where(calls.refused, -moment_s, moment_s)
    over = np.searchsorted(ended_s, at_s, side="right")
    return np.asarray(np.maximum(np.where(calls.refused, after, before) - over, 0))


def _limit(there: np.ndarray[tuple[int], np.dtype[np.intp]], refused: Bools) -> int | None:
    """Return the number of calls at once from which on most are refused; None if there is no such number."""
    counts = np.arange(1, int(there.max(initial=0)) + 1)
    if not len(counts):
        return None
    beyond = there[:, None] >= counts
    wrong = (beyond != refused[:, None]).sum(axis=0)
    best = int(np.flatnonzero(wrong == wrong.min())[-1])  # calls that come together hide how many are accepted
    at_limit = refused[beyond[:, best]]
    if at_limit.sum() < _LEAST or at_limit.mean() < _CLEARLY:
        return None
    return int(counts[best])
