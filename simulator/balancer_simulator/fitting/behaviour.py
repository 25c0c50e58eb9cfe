"""Server behaviour with several calls at once: free, k at a time, or shared cores; chosen by held-out likelihood.

From begin, end and the other calls in flight, each behaviour gives the work in a call. The behaviour is chosen under
which the work of a call is most like that of the others: the likelihood of each call under a density from calls of
other folds. A simpler behaviour stays unless another is clearly more likely.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from balancer_simulator.fitting.calls import Bools, Calls
from balancer_simulator.fitting.survival import LEAST_S
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "AHEAD", "CLEARLY", "FREE", "Behaviour", "BehaviourComparison", "counted", "counts_below", "most_at_once",
    "most_of", "score_of", "shared", "tried",
]  # fmt: skip

_FOLDS: Final = 5
_BLOCK: Final = 10  # calls that follow each other are in one fold, so that what they share is not learnt from
_STRANGE: Final = 0.01  # share of a uniform density up to ten times the longest call
_MOST: Final = 1500  # the last calls, from which the likelihood is computed: pairs are compared
_NARROW: Final = 0.02  # no density is narrower than this, by ratio: clocks and threads are not exact
_COUNTS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`free`: each call as if alone. `lines`: `count` at a time, the others wait in it. `cores`: shared evenly."""

    name: Literal["free", "lines", "cores"]
    count: int = 0

    def __str__(self) -> str:
        if self.name == "free":
            return "works on all calls at once, each as if it were alone"
        if self.name == "lines":
            return f"works on {self.count} at a time; the others wait in its queue"
        return f"shares {self.count} {'core' if self.count == 1 else 'cores'} among its calls"


FREE: Final = Behaviour("free")

CLEARLY: Final = 2.0
"""Standard errors by which one behaviour must be more likely than another."""

AHEAD: Final = 6.0
"""By how much the log-likelihood of the best of some twenty behaviours must be larger than that of `FREE`."""


@dataclass(frozen=True, slots=True)
class BehaviourComparison:
    """Behaviours that were tried on the calls of a server, with their scores.

    Attributes:
        behaviours: in the order in which they were tried, `FREE` first.
        work_s: under each, seconds of work in each call.
        score: under each, the log-density of each call that ended; behaviours x calls.
        chosen: index of the chosen behaviour.
    """

    behaviours: tuple[Behaviour, ...]
    work_s: tuple[Floats, ...]
    score: Floats
    chosen: int

    @property
    def behaviour(self) -> Behaviour:
        """The chosen behaviour."""
        return self.behaviours[self.chosen]

    @property
    def total(self) -> float:
        """The score of the chosen behaviour on all calls."""
        return float(self.score[self.chosen].sum())

    @property
    def in_doubt(self) -> tuple[int, ...]:
        """Indices of the behaviours that are not clearly less likely than the chosen one."""
        ahead, error = _ahead(self.score[self.chosen], self.score)
        return tuple(np.flatnonzero(ahead <= CLEARLY * error).tolist())


def most_at_once(calls: Calls) -> int:
    """Return the most calls that were in the server at once."""
    return most_of(calls.begun_s[calls.worked], calls.ended_s[calls.worked])


def most_of(begun_s: Floats, ended_s: Floats) -> int:
    """Return the most intervals, from begin to end, that overlap at one time."""
    return int(counted(begun_s, ended_s)[1].max(initial=0))


def counts_below(most: int) -> list[int]:
    """Return the numbers of lines or cores that can be distinguished with at most `most` calls at once."""
    return [count for count in _COUNTS if count < most]


def tried(calls: Calls, among: Sequence[Behaviour] | None = None, slower: Floats | float = 1.0) -> BehaviourComparison:
    """Return the comparison of behaviours on `calls`, which were all at work.

    `among`: default: all that can be distinguished with so many calls at once.
    `slower`: how many times as long each call took for another reason; its work is that much less.
    """
    counts = counts_below(most_at_once(calls))
    every = [FREE, *(Behaviour("lines", n) for n in counts), *(Behaviour("cores", n) for n in counts)]
    behaviours = tuple(every if among is None else among)
    begun_s, ended_s, open_ = calls.begun_s, calls.ended_s, calls.open
    works, scores = [], []
    longest = float((ended_s - begun_s).max(initial=LEAST_S))
    for behaviour in behaviours:
        work_s, rate = (each / slower for each in _work(behaviour, begun_s, ended_s, open_))
        works.append(work_s)
        scores.append(_score(work_s[~open_], rate[~open_], longest))
    score = np.array(scores)
    return BehaviourComparison(behaviours, tuple(works), score, _believed(score))


def score_of(calls: Calls, work_s: Floats, rate: Floats) -> Floats:
    """Return the log-density of the end of each ended call, from its work and its rate of work at the end."""
    return _score(work_s[~calls.open], rate[~calls.open], float(calls.held_s.max(initial=LEAST_S)))


def _believed(score: Floats) -> int:
    """Return the index of the most likely behaviour, or 0, the simplest, unless that is clearly less likely."""
    best = int(score.sum(axis=1).argmax())
    ahead, error = _ahead(score[best], score)
    return best if ahead[0] > max(CLEARLY * error[0], AHEAD) else 0


def _ahead(score: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Return by how much the sum of `score` is larger than that of each of `others`, and the standard errors of that.

    Without calls all are alike.
    """
    apart = score - others if len(score) else np.zeros((len(others), 1))
    return apart.sum(axis=1), np.sqrt(len(score)) * apart.std(axis=1)


def _work(behaviour: Behaviour, begun_s: Floats, ended_s: Floats, open_: Bools) -> tuple[Floats, Floats]:
    """Return the seconds of work in each call, and the rate of work when the call ended."""
    if behaviour.name == "cores":
        return shared(behaviour.count, begun_s, ended_s)
    if behaviour.name == "lines":
        return _in_lines(behaviour.count, begun_s, ended_s, open_), np.ones(len(begun_s))
    return ended_s - begun_s, np.ones(len(begun_s))


def _in_lines(lines: int, begun_s: Floats, ended_s: Floats, open_: Bools) -> Floats:
    """Return the time of each call after its turn came, first come first served.

    The i-th call is at work when i - lines of all calls have left, in any order.
    """
    left = np.sort(np.where(open_, np.inf, ended_s))
    turn_s = begun_s.copy()
    turn_s[lines:] = np.maximum(turn_s[lines:], left[: max(0, len(left) - lines)])
    return np.asarray(np.maximum(ended_s - turn_s, 0.0))


def shared(cores: int, begun_s: Floats, ended_s: Floats) -> tuple[Floats, Floats]:
    """Return the progress of each call while all calls shared the cores evenly."""
    at_s, there = counted(begun_s, ended_s)
    rate = np.minimum(1.0, cores / np.maximum(there, 1))
    progress = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(at_s))])
    work_s = np.interp(ended_s, at_s, progress) - np.interp(begun_s, at_s, progress)
    last = np.maximum(np.searchsorted(at_s, ended_s, side="left") - 1, 0)
    return np.asarray(work_s), np.asarray(rate[last])


def counted(begun_s: Floats, ended_s: Floats) -> tuple[Floats, Floats]:
    """Return the instants at which the number of calls changes, and the number from then on."""
    at_s = np.concatenate([ended_s, begun_s])  # an end before a beginning at the same instant
    steps = np.concatenate([-np.ones(len(ended_s)), np.ones(len(begun_s))])
    order = np.argsort(at_s, kind="stable")
    return at_s[order], np.cumsum(steps[order])


def _score(work_s: Floats, rate: Floats, longest_s: float) -> Floats:
    """Return the log-density of the end of each call, by its work, from the calls of other folds."""
    work_s, rate = work_s[-_MOST:], rate[-_MOST:]
    known = work_s > longest_s * 1e-4
    log = np.log(np.where(known, work_s, 1.0))
    fold = (np.arange(len(work_s)) // _BLOCK) % _FOLDS
    density = np.zeros(len(work_s))
    for number in range(_FOLDS):
        held, rest = fold == number, (fold != number) & known
        if held.any() and rest.any():
            density[held] = _density(log[rest], log[held])
    with_all = (1 - _STRANGE) * np.where(known, density / np.where(known, work_s, 1.0), 0.0)
    return np.asarray(np.log(with_all * rate + _STRANGE / (10 * longest_s)))


def _density(seen: Floats, at: Floats) -> Floats:
    """Return a kernel density of logarithms (Scott's rule, by the smaller of deviation and quartiles)."""
    low, high = np.quantile(seen, [0.25, 0.75])
    spread = min(float(seen.std()), float(high - low) / 1.34) or float(seen.std())
    width = max(spread * len(seen) ** -0.2, _NARROW)
    apart = (at[:, None] - seen[None, :]) / width
    return np.asarray(np.exp(-0.5 * apart**2).mean(axis=1) / (width * np.sqrt(2 * np.pi)))
