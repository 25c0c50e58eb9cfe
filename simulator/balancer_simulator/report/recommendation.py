"""What is recommended, as lines for a terminal, as data, and as a picture: the end by the number of endpoints.

Decides which of the settings that were tried are worth a line: as it is, with one endpoint after the other, as
recommended. Importing this imports matplotlib.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from balancer.reporting import style
from balancer.reporting.chart import Chart
from balancer.reporting.files import put_text
from balancer.reporting.html import drawn, environment
from balancer.reporting.lines import ChartLine, line_chart
from balancer.reporting.svg import to_svg
from balancer_simulator.predicting.recommend import Outlook, Recommendation
from balancer_simulator.report.settings import settings_lines

__all__ = [
    "end_chart",
    "made_up_lines",
    "recommendation_data",
    "recommendation_lines",
    "verdict",
    "write_recommendation",
]

_HEADINGS = (
    "setting",
    "endpoints",
    "slots",
    "workers",
    "strategy",
    "over after, s",
    "sure by, s",
    "endpoint-hours",
    "does it",
)


def verdict(found: Recommendation) -> str:
    """Return what is recommended, in a sentence."""
    wish = "" if found.deadline_s is None else f" by {found.deadline_s:.4g} s"
    sure = f"{found.certainty:.0%}"
    if found.chosen is None:
        budget = "" if found.budget_h is None else f" within {found.budget_h:.4g} endpoint-hours"
        return (
            f"nothing that was tried is over{wish}{budget} with {sure}; the nearest is sure by "
            f"{found.nearest.sure_s:.4g} s: {_words(found.nearest)}"
        )
    if found.chosen is found.present:
        return f"leave it as it is: with {sure} it is over by {found.chosen.sure_s:.4g} s"
    return f"with {sure} over by {found.chosen.sure_s:.4g} s: {_words(found.chosen)}"


def asked_for(found: Recommendation) -> str:
    """Return what was asked for, and how much was tried."""
    deadline = "no deadline" if found.deadline_s is None else f"over by {found.deadline_s:.4g} s"
    budget = "" if found.budget_h is None else f", for at most {found.budget_h:.3g} endpoint-hours"
    return f"{deadline}, with {found.certainty:.0%}{budget}; {len(found.tried)} settings were tried."


def recommendation_lines(found: Recommendation) -> Iterator[str]:
    """Yield what is recommended, then the settings that are worth a line."""
    yield verdict(found)
    for name, outlook in _lines(found):
        endpoints, slots, workers, strategy, over, sure, hours, does = _cells(found, outlook)
        yield (
            f"{name}: {endpoints} endpoints, {slots} slots, {workers} workers, {strategy}: over after {over} s, "
            f"sure by {sure} s, {hours or 'no'} endpoint-hours; {does}"
        )


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
    }


def end_chart(found: Recommendation) -> Chart:
    """Return when it is over, by the number of endpoints."""
    known = [(len(each.setting.endpoints), each.ends_s) for each in found.by_number if each.ends_s is not None]
    counts = [float(count) for count, _ in known]
    ends = [each for _, each in known]
    lines = [ChartLine("over after", counts, [e.value for e in ends], [e.low for e in ends], [e.high for e in ends])]
    if found.deadline_s is not None:
        lines.append(ChartLine("deadline", counts, [found.deadline_s] * len(counts)))
    drawing, _ = line_chart(lines, xlabel="endpoints", ylabel="seconds", width_in=style.WIDE_IN)
    caption = "All else as it is best with the endpoints there are. The strokes are intervals of 95% for a single run."
    return Chart("The end by the number of endpoints", caption, to_svg(drawing, "ends"))


def write_recommendation(found: Recommendation, folder: Path) -> Path:
    """Write `recommendation.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    template = environment("balancer_simulator.report").get_template("recommendation.html.j2")
    rows = [(name, *_cells(found, outlook)) for name, outlook in _lines(found)]
    page = template.render(verdict=verdict(found), headings=_HEADINGS, rows=rows, charts=drawn([end_chart(found)]),
        asked=asked_for(found), settings=settings_lines(found.present.scenario),
    )  # fmt: skip
    return put_text(folder / "recommendation.html", page)


def _lines(found: Recommendation) -> Iterator[tuple[str, Outlook]]:
    """Yield what each setting is called, and what is predicted of it."""
    yield "as it is", found.present
    for outlook in found.by_number:
        if outlook is not found.chosen and outlook is not found.present:
            yield f"with {len(outlook.setting.endpoints)} endpoints", outlook
    if found.chosen is not None:
        yield "recommended", found.chosen
    elif found.nearest not in (found.present, *found.by_number):
        yield "the nearest", found.nearest


def _cells(found: Recommendation, outlook: Outlook) -> list[str]:
    ends = outlook.ends_s
    over = "not over" if ends is None else f"{ends.value:.4g} ({ends.low:.4g} to {ends.high:.4g})"
    return [
        str(len(outlook.setting.endpoints)),
        str(sum(model.capacity for model in outlook.scenario.endpoints)),
        str(outlook.setting.workers),
        outlook.setting.strategy,
        over,
        "never" if ends is None else f"{outlook.sure_s:.4g}",
        "" if ends is None else f"{outlook.cost_h:.3g}",
        "does" if found.does(outlook) else "does not",
    ]


def _words(outlook: Outlook) -> str:
    setting = outlook.setting
    slots = ", ".join(f"{model.url} {model.capacity}" for model in outlook.scenario.endpoints)
    return "; ".join([f"{setting.strategy}, {setting.workers} workers, slots: {slots}", *made_up_lines(outlook)])


def made_up_lines(outlook: Outlook) -> list[str]:
    """Return a line for each endpoint that there is not yet: which one it is like."""
    return [f"{url} is made up: one more, like {like}" for url, like in outlook.made_up.items()]


def _data(found: Recommendation, outlook: Outlook) -> dict[str, Any]:
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
