"""Summary of a run in the terminal.

Decides what of the report fits into 80 columns. Its own words are ASCII.
"""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from balancer.pipeline.report.document import problem_table
from balancer.pipeline.report.headline import left_out_lines, troubles, verdict, warnings
from balancer.pipeline.report.tables import (
    brought_table,
    endpoint_table,
    facts,
    pool_table,
    round_table,
    spent_said,
)
from balancer.pipeline.results.run_result import RunResult
from balancer.reporting import document as doc
from balancer.reporting.terminal import cleaner, print_sections
from balancer.reporting.words import count, shorten

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
        yield doc.Section("Problems", (problem_table(result, most=_MOST_PROBLEMS),))
    if len(result.scores) > 1:
        yield doc.Section("Round by round", (round_table(result),))
    about = f"{count(result.totals.problems, 'problem')}, {count(result.totals.counts['cases'], 'case')}"
    yield _untitled(
        doc.Paragraph(f"{about}. {verdict(result)[0]}"),
        *(doc.Paragraph(line, doc.Tone.DOUBTFUL) for line in warnings(result)),
    )
    if any(problem.survivors for problem in result.problems):
        yield doc.Section("Wrong submissions that survive", (_survivors(result),))
    if made := [each for each in result.brought if each.asked_s or each.proposed]:
        yield _untitled(brought_table(made))
    if result.pool.endpoints:
        yield doc.Section("Endpoints", (endpoint_table(result, most=_MOST_ENDPOINTS),))
    yield doc.Section("Pool", (pool_table(result),))
    if spent := spent_said(result):
        yield doc.Section("Model", (facts([("asked", spent)]),))


def _untitled(*blocks: doc.Block) -> doc.Section:
    return doc.Section("", blocks)


def _survivors(result: RunResult) -> doc.Table:
    surviving = [problem for problem in result.problems if problem.survivors]
    rows: list[doc.Row] = [
        (problem.id, ", ".join(shorten(s.name, _MOST_OF_NAME, gap="...") for s in problem.survivors))
        for problem in surviving[:_MOST_SURVIVORS]
    ]
    more = result.totals.surviving - _MOST_SURVIVORS
    return facts([*rows, *([("...", f"and in {count(more, 'more problem')}: see the report")] if more > 0 else [])])
