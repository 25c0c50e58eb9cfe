"""Drawer: makes the drawing programs of a problem's grammars, runs them, and reads what they drew.

A drawing program reads a line for each wanted input: a seed and a size. It writes a line with the number of bytes and
how the input was drawn, then the bytes and a line end. A number of -1 says that nothing could be drawn. Seeds that
differ in their last four digits only should have the same modes, and other values: they are one *plan*.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import cycle
from typing import Literal, get_args

from balancer.pipeline.packages.grammars import grammar_in, grammar_loader
from balancer.pipeline.proposing import Toolbox, ended
from balancer.problem import Problem
from balancer.program import Program, Status

__all__ = ["DrawingPlan", "DrawnInput", "DrawnSize", "InputDrawer", "drawing_program", "plan_of", "read_drawn"]

DrawnSize = Literal["tiny", "small", "medium", "large"]

_SIZES = get_args(DrawnSize)
_PLANS, _SEEDS = 2**24, 10**4  # how many plans there are, and inputs of one
_AGAIN = 0.6  # share of inputs by known plans
_MOST_DRAWN, _LONGEST_DETAIL = 10_000, 300  # inputs that are read of a run, and bytes of what is told of one
_AT_ONCE = 40  # inputs of a run
_MOST_FAILURES = 2  # in a row, without an input; then a program is not run again
_MOST_WORDS, _LONGEST = 200, 100  # words, and bytes of one
_MOST_BYTES = 10_000  # of an input whose words are known
_ROOM = "balancer.pipeline.generators.drawing"
_RUN = "\nsys.exit(module.main(GRAMMAR, {known!r}))\n"


@dataclass(frozen=True, slots=True)
class DrawingPlan:
    """The modes of an input, by their number, and its size."""

    number: int
    size: DrawnSize


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
        known = [each.data for each in problem.data]
        made = [drawing_program(each, known) for each in problem.input_validators]
        self._programs = [each for each in made if each is not None and each.language in toolbox.languages]
        self._failures = [0] * len(self._programs)
        self._turn = 0

    @property
    def able(self) -> bool:
        """Whether a validator can draw."""
        return bool(self._programs)

    def stream(
        self, sizes: Sequence[DrawnSize], rng: random.Random, first: int, plans: Sequence[DrawingPlan] = ()
    ) -> Iterator[DrawnInput]:
        """Yield inputs, each once: some `first` in one run, then more.

        They have these sizes in turn, or are of one of the `plans`. It ends if a run brings nothing new.
        """
        count, turn, vain = first, cycle(sizes), 0
        seen: set[bytes] = set()
        while self._programs:
            before = len(seen)
            known = [bool(plans) and rng.random() < _AGAIN for _ in range(count)]
            wanted = [rng.choice(plans) if each else DrawingPlan(rng.randrange(_PLANS), next(turn)) for each in known]
            for made in self._drawn([(plan, rng.randrange(_SEEDS)) for plan in wanted]):
                digest = sha256(made.data).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield made
            count = min(2 * count, _AT_ONCE)
            vain = 0 if len(seen) > before else vain + 1
            if vain >= max(len(self._programs), 1):  # each of them
                return

    def _drawn(self, wanted: Sequence[tuple[DrawingPlan, int]]) -> list[DrawnInput]:
        """Return the inputs of these plans and seeds below 10^4, without those that could not be drawn: one run."""
        self._turn = (self._turn + 1) % len(self._programs)
        program = self._programs[self._turn]
        stdin = "".join(f"{plan.number * _SEEDS + seed} {plan.size}\n" for plan, seed in wanted).encode()
        execution, why = self._toolbox.run(program, stdin)
        answers = [] if execution is None else read_drawn(execution.stdout)
        found = [
            replace(each, detail=f"{each.detail}, plan {plan.number}")
            for (plan, _), each in zip(wanted, answers, strict=False)
            if each is not None
        ]
        self._failures[self._turn] = 0 if found else self._failures[self._turn] + 1
        if self._failures[self._turn] >= _MOST_FAILURES:
            if execution is not None and (execution.status is not Status.FINISHED or execution.exit_code):
                why = ended(execution)
            self._leave_out(program, why or "no input fits")
        return found

    def _leave_out(self, program: Program, why: str) -> None:
        self._toolbox.note(f"{program.name} draws no inputs: {why}")
        del self._failures[self._turn], self._programs[self._turn]


def drawing_program(validator: Program, known: Iterable[bytes] = ()) -> Program | None:
    """Return the program that draws inputs of a grammar; None if the validator is no grammar.

    Words and lines of the `known` inputs are drawn, too.
    """
    grammar = grammar_in(validator)
    if grammar is None:
        return None
    lines = [line for data in known if len(data) <= _MOST_BYTES for line in data.split(b"\n")]
    words = sorted({word for line in lines for word in (line, *line.split()) if 1 < len(word) <= _LONGEST})[
        :_MOST_WORDS
    ]
    return Program(
        "python", grammar_loader(grammar, _modules()) + _RUN.format(known=words), f"{validator.name} (drawing)"
    )


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    names = ("choices", "grammar_draws")
    return tuple((f"{_ROOM}.{name}", files(_ROOM).joinpath(f"{name}.py").read_text(encoding="utf-8")) for name in names)


def read_drawn(written: bytes) -> list[DrawnInput | None]:
    """Return what a drawing program wrote, as far as it is complete; None: an input that could not be drawn."""
    found: list[DrawnInput | None] = []
    at = 0
    while len(found) < _MOST_DRAWN and (end := written.find(b"\n", at)) >= 0:
        length, _, detail = written[at:end].partition(b" ")
        try:
            size = max(int(length), 0)
        except ValueError:
            break
        at = end + 1 + size
        if written[at : at + 1] != b"\n":
            break
        told = "".join(each for each in detail[:_LONGEST_DETAIL].decode(errors="replace") if each.isprintable())
        drawn = DrawnInput(written[end + 1 : at], told)
        found.append(drawn if int(length) >= 0 else None)
        at += 1
    return found


def plan_of(detail: str) -> DrawingPlan | None:
    """Return the plan of an input, by its detail."""
    size, _, number = detail.partition(":")[0], *detail.rpartition(" plan ")[1:]
    return DrawingPlan(int(number), size) if size in _SIZES and number.isdecimal() else None  # type: ignore[arg-type]
