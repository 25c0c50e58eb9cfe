"""Read the problems of a data set, one at a time.

Decides which rows are used, what each is called in a run, and that a bad row is named and left out. It must not know
how rows lie on disk, nor run anything.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from balancer.errors import PackageError
from balancer.pipeline.results.missing_languages import left_out_of_row
from balancer.pipeline.rows.choice import ALL, Shard, drawn
from balancer.pipeline.rows.columns import RowProblem, Solution, problem_of
from balancer.pipeline.rows.raw import RawRow, raw_rows
from balancer.problem import Checker, Origin, Problem, Proposal, Submission
from balancer.program import Program
from balancer.settings.pipeline import RowSettings

__all__ = ["BadRow", "number_of_rows", "read_rows"]

# How the answers of rows are compared: by token, numbers within a relative or absolute 1e-6, as Codeforces mostly does.
_FLAGS = ("case_sensitive", "float_tolerance", "1e-6")
_SUFFIXES = {"python": "py", "python2": "py2", "cpp": "cpp", "java": "java"}
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out, and why, in one line."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"row {self.number} is left out: {self.why}"


def read_rows(
    place: str, settings: RowSettings, languages: Collection[str], *, share: Shard = ALL
) -> Iterator[tuple[int, Problem | BadRow]]:
    """Yield the number of each row that is wanted, and its problem, or why there is none.

    Args:
        place: files or a data set; see `balancer.pipeline.rows.raw`.
        settings: which rows, and how many solutions of each.
        languages: those that some endpoint runs; solutions in others are left out by name.
        share: of several machines; it counts the rows of the data set, not those that are wanted.

    Raises:
        ConfigError: there is no such data.
    """
    wanted, left = set(settings.ids), settings.limit
    taken: Counter[str] = Counter()
    for raw in raw_rows(place, settings.split, start=settings.offset):
        if left == 0 or (settings.ids and not wanted):
            return
        left = None if left is None else left - 1
        read = _read(raw, settings, languages, taken) if share.takes(raw.number) else None
        if read is None or (settings.ids and not _is_one_of(read, wanted)):
            continue
        yield raw.number, read


def number_of_rows(count: int, settings: RowSettings, share: Shard = ALL) -> int:
    """Return how many of `count` rows `read_rows` yields at the most."""
    last = count if settings.limit is None else min(count, settings.offset + settings.limit)
    # Those up to `last` that the share takes, without those before the offset.
    taken = [max(0, -(-(end - share.index) // share.of)) for end in (max(last, settings.offset), settings.offset)]
    return min(taken[0] - taken[1], len(settings.ids) or count)


def _is_one_of(read: Problem | BadRow, wanted: set[str]) -> bool:
    """Return whether a row is among those asked for by name; each is asked for once."""
    names = {read.id, read.name} & wanted if isinstance(read, Problem) else set[str]()
    wanted -= names
    return bool(names)


def _read(raw: RawRow, settings: RowSettings, languages: Collection[str], taken: Counter[str]) -> Problem | BadRow:
    if raw.columns is None:
        return BadRow(raw.number, raw.problem)
    try:
        row = problem_of(raw.columns)
    except PackageError as error:
        return BadRow(raw.number, str(error))
    name = _NAME.sub("-", row.id).strip("-.")[:80] or f"row-{raw.number}"
    taken[name] += 1
    if taken[name] > 1:  # a name of two rows: each keeps a folder, and results, of its own
        name = f"{name}-row-{raw.number}"
    return _problem(name, row, settings, languages) or BadRow(raw.number, _why_not(row, languages))


def _problem(name: str, row: RowProblem, settings: RowSettings, languages: Collection[str]) -> Problem | None:
    right = drawn(row.right, settings.right, languages, f"{settings.seed}/{name}/right")
    wrong = drawn(row.wrong, settings.wrong, languages, f"{settings.seed}/{name}/wrong")
    tests = [test for test in row.tests if test.kind in settings.tests]
    if not right or not tests:
        return None
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
        input_validators=(),
        checker=Checker(None, _FLAGS),
        submissions=(*_submissions(right, accepted=True), *_submissions(wrong, accepted=False)),
        left_out=_left_out(row, languages),
        statement=row.statement,
        by_agreement=True,
    )


def _submissions(solutions: tuple[Solution, ...], *, accepted: bool) -> Iterator[Submission]:
    folder = "accepted" if accepted else "wrong_answer"
    for solution in solutions:
        name = f"{'right' if accepted else 'wrong'}/{solution.number}.{_SUFFIXES.get(solution.language, 'txt')}"
        yield Submission(name, Program(solution.language, solution.source, name), accepted, folder)


def _left_out(row: RowProblem, languages: Collection[str]) -> dict[str, str]:
    """Return the languages that nobody runs, with the number of solutions that this costs."""
    lost = Counter(each.language for each in (*row.right, *row.wrong) if each.language not in languages)
    return left_out_of_row(lost)


def _why_not(row: RowProblem, languages: Collection[str]) -> str:
    if not row.tests:
        return f"{row.id}: it has no test; one known input with its output is needed"
    found = sorted({solution.language for solution in row.right}) or ["none"]
    if not any(solution.language in languages for solution in row.right):
        runs = ", ".join(sorted(languages))
        return f"{row.id}: no right solution can be run (they are in: {', '.join(found)}; endpoints run: {runs})"
    return f"{row.id}: it has no test of the kinds that [pipeline.rows] tests names"
