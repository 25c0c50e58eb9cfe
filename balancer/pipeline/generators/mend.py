"""Generator `mend`: inputs that the validator refuses, changed until it accepts them.

An input validator in Python runs in the sandbox with its comparisons traced; `search.mending` decides what to change.
Of other programs only the messages are known; `search.refusal_words` reads them. Grammars are not followed. So inputs
keep relations that the samples do not tell.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import chain, cycle, islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.search.refusal_words import mend_by_words
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes, text_changes
from balancer.pipeline.generators.write.commands import command_changes
from balancer.pipeline.proposing import Feedback, Toolbox, ValidatorFeedback
from balancer.problem import Origin, Problem, Proposal
from balancer.program import Program

__all__ = ["MendPlugin", "balancer_generators", "drawn_inputs", "mending_program"]

_WANTED = 10  # mended inputs of one run
_CANDIDATES = 3  # for each of them
_TOGETHER = 60  # candidates that are mended together if only messages are known
_WORK = 10_000_000  # of one run; see `TracedValidator.work`: some 2 s
_MOST_BYTES = 4000  # of a candidate
_SIZES = (8, 20, 40, 100)
_KNOWN = 0.8  # share of valid inputs from which nothing needs mending
_GRAMMAR = ".ctd"  # takes long to run, and compares nothing itself
_IN_VAIN = 2  # runs in a row that mend nothing
_FUTURE = "from __future__ import annotations"
_NOT_IN_PROGRAM = (_FUTURE, "from balancer.")  # beginnings of lines


class MendPlugin:
    """Mend inputs for the validator."""

    name: ClassVar[str] = "mend"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for one problem."""
        return _Mending(toolbox)


class _Mending:
    """Mends for one problem, over all rounds."""

    name: ClassVar[str] = MendPlugin.name

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` mended inputs, lazily."""
        return self._mended(problem, [], rng, budget)

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` further ones, of the same round: refused inputs first.

        None while few inputs of others are refused.
        """
        right, wrong = (
            sum(each.origin.generator != self.name for each in some) for some in (heard.valid, heard.refused)
        )
        if right > _KNOWN * (right + wrong):
            return ()
        refused = [each.data for each in heard.refused if len(each.data) <= _MOST_BYTES]
        rng.shuffle(refused)
        return self._mended(problem, refused, rng, budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` further ones. Inputs that rejected a submission count as known."""
        telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
        return self._mended(replace(problem, data=(*problem.data, *telling)), [], rng, budget)

    def _mended(
        self, problem: Problem, refused: Sequence[bytes], rng: random.Random, budget: int
    ) -> Iterator[Proposal]:
        known = [text for each in problem.data if (text := _text(each.data))]
        programs = [each for each in problem.input_validators if not each.name.endswith(_GRAMMAR)]
        if not programs or not known:
            return
        validator = next((each for each in programs if each.language == "python"), None)
        candidates = (text for data in chain(refused, drawn_inputs(problem, rng)) if (text := _text(data)))
        in_vain = 0
        while budget > 0 and in_vain < _IN_VAIN:
            wanted = min(budget, _WANTED)
            if validator is None:
                texts = list(islice(candidates, _TOGETHER))
                found = mend_by_words(self._toolbox.comparer.refusals, texts, known, rng)
                found = [each for each in found if _has_the_format(problem, each[0])][:wanted]
            else:
                texts = list(islice(candidates, _CANDIDATES * wanted))
                found = self._traced(validator, known, texts, wanted, rng)
            in_vain = 0 if found else in_vain + 1
            budget -= len(found)
            for text, times in found:
                detail = f"mended by {times} change{'s' if times > 1 else ''}"
                yield Proposal(text.encode("utf-8", "surrogateescape"), Origin(self.name, detail))

    def _traced(
        self, validator: Program, known: Sequence[str], candidates: Sequence[str], wanted: int, rng: random.Random
    ) -> list[tuple[str, int]]:
        """Return mended inputs, each with its number of changes."""
        asked = {
            "source": validator.source,
            "args": validator.args,
            "known": known,
            "candidates": candidates,
            "seed": rng.getrandbits(32),
            "wanted": wanted,
            "work": _WORK,
        }
        program = replace(validator, source=mending_program(), args=(), name=f"{validator.name}, traced")
        execution, _ = self._toolbox.run(program, json.dumps(asked).encode())
        lines = [] if execution is None else execution.stdout.split(b"\n")[:-1]  # the last one may be cut
        return [found for line in lines if (found := _read(line)) is not None]


def _read(line: bytes) -> tuple[str, int] | None:
    """Return what a line of the traced validator says; None if the validator wrote it itself."""
    try:
        text, times = json.loads(line)
    except (ValueError, TypeError):
        return None
    return (text, times) if isinstance(text, str) and isinstance(times, int) else None


def _has_the_format(problem: Problem, text: str) -> bool:
    """Return whether an input is laid out as the known ones: validators that are no scripts often ignore the lines."""
    found = knowledge_of(problem)
    return found is None or found.read(text.encode("utf-8", "surrogateescape")) is not None


def mending_program() -> str:
    """Return `search.mending` behind `search.traced_validator` as one program, without imports of this project."""
    search = files("balancer.pipeline.generators.search")
    texts = [search.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ("traced_validator", "mending")]
    lines = (line for text in texts for line in text.split("\n") if not line.startswith(_NOT_IN_PROGRAM))
    return "\n".join([_FUTURE, *lines])


def _text(data: bytes) -> str:
    """Return a small input as text; "" if it is large."""
    return data.decode("utf-8", "surrogateescape") if len(data) <= _MOST_BYTES else ""


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
