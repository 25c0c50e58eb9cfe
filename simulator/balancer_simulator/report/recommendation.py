"""Report of a recommendation: lines for a terminal, data, and a chart of the end by the number of endpoints.

Shown are the present setting, those with one endpoint after the other, and the recommended one.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, narrow_svg, to_svg
from balancer.reporting.document import Chart, Column, ColumnKind, Document, Figures, Paragraph, Section, Tone, table
from balancer.reporting.words import seconds
from balancer_simulator.predicting.recommend import Recommendation, SettingForecast
from balancer_simulator.predicting.settings import TriedSetting
from balancer_simulator.report.document import put_page

__all__ = [
    "end_chart",
    "made_up_lines",
    "recommendation_data",
    "recommendation_lines",
    "verdict",
    "write_recommendation",
]

_HEADINGS = (
    "endpoints",
    "slots",
    "callers",
    "strategy",
    "over after, s",
    "sure by, s",
    "endpoint-hours",
    "result",
)


def verdict(found: Recommendation, now: datetime | None = None) -> str:
    """Return the recommendation as a sentence. With `now`, the start of the run, it also names instants."""
    wish = "" if found.deadline_s is None else f" {_when(found.deadline_s, now)}"
    sure = f"with a probability of {found.certainty:.0%}"
    if found.chosen is None:
        budget = "" if found.budget_h is None else f" for at most {found.budget_h:.4g} endpoint-hours"
        near = found.nearest
        takes = "" if found.budget_h is None or near.ends_s is None else f"takes {near.cost_h:.3g} endpoint-hours and "
        return (
            f"no setting that was tried ends{wish}{budget} {sure}; the nearest {takes}ends "
            f"{_when(near.sure_s, now)}: {_words(found, near)}"
        )
    if found.chosen is found.present:
        return f"leave it as it is: it ends {_when(found.chosen.sure_s, now)} {sure}"
    return f"it ends {_when(found.chosen.sure_s, now)} {sure}: {_words(found, found.chosen)}"


def _when(after_s: float, now: datetime | None) -> str:
    if not math.isfinite(after_s):
        return "never"
    if now is None:
        return f"within {seconds(after_s)}"
    return f"within {seconds(after_s)} (by {now + timedelta(seconds=after_s):%A %Y-%m-%d %H:%M})"


def asked_for(found: Recommendation) -> str:
    """Return the request, the number of settings that were tried, and the assumptions."""
    deadline = "no deadline" if found.deadline_s is None else f"deadline {seconds(found.deadline_s)}"
    budget = "" if found.budget_h is None else f", for at most {found.budget_h:.3g} endpoint-hours"
    asked = f"{deadline}, with {found.certainty:.0%}{budget}; {len(found.tried)} settings were tried"
    return ". ".join([asked, *(remark[0].upper() + remark[1:] for remark in found.remarks)]) + "."


def recommendation_lines(found: Recommendation, now: datetime | None = None) -> Iterator[str]:
    """Yield the recommendation, the assumptions, then the important settings."""
    yield verdict(found, now)
    yield from found.remarks
    for name, outlook in _lines(found):
        ends = outlook.ends_s
        over = "not over"
        if ends is not None:
            interval = f"{seconds(ends.low)} to {seconds(ends.high)}"
            over = f"ends after {seconds(ends.value)} ({interval}), sure by {seconds(outlook.sure_s)}"
            over += f", {outlook.cost_h:.3g} endpoint-hours"
        differs = list(_differs(found, outlook))
        yield "; ".join([f"{name}: {over}", *([", ".join(differs)] if differs else []), _judged(found, outlook)])


def _judged(found: Recommendation, outlook: SettingForecast) -> str:
    wishes = ["the deadline"] * (found.deadline_s is not None) + ["the budget"] * (found.budget_h is not None)
    if not wishes:
        return "it ends" if found.does(outlook) else "it does not end"
    return f"{'meets' if found.does(outlook) else 'misses'} {' and '.join(wishes)}"


def _differs(found: Recommendation, outlook: SettingForecast) -> Iterator[str]:
    """Yield the parts of a setting: all of the present one, of others only the differences."""
    here, there = found.present, outlook
    every = outlook is here
    if every:
        yield _count(len(there.setting.endpoints), "endpoint")
    if left := _left_out(found, there):
        yield f"without {', '.join(left)}"
    if every or _slots(there) != _slots(here):
        yield _count(_slots(there), "slot")
    if every or there.setting.workers != here.setting.workers:
        yield there.crew
    if every or there.setting.strategy != here.setting.strategy:
        yield there.setting.strategy


def _left_out(found: Recommendation, outlook: SettingForecast) -> list[str]:
    there = {model.url for model in outlook.scenario.endpoints}
    return [model.url for model in found.present.scenario.endpoints if model.url not in there]


def _slots(outlook: SettingForecast) -> int:
    return sum(model.capacity for model in outlook.scenario.endpoints)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def recommendation_data(found: Recommendation) -> dict[str, Any]:
    """Return all settings that were tried, as plain data."""
    return {
        "verdict": verdict(found),
        "deadline_s": found.deadline_s,
        "budget_h": found.budget_h,
        "certainty": found.certainty,
        "present": _data(found, found.present),
        "chosen": None if found.chosen is None else _data(found, found.chosen),
        "by_number": [_data(found, outlook) for outlook in found.by_number],
        "tried": [_data(found, outlook) for outlook in found.tried],
        "remarks": list(found.remarks),
    }


def end_chart(found: Recommendation) -> Chart:
    """Return the end of the run by the number of endpoints."""
    known = [(len(each.setting.endpoints), each.ends_s) for each in found.by_number if each.ends_s is not None]
    counts = [float(count) for count, _ in known]
    ends = [each for _, each in known]
    lines = [ChartLine("over after", counts, [e.value for e in ends], [e.low for e in ends], [e.high for e in ends])]
    if found.deadline_s is not None:
        lines.append(ChartLine("deadline", counts, [found.deadline_s] * len(counts)))
    drawing = line_chart(lines, xlabel="endpoints", ylabel="seconds", width=charts.WIDE)
    caption = (
        "All other settings are the best ones for the present endpoints. The lines are 95% intervals for a single run."
    )
    return Chart("The end by the number of endpoints", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def write_recommendation(found: Recommendation, folder: Path) -> Path:
    """Write `recommendation.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    columns = (Column("setting", ColumnKind.NAME), *(Column(head, ColumnKind.MEASURE) for head in _HEADINGS))
    rows = ((name, *_cells(found, outlook)) for name, outlook in _lines(found))
    asked = Paragraph(f"Wanted: {asked_for(found)}", soft=True)
    tried = ((_name(found, each), *_cells(found, each)) for each in sorted(found.tried, key=lambda each: each.sure_s))
    sections = (
        Section("The settings that matter", (table(columns, rows),), "settings", "Settings"),
        Section(f"All {len(found.tried)} that were tried", (table(columns, tried),), "tried", "Tried", folded=True),
    )
    answer = verdict(found)
    document = Document(
        "Recommendation", "Recommendation", sections if found.tried else sections[:1],
        blocks=(asked, Figures((end_chart(found),))),
        verdict=f"{answer[0].upper()}{answer[1:]}.",
        tone=Tone.BAD if found.chosen is None else Tone.GOOD,
    )  # fmt: skip
    return put_page(document, folder / "recommendation.html")


def _name(found: Recommendation, outlook: SettingForecast) -> str:
    """Return which setting this is, or what of it differs from the present one."""
    known = {id(found.present): "as it is", id(found.chosen): "recommended"}
    return known.get(id(outlook)) or ", ".join(_differs(found, outlook)) or "as it is"


def _lines(found: Recommendation) -> Iterator[tuple[str, SettingForecast]]:
    """Yield the name of each setting, with its prediction."""
    yield "as it is", found.present
    for outlook in found.by_number:
        if outlook is not found.chosen and outlook is not found.present:
            yield f"with {_count(len(outlook.setting.endpoints), 'endpoint')}", outlook
    if found.chosen is not None:
        yield "recommended", found.chosen
    elif found.nearest not in (found.present, *found.by_number):
        yield "the nearest", found.nearest


def _cells(found: Recommendation, outlook: SettingForecast) -> list[str]:
    ends = outlook.ends_s
    over = "not over" if ends is None else f"{ends.value:.4g} ({ends.low:.4g} to {ends.high:.4g})"
    return [
        str(len(outlook.setting.endpoints)),
        str(_slots(outlook)),
        str(outlook.setting.workers),
        outlook.setting.strategy,
        over,
        "never" if ends is None else f"{outlook.sure_s:.4g}",
        "" if ends is None else f"{outlook.cost_h:.3g}",
        _judged(found, outlook),
    ]


def _words(found: Recommendation, outlook: SettingForecast) -> str:
    setting = outlook.setting
    slots = ", ".join(f"{model.url} {model.capacity}" for model in outlook.scenario.endpoints)
    left = _left_out(found, outlook)
    parts = [f"{setting.strategy}, {outlook.crew}, slots: {slots}"]
    parts += [f"without {', '.join(left)}"] if left else []
    return "; ".join([*parts, *made_up_lines(outlook)])


def made_up_lines(outlook: TriedSetting) -> list[str]:
    """Return a line for all endpoints that do not exist yet and copy the same one."""
    copies: dict[str, list[str]] = {}
    for url, like in outlook.made_up.items():
        copies.setdefault(like, []).append(url)
    named = ((_count(len(urls), "made-up server"), like, len(urls) == 1) for like, urls in copies.items())
    return [f"{count} like {like}: replace {'its address' if one else 'their addresses'}" for count, like, one in named]


def _data(found: Recommendation, outlook: SettingForecast) -> dict[str, Any]:
    ends = outlook.ends_s
    return {
        "strategy": outlook.setting.strategy,
        "workers": outlook.setting.workers,
        "endpoints": {model.url: model.capacity for model in outlook.scenario.endpoints},
        "made_up": outlook.made_up,
        "over_s": None if ends is None else {"value": ends.value, "low": ends.low, "high": ends.high},
        "sure_s": outlook.sure_s,
        "endpoint_hours": outlook.cost_h,
        "does": found.does(outlook),
    }
