"""The summary in the terminal.

It fits into 80 columns. Its own words are ASCII, and names are encoded as the terminal is, so that no locale makes it
fail. It is told the path of the report, and reads and writes no file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from balancer.pipeline.report.endpoints import EndpointLine, endpoint_lines
from balancer.pipeline.report.headline import NOT_JUDGED, left_out_lines, troubles, warnings
from balancer.pipeline.report.rates import looks_said, rate_lines, spent_said
from balancer.pipeline.results.predictions import prediction_lines
from balancer.pipeline.results.run_result import CaseState, GeneratorYield, ProblemResult, RunResult
from balancer.reporting.terminal import Clean, cleaner, plain_table
from balancer.reporting.words import NOTHING, count, number, percent, ratio, seconds

__all__ = ["print_summary"]

_MOST_SURVIVORS = 20  # problems listed with their survivors
_MOST_PROBLEMS = 40
_MOST_ENDPOINTS = 12
_OTHER_COLUMNS = 60  # what the table of problems needs beside their names


def print_summary(result: RunResult, console: Console, *, report: Path | None = None) -> None:
    """Print what was found, at any width from 80 columns; without colours where `console` has none.

    Args:
        report: where `report.html` is, if there is one.
    """
    clean = cleaner(console)
    for part in _parts(result, clean, console.width):
        console.print(part)
        console.print()
    if report is not None:
        console.print(Text.assemble("report: ", clean(str(report), style="bold")), soft_wrap=True)


def _parts(result: RunResult, clean: Clean, width: int) -> Iterator[RenderableType]:
    if said := (*left_out_lines(result), *troubles(result)):
        yield Text("\n").join(clean(line, style="bold yellow") for line in said)
    if result.problems:
        yield _problems(result, clean, width)
    if len(result.scores) > 1:
        yield _rounds(result, clean)
    yield Text("\n").join([clean(_sentence(result)), *(clean(w, style="bold yellow") for w in warnings(result))])
    if any(problem.survivors for problem in result.problems):
        yield _survivors(result, clean, width)
    if made := [each for each in result.brought if each.asked_s or each.proposed]:
        yield _brought(made, clean)
    if result.pool.endpoints:
        lines = endpoint_lines(result)
        yield _endpoints(lines, clean, width)
        if any(line.health for line in lines):
            yield _health(lines, clean, width)
    yield _pool(result, clean)
    if spent := spent_said(result):
        yield _facts("Model", [("asked", spent)], clean)
    if result.predictions:
        yield _facts("Its own end", [("", line) for line in prediction_lines(result.predictions)], clean)
    if result.rechecks:
        yield _facts("Time limits looked at twice", [("", line) for line in looks_said(result)], clean)


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


def _grid(title: str) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.title, grid.title_justify, grid.title_style = title, "left", "bold"
    grid.add_column(no_wrap=True)
    grid.add_column()
    return grid


def _facts(title: str, lines: Iterable[tuple[str, str]], clean: Clean) -> Table:
    grid = _grid(title)
    for what, words in lines:
        grid.add_row(what, clean(words))
    return grid


def _rounds(result: RunResult, clean: Clean) -> Table:
    table = plain_table("Round by round (95% intervals over problems)")
    table.add_column("", no_wrap=True)
    for head in ("accepted\nkept", "wrong\nrejected", "the same,\nper problem", "verifier\naccuracy"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in rate_lines(result):
        shown = [0, 2, 3, 4]  # those that differ from round to round
        table.add_row(clean(line.when), *(clean(line.rates[n]) for n in shown))
        table.add_row("", *(clean(line.ranges[n], style="dim") for n in shown))
    return table


def _brought(made: Iterable[GeneratorYield], clean: Clean) -> Table:
    table = plain_table("What each generator brought")
    table.add_column("generator", no_wrap=True)
    for head in ("proposed", "valid", "cases", "kills", "first\nkills", "asked", "runs"):
        table.add_column(head, justify="right", no_wrap=True)
    for each in made:
        figures = (each.proposed, each.valid, each.cases, each.kills, each.first_kills)
        times = (seconds(each.asked_s), seconds(each.run_s))
        table.add_row(clean(each.generator, 20), *(clean(str(n)) for n in figures), *map(clean, times))
    return table


def _problems(result: RunResult, clean: Clean, width: int) -> Table:
    table = plain_table("Problems")
    summary = result.summary()
    table.show_footer = summary["problems"] > 1
    counts = summary["counts"]
    totals = (
        "all",
        f"{summary['cases']} ({counts['cases_kept']})",
        _kept(counts["accepted_kept"], counts["accepted_judged"], counts["accepted"]),
        _killed(counts["wrong_killed_before"], counts["wrong_killed"], counts["wrong_judged"], counts["wrong"]),
        str(counts["contested"]),
        str(summary["unjudged"]),
    )
    heads = ("problem", "cases\n(kept)", "accepted\nkept", "wrong killed\nbefore -> after", "contested", "unjudged")
    for head, total in zip(heads, totals, strict=True):
        table.add_column(head, clean(total), justify="left" if head == "problem" else "right", no_wrap=True)
    for problem in result.problems[:_MOST_PROBLEMS]:
        table.add_row(*_problem_row(problem, clean, width))
    if summary["problems"] > _MOST_PROBLEMS:
        table.add_row(f"... and {summary['problems'] - _MOST_PROBLEMS} more")
    return table


def _problem_row(problem: ProblemResult, clean: Clean, width: int) -> Iterator[Text]:
    kept = _kept(len(problem.kept), len(problem.accepted_judged), len(problem.accepted))
    before, after, wrong = len(problem.killed_before), len(problem.killed), len(problem.wrong)
    killed = _killed(before, after, len(problem.wrong_judged), wrong)
    contested = sum(case.state is CaseState.CONTESTED for case in problem.cases)
    yield clean(problem.id, max(8, width - _OTHER_COLUMNS))
    yield clean(f"{len(problem.ready)} ({len(problem.killers)})")
    yield clean(kept, style="bold red" if problem.rejected else "")
    yield clean(killed, style="green" if wrong and after == wrong else "")
    yield clean(str(contested), style="yellow" if contested else "")
    yield clean(str(problem.unjudged), style="bold yellow" if problem.unjudged else "")


def _kept(kept: int, judged: int, accepted: int) -> str:
    return f"{kept}/{judged}" if judged else _unknown(accepted)


def _killed(before: int, after: int, judged: int, wrong: int) -> str:
    return f"{before} -> {after} of {judged}" if judged else _unknown(wrong)


def _unknown(submissions: int) -> str:
    return NOT_JUDGED if submissions else NOTHING


def _survivors(result: RunResult, clean: Clean, width: int) -> Table:
    grid = _grid("Wrong submissions that survive")
    surviving = [problem for problem in result.problems if problem.survivors]
    for problem in surviving[:_MOST_SURVIVORS]:
        names = Text(", ").join(clean(s.name, width // 2) for s in problem.survivors)
        grid.add_row(clean(problem.id, 24), names)
    all_surviving = result.totals.surviving
    if all_surviving > _MOST_SURVIVORS:
        grid.add_row("...", f"and in {count(all_surviving - _MOST_SURVIVORS, 'more problem')}: see the report")
    return grid


def _endpoints(lines: tuple[EndpointLine, ...], clean: Clean, width: int) -> Table:
    table = plain_table("Endpoints")
    table.add_column("endpoint", no_wrap=True)
    for head in ("leases", "share", "by\nweight", "utili-\nsation", "failures", "overloads"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in lines[:_MOST_ENDPOINTS]:
        table.add_row(
            clean(line.name, max(12, width - 56)),
            clean(str(line.leases)),
            *(clean(percent(part, digits=1)) for part in (line.share, line.due)),
            clean(percent(line.utilisation)),
            *(clean(str(n), style="bold yellow" if n else "") for n in (line.failures, line.overloads)),
        )
    if len(lines) > _MOST_ENDPOINTS:
        table.add_row(f"... and {len(lines) - _MOST_ENDPOINTS} more")
    return table


def _health(lines: tuple[EndpointLine, ...], clean: Clean, width: int) -> Table:
    """Return the endpoints that were out of service, are not yet back or never answered; the others need no line."""
    grid = _grid("Health")
    told = [line for line in lines if line.ejections or line.standing != "healthy"]
    for line in told[:_MOST_ENDPOINTS]:
        grid.add_row(clean(line.name, max(12, width - 44)), clean(_standing(line), style="bold yellow"))
    if len(told) > _MOST_ENDPOINTS:
        grid.add_row(f"... and {len(told) - _MOST_ENDPOINTS} more")
    if len(told) < len(lines):
        grid.add_row("all others" if told else "all endpoints", "never ejected, healthy at the end")
    return grid


def _standing(line: EndpointLine) -> str:
    if not line.leases:
        return "was never called, so its health is not known"
    if not line.answered:
        return f"never answered ({count(line.failures, 'failure')}), ejected {count(line.ejections, 'time')}"
    return f"ejected {count(line.ejections, 'time')}, at the end {line.standing}"


def _pool(result: RunResult, clean: Clean) -> Table:
    grid = _grid("Pool")
    for what, words in _pool_lines(result):
        grid.add_row(what, clean(words))
    return grid


def _pool_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    pool, waits = result.pool, result.pool.wait_s
    rate = f" ({percent(pool.acquire_rate)} got one)" if pool.acquired + pool.timed_out else ""
    yield "strategy", result.strategy
    yield "acquires", f"{pool.acquired} got a lease, {pool.timed_out} timed out{rate}"
    if pool.calls:
        yield "calls", f"{pool.calls} ended, {pool.failures} failed ({percent(pool.failure_rate)})"
    yield "waits", f"p50 {seconds(waits.p50)}, p99 {seconds(waits.p99)}, longest {seconds(waits.max)}"
    yield "fairness", f"Jain's index {number(pool.jain)}, balance score {number(pool.balance_score)}"
    bound_s = result.bound_s
    if bound_s:
        yield (
            "makespan",
            f"{seconds(result.makespan_s)}, lower bound {seconds(bound_s)}, ratio {ratio(result.makespan_s, bound_s)}, "
            f"utilisation {percent(result.utilisation)}",
        )
