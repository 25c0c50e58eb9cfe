"""Report of a run as a document.

Decides what is shown, and in which order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from balancer.pipeline.report.charts import KILLED
from balancer.pipeline.report.headline import NOT_JUDGED, left_out_lines, lost, tiles, troubles, verdict, warnings
from balancer.pipeline.report.matrix import LEGEND, kill_matrix
from balancer.pipeline.report.tables import (
    brought_table,
    endpoint_lines,
    endpoint_table,
    gone_endpoints,
    looks_said,
    pool_table,
    round_table,
    spent_said,
)
from balancer.pipeline.results.missing_languages import left_out_for
from balancer.pipeline.results.run_result import (
    CaseState,
    KilledReading,
    NearCase,
    ProblemResult,
    RunResult,
    SurvivorReading,
)
from balancer.problem import Verdict
from balancer.reporting import document as doc
from balancer.reporting.words import count, part_of, percent, shorten

__all__ = ["notes", "report_document"]

_NAME, _TEXT, _RATE = doc.ColumnKind.NAME, doc.ColumnKind.TEXT, doc.ColumnKind.RATE
_MOST: Final = 400  # letters of a reason

_LEAD: Final[doc.Words] = (
    "Do the cases tell right programs from wrong ones? ",
    doc.emphasis("Accepted"),
    " submissions should pass every case, ",
    doc.emphasis("wrong"),
    " ones should fail at least one (be ",
    doc.emphasis("killed"),
    "). ",
    doc.emphasis("Before"),
    ": with the problem\u2019s own data. ",
    doc.emphasis("After"),
    ": with the made-up cases as well.",
)


def report_document(result: RunResult, charts: Sequence[doc.Chart]) -> doc.Document:
    """Return the whole report."""
    first = (*left_out_lines(result, most=len(result.packages_left_out)), *troubles(result))
    said, tone = verdict(result)
    main = tuple(chart for chart in charts if chart.title == KILLED)
    drawn = (doc.Figures(main),) if main else ()
    return doc.Document(
        title=f"Judging report: {count(result.totals.problems, 'problem')}",
        heading="Judging report",
        lead=_LEAD,
        blocks=(*_warned(first), doc.Tiles(tiles(result)), *_warned(warnings(result)), *drawn),
        sections=tuple(_sections(result, [chart for chart in charts if chart.title != KILLED])),
        verdict=said,
        tone=tone,
        search="search problems and programs" if result.problems else "",
    )


def _warned(lines: Iterable[str]) -> Iterator[doc.Block]:
    return (doc.Paragraph(line, doc.Tone.BAD) for line in lines)


def _sections(result: RunResult, charts: Sequence[doc.Chart]) -> Iterator[doc.Section]:
    if attention := tuple(_attention(result)):
        yield doc.Section("What needs attention", attention, "attention", "Attention", searched=True)
    if survivors := tuple(_survivors(result)):
        yield doc.Section("Wrong submissions that survive", survivors, "survivors", "Survivors", searched=True)
    if any(problem.disagreements for problem in result.problems):
        title = "Contested cases"
        yield doc.Section(title, (_disagreements(result),), "contested", "Contested", searched=True)
    yield doc.Section("Problems", tuple(_problems(result)), "problems", "Problems", searched=True)
    if result.problems:
        title = "Each problem: its kill matrix, its programs"
        yield doc.Section(title, tuple(_each_problem(result)), "matrices", "Each problem", searched=True)
    if result.scores or result.brought:
        yield doc.Section("Round by round", tuple(_rounds(result)), "rounds", "Rounds")
    if noted := notes(result):
        yield doc.Section("Left out, and notes", (_noted(noted),), "notes", "Notes", searched=True)
    if result.rows_left_out:
        yield doc.Section("Rows left out", (_rows_left_out(result),), "rows", "Rows", folded=True)
    if charts:
        yield doc.Section("Charts", (doc.Figures(tuple(charts)),), "charts", "Charts")
    yield doc.Section("Endpoints", tuple(_endpoints(result)), "endpoints", "Endpoints")
    yield doc.Section("Pool", (pool_table(result),), "pool", "Pool")


# -- what needs attention ------------------------------------------------------------------------------


def _attention(result: RunResult) -> Iterator[doc.Block]:
    rows = [
        (_linked(number, problem), "; ".join(said))
        for number, problem in enumerate(result.problems)
        if (said := tuple(_troubles_of(problem)))
    ]
    if rows:
        yield doc.table((doc.Column("problem", _NAME), doc.Column("what", _TEXT)), rows)
    if rejected := lost(result):
        items = tuple((doc.code(problem), ": ", doc.code(submission)) for problem, submission in rejected)
        yield doc.Bullets(items, "Accepted submissions that a case rejects")
    if any(problem.not_judged for problem in result.problems):
        yield _not_judged(result)


def _troubles_of(problem: ProblemResult) -> Iterator[str]:
    if problem.rejected:
        yield f"{count(len(problem.rejected), 'accepted submission')} rejected by a case"
    if problem.survivors:
        survive = "survives" if len(problem.survivors) == 1 else "survive"
        yield f"{count(len(problem.survivors), 'wrong submission')} {survive}"
    if contested := sum(case.state is CaseState.CONTESTED for case in problem.cases):
        yield f"{count(contested, 'contested case')}"
    if problem.unjudged:
        yield f"{count(problem.unjudged, 'verdict')} unjudged"
    if problem.not_judged:
        yield f"{count(len(problem.not_judged), 'submission')} not judged on every case"
    if not problem.ready:
        yield "no case that counts"


def _linked(number: int, problem: ProblemResult) -> doc.Words:
    return doc.code(problem.id, anchor=f"problem-{number}")


# -- problems ------------------------------------------------------------------------------------------

_PROBLEM_COLUMNS: Final = (
    doc.Column("problem", _NAME),
    doc.Column("used", over="cases", meaning="cases that submissions are judged on"),
    doc.Column("kept", over="cases", meaning="cases that kill a wrong submission"),
    doc.Column("refused", over="cases", meaning="proposed inputs that an input validator refused"),
    doc.Column(
        "contested", over="cases", meaning="cases on which accepted submissions disagree, or an output cannot be judged"
    ),
    *(
        column
        for over in ("accepted kept", "wrong killed before", "after")
        for column in (doc.Column("count", over=over), doc.Column("rate", _RATE, over=over))
    ),
    doc.Column("unjudged"),
)


def _problems(result: RunResult) -> Iterator[doc.Block]:
    if not result.problems:
        yield doc.Paragraph("No problems.")
        return
    rows = (_problem(number, problem) for number, problem in enumerate(result.problems))
    yield doc.table(_PROBLEM_COLUMNS, rows, totals=_all_problems(result))


def _not_judged(result: RunResult) -> doc.Block:
    return doc.table(
        (
            doc.Column("problem", _NAME),
            doc.Column("submission", _NAME),
            doc.Column("expected", _TEXT),
            doc.Column("cases judged"),
        ),
        (
            (doc.code(problem.id), doc.code(each.name), _spaced(each.expected), part_of(judged, len(problem.ready)))
            for problem in result.problems
            for each in problem.not_judged
            for judged in [sum(verdict is not Verdict.UNJUDGED for verdict in each.verdicts.values())]
        ),
        title="Submissions not judged on every case",
        note="No case kills them so far, and a verdict is missing or there is no case. They count neither as kept "
        "nor as survivors, and in no rate.",
    )


def _problem(number: int, problem: ProblemResult) -> doc.Row:
    contested = sum(case.state is CaseState.CONTESTED for case in problem.cases)
    name = doc.soft(problem.name) if _bare(problem.name) != _bare(problem.id) else ""
    judged, wrong = len(problem.wrong_judged), len(problem.wrong)
    return (
        doc.Cell(_linked(number, problem), below=name),
        str(len(problem.ready)),
        str(len(problem.killers)),
        str(problem.invalid),
        _alert(contested),
        *_rate(len(problem.kept), len(problem.accepted_judged), len(problem.accepted), bad=bool(problem.rejected)),
        *_rate(len(problem.killed_before), judged, wrong),
        *_rate(len(problem.killed), judged, wrong),
        _alert(problem.unjudged),
    )


def _all_problems(result: RunResult) -> doc.Row:
    totals, counts = result.totals, result.summary()["counts"]
    judged, wrong = counts["wrong_judged"], counts["wrong"]
    kept = (counts["accepted_kept"], counts["accepted_judged"], counts["accepted"])
    return (
        f"all {totals.problems}" if totals.problems > len(result.problems) else "all",
        *map(str, (totals.cases, counts["cases_kept"], counts["invalid_inputs"], counts["contested"])),
        *_rate(*kept, bad=bool(totals.rejected)),
        *_rate(counts["wrong_killed_before"], judged, wrong),
        *_rate(counts["wrong_killed"], judged, wrong),
        str(totals.unjudged),
    )


def _rate(part: int, judged: int, whole: int, *, bad: bool = False) -> tuple[doc.Cell, str]:
    said = NOT_JUDGED if whole and not judged else part_of(part, judged)
    return doc.Cell(said, tone=doc.Tone.BAD if bad else doc.Tone.PLAIN), percent(part, judged) if judged else ""


def _alert(number: int) -> doc.Cell:
    return doc.Cell(str(number), tone=doc.Tone.BAD if number else doc.Tone.PLAIN)


def _bare(name: str) -> str:
    """Return the letters and digits of a name, in lower case: "Pair Sum" equals "pair-sum"."""
    return "".join(c for c in name.casefold() if c.isalnum())


def _spaced(text: str) -> str:
    return text.replace("_", " ")


# -- rounds --------------------------------------------------------------------------------------------


def _rounds(result: RunResult) -> Iterator[doc.Block]:
    if not result.scores:
        yield doc.Paragraph("No problem has been judged.")
    else:
        words = (
            "How well the cases tell right programs from wrong ones: with the problem\u2019s own data alone, then "
            "after each round."
        )
        if any(each.has_intervals for each in result.scores):
            words += " Below each rate is its 95% interval, if other problems of the same kind were drawn."
        yield doc.Paragraph(words, soft=True)
        yield round_table(result)
        yield doc.Paragraph(
            "The first of two columns is over all submissions, \u201cper problem\u201d is the mean over problems. "
            "Verifier accuracy is the share of problems whose cases keep every accepted and reject every wrong "
            "submission.",
            soft=True,
        )
    if result.brought:
        note = (
            "A kill is a case with a wrong submission that it rejects. The first kill of a submission belongs to the "
            "first case that rejected it. Killed submissions are not run in later rounds."
        )
        yield replace(brought_table(result.brought), note=note)
    if spent := spent_said(result):
        yield doc.Paragraph(f"Use of the model: {spent}.")
    if looks := looks_said(result):
        yield doc.Bullets(looks, "Suspect ends that were run again")


# -- survivors -----------------------------------------------------------------------------------------


def _survivors(result: RunResult) -> Iterator[doc.Block]:
    counts = result.summary()["counts"]
    if counts["wrong_killed"] >= counts["wrong_judged"]:
        return
    yield doc.table(
        (
            doc.Column("problem", _NAME),
            doc.Column("submission", _NAME),
            doc.Column("expected", _TEXT),
            doc.Column("cases it passed"),
        ),
        (
            (doc.code(problem.id), doc.code(each.name), _spaced(each.expected), part_of(passed, len(problem.ready)))
            for problem in result.problems
            for each in problem.survivors
            for passed in [sum(verdict is Verdict.ACCEPTED for verdict in each.verdicts.values())]
        ),
    )
    shown, survivors = sum(len(problem.survivors) for problem in result.problems), counts["survivors"]
    if survivors > shown:
        where = count(result.totals.surviving, "problem")
        yield doc.Paragraph(f"Shown are {shown} of {survivors}, in {where}.", soft=True)
    if result.readings:
        yield doc.Heading("To read: programs that survive, beside the cases that came closest")
        many = len(result.readings)
        some = f" Shown are {many} of {survivors}." if many < survivors else ""
        yield doc.Paragraph(
            f"The closest cases reject most of the other wrong submissions of the problem.{some}", soft=True
        )
        yield from map(_reading, result.readings)


def _reading(each: SurvivorReading) -> doc.Details:
    program = (doc.Heading(f"The program ({each.language})", 4), doc.Preformatted(tuple(each.source.split("\n"))))
    nearest = [block for case in each.nearest for block in _case(case)]
    beside = tuple(nearest) or (doc.Paragraph("No case rejects any submission of this problem."),)
    return doc.Details((doc.code(each.problem), " ", doc.code(each.submission)), doc.Panes((program, beside), "beside"))


def _case(case: NearCase) -> Iterator[doc.Block]:
    origin = shorten(f"{case.origin.generator}: {case.origin.detail}", 80)
    yield doc.Heading(f"Case {case.id} rejects {len(case.rejects)}: {origin}", 4)
    yield doc.Paragraph(shorten(", ".join(case.rejects), 200), soft=True)
    yield doc.Preformatted(tuple(case.input.split("\n")))
    yield doc.Paragraph("expected", soft=True)
    yield doc.Preformatted(tuple(case.answer.split("\n")))


# -- what is not among the figures ---------------------------------------------------------------------


def _disagreements(result: RunResult) -> doc.Block:
    columns = (
        doc.Column("problem", _NAME),
        doc.Column("case"),
        doc.Column("from", _NAME),
        doc.Column("submission", _NAME),
        doc.Column("verdict", _TEXT),
        doc.Column("note", _NAME),
    )
    rows = (
        (
            doc.code(problem.id),
            str(found.case),
            f"{found.origin.generator}: {shorten(found.origin.detail, 120)}",
            doc.code(found.submission),
            _spaced(found.verdict.value),
            shorten(found.note, _MOST),
        )
        for problem in result.problems
        for found in problem.disagreements
    )
    note = (
        "These cases are not used: an accepted submission contradicts the expected output, or (judge error) the output "
        "validator could not judge an output."
    )
    return doc.table(columns, rows, note=note)


def _noted(rows: Iterable[doc.Row]) -> doc.Block:
    return doc.table((doc.Column("problem", _NAME), doc.Column("what", _NAME), doc.Column("why", _NAME)), rows)


def notes(result: RunResult) -> list[tuple[doc.Words, doc.Words, str]]:
    """Return the notes on all problems: the problem, the subject in it, and the note."""
    return [(doc.code(problem.id), *note) for problem in result.problems for note in _notes_on(problem)]


def _notes_on(problem: ProblemResult) -> Iterator[tuple[doc.Words, str]]:
    for subject, why in problem.left_out.items():
        if not left_out_for(why):  # these are in the headline, once for the whole run
            yield doc.code(subject), shorten(f"left out: {why}", _MOST)
    for submission in problem.submissions:
        if not submission.compiles and submission.name not in problem.left_out:
            yield doc.code(submission.name), "does not compile: not counted"
    for words in problem.notes:
        yield "note", shorten(words, _MOST)


def _rows_left_out(result: RunResult) -> doc.Block:
    shown = len(result.left_out_rows)
    first = f"; shown are the first {shown}" if shown < result.rows_left_out else ""
    return doc.table(
        (doc.Column("row"), doc.Column("why", _NAME)),
        ((str(row.number), shorten(row.why, _MOST)) for row in result.left_out_rows),
        note=f"{count(result.rows_left_out, 'row')} could not be used{first}. Rows are counted from 0.",
    )


def _each_problem(result: RunResult) -> Iterator[doc.Block]:
    yield doc.Paragraph(
        "A row is a submission, a column is a case. The number before the cells is the number of cases that the "
        "submission failed. Above a case: S is the problem\u2019s own (sample) data, K is kept, because it kills a "
        "wrong submission. Below are wrong programs, each beside the first case that rejects it.",
        soft=True,
    )
    yield LEGEND
    killed: defaultdict[str, list[KilledReading]] = defaultdict(list)
    for reading in result.killed_readings:
        killed[reading.problem].append(reading)
    for number, problem in enumerate(result.problems):
        _, *matrix = kill_matrix(problem)
        inside = (*matrix, *map(_killed, killed[problem.id]))
        yield doc.Details(_summed(problem), doc.Panes((inside,), "one"), f"problem-{number}")


def _summed(problem: ProblemResult) -> doc.Words:
    judged = len(problem.wrong_judged)
    said = f"{len(problem.killed)} of {judged} wrong killed" if judged else "no wrong submission judged"
    troubled = ", ".join(_troubles_of(problem))
    return (
        doc.code(problem.id),
        doc.soft(f"  {count(len(problem.ready), 'case')}, {said}"),
        f"; {troubled}" * bool(troubled),
    )


def _killed(each: KilledReading) -> doc.Details:
    program = (doc.Heading(f"The program ({each.language})", 4), doc.Preformatted(tuple(each.source.split("\n"))))
    summary = (doc.code(each.submission), doc.soft(f"  killed by case {each.case.id}"))
    return doc.Details(summary, doc.Panes((program, tuple(_case(each.case))), "beside"))


# -- endpoints -----------------------------------------------------------------------------------------


def _endpoints(result: RunResult) -> Iterator[doc.Block]:
    lines = endpoint_lines(result)
    yield endpoint_table(lines) if lines else doc.Paragraph("No endpoints.")
    for url, leases in gone_endpoints(result).items():
        yield doc.Paragraph((f"{count(leases, 'lease')} on ", doc.code(url), ", which has left the pool."))
