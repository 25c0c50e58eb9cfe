"""Generator `grammar`: inputs drawn from input validators that are checktestdata grammars.

A grammar runs backwards, in the sandbox: each of its reads becomes a choice. Decides how many inputs of which size are
drawn: tiny, small and large ones in turn, later more of those that rejected a submission.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.drawing.drawer import DrawingPlan, DrawnSize, InputDrawer, plan_of
from balancer.pipeline.proposing import Feedback, Toolbox, ValidatorFeedback
from balancer.problem import Origin, Problem, Proposal

__all__ = ["GrammarPlugin", "balancer_generators"]

_SIZES: tuple[DrawnSize, ...] = ("small", "large", "tiny", "small", "large", "tiny", "medium", "large")
_FIRST = 12  # inputs of a round's first run


class GrammarPlugin:
    """Draw inputs from grammars."""

    name: ClassVar[str] = "grammar"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for one problem."""
        return _Drawing(toolbox)


class _Drawing:
    """Draws for one problem, over all rounds."""

    name: ClassVar[str] = GrammarPlugin.name

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._drawer: InputDrawer | None = None

    def suits(self, problem: Problem) -> bool:
        """Return whether a validator of the problem is a grammar."""
        return self._drawer_of(problem).able

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` inputs, lazily: sizes in turn."""
        return self._drawn(problem, _SIZES, rng, budget, _FIRST)

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` further inputs, more of the sizes and plans that are accepted."""
        good = self._plans(each.origin for each in heard.valid)
        bad = self._plans(each.origin for each in heard.refused)
        # Plans are only worth repeating where others are refused.
        return self._drawn(
            problem, _weighted(good, [*good, *bad], rng, budget), rng, budget, budget + 2, good if bad else ()
        )

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` further inputs, more of the sizes and plans that rejected a submission."""
        used = self._plans(case.origin for case in feedback.cases)
        told = self._plans(case.origin for case in feedback.cases if case.rejected)
        plans = [*told, *(used if self._plans(each.origin for each in feedback.refused) else ())]
        return self._drawn(problem, _weighted(told, used, rng, budget), rng, budget, _FIRST, plans)

    def _drawn(
        self,
        problem: Problem,
        sizes: Sequence[DrawnSize],
        rng: random.Random,
        budget: int,
        first: int,
        plans: Sequence[DrawingPlan] = (),
    ) -> Iterator[Proposal]:
        stream = self._drawer_of(problem).stream(sizes, rng, max(1, min(first, budget)), plans)
        for made in islice(stream, max(budget, 0)):
            yield Proposal(made.data, Origin(self.name, made.detail))

    def _drawer_of(self, problem: Problem) -> InputDrawer:
        if self._drawer is None:
            self._drawer = InputDrawer(self._toolbox, problem)
        return self._drawer

    def _plans(self, origins: Iterable[Origin]) -> list[DrawingPlan]:
        found = (plan_of(each.detail) for each in origins if each.generator == self.name)
        return [plan for plan in found if plan is not None]


def _weighted(
    good: Sequence[DrawingPlan], tried: Sequence[DrawingPlan], rng: random.Random, budget: int
) -> list[DrawnSize]:
    """Draw sizes: the more of a size were good, the more often."""
    right, all_ = (Counter(plan.size for plan in plans) for plans in (good, tried))
    return rng.choices(_SIZES, [(right[size] + 1) / (all_[size] + 2) for size in _SIZES], k=max(budget, 1))


@hookimpl
def balancer_generators() -> list[GrammarPlugin]:
    """Return the generator of this module."""
    return [GrammarPlugin()]
