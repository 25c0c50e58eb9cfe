"""Output of a study in the terminal: the ranking, figures, shares."""

from dataclasses import replace

from rich.console import Console

from balancer.reporting.document import Paragraph, Section
from balancer.reporting.terminal import print_sections
from balancer_simulator.report.tables import figure_table, load_table, more_sections, share_tables
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.ranking import ranking_table, remarks, verdict
from balancer_simulator.studies.study import Study

__all__ = ["print_study"]


def print_study(study: Study, console: Console, *, by: str | None = None) -> None:
    """Print the ranking, if there are several policies, then their main figures, and the share of each endpoint.

    Raises:
        ConfigError: there is no figure `by`, or neither of its ends is better.
    """
    said = tuple(Paragraph(line) for line in (verdict(study, by), *remarks(study, by)) if line)
    sections = []
    if len(study.policies) > 1:
        figure = figure_of(by or study.default_metric)
        end = ", more is better" if figure.better == "more" else ""
        heading = Paragraph(f"ranked by {figure.heading}{end}: {figure.meaning}")
        sections.append(Section(study.scenario.name, (heading, ranking_table(study, by), *said)))
        sections.append(Section("figures", (figure_table(study),)))
    else:
        sections.append(Section(study.scenario.name, (figure_table(study), *said)))
    if study.curves:
        key = by or study.default_metric
        sections.append(Section(f"{figure_of(key).heading}, by load", (load_table(study, key),)))
    sections += [replace(each, title=each.title.lower()) for each in more_sections(study)]
    sections.append(Section("share of all calls, by endpoint", tuple(share_tables(study))))
    print_sections(sections, console)
