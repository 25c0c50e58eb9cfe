"""`report.html` of a study: one page that stands alone.

Decides what the page is made from; the template decides how it looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.reporting.files import json_text
from balancer.reporting.html import drawn, environment
from balancer.reporting.tile import Tile, Tone
from simulator.report.charts import draw_charts
from simulator.report.figures import FIGURES, Figure, figure_of, worded, worded_difference
from simulator.study import Study

__all__ = ["page"]


def page(study: Study) -> str:
    """Return the page as text."""
    figures = [f for f in FIGURES if any(f.key in study.metrics(policy) for policy in study.policies)]
    return (
        environment("simulator.report")
        .get_template("report.html.j2")
        .render(
            scenario=study.scenario,
            study=study,
            tiles=list(_tiles(study)),
            ranked=list(_ranked(study)),
            by=figure_of(study.default_metric),
            figures=figures,
            cells={figure.key: [_cell(study, policy, figure) for policy in study.policies] for figure in figures},
            settings=json_text(study.scenario.to_data()).splitlines(),
            charts=drawn(draw_charts(study)),
        )
    )


def _cell(study: Study, policy: str, figure: Figure) -> str:
    metrics = study.metrics(policy)
    return worded(metrics[figure.key], figure.unit) if figure.key in metrics else ""


def _tiles(study: Study) -> Iterator[Tile]:
    best = study.ranking()[0]
    name = study.default_metric
    metrics = study.metrics(best)
    figure = figure_of(name)
    yield Tile("best policy", best, f"of {len(study.policies)}")
    if name in metrics:
        yield Tile(figure.heading, worded(metrics[name], figure.unit), f"{best}: {figure.meaning}")
    yield Tile("utilisation", worded(metrics["utilisation"], "part"), best)
    if "lost" in metrics:
        tone = Tone.BAD if metrics["lost"].mean > 0 else Tone.GOOD
        yield Tile("lost", worded(metrics["lost"], "part"), f"{best}: requests without success", tone)
    yield Tile("replications", str(study.scenario.replications), f"seed {study.scenario.seed}")


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A line of the ranking."""

    policy: str
    value: str
    difference: str
    remark: str
    lost: str


def _ranked(study: Study) -> Iterator[_Ranked]:
    ranking, name = study.ranking(), study.default_metric
    unit = figure_of(name).unit
    for policy in ranking:
        metrics = study.metrics(policy)
        difference = remark = ""
        if policy != ranking[0] and name in metrics and name in study.metrics(ranking[0]):
            found = study.difference(policy, ranking[0], name)
            difference = worded_difference(found, study.metric(ranking[0], name).mean, unit)
            remark = "" if found.is_clear else "may be chance"
        if study.loses_more(policy):
            remark = "loses more requests"
        value = worded(metrics[name], unit) if name in metrics else ""
        lost = worded(metrics["lost"], "part") if "lost" in metrics else ""
        yield _Ranked(policy, value, difference, remark, lost)
