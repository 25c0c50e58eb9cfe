"""Predictions and plans as tables and words: each figure with its unit and interval.

The same tables are text, part of a command's output and part of a page.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from balancer.reporting.document import (
    Block,
    Cell,
    Column,
    ColumnKind,
    Paragraph,
    Section,
    Table,
    Tone,
    identifier,
    table,
)
from balancer.reporting.terminal import print_sections
from balancer.reporting.words import NOTHING, count, percent, seconds, times
from balancer_simulator.planning.goodness import FitCheck
from balancer_simulator.planning.predicted import Predicted
from balancer_simulator.studies.figures import figure_of, scale_of

if TYPE_CHECKING:
    from balancer_simulator.planning.plan import PoolPlan, Setting

__all__ = [
    "Prediction",
    "config_remarks", "fit_section", "interval_words", "plan_data", "plan_sections", "plan_verdict",
    "prediction_data", "prediction_sections",
]  # fmt: skip

_WIDTH: Final = 120  # letters of a line of text
_SHARE: Final = "lost"  # a figure whose unit is a share
_TEXT, _MEASURE = ColumnKind.TEXT, ColumnKind.MEASURE


# -- a fit ---------------------------------------------------------------------------------------------


def fit_section(held: FitCheck) -> Section:
    """Return each figure in the trace and in runs of the fit; those that are off are marked, and come first."""
    columns = [Column("", ColumnKind.NAME), *map(Column, ("in the trace", "in the fit", "off by"))]
    rows = list[tuple[Cell | str, ...]]()
    for each in sorted(held.figures, key=lambda each: not each.is_off):
        measured, fitted, off = each.values
        rows.append((each.name.rstrip(":"), measured, fitted, Cell(off, tone=Tone.BAD if each.is_off else Tone.PLAIN)))
    return Section("in the trace, and in runs of the fitted scenario", (table(columns, rows),))


# -- a prediction --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prediction:
    """Prediction of the next run. As text, a table with units.

    Attributes:
        figures: by name, see `planner.FIGURES`; `makespan_s` is that of the whole run.
        shares: the share of the calls at each endpoint, by URL.
        draws: number of resampled fits.
        today, today_shares: with changes: the same without them, from the same fits and requests.
        recorded, recorded_shares: those of the trace.
        changes: in words.
        remarks: assumptions and warnings, a sentence each.
        off: what `FitCheck.lines` says of its fit; () if the fit is like its trace.
    """

    figures: dict[str, Predicted]
    shares: dict[str, Predicted]
    draws: int
    today: dict[str, Predicted] = field(default_factory=dict)
    today_shares: dict[str, Predicted] = field(default_factory=dict)
    recorded: dict[str, float] = field(default_factory=dict)
    recorded_shares: dict[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=_WIDTH, color_system=None)
        print_sections(prediction_sections(self), console)
        assert isinstance(console.file, StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def prediction_sections(found: Prediction) -> list[Section]:
    """Return a prediction as tables and paragraphs, under titles."""
    title = "the next run"
    if found.changes:
        title += f": {', '.join(found.changes)}"
    names = {name: (figure_of(name).heading, figure_of(name).meaning) for name in {**found.today, **found.figures}}
    figures = _beside("figure", names, found.recorded, found.today, found.figures)
    several = "from the same resampled fits and requests" if found.today else "from resampled fits"
    note = f"in brackets: 95% intervals of one run, {several} ({found.draws})"
    words: tuple[Block, ...] = (*map(Paragraph, found.off), figures, *map(Paragraph, (note, *found.remarks)))
    sections = [Section(title, words, "figures", "Figures")]
    if len(found.shares) > 1:
        urls = {url: (url, "") for url in {**found.today_shares, **found.shares}}
        shares = _beside("endpoint", urls, found.recorded_shares, found.today_shares, found.shares)
        sections.append(Section("share of the calls, by endpoint", (shares,), "shares", "Shares"))
    return sections


def prediction_data(found: Prediction) -> dict[str, Any]:
    """Return a prediction of a next run as plain data."""
    return {
        "changes": list(found.changes),
        "draws": found.draws,
        "recorded": found.recorded,
        "today": _plain(found.today or found.figures),
        "changed": _plain(found.figures) if found.today else None,
        "shares": {
            "recorded": found.recorded_shares, "today": _plain(found.today_shares or found.shares),
            "changed": _plain(found.shares) if found.today else None,
        },
        "off": list(found.off),
        "remarks": list(found.remarks),
    }  # fmt: skip


def _plain(figures: Mapping[str, Predicted]) -> dict[str, dict[str, float]]:
    return {name: asdict(each) for name, each in figures.items()}


def _beside(
    head: str,
    names: Mapping[str, tuple[str, str]],
    recorded: Mapping[str, float],
    today: Mapping[str, Predicted],
    found: Mapping[str, Predicted],
) -> Table:
    """Return the predicted values; with changes, those of today and the difference beside them."""
    kind = {name: name if head == "figure" else _SHARE for name in names}
    columns = [Column(head, _TEXT, unbroken=True)]
    columns += [Column("recorded", _MEASURE)] if recorded else []
    columns += [Column("as it is", _MEASURE), Column("changed", _MEASURE), Column("differs")] if today else []
    columns += [] if today else [Column("predicted", _MEASURE)]
    rows = []
    for name, (heading, meaning) in names.items():
        was, now, then = recorded.get(name), today.get(name), found.get(name)
        row = [Cell(heading, meaning=meaning)]
        row += [Cell(NOTHING if was is None else _value_words(kind[name], was))] if recorded else []
        row += [Cell(interval_words(kind[name], now))] if today else []
        row += [Cell(interval_words(kind[name], then))]
        row += [Cell(times(then.value, now.value) if now and then else NOTHING)] if today else []
        rows.append(tuple(row))
    return table(columns, rows)


# -- a plan --------------------------------------------------------------------------------------------


def plan_verdict(found: "PoolPlan") -> str:
    """Return the answer as a sentence."""
    goal, answer = found.goal, found.chosen or found.nearest
    losing = f", without {count(goal.losing, 'endpoint')}" if goal.losing else ""
    if goal.p99_s is not None:
        wish = f"p99 of at most {seconds(goal.p99_s)} at {goal.load:g} x today's load"
    else:
        wish = "as soon as possible" if math.isinf(goal.at_most) else f"deadline {seconds(goal.at_most)}"
    wish += f"{losing}, with {goal.certainty:.0%}"
    failed = "" if found.chosen else "no setting that was tried does; the nearest: "
    if answer is None:
        return f"{wish}: no setting that was tried does"
    if answer is found.present:
        return f"{wish}: {failed or 'leave it as it is: '}{_sure(found, answer)}"
    parts = [count(len(answer.slots), "endpoint"), answer.strategy]
    parts += [count(answer.callers, _crew(answer))] if answer.callers else []
    return f"{wish}: {failed}{', '.join(parts)}: {_sure(found, answer)}"


def _sure(found: "PoolPlan", answer: "Setting") -> str:
    if not math.isfinite(answer.sure):
        return "it never ends" if found.goal.p99_s is None else "times grow without end"
    return f"sure of {seconds(answer.sure)}"


def _crew(setting: "Setting") -> str:
    return "problem" if setting.scenario.workload.kind == "batch" else "caller"


def _made_up(setting: "Setting") -> Iterator[str]:
    """Yield a line for all endpoints that do not exist yet and copy the same one."""
    for like in dict.fromkeys(setting.made_up.values()):
        many = list(setting.made_up.values()).count(like)
        its = "its address" if many == 1 else "their addresses"
        yield f"{count(many, 'made-up server')} like {like}: replace {its}"


def config_remarks(found: "PoolPlan", setting: "Setting") -> list[str]:
    """Return what is to be known by whoever runs the config of a setting."""
    remarks = [plan_verdict(found), *([f"{count(setting.callers, _crew(setting))} at once"] if setting.callers else [])]
    remarks.append("a trace has only the names of endpoints: where a name is not an address, put the address in")
    return [*remarks, *_made_up(setting)]


def plan_sections(found: "PoolPlan") -> list[Section]:
    """Return the answer, the settings beside it, and its shares by endpoint."""
    said, answer = [plan_verdict(found)], found.chosen or found.nearest
    if answer is not None:
        said += ["slots: " + ", ".join(f"{url} {slots}" for url, slots in answer.slots.items()), *_made_up(answer)]
    note = f"in brackets: 95% intervals of one run; sure: with {found.goal.certainty:.0%}"
    words: tuple[Block, ...] = (*map(Paragraph, (*said, *found.remarks)), _settings_table(found), Paragraph(note))
    sections = [Section("", words, "settings", "Settings")]
    if answer is not None and len(answer.forecast.shares) > 1:
        rows = [(identifier(url), interval_words(_SHARE, each)) for url, each in answer.forecast.share_of.items()]
        shares = table([Column("endpoint", ColumnKind.NAME), Column("share", _MEASURE)], rows)
        sections.append(Section("share of the calls, by endpoint of the answer", (shares,), "shares", "Shares"))
    return sections


def plan_data(found: "PoolPlan") -> dict[str, Any]:
    """Return the answer, all settings that were tried, and the knee, as plain data."""
    named = {"present": found.present, "chosen": found.chosen, "nearest": found.nearest}
    return {
        "verdict": plan_verdict(found),
        "goal": {name: value for name, value in asdict(found.goal).items() if value not in (None, math.inf)},
        **{name: each and _data(found, each) for name, each in named.items()},
        "tried": [_data(found, each) for each in found.tried],
        "remarks": list(found.remarks),
    }


def _data(found: "PoolPlan", setting: "Setting") -> dict[str, Any]:
    return {
        "strategy": setting.strategy,
        "callers": setting.callers,
        "endpoints": setting.slots,
        "made_up": setting.made_up,
        "cost": setting.cost,
        "figures": _plain(setting.forecast.figures),
        "shares": _plain(setting.forecast.share_of),
        "sure_s": setting.sure,
        "does": found.does(setting),
    }


def _settings_table(found: "PoolPlan") -> Table:
    closed, figure = found.goal.p99_s is None, found.goal.figure
    columns = [Column(head, _TEXT, unbroken=True) for head in ("setting", "strategy")]
    columns += [
        Column("servers"),
        Column("slots"),
        *([Column("callers")] if closed else []),
        Column("cost", wide=closed),
    ]
    columns += [Column(figure_of(figure).heading, _MEASURE), Column("sure"), Column("lost"), Column("")]
    rows = []
    for name, each in (("as it is", found.present), ("fails", found.nearest), ("answer", found.chosen)):
        if each is None or (each is found.present and name != "as it is"):
            continue
        ends = each.forecast.figures.get(figure) if math.isfinite(each.sure) else None
        lost = each.forecast.mean("lost")
        rows.append((
            name, identifier(each.strategy), str(len(each.slots)), str(sum(each.slots.values())),
            *((str(each.callers),) if closed else ()), f"{each.cost:g}", interval_words(figure, ends),
            seconds(each.sure) if math.isfinite(each.sure) else "never",
            percent(lost, digits=1) if math.isfinite(lost) else NOTHING, "does" if found.does(each) else "fails",
        ))  # fmt: skip
    return table(columns, rows)


# -- figures in words ----------------------------------------------------------------------------------


def interval_words(name: str, found: Predicted | None) -> str:
    """Return a figure with its unit and interval, e.g. "182 ms (177 to 187)"."""
    if found is None:
        return NOTHING
    scale, unit = scale_of(found.value or found.high, figure_of(name).unit)
    value, low, high = (_digits(scale * each) for each in (found.value, found.low, found.high))
    return f"{value}{unit} ({low} to {high})"


def _value_words(name: str, value: float) -> str:
    scale, unit = scale_of(value, figure_of(name).unit)
    return f"{_digits(scale * value)}{unit}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"
