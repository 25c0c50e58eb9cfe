"""Summary of a run in the terminal.

Decides what of the report fits into 80 columns. Its own words are ASCII.
"""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from balancer.pipeline.report.headline import NOT_JUDGED, left_out_lines, troubles, warnings
from balancer.pipeline.report.tables import (
    EndpointLine,
    brought_table,
    endpoint_lines,
    endpoint_table,
    facts,
    looks_said,
    pool_table,
    round_table,
    spent_said,
)
from balancer.pipeline.results.run_result import CaseState, ProblemResult, RunResult
from balancer.reporting import document as doc
from balancer.reporting.terminal import cleaner, print_sections
from balancer.reporting.words import NOTHING, count, percent, shorten

__all__ = ["print_summary"]

_MOST_SURVIVORS = 20  # problems listed with their survivors
_MOST_PROBLEMS = 40
_MOST_ENDPOINTS = 12
_MOST_OF_NAME = 60


def print_summary(result: RunResult, console: Console, *, report: Path | None = None) -> None:
    """Print the result, at any width from 80 columns; without colours if `console` has none.

    Args:
        result: of the run.
        console: to print to.
        report: path of `report.html`, if there is one.
    """
    print_sections(tuple(_sections(result)), console)
    if report is not None:
        console.print()
        console.print(Text.assemble("report: ", cleaner(console)(str(report), style="bold")), soft_wrap=True)


def _sections(result: RunResult) -> Iterator[doc.Section]:
    if said := (*left_out_lines(result), *troubles(result)):
        yield _untitled(*(doc.Paragraph(line, doc.Tone.DOUBTFUL) for line in said))
    if result.problems:
        yield doc.Section("Problems", (_problems(result),))
    if len(result.scores) > 1:
        intervals = " (95% intervals over problems)" * any(each.has_intervals for each in result.scores)
        yield doc.Section(f"Round by round{intervals}", (round_table(result),))
    yield _untitled(
        doc.Paragraph(_sentence(result)), *(doc.Paragraph(line, doc.Tone.DOUBTFUL) for line in warnings(result))
    )
    if any(problem.survivors for problem in result.problems):
        yield doc.Section("Wrong submissions that survive", (_survivors(result),))
    if made := [each for each in result.brought if each.asked_s or each.proposed]:
        yield _untitled(brought_table(made))
    if result.pool.endpoints:
        lines = endpoint_lines(result)
        yield doc.Section("Endpoints", (endpoint_table(lines, most=_MOST_ENDPOINTS),))
        if any(line.health for line in lines):
            yield doc.Section("Health", (_health(lines),))
    yield doc.Section("Pool", (pool_table(result),))
    if spent := spent_said(result):
        yield doc.Section("Model", (facts([("asked", spent)]),))
    if looks := looks_said(result):
        yield doc.Section("Suspect ends that were run again", tuple(map(doc.Paragraph, looks)))


def _untitled(*blocks: doc.Block) -> doc.Section:
    return doc.Section("", blocks)


def _sentence(result: RunResult) -> str:
    summary = result.summary()
    counts = summary["counts"]
    said = [f"{count(summary['problems'], 'problem')}, {count(summary['cases'], 'case')}"]
    if counts["accepted"]:
        judged = counts["accepted_judged"]
        said.append(f"accepted kept {_rate(counts['accepted_kept'], judged)}" if judged else f"accepted {NOT_JUDGED}")
    if counts["wrong"]:
        before, after, judged = counts["wrong_killed_before"], counts["wrong_killed"], counts["wrong_judged"]
        rates = f"wrong killed before {_rate(before, judged)}, after {_rate(after, judged)}"
        said.append(rates if judged else f"wrong {NOT_JUDGED}")
    return "; ".join(said)


def _rate(part: int, whole: int) -> str:
    return f"{part}/{whole} ({percent(part, whole)})"


def _problems(result: RunResult) -> doc.Table:
    summary = result.summary()
    counts = summary["counts"]
    totals = (
        "all",
        f"{summary['cases']} ({counts['cases_kept']})",
        _kept(counts["accepted_kept"], counts["accepted_judged"], counts["accepted"]),
        _killed(counts["wrong_killed_before"], counts["wrong_killed"], counts["wrong_judged"], counts["wrong"]),
        str(counts["contested"]),
        str(summary["unjudged"]),
    )
    heads = ("cases (kept)", "accepted kept", "wrong killed\nbefore -> after", "contested", "unjudged")
    more = summary["problems"] - _MOST_PROBLEMS
    rows = [tuple(_problem(problem)) for problem in result.problems[:_MOST_PROBLEMS]]
    rows += [(f"... and {more} more", *[""] * len(heads))] if more > 0 else []
    columns = (doc.Column("problem", doc.ColumnKind.NAME), *map(doc.Column, heads))
    return doc.table(columns, rows, totals=totals if summary["problems"] > 1 else ())


def _problem(problem: ProblemResult) -> Iterator[doc.Cell | str]:
    kept = _kept(len(problem.kept), len(problem.accepted_judged), len(problem.accepted))
    before, after, wrong = len(problem.killed_before), len(problem.killed), len(problem.wrong)
    killed = _killed(before, after, len(problem.wrong_judged), wrong)
    contested = sum(case.state is CaseState.CONTESTED for case in problem.cases)
    yield problem.id
    yield f"{len(problem.ready)} ({len(problem.killers)})"
    yield doc.Cell(kept, tone=doc.Tone.BAD if problem.rejected else doc.Tone.PLAIN)
    yield doc.Cell(killed, tone=doc.Tone.GOOD if wrong and after == wrong else doc.Tone.PLAIN)
    yield from (
        doc.Cell(str(n), tone=doc.Tone.DOUBTFUL if n else doc.Tone.PLAIN) for n in (contested, problem.unjudged)
    )


def _kept(kept: int, judged: int, accepted: int) -> str:
    return f"{kept}/{judged}" if judged else _unknown(accepted)


def _killed(before: int, after: int, judged: int, wrong: int) -> str:
    return f"{before} -> {after} of {judged}" if judged else _unknown(wrong)


def _unknown(submissions: int) -> str:
    return NOT_JUDGED if submissions else NOTHING


def _survivors(result: RunResult) -> doc.Table:
    surviving = [problem for problem in result.problems if problem.survivors]
    rows: list[doc.Row] = [
        (problem.id, ", ".join(shorten(s.name, _MOST_OF_NAME, gap="...") for s in problem.survivors))
        for problem in surviving[:_MOST_SURVIVORS]
    ]
    more = result.totals.surviving - _MOST_SURVIVORS
    return facts([*rows, *([("...", f"and in {count(more, 'more problem')}: see the report")] if more > 0 else [])])


def _health(lines: tuple[EndpointLine, ...]) -> doc.Table:
    """Return the endpoints that were out of service, are not back yet or never answered."""
    told = [line for line in lines if line.ejections or line.standing != "healthy"]
    rows: list[doc.Row] = [
        (line.name, doc.Cell(_standing(line), tone=doc.Tone.DOUBTFUL)) for line in told[:_MOST_ENDPOINTS]
    ]
    if len(told) > _MOST_ENDPOINTS:
        rows.append((f"... and {len(told) - _MOST_ENDPOINTS} more", ""))
    if len(told) < len(lines):
        rows.append(("all others" if told else "all endpoints", "never ejected, healthy at the end"))
    return facts(rows)


def _standing(line: EndpointLine) -> str:
    if not line.leases:
        return "was never called; its health is unknown"
    if not line.answered:
        return f"never answered ({count(line.failures, 'failure')}), ejected {count(line.ejections, 'time')}"
    return f"ejected {count(line.ejections, 'time')}, at the end {line.standing}"
