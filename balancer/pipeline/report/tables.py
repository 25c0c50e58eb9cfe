"""The tables of a run's report that the terminal and the page share: rounds, generators, endpoints.

Decides what each column is called and means. Pure; columns that are wide are left out in a terminal.
"""

from collections.abc import Iterable, Iterator

from balancer.pipeline.report.endpoints import EndpointLine
from balancer.pipeline.report.rates import RATES, moment, rate_cells, spent_cells, spent_said
from balancer.pipeline.results.run_result import GeneratorYield, RunResult
from balancer.reporting import document as doc
from balancer.reporting.words import number, percent, seconds, times

__all__ = ["brought_table", "endpoint_table", "facts", "pool_table", "round_table"]

_NAME = doc.ColumnKind.NAME
_MODEL = ("questions", "tokens", "cost", "seconds")


def round_table(result: RunResult) -> doc.Table:
    """Return the rates of each moment, with their intervals below, and what a model was used for."""
    spent = bool(spent_said(result))
    columns = [
        doc.Column("", _NAME),
        *(doc.Column(head, meaning=meaning, wide=wide) for _, head, meaning, wide in RATES),
        *(doc.Column(head, wide=True) for head in _MODEL if spent),
    ]
    rows = [
        (moment(scores.rounds), *rate_cells(scores), *(spent_cells(scores) if spent else ()))
        for scores in result.scores
    ]
    return doc.table(columns, rows)


def brought_table(made: Iterable[GeneratorYield]) -> doc.Table:
    """Return what each generator brought."""
    columns = (
        doc.Column("generator", _NAME),
        *map(doc.Column, ("proposed", "valid", "cases", "kills", "first kills")),
        doc.Column("asked", meaning="time that it was asked for inputs"),
        doc.Column("runs", meaning="time of program runs on its inputs"),
    )
    return doc.table(columns, map(_brought, made), title="What each generator brought")


def _brought(each: GeneratorYield) -> doc.Row:
    figures = (each.proposed, each.valid, each.cases, each.kills, each.first_kills)
    return (doc.code(each.generator), *map(str, figures), seconds(each.asked_s), seconds(each.run_s))


def endpoint_table(lines: tuple[EndpointLine, ...], *, most: int = 0) -> doc.Table:
    """Return a line for each endpoint; its health, where somebody watched it."""
    watched = any(line.health for line in lines)
    columns = [
        doc.Column("#", wide=True),
        doc.Column("endpoint", _NAME),
        doc.Column("state", wide=True),
        doc.Column("slots", wide=True),
        *map(doc.Column, ("leases", "share", "by\nweight", "utilisation", "failures", "overloads")),
        *(doc.Column(head, wide=True) for head in ("ejections", "health at\nthe end") if watched),
    ]
    return doc.table(columns, (tuple(_endpoint(line, watched)) for line in lines), most=most)


def _endpoint(line: EndpointLine, watched: bool) -> Iterator[doc.Cell | str]:
    yield str(line.number)
    yield doc.Cell(doc.code(line.name))
    yield from (line.state, str(line.capacity), str(line.leases))
    yield from (percent(line.share, digits=1), percent(line.due, digits=1), percent(line.utilisation))
    yield from map(_doubtful, (line.failures, line.overloads))
    if watched:
        yield _doubtful(line.ejections)
        yield doc.Cell(line.standing, tone=doc.Tone.PLAIN if line.standing == "healthy" else doc.Tone.DOUBTFUL)


def _doubtful(number: int) -> doc.Cell:
    return doc.Cell(str(number), tone=doc.Tone.DOUBTFUL if number else doc.Tone.PLAIN)


def facts(rows: Iterable[doc.Row]) -> doc.Table:
    """Return names and what is said of each."""
    columns = (doc.Column("", _NAME), doc.Column("", doc.ColumnKind.TEXT))
    return doc.Table(columns, (doc.RowGroup("", tuple(rows)),), look="facts")


def pool_table(result: RunResult) -> doc.Table:
    """Return what the pool did as a whole."""
    return facts(_pool(result))


def _pool(result: RunResult) -> Iterator[doc.Row]:
    pool, waits, bound_s = result.pool, result.pool.wait_s, result.bound_s
    yield "strategy", doc.code(result.strategy)
    rate = f": {percent(pool.acquire_rate)} got one" if pool.acquired + pool.timed_out else ""
    yield "acquires", f"{pool.acquired} got a lease, {pool.timed_out} timed out{rate}"
    if pool.calls:
        yield "calls", f"{pool.calls} ended, {pool.failures} failed: {percent(pool.failure_rate)}"
    quantiles = {"mean": waits.mean, "p50": waits.p50, "p90": waits.p90, "p99": waits.p99, "longest": waits.max}
    yield "waits", ", ".join(f"{name} {seconds(value_s)}" for name, value_s in quantiles.items())
    yield "Jain's index", (f"{number(pool.jain)} ", doc.soft("(leases by weight; 1: in proportion)"))
    score = doc.soft("(1 / (1 + variance of lease counts); 1: all had equally many)")
    yield "balance score", (f"{number(pool.balance_score)} ", score)
    bound = f"no schedule is shorter than {seconds(bound_s)}: {times(result.makespan_s, bound_s)} the bound"
    yield "makespan", f"{seconds(result.makespan_s)}; {bound}" if bound_s else "nothing was run"
    if bound_s:
        yield "utilisation", percent(result.utilisation)
