"""Drawer: runs the drawing programs of a problem, and reads what they drew.

A drawing program reads a line for each wanted input: a seed and a size. It writes for each one a line with the number
of bytes and how it was drawn, then the bytes and a line end. A number of -1 says that nothing could be drawn.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from balancer.pipeline.generators.drawing import from_cpp, from_grammar
from balancer.pipeline.proposing import Toolbox, ended
from balancer.problem import Problem
from balancer.program import Program, Status

__all__ = ["DrawnInput", "DrawnSize", "InputDrawer", "read_drawn"]

DrawnSize = Literal["tiny", "small", "medium", "large"]

_MAKERS = (from_grammar.drawing_program, from_cpp.drawing_program)
_AT_ONCE = 40  # inputs of a run
_MOST_FAILURES = 2  # in a row, without an input; then a program is not run again


@dataclass(frozen=True, slots=True)
class DrawnInput:
    """An input that was drawn, and how."""

    data: bytes
    detail: str


class InputDrawer:
    """Draws the inputs of one problem, with its validators in turn. Not thread-safe.

    Args:
        toolbox: runs the programs.
        problem: whose validators draw.
    """

    def __init__(self, toolbox: Toolbox, problem: Problem) -> None:
        self._toolbox = toolbox
        made = [program for each in problem.input_validators for make in _MAKERS if (program := make(each))]
        self._programs = [each for each in made if each.language in toolbox.languages]
        self._failures = [0] * len(self._programs)
        self._turn = 0

    @property
    def able(self) -> bool:
        """Whether a validator can draw."""
        return bool(self._programs)

    def drawn(self, wanted: Iterable[tuple[int, DrawnSize]]) -> list[DrawnInput]:
        """Return the inputs of these seeds and sizes, without those that could not be drawn: one run."""
        if not self._programs:
            return []
        self._turn = (self._turn + 1) % len(self._programs)
        program = self._programs[self._turn]
        stdin = "".join(f"{seed} {size}\n" for seed, size in wanted).encode()
        execution, why = self._toolbox.run(program, stdin)
        found = [] if execution is None else read_drawn(execution.stdout)
        self._failures[self._turn] = 0 if found else self._failures[self._turn] + 1
        if self._failures[self._turn] >= _MOST_FAILURES:
            if execution is not None and (execution.status is not Status.FINISHED or execution.exit_code):
                why = ended(execution)
            self._leave_out(program, why or "no input fits")
        return found

    def stream(
        self, sizes: Sequence[DrawnSize], rng: random.Random, first: int, most: int = _AT_ONCE
    ) -> Iterator[DrawnInput]:
        """Yield inputs of these sizes in turn, each once: some `first` in one run, then more, at most `most`.

        It ends if a run brings nothing new.
        """
        seed, count, at = rng.randrange(2**30), first, 0
        seen: set[bytes] = set()
        while self._programs:
            before = len(seen)
            for made in self.drawn((seed + turn, sizes[turn % len(sizes)]) for turn in range(at, at + count)):
                digest = sha256(made.data).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield made
            at, count = at + count, min(2 * count, most)
            if len(seen) == before and at > 2 * most:
                return

    def _leave_out(self, program: Program, why: str) -> None:
        self._toolbox.note(f"{program.name} draws no inputs: {why}")
        del self._failures[self._turn], self._programs[self._turn]


def read_drawn(written: bytes) -> list[DrawnInput]:
    """Return the inputs that a drawing program wrote, as far as they are complete."""
    found: list[DrawnInput] = []
    at = 0
    while (end := written.find(b"\n", at)) >= 0:
        length, _, detail = written[at:end].partition(b" ")
        try:
            size = max(int(length), 0)
        except ValueError:
            break
        at = end + 1 + size
        if written[at : at + 1] != b"\n":
            break
        if int(length) >= 0:
            found.append(DrawnInput(written[end + 1 : at], detail.decode(errors="replace")))
        at += 1
    return found
