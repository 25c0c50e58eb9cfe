"""The ranking of a study in words, a line for each policy, for a page and for a notebook.

Decides what is remarked on a policy. It must not know how a line is shown.
"""

from collections.abc import Iterator
from typing import NamedTuple

from balancer.reporting.document import Column, ColumnKind, Table, identifier, table
from balancer.reporting.words import NOTHING
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.wording import worded, worded_difference

__all__ = ["Ranked", "ranked", "ranking_table"]


class Ranked(NamedTuple):
    """A line of the ranking: its value, and how much more it is than the first."""

    policy: str
    value: str
    difference: str
    lost: str
    remark: str


def ranked(study: StudyFindings) -> Iterator[Ranked]:
    """Yield a line for each policy, the first one first."""
    ranking, name = study.ranking(), study.default_metric
    unit = figure_of(name).unit
    for policy in ranking:
        metrics = study.metrics(policy)
        difference = remark = ""
        if policy != ranking[0] and name in metrics and name in study.metrics(ranking[0]):
            found = study.difference(policy, ranking[0], name)
            difference = worded_difference(found, study.metric(ranking[0], name).mean, unit)
            remark = "" if found.is_clear else "cannot be told apart"
        if study.loses_more(policy):
            remark = "loses more requests"
        if not study.keeps_up(policy):
            remark = f"cannot keep up: {study.unfinished(policy):.0%} unfinished"
        elif study.may_not_keep_up(policy):
            remark = f"{remark}; may not keep up" if remark else "may not keep up"
        value = worded(metrics[name], unit) if name in metrics else NOTHING
        lost = worded(metrics["lost"], "part") if "lost" in metrics else NOTHING
        yield Ranked(policy, value, difference, lost, remark)


def ranking_table(study: StudyFindings) -> Table:
    """Return the ranking as a table."""
    columns = (
        Column("policy", ColumnKind.NAME),
        *(
            Column(head, ColumnKind.MEASURE)
            for head in (figure_of(study.default_metric).heading, "more than the first")
        ),
        Column("lost", ColumnKind.MEASURE),
        Column("", ColumnKind.TEXT),
    )
    rows = ((identifier(line.policy), line.value, line.difference, line.lost, line.remark) for line in ranked(study))
    return table(columns, rows)
