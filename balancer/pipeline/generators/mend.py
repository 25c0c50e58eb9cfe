"""Generator `mend`: inputs that the validator refuses, changed until it accepts them.

Inputs keep relations that the samples do not tell. See `search.input_mender`.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, cycle, islice
from typing import ClassVar, Literal

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.search.input_mender import InputMender, small_text
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes, text_changes
from balancer.pipeline.generators.write.commands import command_changes
from balancer.pipeline.proposing import CaseFeedback, Feedback, Toolbox, UnusedInput, ValidatorFeedback
from balancer.problem import Origin, Problem, Proposal

__all__ = ["MendPlugin", "balancer_generators", "drawn_inputs"]

_WANTED = 10  # mended inputs of one run
_WORK = 10_000_000  # of one run: some 2 s
_SIZES = (8, 20, 40, 100)
_KNOWN = 0.8  # share of valid inputs from which nothing needs mending
_IN_VAIN = 2  # runs in a row that mend nothing


class MendPlugin:
    """Mend inputs for the validator."""

    name: ClassVar[str] = "mend"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for one problem."""
        return _Mending(toolbox)


class _Mending:
    """Mends for one problem, over all rounds."""

    name: ClassVar[str] = MendPlugin.name
    asked_later: ClassVar[Literal[True]] = True

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` mended inputs, lazily. A run asks only when it knows what is refused."""
        return self._mended(problem, [], rng, budget)

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` further ones, of the same round: refused inputs first.

        None while few inputs of others are refused.
        """
        if not self._wanted(heard.valid, heard.refused):
            return ()
        refused = [each.data for each in heard.refused if small_text(each.data)]
        rng.shuffle(refused)
        return self._mended(problem, refused, rng, budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` further ones. Inputs that rejected a submission count as known.

        None while few inputs of others are refused.
        """
        if not self._wanted(feedback.cases, feedback.refused):
            return ()
        telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
        return self._mended(replace(problem, data=(*problem.data, *telling)), [], rng, budget)

    def _wanted(self, *valid_and_refused: Sequence[CaseFeedback | UnusedInput]) -> bool:
        """Return whether validators refuse enough inputs of others."""
        right, wrong = (sum(each.origin.generator != self.name for each in some) for some in valid_and_refused)
        return right <= _KNOWN * (right + wrong)

    def _mended(
        self, problem: Problem, refused: Sequence[bytes], rng: random.Random, budget: int
    ) -> Iterator[Proposal]:
        mender = InputMender(self._toolbox, problem, _WORK)
        if not mender.able:
            return
        candidates = (text for data in chain(refused, drawn_inputs(problem, rng)) if (text := small_text(data)))
        in_vain = 0
        while budget > 0 and in_vain < _IN_VAIN:
            wanted = min(budget, _WANTED)
            found = mender.mended(list(islice(candidates, mender.candidates(wanted))), wanted, rng)
            in_vain = 0 if found else in_vain + 1
            budget -= len(found)
            yield from (Proposal(made.data, Origin(self.name, made.detail)) for made in found)


def drawn_inputs(problem: Problem, rng: random.Random) -> Iterator[bytes]:
    """Yield made-up inputs without end, whether valid or not: small, of some size, and changed."""
    found = knowledge_of(problem)
    if found is None:
        yield from (data for _, data in text_changes([each.data for each in problem.data], rng))
        return
    streams = [
        build_styled(found, small_styles(rng), rng),
        build_styled(found, _sized(found, rng), rng),
        build_changed(found, changes(found, rng), rng),
        build_changed(found, command_changes(found, rng), rng),
    ]
    while streams:
        for stream in list(streams):
            made = next(stream, None)
            if made is None:
                streams.remove(stream)
            else:
                yield made[1]


def _sized(found: Knowledge, rng: random.Random) -> Iterator[Style]:
    """Yield small styles with more things."""
    for size, style in zip(cycle(_SIZES), small_styles(rng), strict=False):
        yield replace(style, name=f"{style.name}, {size}", size=Size(size, size))


@hookimpl
def balancer_generators() -> list[MendPlugin]:
    """Return the generator of this module."""
    return [MendPlugin()]
