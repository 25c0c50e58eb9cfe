"""`report.html` of a study: one page that stands alone.

Decides what the page is made from; the template decides how it looks.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from balancer.reporting.html import drawn, environment
from balancer.reporting.tile import Tile, Tone
from balancer.reporting.words import NOTHING
from balancer_simulator.report.gallery import draw_charts
from balancer_simulator.report.settings import settings_lines
from balancer_simulator.report.table import OF_KINDS
from balancer_simulator.studies.figures import FIGURES, Figure, figure_of
from balancer_simulator.studies.ranking import ranked
from balancer_simulator.studies.remarks import behind, of_the_runs, unsure
from balancer_simulator.studies.study import Study
from balancer_simulator.studies.winner import winner_of
from balancer_simulator.studies.wording import worded

__all__ = ["page"]

_MOST_ALIKE: Final = 4  # policies on the card
_MOST_BESIDE: Final = 6  # policies in one table; on paper more would not have the room for a figure


def page(study: Study) -> str:
    """Return the page as text."""
    figures = [f for f in FIGURES if any(f.key in study.metrics(policy) for policy in study.policies)]
    return (
        environment("balancer_simulator.report")
        .get_template("report.html.j2")
        .render(
            scenario=study.scenario,
            study=study,
            tiles=list(_tiles(study)),
            ranked=list(ranked(study)),
            pieces=_pieces,
            verdict=winner.sentence() if (winner := winner_of(study)) and study.scenario.replications > 1 else "",
            by=figure_of(study.default_metric),
            figures=figures,
            cells=defaultdict(lambda: [NOTHING], _cells(study, figures)),
            behind=behind(study),
            unsure=unsure(study),
            remarks=list(of_the_runs(study)),
            of_kinds=[figure_of(key) for key in OF_KINDS],
            kinds=list(_kinds(study)),
            beside=_beside(len(study.policies)),
            settings=settings_lines(study.scenario),
            charts=drawn(draw_charts(study)),
        )
    )


def _cells(study: Study, figures: Sequence[Figure]) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Yield the pieces of each figure that a policy has, by policy and key."""
    for policy in study.policies:
        metrics = study.metrics(policy)
        for figure in figures:
            if figure.key in metrics:
                yield (policy, figure.key), _pieces(worded(metrics[figure.key], figure.unit))


def _kinds(study: Study) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Yield policy, kind and the pieces of each figure of it; nothing if there is only one kind."""
    for policy in study.policies:
        for kind, metrics in study.by_kind(policy).items():
            cells = (worded(metrics[key], figure_of(key).unit) if key in metrics else NOTHING for key in OF_KINDS)
            yield policy, kind, [_pieces(cell) for cell in cells]


def _beside(policies: int) -> int:
    """Return how many policies are beside each other in a table: as many in each, and no more than fit."""
    return math.ceil(policies / math.ceil(policies / _MOST_BESIDE))


def _pieces(text: str) -> list[str]:
    """Return the pieces of a figure between which a narrow column may break it: value, interval, part."""
    return re.split(r" (?=[\u00b1(])", text) if text else []


def _tiles(study: Study) -> Iterator[Tile]:
    best = study.ranking()[0]
    name = study.default_metric
    metrics = study.metrics(best)
    figure = figure_of(name)
    yield _crown(study)
    if name in metrics:
        yield Tile(figure.heading, worded(metrics[name], figure.unit), f"{best}: {figure.meaning}")
    yield Tile("utilisation", worded(metrics["utilisation"], "part"), best)
    if "lost" in metrics:
        sound = metrics["lost"].mean == 0 and study.keeps_up(best)
        tone = Tone.GOOD if sound else Tone.BAD
        yield Tile("lost", worded(metrics["lost"], "part"), f"{best}: requests without success", tone)
    if not study.keeps_up(best):
        yield Tile("cannot keep up", f"{study.unfinished(best):.1%}", f"{best}: unfinished at the end", Tone.BAD)
    yield Tile("replications", str(study.scenario.replications), f"seed {study.scenario.seed}")


def _crown(study: Study) -> Tile:
    """Return the largest card: the best policy only if it has won."""
    winner, count = winner_of(study), len(study.policies)
    if count == 1:
        return Tile("policy", study.policies[0], "the only one, so there is nothing to compare")
    if winner is None:
        return Tile("best policy", NOTHING, f"of {count}: none has the figure", Tone.BAD)
    if winner.is_certain:
        return Tile("best policy", winner.first, f"of {count}, by more than chance explains")
    if study.scenario.replications == 1:
        return Tile("best policy", "not known", f"{winner.first} is first of {count}, but one replication says nothing")
    alike = [winner.first, *winner.alike]
    named = ", ".join(alike[:_MOST_ALIKE]) + (f" and {len(alike) - _MOST_ALIKE} more" if alike[_MOST_ALIKE:] else "")
    return Tile("best policy", "cannot be told apart", f"{named}, of {count}")
