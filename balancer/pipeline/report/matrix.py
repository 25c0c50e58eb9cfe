"""Kill matrix of a problem: which submission failed on which case. Pure.

Decides the order of rows and columns, the letters, and what is left out of a wide matrix.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from balancer.pipeline.results.problem_result import CaseResult, ProblemResult, SubmissionResult
from balancer.problem import Verdict
from balancer.reporting import document as doc
from balancer.reporting.words import seconds, shorten, size, visible

__all__ = ["LEGEND", "LETTERS", "MOST_COLUMNS", "kill_matrix", "matrix_of"]

LETTERS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.ACCEPTED: "A",
        Verdict.WRONG_ANSWER: "W",
        Verdict.TIME_LIMIT: "T",
        Verdict.RUN_TIME_ERROR: "R",
        Verdict.COMPILE_ERROR: "C",
        Verdict.JUDGE_ERROR: "J",
        Verdict.UNJUDGED: "?",
    }
)
MOST_COLUMNS: Final = 60  # a reader cannot compare more
_MOST_DETAIL: Final = 80
_NARROW, _WIDE = 30, 48  # letters of a name beside many columns, and beside few
_MANY: Final = 25
_NEVER: Final = "\u00b7"
_ABSTAINED: Final = "t"  # a time limit that does not count

LEGEND: Final = doc.Paragraph(
    "; ".join(
        (
            *(f"{letter} {verdict.value.replace('_', ' ')}" for verdict, letter in LETTERS.items()),
            f"{_ABSTAINED} abstained: accepted, but too slow here",
            f"{_NEVER} never run",
        )
    ),
    soft=True,
)


def kill_matrix(problem: ProblemResult) -> Iterator[doc.Block]:
    """Yield the matrix of `problem`, and before it a note on what is left out."""
    matrix, cases = matrix_of(problem), len(problem.ready)
    if matrix is None:
        yield doc.Paragraph("No submissions." if cases else "No case that counts.")
        return
    if cases > MOST_COLUMNS:
        yield doc.Paragraph(
            f"Shown are {MOST_COLUMNS} of {cases} cases: first those that kill, then the problem\u2019s own data.",
            soft=True,
        )
    yield matrix


def matrix_of(problem: ProblemResult, *, most: int = MOST_COLUMNS) -> doc.Table | None:
    """Return the matrix with at most `most` cases: first those that kill, then own data. None: nothing is in it."""
    kept = {case.id for case in problem.killers}
    shown = _most_telling(problem.ready, kept, most)
    return _matrix(problem, shown, kept) if shown and problem.submissions else None


def _most_telling(cases: Sequence[CaseResult], kept: set[int], most: int) -> list[CaseResult]:
    ranked = sorted(cases, key=lambda case: (case.id not in kept, not case.sample))
    chosen = {case.id for case in ranked[:most]}
    return [case for case in cases if case.id in chosen]


def _matrix(problem: ProblemResult, cases: Sequence[CaseResult], kept: set[int]) -> doc.Table:
    uncompiled = tuple(s for s in problem.submissions if not s.compiles)
    kinds = (
        ("accepted", problem.accepted),
        ("wrong", problem.wrong),
        ("does not compile: not counted", uncompiled),
    )
    rows: list[doc.Row] = [
        ("own data, kept", "", *(f"{'S' if case.sample else ''}{'K' if case.id in kept else ''}" for case in cases))
    ]
    for heading, several in kinds:
        if several:
            rows += [(doc.strong(heading), *[""] * (1 + len(cases))), *(_row(each, problem, cases) for each in several)]
    columns = (doc.Column(str(case.id), meaning=_meaning(case, kept)) for case in cases)
    return doc.Table(
        (doc.Column("submission", doc.ColumnKind.NAME), doc.Column("failed", doc.ColumnKind.TEXT), *columns),
        tuple(rows),
        look="matrix",
    )


def _row(submission: SubmissionResult, problem: ProblemResult, cases: Sequence[CaseResult]) -> doc.Row:
    """Return a row. The number of kills counts all cases, also those not shown."""
    most = _NARROW if len(cases) > _MANY else _WIDE
    name = doc.Cell(doc.code(shorten(submission.name, most)), meaning=submission.name)
    kills = len(submission.killed_by(problem.ready))
    return (name, str(kills), *(_cell(submission, case) for case in cases))


def _meaning(case: CaseResult, kept: set[int]) -> str:
    marks = [mark for mark, is_so in (("the problem's own data", case.sample), ("kept", case.id in kept)) if is_so]
    return " \u00b7 ".join([f"case {case.id}", _origin(case), size(case.size), *marks])


def _cell(submission: SubmissionResult, case: CaseResult) -> doc.Cell:
    verdict = submission.verdicts.get(case.id)
    if case.id in submission.abstained:
        letter, mark, said = _ABSTAINED, "abstained", "abstained: met the time limit"
    elif verdict is None:
        return doc.Cell(_NEVER, meaning=f"case {case.id} \u00b7 never run", mark="none")
    else:
        letter, mark, said = LETTERS[verdict], verdict.value, verdict.value.replace("_", " ")
    words = [f"case {case.id}", said]
    if case.id in submission.times_s:
        words.append(seconds(submission.times_s[case.id]))
    return doc.Cell(letter, meaning=" \u00b7 ".join([*words, _origin(case)]), mark=mark)


def _origin(case: CaseResult) -> str:
    return shorten(visible(f"{case.origin.generator}: {case.origin.detail}"), _MOST_DETAIL)
