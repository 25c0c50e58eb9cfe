"""Tables of a run's report, for the terminal and the page: rounds, generators, endpoints. Pure.

Decides the name and the meaning of each column. A terminal leaves out wide columns.

The lines of endpoints join the leases of a run with the pool's counters.
"""

from collections.abc import Iterable, Iterator, Mapping

from balancer.core.metrics import EndpointStats
from balancer.pipeline.results.problem_result import GeneratorYield
from balancer.pipeline.results.run_result import RoundScores, RunResult
from balancer.reporting import document as doc
from balancer.reporting.words import NOTHING, count, number, percent, seconds, times

__all__ = [
    "brought_table",
    "endpoint_table",
    "facts",
    "gone_endpoints",
    "pool_table",
    "round_table",
    "spent_said",
]

_NAME = doc.ColumnKind.NAME
# Attribute of the scores, heading, and meaning.
_RATES = (
    ("tpr", "accepted kept", "over all submissions (TPR)"),
    ("tnr", "wrong rejected", "over all submissions (TNR)"),
    ("accuracy", "verifier accuracy", "problems whose cases keep every accepted and reject every wrong submission"),
)


def gone_endpoints(result: RunResult) -> Mapping[str, int]:
    """Return the endpoints that ran something and are no longer in the pool, with their leases."""
    known = {stats.name for stats in result.pool.endpoints}
    return {name: work.leases for name, work in result.work.endpoints.items() if name not in known}


def round_table(result: RunResult) -> doc.Table:
    """Return the rates with own data alone, and after each round. Rounds are named from 0, as in origins."""
    columns = [doc.Column("", _NAME), *(doc.Column(head, meaning=meaning) for _, head, meaning in _RATES)]
    names = (f"round {scores.rounds - 1}" if scores.rounds else "own data" for scores in result.scores)
    return doc.table(columns, [(name, *_rates(scores)) for name, scores in zip(names, result.scores, strict=True)])


def _rates(scores: RoundScores) -> Iterator[str]:
    for name, *_ in _RATES:
        rate: float | None = getattr(scores, name)
        yield NOTHING if rate is None else f"{100 * rate:.1f}%"


def brought_table(made: Iterable[GeneratorYield]) -> doc.Table:
    columns = (
        doc.Column("generator", _NAME),
        *map(doc.Column, ("proposed", "valid", "cases", "kills", "first kills")),
        doc.Column("asked", meaning="time in which it made inputs"),
        doc.Column("runs", meaning="time of program runs on its inputs"),
        doc.Column("CPU", meaning="CPU time of programs that it ran, and of submissions on its inputs"),
    )
    return doc.table(columns, map(_brought, made), title="What each generator brought")


def _brought(each: GeneratorYield) -> doc.Row:
    figures = (each.proposed, each.valid, each.cases, each.kills, each.first_kills)
    times = map(seconds, (each.asked_s, each.run_s, each.cpu_s))
    return (doc.code(each.generator), *map(str, figures), *times)


def endpoint_table(result: RunResult, *, most: int = 0) -> doc.Table:
    """Return a line for each endpoint of the pool; with its health, if that was watched."""
    endpoints = result.pool.endpoints
    watched, weights = any(stats.health for stats in endpoints), sum(stats.weight for stats in endpoints)
    columns = [
        doc.Column("endpoint", _NAME),
        doc.Column("state", wide=True),
        doc.Column("slots", wide=True),
        *map(doc.Column, ("leases", "share")),
        doc.Column("by\nweight", wide=True),
        *map(doc.Column, ("utilisation", "failures", "overloads")),
        *map(doc.Column, ("ejections", "health at\nthe end") if watched else ()),
    ]
    return doc.table(columns, (tuple(_endpoint(each, result, weights, watched)) for each in endpoints), most=most)


def _endpoint(stats: EndpointStats, result: RunResult, weights: float, watched: bool) -> Iterator[doc.Cell | str]:
    work, offered_s = result.work.at(stats.name), stats.capacity * result.makespan_s
    yield doc.Cell(doc.code(stats.name))
    yield from (stats.state, str(stats.capacity), str(stats.leases))
    yield percent(stats.share, digits=1)
    yield percent(stats.weight / weights if weights else 0.0, digits=1)
    yield percent(work.busy_s / offered_s if offered_s > 0 else 0.0)
    yield from map(_doubtful, (stats.failures, stats.overloads))
    if watched:
        yield _doubtful(stats.ejections)
        known = stats.health != "healthy" or work.answers  # it counts as healthy until a call fails
        standing = stats.health.replace("_", " ") if known else "not known"
        yield doc.Cell(standing, tone=doc.Tone.PLAIN if standing == "healthy" else doc.Tone.DOUBTFUL)


def _doubtful(number: int) -> doc.Cell:
    return doc.Cell(str(number), tone=doc.Tone.DOUBTFUL if number else doc.Tone.PLAIN)


def facts(rows: Iterable[doc.Row]) -> doc.Table:
    """Return a table of names and values."""
    columns = (doc.Column("", _NAME), doc.Column("", doc.ColumnKind.TEXT))
    return doc.Table(columns, tuple(rows), look="facts")


def pool_table(result: RunResult) -> doc.Table:
    """Return the figures of the whole pool."""
    return facts(_pool(result))


def _pool(result: RunResult) -> Iterator[doc.Row]:
    pool, waits, bound_s = result.pool, result.pool.wait_s, result.bound_s
    yield "strategy", doc.code(result.strategy)
    rate = f": {percent(pool.acquire_rate)} got one" if pool.acquired + pool.timed_out else ""
    yield "acquires", f"{pool.acquired} got a lease, {pool.timed_out} timed out{rate}"
    if pool.calls:
        yield (
            "calls",
            f"{pool.calls} ended, {pool.failures} failures: {percent(pool.failure_rate)}, {pool.overloads} overloads",
        )
    quantiles = {"mean": waits.mean, "p50": waits.p50, "p90": waits.p90, "p99": waits.p99, "longest": waits.max}
    yield "waits", ", ".join(f"{name} {seconds(value_s)}" for name, value_s in quantiles.items())
    yield "Jain's index", (f"{number(pool.jain)} ", doc.soft("(leases by weight; 1: in proportion)"))
    bound = f"no schedule is shorter than {seconds(bound_s)}: {times(result.makespan_s, bound_s)} the bound"
    yield "makespan", f"{seconds(result.makespan_s)}; {bound}" if bound_s else "nothing was run"
    if bound_s:
        yield "utilisation", percent(result.utilisation)
    if again := result.verified.again:
        part = percent(again, result.verified.runs)
        yield "made again", f"{count(again, 'run')} to verify others ({part}); {result.verified.differed} outvoted"


def spent_said(result: RunResult) -> str:
    """Return the run's use of a model as a line; "" if it asked none."""
    spent = [each.spent for each in result.scores]
    questions = sum(each.questions for each in spent)
    if not questions:
        return ""
    asked, answered = sum(each.asked for each in spent), sum(each.answered for each in spent)
    words = f"{count(questions, 'question')}, {asked + answered} tokens ({asked} asked, {answered} answered)"
    return f"{words}, {sum(each.seconds for each in spent):.3g} s of waiting"
