"""Mender of one problem: changes refused inputs until its input validators accept them.

Decides what tells how to change them. A validator in Python runs in the sandbox with its comparisons traced; `mending`
decides what to change. Of other programs only the messages are known; `refusal_words` reads them. Grammars are not
followed.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.pipeline.generators.search.refusal_words import mend_by_words
from balancer.pipeline.proposing import Toolbox
from balancer.problem import Problem
from balancer.program import Program

__all__ = ["InputMender", "mending_program", "small_text"]

_CANDIDATES = 3  # for each wanted input, if comparisons are known
_TOGETHER = 60  # candidates that are mended together if only messages are known
_MOST_BYTES = 4000  # of a candidate
_GRAMMAR = ".ctd"  # takes long to run, and compares nothing itself
_FUTURE = "from __future__ import annotations"
_NOT_IN_PROGRAM = (_FUTURE, "from balancer.")  # beginnings of lines


class InputMender:
    """Mends inputs for the validators of one problem.

    Args:
        toolbox: runs the validators.
        problem: the inputs that it knows are valid.
        work: of one call of `mended`; see `TracedValidator.work`. 5 million take some second.

    Attributes:
        able: whether something tells how to change an input.
    """

    def __init__(self, toolbox: Toolbox, problem: Problem, work: int) -> None:
        self._toolbox = toolbox
        self._problem = problem
        self._work = work
        self._known = [text for each in problem.data if (text := small_text(each.data))]
        programs = [each for each in problem.input_validators if not each.name.endswith(_GRAMMAR)]
        self._validator = next((each for each in programs if each.language == "python"), None)
        self.able = bool(programs and self._known)

    def candidates(self, wanted: int) -> int:
        """Return how many candidates to give to `mended`."""
        return _TOGETHER if self._validator is None else _CANDIDATES * wanted

    def mended(self, texts: Sequence[str], wanted: int, rng: random.Random) -> list[MadeInput]:
        """Return at most `wanted` new valid inputs made of `texts`.

        None if most of them are valid as they are: then no relation is missing.
        """
        if not self.able or not texts:
            return []
        if self._validator is not None:
            found = self._traced(self._validator, texts, wanted, rng)
        else:
            found = mend_by_words(self._toolbox.comparer.refusals, texts, self._known, rng)
            found = [each for each in found if _has_the_format(self._problem, each[0])][:wanted]
        return [MadeInput("mended", _told(times), _bytes(text)) for text, times in found]

    def _traced(
        self, validator: Program, candidates: Sequence[str], wanted: int, rng: random.Random
    ) -> list[tuple[str, int]]:
        asked = {
            "source": validator.source,
            "args": validator.args,
            "known": self._known,
            "candidates": candidates,
            "seed": rng.getrandbits(32),
            "wanted": wanted,
            "work": self._work,
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
    return found is None or found.read(_bytes(text)) is not None


def _told(times: int) -> str:
    return f"mended by {times} change{'s' if times > 1 else ''}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def mending_program() -> str:
    """Return `search.mending` behind `search.traced_validator` as one program, without imports of this project."""
    search = files("balancer.pipeline.generators.search")
    texts = [search.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ("traced_validator", "mending")]
    lines = (line for text in texts for line in text.split("\n") if not line.startswith(_NOT_IN_PROGRAM))
    return "\n".join([_FUTURE, *lines])


def small_text(data: bytes) -> str:
    """Return a small input as text; "" if it is large."""
    return data.decode("utf-8", "surrogateescape") if len(data) <= _MOST_BYTES else ""
