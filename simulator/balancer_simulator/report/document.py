"""Report of a study as a document: the best policy, all figures, the charts, the scenario.

Also writes the files of the report: `report.html`, a self-contained page, and its numbers. Importing this module
imports the template engine.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from balancer.reporting import document as doc
from balancer.reporting import html
from balancer.reporting.files import json_text, put_text
from balancer.reporting.words import count
from balancer_simulator.report.charts import draw_charts
from balancer_simulator.report.export import to_json
from balancer_simulator.report.tables import compared_tables, more_sections
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.figures import capital, figure_of, worded
from balancer_simulator.studies.ranking import best_of, ranking_table, remarks, verdict
from balancer_simulator.studies.study import Study

__all__ = ["page", "settings_lines", "write_report"]


def study_document(study: Study, charts: Sequence[doc.Chart]) -> doc.Document:
    """Return the whole report."""
    scenario = study.scenario
    certainty = "One replication gives no intervals."
    if scenario.replications > 1:
        certainty = "\u00b1 is half a 95% interval over the replications."
    said, tone = _verdict(study)
    return doc.Document(
        title=f"Simulation: {scenario.name}",
        heading=scenario.name,
        verdict=said,
        tone=tone,
        lead=f"A simulation: {count(len(study.policies), 'policy', 'policies')}, "
        f"{count(scenario.replications, 'replication')} each, on the same requests and faults. {certainty}",
        blocks=(doc.Tiles(tuple(_tiles(study))),),
        sections=tuple(_sections(study, charts)),
        footer=(
            "The numbers are in ",
            doc.code("results.json"),
            ", ",
            doc.code("runs.csv"),
            " and ",
            doc.code("endpoints.csv"),
            " beside this page.",
        ),
    )


def _sections(study: Study, charts: Sequence[doc.Chart]) -> Iterator[doc.Section]:
    figure = figure_of(study.default_metric)
    yield doc.Section(f"Ranking by {figure.heading}", tuple(_ranking(study)), "ranking", "Ranking")
    yield doc.Section("Figures", tuple(_figures(study)), "figures", "Figures")
    yield from more_sections(study)
    yield doc.Section("Charts", (doc.Figures(tuple(charts)),), "charts", "Charts")
    note = "All values that differ from the defaults. This report can be made again from them."
    lines = doc.Preformatted(tuple(settings_lines(study.scenario)))
    yield doc.Section("Scenario", (doc.Paragraph(note, soft=True), lines), "scenario", "Scenario", folded=True)


def _figures(study: Study) -> Iterator[doc.Block]:
    first, *others = compared_tables(study)
    yield first
    if others:
        more = len(study.policies) - len(first.columns) + 1
        yield doc.Details(f"Figures of the other {count(more, 'policy', 'policies')}", (tuple(others),))


def _ranking(study: Study) -> Iterator[doc.Block]:
    meaning = figure_of(study.default_metric).meaning
    yield doc.Paragraph(f"{capital(meaning)}. Differences are taken replication by replication.", soft=True)
    yield ranking_table(study)
    yield from (doc.Paragraph(f"{capital(line)}.", soft=True) for line in remarks(study))


def _tiles(study: Study) -> Iterator[doc.Tile]:
    best = study.ranking()[0]
    name = study.default_metric
    metrics = study.metrics(best)
    figure = figure_of(name)
    if name in metrics:
        yield doc.Tile(figure.heading, worded(metrics[name], figure.unit), f"{best}: {figure.meaning}")
    yield doc.Tile("utilisation", worded(metrics["utilisation"], "part"), best)
    if "lost" in metrics:
        sound = metrics["lost"].mean == 0 and study.keeps_up(best)
        tone = doc.Tone.GOOD if sound else doc.Tone.BAD
        yield doc.Tile("lost", worded(metrics["lost"], "part"), f"{best}: requests without success", tone)
    if not study.keeps_up(best):
        yield doc.Tile(
            "cannot keep up", f"{study.unfinished(best):.1%}", f"{best}: unfinished at the end", doc.Tone.BAD
        )
    yield doc.Tile("replications", str(study.scenario.replications), f"seed {study.scenario.seed}")


def _verdict(study: Study) -> tuple[str, doc.Tone]:
    """Return the answer in a sentence, and whether it is good."""
    best, heading, several = best_of(study), figure_of(study.default_metric).heading, len(study.policies) > 1
    if not best:
        return "No policy has the figure that they are ranked by; the remarks say why.", doc.Tone.BAD
    if several and study.scenario.replications == 1:
        return f"One replication decides nothing; {best[0]} is first by {heading}.", doc.Tone.PLAIN
    if several and not study.keeps_up(best[0]):
        return f"Even {best[0]}, the first by {heading}, cannot keep up.", doc.Tone.BAD
    sentence = verdict(study)
    tone = doc.Tone.GOOD if several and len(best) == 1 else doc.Tone.PLAIN
    return f"{capital(sentence)}." if sentence else "", tone


# -- the scenario --------------------------------------------------------------------------------------

_MOST_VALUES: Final = 24  # of a list of numbers; a record has thousands


def settings_lines(scenario: Scenario) -> list[str]:
    """Return the scenario as lines of JSON. A long list of numbers is cut, with its length."""
    return json_text(_cut(scenario.to_data())).splitlines()


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if len(value) > _MOST_VALUES and all(isinstance(item, int | float) for item in value):
        return [*value[:3], f"... {len(value)} values"]
    return [_cut(item) for item in value]


def write_report(study: Study, folder: Path) -> Path:
    """Write `report.html`, `results.json`, `runs.csv` and `endpoints.csv` into `folder`; return the path of the page.

    Each file is replaced in one step. The same study gives the same bytes, except for the date on the page.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    put_text(folder / "results.json", to_json(study))
    for name, frame in (("runs", study.runs), ("endpoints", study.endpoints())):
        put_text(folder / f"{name}.csv", frame.to_csv(index=False))
    return put_text(folder / "report.html", page(study))


def page(study: Study) -> str:
    """Return the page as text."""
    styles = Path(__file__).with_name("study.css").read_text(encoding="utf-8")
    return html.page(study_document(study, draw_charts(study)), styles=styles)
