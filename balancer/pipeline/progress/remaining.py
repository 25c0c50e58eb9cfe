"""Remaining work of a run, guessed from what became of the problems that are over.

Decides how many units of work a problem takes that is not over: wrong submissions that are killed need no more runs,
and rounds come or do not, so it is taken to be like one of those that are over, drawn at random, by the part of its
first plan that was made. Pure. It must not know what a unit is.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["ProblemWork", "guesses_of"]

_FEWEST: Final = 3  # problems that are over: with fewer nobody knows what a plan is worth


@dataclass(frozen=True, slots=True)
class ProblemWork:
    """What is known of a problem, in units of work.

    Attributes:
        planned: those that it was taken to need before it began.
        done: those that were done.
        ahead: those that are planned now.
    """

    planned: int
    done: int
    ahead: int


def guesses_of(
    over: Sequence[ProblemWork], going_on: Mapping[str, ProblemWork], unmet: int, rng: random.Random, count: int
) -> tuple[tuple[int, ...], ...] | None:
    """Return `count` guesses of what is left of each problem, those at work first; None if nobody can know.

    Args:
        over: problems that are over, and took some work.
        going_on: those that are not, by name.
        unmet: how many there are besides, of which nothing is known.
        rng: draws.
    """
    told = [each for each in over if each.planned > 0 and each.done > 0]
    if len(told) < _FEWEST or not (going_on or unmet):
        return None
    begun = sorted(going_on.values(), key=lambda each: not each.done)
    return tuple(_guess(begun, told, unmet, rng) for _ in range(count))


def _guess(
    begun: Sequence[ProblemWork], told: Sequence[ProblemWork], unmet: int, rng: random.Random
) -> tuple[int, ...]:
    # Those that are over are a few of many: which few they are is drawn as well, for all problems of a guess together,
    # or the sum of many would look as if it were known well. One fewer of them (Rao and Wu, JASA 83, 1988).
    few = rng.choices(told, k=len(told) - 1)
    at_work = [each for each in begun if each.done]
    lefts = [_left_of(each, few, told, rng) for each in at_work]
    # Small problems are over first. Those at work, as large as they were just taken to be, belong to the same few: what
    # is censored goes to what is larger (Efron, Proc. 5th Berkeley Symposium 4, 1967, on Kaplan and Meier).
    few += [
        ProblemWork(each.planned, each.done + left, 0)
        for each, left in zip(at_work, lefts, strict=True)
        if each.planned
    ]
    lefts += [_left_of(each, few, told, rng) for each in begun[len(at_work) :]]
    return (*lefts, *(rng.choice(few).done for _ in range(unmet)))


def _left_of(each: ProblemWork, few: Sequence[ProblemWork], told: Sequence[ProblemWork], rng: random.Random) -> int:
    for among in (few, told):
        wholes = [other.done / other.planned * each.planned for other in among]
        if longer := [whole for whole in wholes if whole > each.done]:
            return max(1, round(rng.choice(longer) - each.done))
    return max(1, each.ahead)  # it has taken more than any of its size before: what is planned now is all that is known
