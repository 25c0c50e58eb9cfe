"""Notebook output: charts, sentences, tables, and differences in words.

Tables are HTML or Markdown and drawings are SVG, which all viewers of notebooks show. IPython is imported when
something is shown.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from balancer.reporting.document import Chart
from balancer.reporting.markdown import markdown_table
from balancer_simulator.studies.cell import study_html
from balancer_simulator.studies.figures import TOO_SHORT, figure_of, worded_difference
from balancer_simulator.studies.study import Study

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
    """Show a table, the first column left-aligned, the others right-aligned.

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
