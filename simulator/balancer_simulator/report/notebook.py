"""Notebook output: a study by itself, a chart with its words, a sentence, a table.

Decides how each looks in a cell. Tables are HTML or Markdown and drawings are SVG, as all viewers of notebooks show
them. IPython is imported when something is shown, and matplotlib never here.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from markupsafe import Markup, escape

from balancer.reporting.document import Chart
from balancer.reporting.html import bare_table
from balancer.reporting.markdown import markdown_table
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.ranking import ranking_table
from balancer_simulator.studies.remarks import of_the_runs
from balancer_simulator.studies.study import Study
from balancer_simulator.studies.winner import winner_of
from balancer_simulator.studies.wording import TOO_SHORT, worded_difference

__all__ = ["more_than", "say", "show", "study_html", "table"]


def show(chart: Chart) -> None:
    """Show a chart with its title and its caption."""
    shown: Any = import_module("IPython.display")
    shown.display(shown.Markdown(f"**{chart.title}**"), chart, shown.Markdown(f"*{chart.caption}*"))


def say(words: str) -> None:
    """Show words in Markdown."""
    shown: Any = import_module("IPython.display")
    shown.display(shown.Markdown(words))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table, the first column to the left, the others to the right.

    Raises:
        ValueError: a row has not as many cells as there are headings.
    """
    say(markdown_table(headings, rows))


def more_than(study: Study, policy: str, other: str, name: str = "sojourn_mean_s") -> str:
    """Return how much larger a figure is under `policy` than under `other`, in words.

    Raises:
        ConfigError: there is no such policy or figure, or a run does not have the figure.
    """
    difference = study.difference(policy, other, name)
    if difference.is_refused:
        return TOO_SHORT
    if difference.mean == 0 and not difference.is_clear:
        return "no difference"
    words = worded_difference(difference, study.metric(other, name).mean, figure_of(name).unit)
    return words if difference.is_clear else f"{words}, perhaps by chance"


def study_html(study: Study) -> str:
    """Return the ranking of a study as a cell of a notebook shows it."""
    winner = winner_of(study)
    lines = [
        escape(f"{study.scenario.name}: {figure_of(study.default_metric).meaning}"),
        Markup(bare_table(ranking_table(study))),
    ]
    if winner and study.scenario.replications > 1 and (sentence := winner.sentence()):
        lines.append(escape(f"{sentence[0].upper()}{sentence[1:]}."))
    lines += [escape(line) for line in (_intervals(study), *of_the_runs(study))]
    return str(Markup("").join(Markup("<div>{}</div>").format(line) for line in lines))


def _intervals(study: Study) -> str:
    scenario = study.scenario
    count = scenario.replications
    runs = (
        "one replication, so nothing is known of chance" if count == 1 else f"95% intervals over {count} replications"
    )
    return f"\u00b1: {runs}{'' if scenario.is_batch else f', {scenario.horizon_s:g} s each'}; seed {scenario.seed}"
