"""Output of a study in the terminal: figures, a ranking, several scenarios side by side."""

from collections.abc import Mapping

from rich.console import Console

from balancer.reporting.document import Paragraph, Section
from balancer.reporting.terminal import print_sections
from balancer_simulator.report.tables import (
    BEST,
    figure_table,
    kind_table,
    matrix_table,
    prompt_table,
    share_tables,
)
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.ranking import UNSURE, ranking_table, remarks, to_know_more, verdict
from balancer_simulator.studies.study import Study

__all__ = ["print_matrix", "print_study"]


def print_study(study: Study, console: Console, *, by: str | None = None) -> None:
    """Print the ranking, if there are several policies, then their main figures, and the share of each endpoint.

    Raises:
        ConfigError: there is no figure `by`, or neither of its ends is better.
    """
    said = tuple(map(Paragraph, (*verdict(study, by), *remarks(study, by))))
    sections = []
    if len(study.policies) > 1:
        figure = figure_of(by or study.default_metric)
        end = ", more is better" if figure.better == "more" else ""
        heading = Paragraph(f"ranked by {figure.heading}{end}: {figure.meaning}")
        sections.append(Section(study.scenario.name, (heading, ranking_table(study, by), *said)))
        sections.append(Section("figures", (figure_table(study),)))
    else:
        sections.append(Section(study.scenario.name, (figure_table(study), *said)))
    if len(study.scenario.requests.kinds) > 1:
        sections.append(Section("by kind of request", (kind_table(study),)))
    if study.scenario.has_keys:
        sections.append(Section("prompts and sessions", (prompt_table(study),)))
    sections.append(Section("share of all calls, by endpoint", tuple(share_tables(study))))
    print_sections(sections, console)


def print_matrix(studies: Mapping[str, Study], console: Console) -> None:
    """Print the distance of each policy from the best one in each study; the best ones are bold."""
    numbers = list(map(str, range(1, len(studies) + 1)))
    said = [f"{n}: {study.scenario.name} ({path})" for n, (path, study) in zip(numbers, studies.items(), strict=True)]
    said.append(f"{BEST}: the best, or cannot be told apart from it")
    for number, study in zip(numbers, studies.values(), strict=True):
        if names := [policy for policy in study.policies if study.may_not_keep_up(policy)]:
            said.append(f"{number}: {UNSURE}; {to_know_more(study.scenario, 'raise horizon_s')}: {', '.join(names)}")
    title = "mean sojourn (of a batch: makespan), divided by that of the best policy"
    print_sections([Section(title, (matrix_table(studies, numbers), *map(Paragraph, said)))], console)
