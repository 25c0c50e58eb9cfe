"""The kill matrix of a problem: which submission failed on which case.

Here are the order of rows and columns, the letters, and what is left out of a matrix that would be too wide to be
read. Pure; the template draws it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from balancer.pipeline.results.run_result import CaseResult, ProblemResult, SubmissionResult
from balancer.problem import Verdict
from balancer.reporting.words import seconds, shorten, size, visible

__all__ = [
    "BAND",
    "LETTERS",
    "MOST_COLUMNS",
    "KillMatrix",
    "MatrixBand",
    "MatrixCell",
    "MatrixColumn",
    "MatrixGroup",
    "MatrixRow",
    "matrix",
]

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
MOST_COLUMNS = 120  # three bands: beyond this nobody compares columns
BAND = 40  # columns side by side: what an A4 page and a screen of 1000 px have room for
_MOST_DETAIL = 80


@dataclass(frozen=True, slots=True)
class MatrixColumn:
    """A case. Attributes: its `id`, what a tooltip says, whether it is sample data, whether it kills."""

    id: int
    title: str
    sample: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A verdict: its `kind` (a value of `Verdict`, or "none" if it was never run), letter and tooltip."""

    kind: str
    letter: str
    title: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A submission and its verdicts, one for each column; `kills` counts all cases, also those not shown."""

    name: str
    kills: int
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True)
class MatrixGroup:
    """Submissions of one kind, under one heading."""

    heading: str
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True)
class MatrixBand:
    """Some of the cases, for all submissions."""

    columns: tuple[MatrixColumn, ...]
    groups: tuple[MatrixGroup, ...]


@dataclass(frozen=True, slots=True)
class KillMatrix:
    """All of it, in bands of columns. `shown` of its `cases` are shown, all unless there were too many."""

    problem: str
    bands: tuple[MatrixBand, ...]
    cases: int
    shown: int


def matrix(problem: ProblemResult, *, most: int = MOST_COLUMNS) -> KillMatrix:
    """Return the matrix of `problem`, with at most `most` cases: first those that kill, then its own data."""
    kept = {case.id for case in problem.killers}
    shown = _most_telling(problem.ready, kept, most)
    bands = _bands(shown) if problem.submissions else ()
    return KillMatrix(
        problem=problem.id,
        bands=tuple(MatrixBand(tuple(_column(c, kept) for c in cases), _groups(problem, cases)) for cases in bands),
        cases=len(problem.ready),
        shown=len(shown),
    )


def _bands(cases: Sequence[CaseResult]) -> Iterator[Sequence[CaseResult]]:
    """Split `cases` into the fewest bands, all of about the same width."""
    bands = math.ceil(len(cases) / BAND)
    width = math.ceil(len(cases) / max(1, bands))
    return (cases[start : start + width] for start in range(0, len(cases), max(1, width)))


def _most_telling(cases: Sequence[CaseResult], kept: set[int], most: int) -> list[CaseResult]:
    """Return at most `most` of `cases`, in their own order."""
    ranked = sorted(cases, key=lambda case: (case.id not in kept, not case.sample))
    chosen = {case.id for case in ranked[:most]}
    return [case for case in cases if case.id in chosen]


def _groups(problem: ProblemResult, cases: Sequence[CaseResult]) -> tuple[MatrixGroup, ...]:
    uncompiled = tuple(s for s in problem.submissions if not s.compiles)
    groups = (
        ("accepted", problem.accepted),
        ("wrong", problem.wrong),
        ("does not compile: not counted", uncompiled),
    )
    return tuple(MatrixGroup(heading, tuple(_row(s, problem, cases) for s in rows)) for heading, rows in groups if rows)


def _row(submission: SubmissionResult, problem: ProblemResult, cases: Sequence[CaseResult]) -> MatrixRow:
    kills = len(submission.killed_by(problem.ready))
    return MatrixRow(submission.name, kills, tuple(_cell(submission, case) for case in cases))


def _column(case: CaseResult, kept: set[int]) -> MatrixColumn:
    marks = [mark for mark, is_so in (("the problem's own data", case.sample), ("kept", case.id in kept)) if is_so]
    title = " \u00b7 ".join([f"case {case.id}", _origin(case), size(case.size), *marks])
    return MatrixColumn(case.id, title, case.sample, case.id in kept)


def _cell(submission: SubmissionResult, case: CaseResult) -> MatrixCell:
    verdict = submission.verdicts.get(case.id)
    if verdict is None:
        return MatrixCell("none", "\u00b7", f"case {case.id} \u00b7 never run")
    words = [f"case {case.id}", verdict.value.replace("_", " ")]
    if case.id in submission.times_s:
        words.append(seconds(submission.times_s[case.id]))
    return MatrixCell(verdict.value, LETTERS[verdict], " \u00b7 ".join([*words, _origin(case)]))


def _origin(case: CaseResult) -> str:
    return shorten(visible(f"{case.origin.generator}: {case.origin.detail}"), _MOST_DETAIL)
