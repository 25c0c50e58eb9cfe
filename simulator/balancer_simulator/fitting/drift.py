"""Drift: whether the times of an endpoint's calls change in the course of a trace, and how: spells, a step, a trend.

Tests, on the normal scores of the times in the order of their begins: that of Mann and Kendall for a trend, and an
analysis of variance between windows of two lengths for anything else. They share `FALSE_ALARMS` for a whole trace.

Spells are a hidden Markov model with two states, fitted by expectation-maximisation (Baum et al., 1970): normal, and
slower by a factor. The density of normal times is a histogram, smoothed, so that no family is assumed.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.special import ndtri
from scipy.stats import f_oneway, kendalltau, rankdata

from balancer_simulator.fitting.calls import Bools
from balancer_simulator.scenario.distributions import Floats

__all__ = ["Drift", "Spells", "drift_of", "spells_of"]

FALSE_ALARMS: Final = 0.01  # of a trace whose times do not change, by all tests together
_FEWEST: Final = 100  # calls
_WINDOWS: Final = 40  # for the trend
_IN_WINDOW: Final = (10, 50)  # calls
_HARMLESS: Final = 0.1  # logarithm of a ratio of times, about a tenth: a smaller change harms nobody
_STEPS: Final = 4000  # of the hidden process at most, each of one or more calls
_ROUNDS: Final = 25
_BINS: Final = 256
_SMOOTH: Final = (6, 25, 100)  # calls, of which the mean tells the state to begin with
_AHEAD: Final = 10.0  # logarithm of the likelihood by which spells must be ahead
_SPELLS: Final = 3  # whole ones, from which on they are a process
_LEAST_FACTOR: Final = 1.2
_LEAST_CALLS: Final = 4  # in a spell, on average
_CERTAIN: Final = 0.93  # mean probability of the likelier state of each call
_REGULAR: Final = 0.2  # deviation / mean of lengths, below which they are fixed
_REGULAR_FEWEST: Final = 4


@dataclass(frozen=True, slots=True)
class Drift:
    """How times change in the course of a trace.

    Attributes:
        kind: `step`: from one instant on; `trend`: little by little; `varies`: otherwise.
        since_s: of a step.
        ratio: of times after and before the step; at the end and the begin of the trend; in the slowest and the
            fastest twentieth.
        p: probability of such times if nothing changed.
    """

    kind: Literal["step", "trend", "varies"]
    since_s: float
    ratio: float
    p: float


@dataclass(frozen=True, slots=True)
class Spells:
    """Slow spells of an endpoint.

    Attributes:
        factor: how many times as long calls take in a spell.
        between_s, lasts_s: mean seconds between spells, and of a spell.
        fixed: whether they have about the same length each.
        whole: spells that began and ended within the trace.
        slow: which calls began in a spell.
        seen_s: from when until when each lasted.
    """

    factor: float
    between_s: float
    lasts_s: float
    fixed: tuple[bool, bool]
    whole: int
    slow: Bools
    seen_s: tuple[tuple[float, float], ...]


def drift_of(at_s: Floats, log_s: Floats, tests: int = 1) -> Drift | None:
    """Return how the times change; None if they do not, or by less than a tenth.

    Args:
        at_s: begins of calls, in order.
        log_s: logarithm of the time of each, less that of its kind.
        tests: endpoints of the trace, which share the false alarms.
    """
    count = len(log_s)
    if count < _FEWEST:
        return None
    scores = ndtri((rankdata(log_s) - 0.5) / count)
    windows = [part.mean() for part in np.array_split(scores, _WINDOWS)]
    trend_p = float(kendalltau(np.arange(len(windows)), windows).pvalue)
    ps = [float(f_oneway(*np.array_split(scores, count // many)).pvalue) for many in _IN_WINDOW if count >= 4 * many]
    p = min(1.0, (1 + len(ps)) * tests * min(trend_p, *ps))
    if p > FALSE_ALARMS:
        return None
    means = np.array([part.mean() for part in np.array_split(log_s, 2 * _WINDOWS)])
    places = np.arange(len(means))
    line = np.polynomial.Polynomial.fit(places, means, 1)
    steps = [means[:n].var() * n + means[n:].var() * (len(means) - n) for n in range(4, len(means) - 3)]
    cut = int(np.argmin(steps)) + 4
    left = {"step": min(steps), "trend": float(((means - line(places)) ** 2).sum()), "varies": means.var() * len(means)}
    kind: Literal["step", "trend"] = "step" if left["step"] < left["trend"] else "trend"
    if left[kind] > 0.6 * left["varies"]:
        parts = np.array([part.mean() for part in np.array_split(log_s, _WINDOWS // 2)])
        ratio = float(np.ptp(parts))
        return Drift("varies", 0.0, float(np.exp(ratio)), p) if ratio > _HARMLESS else None
    if kind == "trend":
        ratio, since_s = float(line(places[-1]) - line(0)), 0.0
    else:
        ratio = float(means[cut:].mean() - means[:cut].mean())
        since_s = float(at_s[sum(len(part) for part in np.array_split(log_s, 2 * _WINDOWS)[:cut])])
    return Drift(kind, since_s, float(np.exp(ratio)), p) if abs(ratio) > _HARMLESS else None


def spells_of(at_s: Floats, log_s: Floats, ends_s: float) -> Spells | None:
    """Return the slow spells; None if the times do not clearly have some.

    Args:
        at_s: begins of calls, in order.
        log_s: logarithm of the time of each, less that of its kind.
        ends_s: when the endpoint was last seen.
    """
    if len(log_s) < _FEWEST:
        return None
    best = max((_Chain(log_s).fitted(width) for width in _SMOOTH), key=lambda chain: chain.likelihood)
    if best.likelihood < _Chain(log_s).alone() + _AHEAD or best.shift < np.log(_LEAST_FACTOR):
        return None
    part = best.slow[best.step_of]
    slow = part > 0.5
    if np.maximum(part, 1 - part).mean() < _CERTAIN:
        return None
    edges = np.flatnonzero(np.diff(slow.astype(np.int8)))
    instants = (at_s[edges] + at_s[edges + 1]) / 2
    if len(edges) < 2 * _SPELLS or slow.sum() < _LEAST_CALLS * (len(edges) / 2):
        return None
    states = slow[edges + 1]  # of the intervals that begin at each instant
    begins_s = at_s[0], *instants.tolist()
    seen_s = tuple(
        (begin_s, end_s)
        for begin_s, end_s, is_slow in zip(begins_s, (*begins_s[1:], ends_s), (slow[0], *states), strict=True)
        if is_slow
    )
    lengths = np.diff(instants)
    lasts, between = lengths[states[:-1]], lengths[~states[:-1]]
    if len(lasts) < _SPELLS - 1:
        return None
    found, fixed = [], []
    gaps_s = np.diff(at_s, append=ends_s)
    for whole, chance, left in ((between, 1 - part, best.begun), (lasts, part, best.over)):
        regular = len(whole) >= _REGULAR_FEWEST and whole.std() < _REGULAR * whole.mean()
        # The mean of an exponential length: the time in the state by the number of its ends, as the process tells both.
        found.append(float(whole.mean()) if regular else float((gaps_s * chance).sum()) / max(left, 1.0))
        fixed.append(bool(regular))
    factor = float(np.exp(log_s[slow].mean() - log_s[~slow].mean()))
    return Spells(factor, found[0], found[1], (fixed[0], fixed[1]), len(lasts), slow, seen_s)


class _Chain:
    """A hidden process with two states, of which the second adds `shift` to the logarithm of times.

    Attributes:
        shift: what the slow state adds.
        slow: by step, the probability of the slow state.
        step_of: by call, its step.
        likelihood: its logarithm.
        begun, over: expected number of spells that begin, and that end.
    """

    def __init__(self, log_s: Floats) -> None:
        self._each = -(-len(log_s) // _STEPS)
        self.step_of = np.arange(len(log_s)) // self._each
        low, high = np.quantile(log_s, [0.001, 0.999])
        self._log_s = np.clip(log_s, low, high)
        self._low = low - 0.1
        self._width = max((high - low + 0.2) / _BINS, 1e-9)
        self.shift = 0.0
        self.slow = np.zeros(int(self.step_of[-1]) + 1)
        self.likelihood = -np.inf
        self.begun = self.over = 0.0

    def alone(self) -> float:
        """Return the likelihood with one state."""
        return float(self._log_density(self._log_s, np.zeros(len(self._log_s))).sum())

    def fitted(self, width: int) -> "_Chain":
        """Fit the process. It begins with the states that the moving mean of `width` calls tells."""
        smooth = uniform_filter1d(self._log_s, min(width, len(self._log_s) // 4), mode="nearest")
        slow = (smooth > _split(smooth)).astype(np.float64)
        if not 0 < slow.mean() < 1:
            return self
        stay = np.array([0.98, 0.95])
        for _ in range(_ROUNDS):
            self.shift = float(np.average(self._log_s, weights=slow + 1e-12))
            self.shift -= float(np.average(self._log_s, weights=1 - slow + 1e-12))
            normal = self._log_density(self._log_s, slow)
            slower = self._log_density(self._log_s - self.shift, slow)
            sums = np.array([np.bincount(self.step_of, each) for each in (normal, slower)])
            before = self.likelihood
            self.slow, self.begun, self.over, self.likelihood = _forward_backward(sums, stay)
            in_slow = float(self.slow[:-1].sum())
            leaves = self.begun / max(len(self.slow) - 1 - in_slow, 1e-9), self.over / max(in_slow, 1e-9)
            stay = 1 - np.clip(leaves, 1e-6, 0.5)
            slow = self.slow[self.step_of]
            if not 1 < slow.sum() < len(slow) - 1 or abs(self.likelihood - before) < 1e-3:
                break
        return self

    def _log_density(self, at: Floats, slow: Floats) -> Floats:
        """Return the logarithm of the density of normal times: of all times, the slow ones made normal."""
        counts = np.zeros(_BINS)
        for values, weights in ((self._log_s, 1 - slow), (self._log_s - self.shift, slow)):
            counts += np.bincount(self._bin(values), weights, _BINS)
        total = counts.sum()
        places = self._low + self._width * np.arange(_BINS)
        mean = float((counts * places).sum() / total)
        spread = float(np.sqrt((counts * (places - mean) ** 2).sum() / total))
        smooth = gaussian_filter1d(counts, max(spread * total**-0.2 / self._width, 1.0), mode="constant") / total
        return np.asarray(np.log(smooth[self._bin(at)] / self._width + 1e-4 / (_BINS * self._width)))

    def _bin(self, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        return np.asarray(np.clip(((values - self._low) / self._width).astype(np.intp), 0, _BINS - 1))


def _split(values: Floats) -> float:
    """Return the value that splits the values in two groups with least variance within (Otsu, 1979)."""
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    below, above = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    best = int((count * (len(ordered) - count) * (above - below) ** 2).argmax())
    return float((ordered[best] + ordered[best + 1]) / 2)


def _forward_backward(sums: Floats, stay: Floats) -> tuple[Floats, float, float, float]:
    """Return the probability of the slow state at each step, how many spells begin and end, and the likelihood.

    Args:
        sums: logarithm of the density of each step, in both states.
        stay: probability to stay in each state, until now.
    """
    count = sums.shape[1]
    top = sums.max(axis=0)
    normal, slower = (np.exp(each - top).tolist() for each in sums)
    from_normal, from_slow = 1 - float(stay[0]), 1 - float(stay[1])
    slow = from_normal / (from_normal + from_slow)
    forward, scales = np.empty(count), np.empty(count)  # forward: the probability of slow
    ahead = slow
    for n in range(count):
        a, b = (1 - ahead) * normal[n], ahead * slower[n]
        scale = a + b
        slow = b / scale
        forward[n], scales[n] = slow, scale
        ahead = (1 - slow) * from_normal + slow * (1 - from_slow)
    back_normal, back_slow = 1.0, 1.0
    both, to_slow, to_normal = np.empty(count), 0.0, 0.0
    both[-1] = forward[-1]
    listed, scaled = forward.tolist(), scales.tolist()
    for n in range(count - 2, -1, -1):
        a, b = normal[n + 1] * back_normal / scaled[n + 1], slower[n + 1] * back_slow / scaled[n + 1]
        to_slow += (1 - listed[n]) * from_normal * b
        to_normal += listed[n] * from_slow * a
        back_normal, back_slow = (1 - from_normal) * a + from_normal * b, from_slow * a + (1 - from_slow) * b
        both[n] = listed[n] * back_slow
    return both, to_slow, to_normal, float(np.log(scales).sum() + top.sum())
