"""The kill matrix of a problem: which submission failed on which case.

Decides the order of rows and columns, the letters, and what is left out of a matrix that would be too wide to
be read. Pure; it must not know how a report looks.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from balancer.pipeline.model import Verdict
from balancer.pipeline.report.words import seconds, shorten, size, visible
from balancer.pipeline.results import CaseResult, ProblemResult, SubmissionResult

__all__ = ["LETTERS", "MOST_COLUMNS", "Cell", "Column", "Group", "Matrix", "Row", "matrix"]

LETTERS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.ACCEPTED: "A",
        Verdict.WRONG_ANSWER: "W",
        Verdict.TIME_LIMIT: "T",
        Verdict.RUN_TIME_ERROR: "R",
        Verdict.COMPILE_ERROR: "C",
        Verdict.UNJUDGED: "?",
    }
)
MOST_COLUMNS = 120  # a screen shows about 50 and a printed page 45: beyond this nobody compares columns
_MOST_DETAIL = 80


@dataclass(frozen=True, slots=True)
class Column:
    """A case. Attributes: its `id`, what a tooltip says, whether it is sample data, whether it kills."""

    id: int
    title: str
    sample: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A verdict: its `kind` (a value of `Verdict`, or "none" if it was never run), letter and tooltip."""

    kind: str
    letter: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A submission and its verdicts, one for each column; `kills` counts all cases, also those not shown."""

    name: str
    kills: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one kind, under one heading."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it. `hidden` cases are not shown: there were too many."""

    problem: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    cases: int
    hidden: int


def matrix(problem: ProblemResult, *, most: int = MOST_COLUMNS) -> Matrix:
    """Return the matrix of `problem`, with at most `most` cases: first those that kill, then sample data."""
    kept = {case.id for case in problem.killers}
    shown = _most_telling(problem.ready, kept, most)
    groups = (
        ("accepted", lambda s: s.accepted and s.compiles),
        ("wrong", lambda s: not s.accepted and s.compiles),
        ("does not compile: not counted", lambda s: not s.compiles),
    )
    return Matrix(
        problem=problem.id,
        columns=tuple(_column(case, kept) for case in shown),
        groups=tuple(_groups(problem, shown, groups)),
        cases=len(problem.ready),
        hidden=len(problem.ready) - len(shown),
    )


def _most_telling(cases: tuple[CaseResult, ...], kept: set[int], most: int) -> list[CaseResult]:
    """Return at most `most` of `cases`, in their own order."""
    ranked = sorted(cases, key=lambda case: (case.id not in kept, not case.sample))
    chosen = {case.id for case in ranked[:most]}
    return [case for case in cases if case.id in chosen]


def _groups(
    problem: ProblemResult,
    shown: list[CaseResult],
    groups: tuple[tuple[str, Callable[[SubmissionResult], bool]], ...],
) -> Iterator[Group]:
    for heading, belongs in groups:
        rows = tuple(_row(s, problem.ready, shown) for s in problem.submissions if belongs(s))
        if rows:
            yield Group(heading, rows)


def _row(submission: SubmissionResult, ready: tuple[CaseResult, ...], shown: list[CaseResult]) -> Row:
    return Row(submission.name, len(submission.killed_by(ready)), tuple(_cell(submission, case) for case in shown))


def _column(case: CaseResult, kept: set[int]) -> Column:
    marks = [mark for mark, is_so in (("sample data", case.sample), ("kept", case.id in kept)) if is_so]
    title = " \u00b7 ".join([f"case {case.id}", _origin(case), size(case.size), *marks])
    return Column(case.id, title, case.sample, case.id in kept)


def _cell(submission: SubmissionResult, case: CaseResult) -> Cell:
    verdict = submission.verdicts.get(case.id)
    if verdict is None:
        return Cell("none", "\u00b7", f"case {case.id} \u00b7 never run")
    words = [f"case {case.id}", verdict.value.replace("_", " ")]
    if case.id in submission.times_s:
        words.append(seconds(submission.times_s[case.id]))
    return Cell(verdict.value, LETTERS[verdict], " \u00b7 ".join([*words, _origin(case)]))


def _origin(case: CaseResult) -> str:
    return shorten(visible(f"{case.origin.generator}: {case.origin.detail}"), _MOST_DETAIL)
