"""Slow spells of an endpoint, and whether the times of its calls change otherwise in the course of a trace.

The test is an analysis of variance, on the normal scores of the times in the order of their begins, between windows of
three lengths. These share `FALSE_ALARMS` for a whole trace.

Spells are a hidden Markov model with two states, normal and slower by a factor, fitted by expectation-maximisation
(Baum et al., 1970). The density of normal times is a histogram, smoothed, so that no family is assumed.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.special import ndtri
from scipy.stats import f_oneway, rankdata

from balancer_simulator.fitting.calls import Bools
from balancer_simulator.scenario.distributions import Floats

__all__ = ["HARMLESS", "Drift", "Spells", "drift_of", "spells_of"]

FALSE_ALARMS: Final = 0.01  # of a trace whose times do not change, by all tests together
_FEWEST: Final = 100  # calls
_IN_WINDOW: Final = (10, 50)  # calls
_PARTS: Final = 20  # of the trace, of which the slowest quarter is held against the fastest
HARMLESS: Final = 1.1  # ratio of times: a smaller change harms nobody
_STEPS: Final = 4000  # of the hidden process at most, each of one or more calls
_ROUNDS: Final = 25
_BINS: Final = 256
_SMOOTH: Final = (6, 25, 100)  # calls, of which the mean tells the state to begin with
_AHEAD: Final = 10.0  # logarithm of the likelihood by which spells must be ahead
_SPELLS: Final = 3  # whole ones, from which on they are a process
_LEAST_FACTOR: Final = 1.2
_LEAST_CALLS: Final = 4  # in a spell, on average
_CERTAIN: Final = 0.93  # mean probability of the likelier state of each call


@dataclass(frozen=True, slots=True)
class Drift:
    """How times change: `ratio` of those in the slowest quarter of the trace to the fastest; `at_s`: slowest there."""

    ratio: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Spells:
    """Slow spells of an endpoint.

    Attributes:
        factor: how many times as long calls take in one.
        lasts_s, between_s: seconds of each that began and ended within the trace, and between two.
        slower: by call, how many times as long it takes for its spell.
        seen_s: from when until when each lasted.
    """

    factor: float
    lasts_s: Floats
    between_s: Floats
    slower: Floats
    seen_s: tuple[tuple[float, float], ...]


def drift_of(at_s: Floats, log_s: Floats, tests: int = 1) -> Drift | None:
    """Return how the times change; None if they do not.

    Args:
        at_s: begins of calls, in order.
        log_s: logarithm of the time of each, less that of its kind.
        tests: endpoints of the trace, which share the false alarms.
    """
    count = len(log_s)
    if count < _FEWEST:
        return None
    scores = ndtri((rankdata(log_s) - 0.5) / count)
    sizes = [size for size in (*_IN_WINDOW, count // _PARTS) if count >= 4 * size]
    ps = [float(f_oneway(*np.array_split(scores, count // size)).pvalue) for size in sizes]
    if len(ps) * tests * min(ps) > FALSE_ALARMS:
        return None
    means = np.array([part.mean() for part in np.array_split(log_s, _PARTS)])
    order, quarter = np.argsort(means), _PARTS // 4
    ratio = float(means[order[-quarter:]].mean() - means[order[:quarter]].mean())
    slowest = np.array_split(at_s, _PARTS)[int(order[-1])]
    return Drift(math.exp(ratio), float(slowest.mean()))


def spells_of(at_s: Floats, log_s: Floats, ends_s: float) -> Spells | None:
    """Return the slow spells; None if the times do not clearly have some.

    Args:
        at_s: begins of calls, in order.
        log_s: logarithm of the time of each, less that of its kind.
        ends_s: when the endpoint was last seen.
    """
    if len(log_s) < _FEWEST:
        return None
    clipped = np.clip(log_s, *np.quantile(log_s, [0.001, 0.999]))
    smooth = [uniform_filter1d(log_s, min(width, len(log_s) // 4), mode="nearest") for width in _SMOOTH]
    found = [_two_states(clipped, each > _split(each)) for each in smooth]
    likelihood, chance = max(found, key=lambda each: each[0])
    alone = float(_log_densities(clipped, np.zeros(len(clipped)), 0.0)[:, 0].sum())
    slow = chance > 0.5
    certain = np.maximum(chance, 1 - chance).mean() >= _CERTAIN
    if likelihood < alone + _AHEAD or not certain or slow.all() or not slow.any():
        return None
    factor = float(np.exp(log_s[slow].mean() - log_s[~slow].mean()))
    edges = np.flatnonzero(np.diff(slow))
    edges_s, inside = (at_s[edges] + at_s[edges + 1]) / 2, slow[edges[:-1] + 1]
    lasts_s, between_s = np.diff(edges_s)[inside], np.diff(edges_s)[~inside]
    few = max(len(lasts_s), len(between_s)) < _SPELLS or len(lasts_s) < _SPELLS - 1
    if factor < _LEAST_FACTOR or few or slow.sum() < _LEAST_CALLS * (len(edges) / 2):
        return None
    ends = pairwise([float(at_s[0]), *edges_s.tolist(), ends_s])
    seen_s = tuple(each for each, is_slow in zip(ends, slow[[*edges, -1]], strict=True) if is_slow)
    return Spells(factor, lasts_s, between_s, np.where(slow, factor, 1.0), seen_s)


def _two_states(log_s: Floats, begin: Bools) -> tuple[float, Floats]:
    """Fit the hidden process, beginning with these slow calls.

    Return the logarithm of its likelihood, and the chance of each call to be in a spell.
    """
    each = -(-len(log_s) // _STEPS)
    step_of, begins = np.arange(len(log_s)) // each, np.arange(0, len(log_s), each)
    chance, move = begin.astype(np.float64), np.array([[0.95, 0.05], [0.05, 0.95]])
    likelihood = -math.inf
    for _ in range(_ROUNDS):
        if min(chance.sum(), (1 - chance).sum()) <= 1:
            break
        shift = float(np.average(log_s, weights=chance) - np.average(log_s, weights=1 - chance))
        sums = np.add.reduceat(_log_densities(log_s, chance, shift), begins)
        before = likelihood
        states, moves, likelihood = _forward_backward(sums, move)
        move = np.clip(moves / moves.sum(axis=1, keepdims=True), 1e-6, 1 - 1e-6)
        chance = states[step_of]
        if abs(likelihood - before) < 1e-3:
            break
    return likelihood, chance


def _log_densities(log_s: Floats, chance: Floats, shift: float) -> Floats:
    """Return the logarithm of the density of each call in both states: that of all times, the slow ones made normal."""
    low = float(log_s.min()) - 0.1
    width = max((float(log_s.max()) - low + 0.1) / _BINS, 1e-9)
    bins = np.clip(((log_s[:, None] - [0.0, shift] - low) / width).astype(np.intp), 0, _BINS - 1)
    counts = np.bincount(bins.ravel(), np.stack([1 - chance, chance], axis=1).ravel(), _BINS)
    total, places = counts.sum(), np.arange(_BINS)
    spread = math.sqrt(np.cov(places, aweights=counts, ddof=0))
    smooth = gaussian_filter1d(counts, max(spread * total**-0.2, 1.0), mode="constant") / total
    return np.asarray(np.log(smooth / width + 1e-4 / (_BINS * width))[bins])


def _split(values: Floats) -> float:
    """Return the value that splits the values in two groups with least variance within (Otsu, 1979)."""
    ordered, many = np.sort(values), len(values)
    count, sums = np.arange(1, many), np.cumsum(ordered)
    apart = (sums[-1] * count / many - sums[:-1]) ** 2 / (count * (many - count))
    return float(ordered[int(apart.argmax())])


def _forward_backward(sums: Floats, move: Floats) -> tuple[Floats, Floats, float]:
    """Return the chance of each step to be slow, the expected moves from each state to each, and the likelihood.

    Args:
        sums: logarithm of the density of each step in each state.
        move: probability to go from each state to each, until now.
    """
    top = sums.max(axis=1)
    density = np.exp(sums - top[:, None])
    steady = np.array([move[1, 0], move[0, 1]]) / (move[1, 0] + move[0, 1])
    forward, likelihood = _filtered(density, move, steady)
    backward = _filtered(density[::-1], move.T, np.ones(2))[0][::-1]
    states = forward * backward / np.maximum(density, 1e-300)
    both = forward[:-1, :, None] * move * backward[1:, None, :]
    both /= both.sum(axis=(1, 2), keepdims=True)
    return states[:, 1] / states.sum(axis=1), both.sum(axis=0), likelihood + float(top.sum())


def _filtered(density: Floats, move: Floats, first: Floats) -> tuple[Floats, float]:
    """Return the probability of each state at each step from those up to it, and the logarithm of the likelihood."""
    (stays, slows), (recovers, remains) = move.tolist()
    normal, slow = first.tolist()
    found, likelihood = [], 0.0
    for in_normal, in_slow in density.tolist():
        normal, slow = normal * in_normal, slow * in_slow
        whole = normal + slow
        likelihood += math.log(whole)
        normal, slow = normal / whole, slow / whole
        found.append((normal, slow))
        normal, slow = normal * stays + slow * recovers, normal * slows + slow * remains
    return np.array(found), likelihood
