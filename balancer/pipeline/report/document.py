"""Report of a run as a document.

Decides what is shown, and in which order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from balancer.pipeline.report.headline import NOT_JUDGED, left_out_lines, tiles, troubles, verdict, warnings
from balancer.pipeline.report.matrix import LEGEND, kill_matrix
from balancer.pipeline.report.tables import (
    brought_table,
    endpoint_table,
    gone_endpoints,
    pool_table,
    round_table,
    spent_said,
)
from balancer.pipeline.results.problem_result import ProblemResult, left_out_for
from balancer.pipeline.results.run_result import RunResult
from balancer.reporting import document as doc
from balancer.reporting.words import count, part_of, percent, shorten

__all__ = ["notes", "problem_table", "report_document"]

_NAME, _TEXT = doc.ColumnKind.NAME, doc.ColumnKind.TEXT
_MOST: Final = 400  # letters of a reason

_LEAD: Final = (
    "Do the cases tell right programs from wrong ones? Accepted submissions should pass every case, wrong ones should "
    "fail at least one (be killed). Before: with the problem\u2019s own data. After: with the made-up cases as well."
)


def report_document(result: RunResult, charts: Sequence[doc.Chart]) -> doc.Document:
    """Return the whole report: first what is about the problems, then what is about the pool."""
    first = (*left_out_lines(result, most=len(result.packages_left_out)), *troubles(result))
    said, tone = verdict(result)
    return doc.Document(
        title=f"Judging report: {count(result.totals.problems, 'problem')}",
        heading="Judging report",
        lead=_LEAD,
        blocks=(
            *_warned(first),
            doc.Tiles(tuple(tiles(result))),
            *_warned(warnings(result)),
            *([doc.Figures(tuple(charts))] if charts else ()),
        ),
        sections=tuple(_sections(result)),
        verdict=said,
        tone=tone,
    )


def _warned(lines: Iterable[str]) -> Iterator[doc.Block]:
    return (doc.Paragraph(line, doc.Tone.BAD) for line in lines)


def _sections(result: RunResult) -> Iterator[doc.Section]:
    shown = (
        ("attention", "Attention", "What needs attention", _attention(result)),
        ("survivors", "Survivors", "Wrong submissions that survive", _survivors(result)),
        ("contested", "Contested", "Contested cases", _contested(result)),
        ("problems", "Problems", "Problems", [problem_table(result)] if result.problems else ()),
        ("matrices", "Each problem", "Each problem: its kill matrix, its programs", _each_problem(result)),
        ("rounds", "Rounds", "Round by round", _rounds(result)),
        ("notes", "Notes", "Left out, and notes", _noted(notes(result))),
        ("pool", "Pool", "Endpoints and pool", _pool(result)),
    )
    for anchor, label, title, yielded in shown:
        if blocks := tuple(yielded):
            yield doc.Section(title, blocks, anchor, label)


# -- what needs attention ------------------------------------------------------------------------------


def _attention(result: RunResult) -> Iterator[doc.Block]:
    rows = [
        (_linked(number, problem), "; ".join(said))
        for number, problem in enumerate(result.problems)
        if (said := tuple(_troubles_of(problem, names=True)))
    ]
    if rows:
        yield doc.table((doc.Column("problem", _NAME), doc.Column("what", _TEXT)), rows)


def _troubles_of(problem: ProblemResult, *, names: bool = False) -> Iterator[str]:
    survive = "survives" if len(problem.survivors) == 1 else "survive"
    for submissions, kind, what in (
        (problem.rejected, "accepted submission", "rejected by a case"),
        (problem.survivors, "wrong submission", survive),
        (problem.not_judged, "submission", "not judged on every case, and in no rate"),
    ):
        if submissions:
            named = f": {shorten(', '.join(each.name for each in submissions), _MOST)}" * names
            yield f"{count(len(submissions), kind)} {what}{named}"
    if contested := problem.counts["contested"]:
        yield count(contested, "contested case")
    if problem.unjudged:
        yield f"{count(problem.unjudged, 'verdict')} unjudged"
    if not problem.ready:
        yield "no case that counts"


def _linked(number: int, problem: ProblemResult) -> doc.Words:
    return doc.code(problem.id, anchor=f"problem-{number}")


# -- problems ------------------------------------------------------------------------------------------

_PROBLEM_COLUMNS: Final = (
    doc.Column("problem", _NAME),
    doc.Column("killed\nbefore", meaning="wrong submissions, with the problem\u2019s own data alone"),
    doc.Column("killed\nafter", meaning="wrong submissions, with the made-up cases as well"),
    doc.Column("rate", wide=True),
    doc.Column("accepted\nkept"),
    doc.Column("unjudged"),
    doc.Column("cases", meaning="that submissions are judged on"),
    doc.Column("that kill", meaning="a wrong submission"),
    doc.Column("refused", meaning="proposed inputs that an input validator refused", wide=True),
    doc.Column("contested", meaning="cases on which accepted submissions disagree, or an output cannot be judged"),
)


def problem_table(result: RunResult, *, most: int = 0) -> doc.Table:
    """Return the figures of each problem, and of all."""
    rows = (_problem(number, problem) for number, problem in enumerate(result.problems))
    totals = _all_problems(result) if result.totals.problems > 1 else ()
    return doc.table(_PROBLEM_COLUMNS, rows, totals=totals, most=most)


def _problem(number: int, problem: ProblemResult) -> doc.Row:
    name = doc.soft(problem.name) if _bare(problem.name) != _bare(problem.id) else ""
    return _figures(doc.Cell(_linked(number, problem), below=name), problem.counts)


def _all_problems(result: RunResult) -> doc.Row:
    totals = result.totals
    return _figures(f"all {totals.problems}" if totals.problems > len(result.problems) else "all", totals.counts)


def _figures(name: doc.Cell | str, counts: Mapping[str, int]) -> doc.Row:
    judged, wrong, killed = counts["wrong_judged"], counts["wrong"], counts["wrong_killed"]
    kept = _part(counts["accepted_kept"], counts["accepted_judged"], counts["accepted"])
    return (
        name,
        _part(counts["wrong_killed_before"], judged, wrong),
        _part(killed, judged, wrong),
        percent(killed, judged) if judged else "",
        doc.Cell(kept, tone=doc.Tone.BAD if counts["rejected"] else doc.Tone.PLAIN),
        _alert(counts["unjudged"]),
        *(str(counts[each]) for each in ("cases", "cases_kept", "invalid_inputs")),
        _alert(counts["contested"]),
    )


def _part(part: int, judged: int, whole: int) -> str:
    return NOT_JUDGED if whole and not judged else part_of(part, judged)


def _alert(number: int) -> doc.Cell:
    return doc.Cell(str(number), tone=doc.Tone.BAD if number else doc.Tone.PLAIN)


def _bare(name: str) -> str:
    """Return the letters and digits of a name, in lower case: "Pair Sum" equals "pair-sum"."""
    return "".join(c for c in name.casefold() if c.isalnum())


# -- rounds --------------------------------------------------------------------------------------------


def _rounds(result: RunResult) -> Iterator[doc.Block]:
    if result.scores:
        yield doc.Paragraph(
            "How well the cases tell right programs from wrong ones: with the problem\u2019s own data alone, then "
            "after each round. Verifier accuracy is the share of problems whose cases keep every accepted and reject "
            "every wrong submission.",
            soft=True,
        )
        yield round_table(result)
    if result.brought:
        note = (
            "A kill is a case with a wrong submission that it rejects. The first kill of a submission belongs to the "
            "first case that rejected it. Killed submissions are not run in later rounds."
        )
        yield replace(brought_table(result.brought), note=note)
    if spent := spent_said(result):
        yield doc.Paragraph(f"Use of the model: {spent}.")


# -- survivors -----------------------------------------------------------------------------------------


def _survivors(result: RunResult) -> Iterator[doc.Block]:
    survivors, many = result.totals.counts["survivors"], len(result.readings)
    if not survivors:
        return
    some = f" Shown are {many} of {survivors}, in {count(result.totals.surviving, 'problem')}." * (many < survivors)
    yield doc.Paragraph(
        f"Beside each are the cases that reject most of the other wrong submissions of its problem.{some}", soft=True
    )
    yield from (each.shown for each in result.readings)


# -- what is not among the figures ---------------------------------------------------------------------


def _contested(result: RunResult) -> Iterator[doc.Block]:
    many = result.totals.counts["contested"]
    if not many:
        return
    some = f" Shown are {len(result.contested)} of {many}." if len(result.contested) < many else ""
    yield doc.Paragraph(
        "These cases are not used: an accepted submission contradicts the expected output, or (judge error) the output "
        f"validator could not judge an output. A program, the expected output or a validator is wrong.{some}",
        soft=True,
    )
    yield from (each.shown for each in result.contested)


def _noted(rows: Sequence[doc.Row]) -> Iterator[doc.Block]:
    if rows:
        yield doc.table((doc.Column("problem", _NAME), doc.Column("what", _NAME), doc.Column("why", _NAME)), rows)


def notes(result: RunResult) -> list[tuple[doc.Words, doc.Words, str]]:
    """Return the notes on all problems: the problem, the subject in it, and the note; then the rows left out."""
    found = [(doc.code(problem.id), *note) for problem in result.problems for note in _notes_on(problem)]
    rows = [(f"row {row.number} (from 0)", "left out", shorten(row.why, _MOST)) for row in result.left_out_rows]
    return [*found, *rows]


def _notes_on(problem: ProblemResult) -> Iterator[tuple[doc.Words, str]]:
    for subject, why in problem.left_out.items():
        if not left_out_for(why):  # these are in the headline, once for the whole run
            yield doc.code(subject), shorten(f"left out: {why}", _MOST)
    for submission in problem.submissions:
        if not submission.compiles and submission.name not in problem.left_out:
            yield doc.code(submission.name), "does not compile: not counted"
    for words in problem.notes:
        yield "note", shorten(words, _MOST)


def _each_problem(result: RunResult) -> Iterator[doc.Block]:
    if not result.problems:
        return
    yield doc.Paragraph(
        "A row is a submission, a column is a case. The number before the cells is the number of cases that the "
        "submission failed. Above a case: S is the problem\u2019s own (sample) data, K is kept, because it kills a "
        "wrong submission.",
        soft=True,
    )
    yield LEGEND
    for number, problem in enumerate(result.problems):
        yield doc.Details(_summed(problem), (tuple(kill_matrix(problem)),), f"problem-{number}")


def _summed(problem: ProblemResult) -> doc.Words:
    judged = len(problem.wrong_judged)
    said = f"{len(problem.killed)} of {judged} wrong killed" if judged else "no wrong submission judged"
    troubled = ", ".join(_troubles_of(problem))
    return (
        doc.code(problem.id),
        doc.soft(f"  {count(len(problem.ready), 'case')}, {said}"),
        f"; {troubled}" * bool(troubled),
    )


# -- the pool ------------------------------------------------------------------------------------------


def _pool(result: RunResult) -> Iterator[doc.Block]:
    yield endpoint_table(result) if result.pool.endpoints else doc.Paragraph("No endpoints.")
    for url, leases in gone_endpoints(result).items():
        yield doc.Paragraph((f"{count(leases, 'lease')} on ", doc.code(url), ", which has left the pool."))
    yield pool_table(result)
