"""Report of a number of servers: lines for a terminal, plain data, and a page with the knee: p99 by load."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, narrow_svg, to_svg
from balancer.reporting.document import (
    Chart,
    Column,
    ColumnKind,
    Document,
    Figures,
    Paragraph,
    Row,
    RowGroup,
    Section,
    Table,
    Tone,
    identifier,
    table,
)
from balancer.reporting.words import NOTHING, count, percent, seconds
from balancer_simulator.predicting.shown import interval_words
from balancer_simulator.predicting.sizing import ServerForecast, Sizing
from balancer_simulator.report.document import put_page
from balancer_simulator.report.recommendation import made_up_lines

__all__ = ["servers_verdict", "sizing_data", "sizing_sections", "write_sizing"]

_P99 = "sojourn_p99_s"


def servers_verdict(found: Sizing) -> str:
    """Return the answer as a sentence, with the slots of each server."""
    return "; ".join(_verdict(found))


def _verdict(found: Sizing) -> list[str]:
    """Yield the answer, then the slots of its servers and what else is to be known of them."""
    goal = found.goal
    losing = f", without {count(goal.losing, 'endpoint')}" if goal.losing else ""
    wish = f"p99 of at most {seconds(goal.p99_s)} at {goal.load:g} x today's load{losing}, with {goal.certainty:.0%}"
    pool = found.chosen or found.fails
    if pool is None:
        return [f"{wish}: no pool that was tried does"]
    many = f"{count(len(pool.setting.endpoints), 'endpoint')}, {pool.setting.strategy}"
    slots = "slots: " + ", ".join(f"{model.url} {model.capacity}" for model in pool.scenario.endpoints)
    rest = [slots, *_beyond(pool), *made_up_lines(pool)]
    if found.chosen is not None:
        return [f"{wish}: {many}", *rest]
    return [f"{wish}: no pool that was tried does", f"the nearest is sure of {seconds(pool.sure_s)}: {many}", *rest]


def _beyond(pool: ServerForecast) -> Iterator[str]:
    """Yield which endpoints get more calls at once than they ever had."""
    unseen = [each.url for each in pool.scenario.endpoints if each.capacity > (each.seen_at_once or each.capacity)]
    if unseen and pool.setting.slots > 1:
        yield f"never had so many calls at once, so the behaviour then is assumed: {', '.join(unseen)}"


def sizing_sections(found: Sizing) -> list[Section]:
    """Return the answer, the pools beside it and the knee, for a terminal or a page."""
    note = f"in brackets: 95% intervals of one run; sure: with {found.goal.certainty:.0%}"
    pools = Section("", (Paragraph(servers_verdict(found)), _pools(found), Paragraph(note)))
    return [pools, Section("p99 by load, in times of today's", (_knee(found),))]


def _pools(found: Sizing) -> Table:
    columns = [Column("pool", ColumnKind.TEXT, unbroken=True), Column("strategy", ColumnKind.TEXT, unbroken=True)]
    columns += [Column("servers"), Column("cost"), Column("p99", ColumnKind.MEASURE), Column("sure"), Column("lost")]
    return table(columns, [_row(*each) for each in _named(found)])


def _named(found: Sizing) -> Iterator[tuple[str, ServerForecast]]:
    yield "as it is", found.present
    if found.fails is not None and found.fails is not found.present:
        yield "fails", found.fails
    if found.chosen is not None and found.chosen is not found.present:
        yield "answer", found.chosen


def _row(name: str, pool: ServerForecast) -> Row:
    return (
        name, identifier(pool.setting.strategy), str(len(pool.setting.endpoints)), f"{pool.cost:g}",
        interval_words(_P99, pool.p99_s), seconds(pool.sure_s), percent(pool.lost, digits=1),
    )  # fmt: skip


def _knee(found: Sizing) -> Table:
    loads = sorted({load for line in found.knee.values() for load in line})
    columns = [Column("load"), *(Column(name) for name in found.knee)]
    rows = [(f"x {load:g}", *(_at(found, name, load) for name in found.knee)) for load in loads]
    return table(columns, rows)


def _at(found: Sizing, name: str, load: float) -> str:
    each = found.knee[name].get(load)
    return NOTHING if each is None else interval_words(_P99, each)


def knee_chart(found: Sizing) -> Chart:
    """Return the p99 by load of today's pool, of the answer, and of one endpoint more."""
    lines = []
    for name, line in found.knee.items():
        loads = sorted(line)
        ends = [line[load] for load in loads]
        lines.append(ChartLine(name, loads, [e.value for e in ends], [e.low for e in ends], [e.high for e in ends]))
    loads = sorted({load for line in found.knee.values() for load in line})
    lines.append(ChartLine("wanted", loads, [found.goal.p99_s] * len(loads)))
    drawing = line_chart(
        [line for line in lines if len(line.xs)], xlabel="load, in times of today's", ylabel="p99 (s)",
        width=charts.WIDE, yscale="log",
    )  # fmt: skip
    gone = f" Without {count(found.goal.losing, 'endpoint')}, those that do most." if found.goal.losing else ""
    caption = f"99 in 100 requests take no longer. The lines at the marks are 95% intervals of one run.{gone}"
    return Chart("The knee: p99 by load", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def sizing_data(found: Sizing) -> dict[str, Any]:
    """Return the answer, all pools that were tried, and the knee, as plain data."""
    goal = found.goal
    return {
        "verdict": servers_verdict(found),
        "p99_s": goal.p99_s,
        "load": goal.load,
        "losing": goal.losing,
        "certainty": goal.certainty,
        "present": _data(found, found.present),
        "chosen": None if found.chosen is None else _data(found, found.chosen),
        "fails": None if found.fails is None else _data(found, found.fails),
        "tried": [_data(found, each) for each in found.tried],
        "knee": {name: {f"{load:g}": asdict(each) for load, each in line.items()} for name, line in found.knee.items()},
    }


def _data(found: Sizing, pool: ServerForecast) -> dict[str, Any]:
    return {
        "strategy": pool.setting.strategy,
        "endpoints": {model.url: model.capacity for model in pool.scenario.endpoints},
        "made_up": pool.made_up,
        "cost": pool.cost,
        "p99_s": None if pool.p99_s is None else asdict(pool.p99_s),
        "sure_s": pool.sure_s,
        "lost": pool.lost,
        "does": found.does(pool),
    }


def write_sizing(found: Sizing, folder: Path) -> Path:
    """Write `recommendation.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    pools, knee = sizing_sections(found)
    _, *beside = pools.blocks  # the answer is the page's verdict
    tried = 1 + (found.chosen is None)  # an answer, or that there is none and what is nearest
    said, *others = "; ".join(_verdict(found)[:tried]), *_verdict(found)[tried:]
    details = (Paragraph(f"{line[0].upper()}{line[1:]}.", soft=True) for line in others)
    sections = (
        Section("The pools beside it", tuple(beside), "pools", "Pools"),
        replace(knee, anchor="load", label="By load"),
        *_tried(found),
    )
    document = Document(
        "Recommendation", "Recommendation", sections,
        blocks=(*details, Figures((knee_chart(found),))),
        verdict=f"{said[0].upper()}{said[1:]}.",
        tone=Tone.BAD if found.chosen is None else Tone.GOOD,
    )  # fmt: skip
    return put_page(document, folder / "recommendation.html")


def _tried(found: Sizing) -> Iterator[Section]:
    if found.tried:
        rows = [_row(_said(found, each), each) for each in sorted(found.tried, key=lambda each: each.cost)]
        pools = replace(_pools(found), groups=(RowGroup("", tuple(rows)),))
        yield Section(f"All {len(found.tried)} that were tried", (pools,), "tried", "Tried", folded=True)


def _said(found: Sizing, pool: ServerForecast) -> str:
    return (
        "answer"
        if pool is found.chosen
        else "as it is"
        if pool is found.present
        else "does"
        if found.does(pool)
        else "fails"
    )
