"""Scores of a run: how well cases separate right programs from wrong ones, after each round, with intervals.

Decides the rates and their intervals. Problems are drawn again with replacement, because they differ between runs, and
the programs of one problem are alike. This is the bootstrap over clusters: Davison and Hinkley, Bootstrap Methods and
their Application (1997), section 3.8. Problems with the same history are drawn together, from a multinomial
distribution, so the cost does not grow with their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from balancer.pipeline.results.tally import RoundHistory

__all__ = ["ModelUsage", "Rate", "RoundScores", "scores_of"]

_DRAWS = 1000
_AT_ONCE = 50  # draws in memory
_FEWEST = 2  # problems that an interval needs
_ENDS = (2.5, 97.5)  # percentiles of the 95% interval


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate, 0..1, and the ends of its 95% interval; None if it is of one problem: nothing tells how others differ."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a round used of a model: answers, tokens of questions and answers, money, seconds of waiting."""

    questions: int = 0
    asked: int = 0
    answered: int = 0
    cost: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundScores:
    """The rates at one time: with the problems' own data alone, or after a round. None: the denominator is 0.

    Attributes:
        rounds: number of finished rounds; 0: own data alone.
        tpr_micro, tnr_micro: share of accepted submissions kept, and of wrong ones rejected, over all problems.
        tpr_macro, tnr_macro: the same for each problem, averaged.
        accuracy: share of problems whose cases keep every accepted submission and reject every wrong one.
        spent: on a model, in the last of these rounds.
    """

    rounds: int
    tpr_micro: Rate | None
    tpr_macro: Rate | None
    tnr_micro: Rate | None
    tnr_macro: Rate | None
    accuracy: Rate | None
    spent: ModelUsage = ModelUsage()

    @property
    def has_intervals(self) -> bool:
        """Whether there are enough problems for an interval."""
        rates = (getattr(self, name) for name in RATES)
        return any(rate is not None and rate.low is not None for rate in rates)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        rates = {name: getattr(self, name) for name in RATES}
        return {
            "rounds": self.rounds,
            **{
                name: None if rate is None else {"value": rate.value, "low": rate.low, "high": rate.high}
                for name, rate in rates.items()
            },
            "spent": {each.name: getattr(self.spent, each.name) for each in fields(self.spent)},
        }


RATES = ("tpr_micro", "tpr_macro", "tnr_micro", "tnr_macro", "accuracy")


def scores_of(
    courses: Mapping[RoundHistory, int], spent: Mapping[int, ModelUsage] | None = None, *, seed: int = 1
) -> tuple[RoundScores, ...]:
    """Return the rates with own data alone, then after each round.

    Args:
        courses: history -> number of problems with it.
        spent: round, from 0 -> what it used of a model.
        seed: of the draws.
    """
    went = sorted(courses, key=lambda c: (c.accepted, c.wrong, c.whole, c.kept, c.killed))
    times = max((len(course.kept) for course in went), default=0)
    if not times:
        return ()
    many = np.array([courses[course] for course in went], dtype=np.int64)
    figures = np.array([[each for time in range(times) for each in _figures(c, time)] for c in went])
    found = _rates(many @ figures)
    drawn = np.concatenate(
        [_rates(draws @ figures) for draws in _drawn(many, np.random.default_rng(seed))]
    )  # draws x (times x rates)
    low, high = np.nanpercentile(np.where(np.isnan(found), 0.0, drawn), _ENDS, axis=0)
    alone = many @ (figures[:, 1::2] > 0) < _FEWEST
    low[alone] = high[alone] = np.nan
    return tuple(
        RoundScores(time, **_worded(found[0], low, high, time), spent=(spent or {}).get(time - 1, ModelUsage()))
        for time in range(times)
    )


def _figures(course: RoundHistory, time: int) -> Sequence[float]:
    """Return what a problem adds to the numerator and the denominator of each rate."""
    kept, killed = course.at(time)
    right = course.whole and kept == course.accepted and killed == course.wrong
    return (
        kept, course.accepted,
        kept / course.accepted if course.accepted else 0.0, bool(course.accepted),
        killed, course.wrong,
        killed / course.wrong if course.wrong else 0.0, bool(course.wrong),
        right, course.whole,
    )  # fmt: skip


def _drawn(many: "np.typing.NDArray[np.int64]", rng: np.random.Generator) -> Iterator["np.typing.NDArray[np.int64]"]:
    for _ in range(0, _DRAWS, _AT_ONCE):
        yield rng.multinomial(int(many.sum()), many / many.sum(), size=_AT_ONCE)


def _rates(sums: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    """Return numerator / denominator of each pair in a row; nan if the denominator is 0."""
    pairs = np.atleast_2d(sums).reshape(-1, sums.shape[-1] // 2, 2)
    with np.errstate(invalid="ignore"):
        return np.asarray(pairs[..., 0] / pairs[..., 1])


def _worded(found: Any, low: Any, high: Any, time: int) -> dict[str, Rate | None]:
    worded: dict[str, Rate | None] = {}
    for index, name in enumerate(RATES, time * len(RATES)):
        value = float(found[index])
        if np.isnan(value):
            worded[name] = None
        elif np.isnan(low[index]):
            worded[name] = Rate(value, None, None)
        else:  # with many problems, rounding may put all draws on one side of the value
            worded[name] = Rate(value, min(float(low[index]), value), max(float(high[index]), value))
    return worded
