"""Row reader: the problems of a data set, one at a time.

Decides which rows are used and their ids in a run. A bad row is named and left out. Rows are selected by number, name
and shard. Solutions of a row are drawn with a seed, spread over their languages.

A row whose tests call a function becomes a problem of programs that read input: each solution is put into a program
that reads a JSON argument from each line, calls the function, and prints the JSON of the value.
"""

import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from balancer.errors import ConfigError, PackageError
from balancer.judging.calls import LANGUAGES as CALLED
from balancer.judging.calls import calling
from balancer.pipeline.results.problem_result import left_out_of_row
from balancer.pipeline.rows.raw import RawRow, raw_rows
from balancer.problem import Checker, Origin, Problem, Proposal, Submission
from balancer.program import Program
from balancer.rows.columns import RowProblem, Solution
from balancer.rows.row_programs import Testlib, checker_in, needs_header, recipes_in, validator_in
from balancer.rows.row_tests import function_of
from balancer.rows.schemas import problem_of
from balancer.settings.pipeline import RowSettings

__all__ = ["ALL", "BadRow", "Shard", "drawn", "number_of_rows", "parse_shard", "read_rows"]

# Answers of rows are compared by token, and numbers within a relative or absolute 1e-6, like most of Codeforces.
_FLAGS = ("case_sensitive", "float_tolerance", "1e-6")
_SUFFIXES = {"python": "py", "python2": "py2", "cpp": "cpp", "java": "java"}
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_CALLS = """

The tests call the function {}. An input has the JSON of one argument on each line, in their order. The output is the \
JSON of the value that it returns."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The rows of one of several machines: those whose number modulo `of` is `index`."""

    index: int = 0
    of: int = 1

    def takes(self, number: int) -> bool:
        """Return whether row `number` is in the shard."""
        return number % self.of == self.index


ALL = Shard()


def parse_shard(text: str) -> Shard:
    """Return the shard for "i/n", with i from 1.

    Raises:
        ValueError: the text has another form.
    """
    index, slash, of = text.partition("/")
    if slash and index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of):
        return Shard(int(index) - 1, int(of))
    raise ValueError(f"{text!r} is not a share; write i/n with 1 <= i <= n, e.g. 2/8 for the second of eight machines")


def drawn(
    solutions: Sequence[Solution], most: int | Literal["all"], languages: Collection[str], seed: str
) -> tuple[Solution, ...]:
    """Return at most `most` of the solutions in one of `languages`, in the order of the row.

    One of each language is drawn in turn, so that every language is represented. The same seed draws the same ones. A
    higher `most` draws the same ones and more.
    """
    by_language: dict[str, list[Solution]] = defaultdict(list)
    for solution in solutions:
        if solution.language in languages:
            by_language[solution.language].append(solution)
    if most == "all":
        chosen = [solution for group in by_language.values() for solution in group]
    else:
        rng = random.Random(zlib.crc32(seed.encode()))
        for group in by_language.values():
            rng.shuffle(group)
        turns = max(map(len, by_language.values()), default=0)
        in_turn = [group[turn] for turn in range(turns) for group in by_language.values() if turn < len(group)]
        chosen = in_turn[:most]
    return tuple(sorted(chosen, key=lambda solution: solution.number))


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out, and why, in one line."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"row {self.number} (from 0) is left out: {self.why}"


def read_rows(
    place: str, settings: RowSettings, languages: Collection[str], *, share: Shard = ALL
) -> Iterator[tuple[int, Problem | BadRow]]:
    """Yield the number of each wanted row, with its problem, or why there is none.

    Args:
        place: files or a data set; see `balancer.pipeline.rows.raw`.
        settings: which rows, and how many solutions of each.
        languages: those that some endpoint runs; solutions in others are left out and named.
        share: the shard; it counts all rows of the data set, not only the wanted ones.

    Raises:
        ConfigError: there is no such data.
    """
    wanted, left, testlib = set(settings.ids), settings.limit, _testlib(settings.testlib)
    taken: Counter[str] = Counter()
    for raw in raw_rows(place, settings.split):
        if left == 0 or (settings.ids and not wanted):
            return
        left = None if left is None else left - 1
        read = _read(raw, settings, languages, taken, testlib) if share.takes(raw.number) else None
        if read is None or (settings.ids and not _is_one_of(read, wanted)):
            continue
        yield raw.number, read


def number_of_rows(count: int, settings: RowSettings, share: Shard = ALL) -> int:
    """Return the most rows of `count` that `read_rows` may yield."""
    last = count if settings.limit is None else min(count, settings.limit)
    return min(max(0, -(-(last - share.index) // share.of)), len(settings.ids) or count)


def _is_one_of(read: Problem | BadRow, wanted: set[str]) -> bool:
    """Return whether a row was asked for by name; each name counts once."""
    names = {read.id, read.name} & wanted if isinstance(read, Problem) else set[str]()
    wanted -= names
    return bool(names)


def _testlib(path: str) -> Testlib:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = f"[pipeline.rows] testlib = {path!r} cannot be read ({error.strerror}); name the file testlib.h"
        raise ConfigError(why) from None


def _read(
    raw: RawRow, settings: RowSettings, languages: Collection[str], taken: Counter[str], testlib: Testlib
) -> Problem | BadRow:
    if raw.columns is None:
        return BadRow(raw.number, raw.problem)
    try:
        row = problem_of(raw.columns)
    except PackageError as error:
        return BadRow(raw.number, str(error))
    row = row if row.id else replace(row, id=f"row-{raw.number}")
    name = _NAME.sub("-", row.id).strip("-.")[:80] or f"row-{raw.number}"
    taken[name] += 1
    if taken[name] > 1:  # a name of two rows: each gets a folder and results of its own
        name = f"{name}-row-{raw.number}"
    try:
        return _problem(name, row, settings, languages, testlib) or BadRow(raw.number, _why_not(row, languages))
    except PackageError as error:
        return BadRow(raw.number, f"{row.id}: {error}")


def _problem(
    name: str, row: RowProblem, settings: RowSettings, languages: Collection[str], testlib: Testlib
) -> Problem | None:
    tests = [test for test in row.tests if test.kind in settings.tests]
    function = function_of(tests)
    if function:
        languages = _that_call(languages)
    right = drawn(row.right, settings.right, languages, f"1/{name}/right")
    wrong = drawn(row.wrong, settings.wrong, languages, f"1/{name}/wrong")
    if not right or not tests:
        return None
    checker, validator = checker_in(row, testlib), validator_in(row, testlib)
    return Problem(
        id=name,
        name=row.id,
        path=Path(),
        time_limit_s=row.time_limit_s,
        memory_bytes=row.memory_bytes,
        data=tuple(
            Proposal(test.input.encode(), Origin("data", f"{test.kind} {number}"), test.output.encode(), sample=True)
            for number, test in enumerate(tests, 1)
        ),
        input_validators=(validator,) if validator is not None else (),
        checker=Checker(None, _FLAGS, values=bool(function)) if checker is None else Checker(checker, instead=_FLAGS),
        submissions=(*_submissions(right, function, accepted=True), *_submissions(wrong, function, accepted=False)),
        left_out=_left_out(row, languages),
        statement=row.statement + (_CALLS.format(function) if function else ""),
        notes=(*row.notes, *_not_used(row, testlib)),
        by_agreement=True,
        recipes=tuple(recipes_in(row, testlib)),
        function=function,
    )


def _not_used(row: RowProblem, testlib: Testlib) -> Iterator[str]:
    """Yield a note on the programs of a row that are not used because there is no testlib.h."""
    programs = (row.checker, row.validator, row.generator)
    names = [each.name.removeprefix("row/") for each in programs if each is not None and needs_header(each)]
    if names and testlib is None:
        yield f"not used: {', '.join(names)} (testlib.h is not named in [pipeline.rows] testlib)"


def _that_call(languages: Collection[str]) -> Collection[str]:
    """Return the languages in which a function can be called."""
    return [each for each in languages if each in CALLED]


def _submissions(solutions: tuple[Solution, ...], function: str, *, accepted: bool) -> Iterator[Submission]:
    folder = "accepted" if accepted else "wrong_answer"
    for solution in solutions:
        name = f"{'right' if accepted else 'wrong'}/{solution.number}.{_SUFFIXES.get(solution.language, 'txt')}"
        program = Program(solution.language, solution.source, name)
        yield Submission(name, _calling(program, function) if function else program, accepted, folder)


def _calling(program: Program, function: str) -> Program:
    try:
        return calling(program, function, lines=True)
    except ValueError as error:
        raise PackageError(str(error)) from None


def _left_out(row: RowProblem, languages: Collection[str]) -> dict[str, str]:
    """Return what is left out in languages that no endpoint runs, with the counts."""
    lost = Counter(each.language for each in (*row.right, *row.wrong) if each.language not in languages)
    return left_out_of_row(lost)


def _why_not(row: RowProblem, languages: Collection[str]) -> str:
    if not row.tests:
        return f"{row.id}: it has no test; it needs one known input with its output"
    if not row.right:
        return f"{row.id}: it has no right solution; add a column right: [{{language, source}}]"
    found = sorted({solution.language for solution in row.right})
    if any(test.function for test in row.tests):
        languages = _that_call(languages)
    if not any(solution.language in languages for solution in row.right):
        runs = ", ".join(sorted(languages))
        return f"{row.id}: no endpoint runs a right solution (they are in: {', '.join(found)}; endpoints run: {runs})"
    return f"{row.id}: it has no test of the kinds that [pipeline.rows] tests names"
