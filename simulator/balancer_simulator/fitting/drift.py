"""Drift: whether the times of an endpoint's calls change in the course of a trace: in spells, at once, or little by
little.

Tests, on the normal scores of the times in the order of their begins: that of Mann and Kendall for a trend, and an
analysis of variance between windows of two lengths for anything else. They share `FALSE_ALARMS` for a whole trace.

Spells are a hidden Markov model with two or three states, fitted by expectation-maximisation (Baum et al., 1970):
normal, slower by a factor and, if that is likelier by more than its further parameters cost (BIC), slower by another
one. The density of normal times is a histogram, smoothed, so that no family is assumed.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.special import ndtri
from scipy.stats import f_oneway, kendalltau, rankdata

from balancer_simulator.fitting.calls import Bools
from balancer_simulator.scenario.distributions import Floats

Ints = NDArray[np.intp]

__all__ = ["Drift", "SpellKind", "Spells", "drift_of", "spells_of"]

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
_REGULAR: Final = 0.2  # of the median: lengths within it are about the same
_REGULAR_MOSTLY: Final = 0.7  # share of five or more lengths that are about the same, if they are fixed; of fewer all
_STATE_COSTS: Final = 2.5  # half of the parameters of a third state: its factor, and four probabilities


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
class SpellKind:
    """Slow spells of one kind.

    Attributes:
        factor: how many times as long calls take in one.
        lasts_s: mean seconds of one.
        fixed: whether they have about the same length each.
        whole: how many began and ended within the trace.
    """

    factor: float
    lasts_s: float
    fixed: bool
    whole: int


@dataclass(frozen=True, slots=True)
class Spells:
    """Slow spells of an endpoint.

    Attributes:
        kinds: one or two, the milder first.
        between_s: mean seconds between spells.
        fixed: whether these have about the same length each.
        share: of the spells that are of the last kind, if there are two.
        slower: by call, how many times as long it takes for its spell.
        seen_s: from when until when each lasted, and its factor.
    """

    kinds: tuple[SpellKind, ...]
    between_s: float
    fixed: bool
    share: float
    slower: Floats
    seen_s: tuple[tuple[float, float, float], ...]

    @property
    def whole(self) -> int:
        """Spells that began and ended within the trace."""
        return sum(each.whole for each in self.kinds)


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
    smooth = [uniform_filter1d(log_s, min(width, len(log_s) // 4), mode="nearest") for width in _SMOOTH]
    chains = [(_Chain(log_s, 2).fitted(each > _split(each)), each) for each in smooth]
    two, moving = max(chains, key=lambda pair: pair[0].likelihood)
    if two.likelihood < _Chain(log_s, 1).likelihood + _AHEAD:
        return None
    found = _seen(two, at_s, log_s, ends_s)
    if found is None:
        return None
    three = _third(two, moving, log_s)
    if three.likelihood > two.likelihood + _AHEAD + _STATE_COSTS * np.log(len(log_s)):
        return _seen(three, at_s, log_s, ends_s) or found
    return found


def _third(two: "_Chain", moving: Floats, log_s: Floats) -> "_Chain":
    """Return a process with three states. It begins with either state of the one with two split in two."""
    slow = two.states[two.step_of].argmax(axis=1)
    starts = []
    for state in (0, 1):
        mine = slow == state
        if mine.sum() > _FEWEST:
            starts.append(np.where(mine, slow + (moving > _split(moving[mine])), slow + (slow > state)))
    return max((_Chain(log_s, 3).fitted(each) for each in starts), key=lambda chain: chain.likelihood)


def _seen(chain: "_Chain", at_s: Floats, log_s: Floats, ends_s: float) -> Spells | None:
    """Return the spells of a process; None if they are too few, too uncertain or too little."""
    chance = chain.states[chain.step_of]
    state = chance.argmax(axis=1)
    if chance.max(axis=1).mean() < _CERTAIN or not np.bincount(state, minlength=chance.shape[1]).all():
        return None
    levels = [float(log_s[state == each].mean()) for each in range(chance.shape[1])]
    factors = np.exp(np.array(levels) - levels[0])
    if factors[1] < _LEAST_FACTOR or (factors[1:] < _LEAST_FACTOR * factors[:-1]).any():
        return None
    lasts, between = _lengths(at_s, state)
    usual = [_usual(each) for each in lasts]
    if len(lasts) == 1 and usual[0] is not None:  # a much shorter one is chance
        state = _without_short(at_s, state, usual[0] / 2)
        lasts, between = _lengths(at_s, state)
    runs = np.flatnonzero(np.diff(state, prepend=-1))
    many = [int((state[runs] == each).sum()) for each in range(1, len(levels))]
    for each, whole in enumerate(lasts, 1):
        if len(whole) < _SPELLS - 1 or (state == each).sum() < _LEAST_CALLS * many[each - 1]:
            return None
    if sum(len(whole) for whole in lasts) < _SPELLS and len(between) < _SPELLS:
        return None
    times_s = np.diff(at_s, append=ends_s) @ chance
    # The mean of an exponential length: the time in the state by the number of its ends, as the process tells both.
    ends = [max(1.0, float(chain.moves[each].sum() - chain.moves[each, each])) for each in range(len(levels))]
    kinds = []
    for each, (whole, length_s) in enumerate(zip(lasts, usual, strict=True), 1):
        mean_s = length_s or float(times_s[each] / ends[each])
        kinds.append(SpellKind(float(factors[each]), mean_s, length_s is not None, len(whole)))
    apart_s, begun = _usual(between), ends[0] if len(kinds) == 1 else max(1.0, float(sum(many)))
    edges = [*((at_s[runs[1:] - 1] + at_s[runs[1:]]) / 2), ends_s]
    seen_s = tuple(
        (float(from_s), float(to_s), float(factors[state[run]]))
        for run, from_s, to_s in zip(runs, [at_s[0], *edges[:-1]], edges, strict=True)
        if state[run]
    )
    share = many[-1] / sum(many) if len(kinds) > 1 else 0.0
    between_s = apart_s or float(times_s[0] / begun)
    return Spells(tuple(kinds), between_s, apart_s is not None, share, factors[state], seen_s)


def _lengths(at_s: Floats, state: Ints) -> tuple[list[Floats], Floats]:
    """Return the seconds of the whole spells of each slow state, and of the whole times between spells."""
    edges = np.flatnonzero(np.diff(state))
    lengths, states = np.diff((at_s[edges] + at_s[edges + 1]) / 2), state[edges[:-1] + 1]
    return [lengths[states == each] for each in range(1, int(state.max()) + 1)], lengths[states == 0]


def _usual(lengths: Floats) -> float | None:
    """Return the length that most have; None if they vary. Of exponential ones, two in a hundred are so alike."""
    if len(lengths) < _SPELLS:
        return None
    middle = float(np.median(lengths))
    alike = float((np.abs(lengths - middle) <= _REGULAR * middle).mean())
    return middle if alike >= (_REGULAR_MOSTLY if len(lengths) > _SPELLS + 1 else 1.0) else None


def _without_short(at_s: Floats, state: Ints, least_s: float) -> Ints:
    """Return the states of two without whole spells below a length."""
    edges = np.flatnonzero(np.diff(state)) + 1
    found = state.copy()
    for first, last in pairwise(edges):
        if state[first] and at_s[last - 1] - at_s[first] < least_s:
            found[first:last] = 0
    return found


class _Chain:
    """A hidden process, whose states but the first add something to the logarithm of times.

    Attributes:
        states: by step, the probability of each state.
        step_of: by call, its step.
        likelihood: its logarithm.
        moves: expected number of steps from each state to each.
    """

    def __init__(self, log_s: Floats, many: int) -> None:
        each = -(-len(log_s) // _STEPS)
        self.step_of = np.arange(len(log_s)) // each
        self._begins = np.arange(0, len(log_s), each)
        low, high = np.quantile(log_s, [0.001, 0.999])
        self._log_s = np.clip(log_s, low, high)
        self._low = low - 0.1
        self._width = max((high - low + 0.2) / _BINS, 1e-9)
        self.states = np.zeros((int(self.step_of[-1]) + 1, many))
        self.moves = np.zeros((many, many))
        self.likelihood = -np.inf
        if many == 1:
            self.likelihood = float(self._log_densities(np.ones((len(log_s), 1)), np.zeros(1)).sum())

    def fitted(self, begin: Ints | Bools) -> "_Chain":
        """Fit the process, beginning with these states of the calls."""
        many = self.states.shape[1]
        chance = np.eye(many)[begin.astype(np.intp)]
        move = np.full((many, many), 0.05 / max(1, many - 1)) + np.eye(many) * (0.95 - 0.05 / max(1, many - 1))
        for _ in range(_ROUNDS):
            weights = chance.sum(axis=0)
            if weights.min() <= 1:
                break
            shifts = self._log_s @ chance / weights
            sums = np.add.reduceat(self._log_densities(chance, shifts - shifts[0]), self._begins)
            before = self.likelihood
            self.states, self.moves, self.likelihood = _forward_backward(sums, move)
            move = np.clip(self.moves / self.moves.sum(axis=1, keepdims=True), 1e-6, None)
            move /= move.sum(axis=1, keepdims=True)
            chance = self.states[self.step_of]
            if abs(self.likelihood - before) < 1e-3:
                break
        return self

    def _log_densities(self, chance: Floats, shifts: Floats) -> Floats:
        """Return the logarithm of the density of each call in each state: of all times, the slow ones made normal."""
        bins = np.clip(((self._log_s[:, None] - shifts - self._low) / self._width).astype(np.intp), 0, _BINS - 1)
        counts = np.bincount(bins.ravel(), chance.ravel(), _BINS)
        total = counts.sum()
        places = self._low + self._width * np.arange(_BINS)
        mean = float((counts * places).sum() / total)
        spread = float(np.sqrt((counts * (places - mean) ** 2).sum() / total))
        smooth = gaussian_filter1d(counts, max(spread * total**-0.2 / self._width, 1.0), mode="constant") / total
        return np.asarray(np.log(smooth / self._width + 1e-4 / (_BINS * self._width))[bins])


def _split(values: Floats) -> float:
    """Return the value that splits the values in two groups with least variance within (Otsu, 1979)."""
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    below, above = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    best = int((count * (len(ordered) - count) * (above - below) ** 2).argmax())
    return float((ordered[best] + ordered[best + 1]) / 2)


def _forward_backward(sums: Floats, move: Floats) -> tuple[Floats, Floats, float]:
    """Return the probability of each state at each step, the expected moves from each to each, and the likelihood.

    Args:
        sums: logarithm of the density of each step in each state.
        move: probability to go from each state to each, until now.
    """
    top = sums.max(axis=1)
    density = np.exp(sums - top[:, None])
    first = np.linalg.matrix_power(move, 1024)[0] * density[0]
    steps = move * density[1:, None, :]
    ahead, likelihood = _swept(first / first.sum(), steps)
    behind, _ = _swept(np.ones(len(move)), steps[::-1].transpose(0, 2, 1))
    forward = np.concatenate([first[None] / first.sum(), ahead])
    backward = np.concatenate([behind[::-1], np.ones((1, len(move)))])
    states = forward * backward
    states /= states.sum(axis=1, keepdims=True)
    both = forward[:-1, :, None] * steps * backward[1:, None, :]
    both /= both.sum(axis=(1, 2), keepdims=True)
    return states, both.sum(axis=0), likelihood + float(np.log(first.sum()) + top.sum())


def _swept(first: Floats, steps: Floats) -> tuple[Floats, float]:
    """Return a row times the first matrix, times the first two, and so on, each scaled to a sum of 1; and the logarithm
    of the sum of the last one without that.

    Blocks of matrices are multiplied side by side, so that few operations have to follow each other.
    """
    count, many = len(steps), len(first)
    length = max(1, math.isqrt(count))
    blocks = -(-count // length)
    padded = np.concatenate([steps, np.broadcast_to(np.eye(many), (blocks * length - count, many, many))])
    padded = padded.reshape(blocks, length, many, many)
    products, scales = np.empty_like(padded), np.zeros(blocks)
    last = np.broadcast_to(np.eye(many), (blocks, many, many))
    for place in range(length):
        last = last @ padded[:, place]
        most = last.max(axis=(1, 2), keepdims=True)
        products[:, place] = last = last / most
        scales += np.log(most[:, 0, 0])
    rows, row, whole = np.empty((blocks, many)), first, float(scales.sum())
    for block in range(blocks):
        rows[block] = row
        row = row @ products[block, -1]
        whole += float(np.log(row.sum()))
        row = row / row.sum()
    found = (rows[:, None, None, :] @ products).reshape(-1, many)[:count]
    return found / found.sum(axis=1, keepdims=True), whole
