"""Observed faults of an endpoint: single failures, and outages.

Decides when failures in a row are an outage and not chance. How often outages come is only known as well as so few can
tell: the rate has a Gamma distribution (Jeffreys' prior), also where none was seen.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from balancer_simulator.fitting.calls import Bools, Calls

__all__ = ["ObservedFaults", "ObservedOutage", "observed_faults_of", "rate_of"]

_LEAST: Final = 3  # failures in a row
_BY_CHANCE: Final = 0.05  # runs of failures of that length that independent ones would make in the whole trace
_PRIOR: Final = 0.5  # of outages: Jeffreys' prior of a rate


@dataclass(frozen=True, slots=True)
class ObservedOutage:
    """From the first call that failed to when it was over, halfway from the last failure to the next success.

    `over` is False if nothing has succeeded yet: then it is known until the last failure only, since a pool takes such
    an endpoint out and does not try it for a while.
    """

    from_s: float
    to_s: float
    calls: int
    over: bool


@dataclass(frozen=True, slots=True)
class ObservedFaults:
    """What goes wrong at an endpoint.

    Attributes:
        outages: in which all calls failed.
        watched_s: for how long it was seen.
        quick_part, slow_part: part of the calls outside of outages that fail at once, and after their work.
        quick_s: how long a call takes that fails at once.
    """

    outages: tuple[ObservedOutage, ...]
    watched_s: float
    quick_part: float
    slow_part: float
    quick_s: float

    @property
    def mttr_s(self) -> float | None:
        """The mean length of outages, those that go on counted as exponential ones; None if none was seen."""
        if not self.outages:
            return None
        return sum(each.to_s - each.from_s for each in self.outages) / max(1, sum(each.over for each in self.outages))


def observed_faults_of(calls: Calls) -> tuple[ObservedFaults, Bools]:
    """Return what went wrong, and which calls were in an outage."""
    ended = ~calls.open
    order = np.flatnonzero(ended)[np.argsort(calls.begun_s[ended], kind="stable")]
    failed = calls.failed[order]
    outages, inside = [], np.zeros(len(calls), dtype=np.bool_)
    for first, last in _runs(failed, _length(failed)):
        places = order[first : last + 1]
        over = last + 1 < len(order)
        to_s = float(calls.ended_s[places].max())
        if over:  # between the last failure and the next call, nobody knows when: a pool may have waited with that
            to_s = max(to_s, (to_s + float(calls.begun_s[order[last + 1]])) / 2)
        outages.append(ObservedOutage(float(calls.begun_s[places[0]]), to_s, len(places), over))
        inside[places] = True
    outside = ended & ~inside
    many = max(1, int(outside.sum()))
    quick = calls.quick
    quick_s = float(np.median(calls.held_s[quick])) if quick.any() else 0.01
    watched_s = float(calls.ended_s.max() - calls.begun_s.min()) if len(calls) else 0.0
    slow_part = int((calls.failed & ~quick & outside).sum()) / many
    return ObservedFaults(tuple(outages), watched_s, int((quick & outside).sum()) / many, slow_part, quick_s), inside


def rate_of(outages: int, watched_s: float, draw: np.random.Generator | None = None) -> float:
    """Return how many outages begin in a second: the mean of what is believed, or one drawn from it."""
    shape = outages + _PRIOR
    return float(draw.gamma(shape) if draw else shape) / max(watched_s, 1e-9)


def _length(failed: Bools) -> int:
    """Return how many failures in a row are no chance, with as many failures as there are outside of long rows."""
    part = 0.5 * float(failed.mean()) if len(failed) else 0.0
    if not 0 < part < 1:
        return _LEAST
    return max(_LEAST, int(np.ceil(np.log(_BY_CHANCE / len(failed)) / np.log(part))))


def _runs(failed: Bools, least: int) -> list[tuple[int, int]]:
    """Return the first and last place of each row of at least so many failures."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], failed.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]
