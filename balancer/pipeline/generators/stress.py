"""Generator `stress`: small inputs on which a survivor differs from a right submission.

It proposes nothing in the first round, because it aims at survivors. It tries thousands of inputs, and keeps only those
that make a difference. With the same seed and submissions it tries the same inputs in the same order. How far it gets
depends on its time.
"""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.drawing.drawer import DrawnSize, InputDrawer
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.learn.program_constants import constants_of
from balancer.pipeline.generators.search.ask_ranges import widen_ranges
from balancer.pipeline.generators.search.differences import InputSource, MadeInput, SearchBatch, SearchBudget, finds
from balancer.pipeline.generators.search.input_mender import InputMender
from balancer.pipeline.generators.search.largest import within_feedback
from balancer.pipeline.generators.search.small_arguments import SmallArguments
from balancer.pipeline.generators.search.small_inputs import SmallInputs
from balancer.pipeline.proposing import Feedback, Toolbox
from balancer.problem import Origin, Problem, Proposal

__all__ = ["StressPlugin", "balancer_generators"]

_SIZES: tuple[DrawnSize, ...] = ("tiny", "small", "tiny", "small", "medium")
_DRAWN = 250  # inputs of a run of a drawing program
_WORK = 4_000_000  # for mending inputs of one batch: less than a second


class StressPlugin:
    """Try small random inputs."""

    name: ClassVar[str] = "stress"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for one problem."""
        return _Stress(toolbox)


class _Stress:
    """Searches for one problem, over all rounds. A later round continues where the last one stopped."""

    name: ClassVar[str] = StressPlugin.name

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._source: InputSource | None = None
        self._batch = SearchBatch()  # of the source

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield nothing: the survivors are not known yet."""
        return ()

    def refine(
        self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal | None]:
        """Yield at most `budget` inputs, for each survivor one on which it differs from the right ones, if found.

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
        if self._source is None:
            telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
            wider = replace(problem, data=(*problem.data, *telling))
            found = knowledge_of(wider, (case.data for case in feedback.cases))
            if found is not None:
                found = within_feedback(found, feedback)
            if found is not None and problem.input_validators:
                found = widen_ranges(found, comparer.valid, lambda: allowance.left)
            self._source = self._source_of(problem, found, feedback, rng)
        search = finds(comparer, self._source, survivors, allowance, done, self._batch)
        for find in allowance.turns(search, budget):
            done.update(find.names if find else ())
            detail = f"{find.made.detail}: {_told(find.names)}" if find else ""
            yield Proposal(find.made.data, Origin(self.name, detail)) if find else None

    def _source_of(
        self, problem: Problem, found: Knowledge | None, feedback: Feedback, rng: random.Random
    ) -> InputSource:
        known = [case.data for case in feedback.cases]
        near = [case.data for case in feedback.cases if case.rejected]
        if problem.function:
            return SmallArguments(problem, known, near, rng)
        mender, drawer = InputMender(self._toolbox, problem, _WORK), InputDrawer(self._toolbox, problem)
        drawn = ((made.detail, made.data) for made in drawer.stream(_SIZES, rng, _DRAWN, _DRAWN))

        def mend(refused: Sequence[str], most: int) -> Sequence[MadeInput]:
            return mender.mended(refused[: mender.candidates(most)], most, rng)

        more = {"grammar": drawn} if drawer.able else {}
        return SmallInputs(found, known, near, rng, mend, constants_of(problem.submissions), more)


def _told(names: Sequence[str]) -> str:
    return f"{names[0]} differs" if len(names) == 1 else f"{names[0]} and {len(names) - 1} others differ"


@hookimpl
def balancer_generators() -> list[StressPlugin]:
    """Return the generator of this module."""
    return [StressPlugin()]
