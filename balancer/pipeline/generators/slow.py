"""Generator `slow`: large inputs on which a surviving wrong submission exceeds its time limit.

It proposes nothing in the first round. Later it starts with the inputs that took longest and the largest that can be
made up. It changes them while that makes a survivor slower. Its choices depend on measured times.
"""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.draw.styles import style_of
from balancer.pipeline.generators.drawing.drawer import InputDrawer
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.value_shapes import arguments_of
from balancer.pipeline.generators.search.ask_ranges import widen_ranges
from balancer.pipeline.generators.search.differences import SearchBudget
from balancer.pipeline.generators.search.grown_arguments import climb_on_arguments
from balancer.pipeline.generators.search.hill_climb import HillClimb, Step, climb_on
from balancer.pipeline.generators.search.largest import within_feedback
from balancer.pipeline.proposing import CaseFeedback, Feedback, Toolbox
from balancer.problem import Origin, Problem, Proposal

__all__ = ["SlowPlugin", "balancer_generators"]

_DRAWN, _STARTS = 4, 12  # large inputs of a run of a drawing program, and of all


class SlowPlugin:
    """Climb to the inputs on which survivors are slow."""

    name: ClassVar[str] = "slow"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for one problem."""
        return _Climbing(toolbox)


class _Climbing:
    """Climbs on one problem, over all rounds. A later round continues where the last one stopped."""

    name: ClassVar[str] = SlowPlugin.name

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._climb: HillClimb | None = None

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield nothing: the survivors are not known yet."""
        return ()

    def refine(
        self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal | None]:
        """Yield at most `budget` inputs, for each survivor one on which it is too slow, if one is found.

        Yields None where others may have a turn. A survivor for which another search has found one in this round is
        left out.
        """
        aim, comparer = self._toolbox.aim, self._toolbox.comparer
        done = self._toolbox.found
        survivors = [each for each in feedback.survivors if each.name not in done]
        if not survivors or not (problem.input_validators or problem.by_agreement):
            return
        allowance = SearchBudget(comparer, aim.seconds, aim.runs, time.monotonic)
        if not allowance.left:
            return
        self._toolbox.now("searching inputs for", aim.seconds)
        if self._climb is None:
            slowest = sorted(feedback.cases, key=lambda case: (-_share(case, feedback.limit_s), -len(case.data)))
            self._climb = self._begun(problem, feedback, [case.data for case in slowest], allowance, rng)
        if self._climb is None:
            return
        for find in allowance.turns(self._climb.finds(survivors, allowance, done), budget):
            done.update(find.names if find else ())
            yield Proposal(find.made.data, Origin(self.name, find.made.detail)) if find else None

    def _begun(
        self,
        problem: Problem,
        feedback: Feedback,
        slowest: Sequence[bytes],
        allowance: SearchBudget,
        rng: random.Random,
    ) -> HillClimb | None:
        """Return a new climb; None if nothing is known of the problem's inputs."""
        comparer = self._toolbox.comparer
        if problem.function:
            known = arguments_of(problem)
            return None if known is None else climb_on_arguments(known, comparer, slowest, rng)
        telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
        wider = replace(problem, data=(*problem.data, *telling))
        found = knowledge_of(wider, (case.data for case in feedback.cases))
        if found is None:
            return None
        found = within_feedback(found, feedback)
        if problem.input_validators:
            found = widen_ranges(found, comparer.valid, lambda: allowance.left)
        drawn = InputDrawer(self._toolbox, problem).stream(("large",), rng, _DRAWN, _DRAWN)
        starts = (Step("drawn", made.detail, made.data) for made in islice(drawn, _STARTS))
        done = {style_of(case.origin.detail) for case in feedback.cases}
        return climb_on(found, comparer, slowest, rng, done, starts)


def _share(case: CaseFeedback, limit_s: float) -> float:
    """Return the share of the limit, in tenths: less is the start of a program rather than its work."""
    return round(max(case.survivor_s, case.time_s) / max(limit_s, 1e-9), 1)


@hookimpl
def balancer_generators() -> list[SlowPlugin]:
    """Return the generator of this module."""
    return [SlowPlugin()]
