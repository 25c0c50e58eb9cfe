"""Several scenarios beside each other: how far each policy is from the best one, in each of them.

A cell says how far a policy is from the best one, or why it has no place in that order. The terminal and Markdown
show the same table.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from balancer.reporting.document import Column, ColumnKind, Table, code, strong, table
from balancer.reporting.markdown import table_text
from balancer_simulator.studies.study import Study

__all__ = ["BEST", "cells_of", "markdown_matrix", "matrix_table"]

BEST: Final = "1.00"
_LEAST: Final = 1.01  # whoever is clearly behind the best is not written like it


def cells_of(studies: Mapping[str, Study]) -> dict[str, list[str]]:
    """Return, for each policy, a cell for each study.

    A cell is the policy's figure (mean sojourn; of a batch the makespan) by that of the best policy: "1.00" is the best
    or cannot be told apart from it, "1.30" takes 30% longer. A policy that loses more requests than another, cannot
    keep up, or has no such figure because too little has ended has no place in that order: its cell says so.
    """
    policies = dict.fromkeys(policy for study in studies.values() for policy in study.policies)
    return {policy: [_cell(study, policy) for study in studies.values()] for policy in policies}


def matrix_table(studies: Mapping[str, Study], heads: Iterable[str], *, about: str = "strategy") -> Table:
    """Return the cells as a table, policies down, scenarios across, under `heads`; the best of each are strong."""
    columns = (Column(about, ColumnKind.TEXT, unbroken=True), *(Column(head, ColumnKind.MEASURE) for head in heads))
    rows = (
        (code(policy), *(strong(cell) if cell == BEST else cell for cell in cells))
        for policy, cells in cells_of(studies).items()
    )
    return table(columns, rows)


def markdown_matrix(studies: Mapping[str, Study]) -> str:
    """Return the table in Markdown."""
    return table_text(matrix_table(studies, studies))


def _cell(study: Study, policy: str) -> str:
    if policy not in study.records:
        return "-"
    if not study.keeps_up(policy):
        return "cannot keep up"
    if study.loses_more(policy):
        return f"loses {study.metric(policy, 'lost').mean:.0%}" if _has(study, policy, "lost") else "nothing ended"
    name = study.default_metric
    if not _has(study, policy, name):
        return "not done in time" if study.scenario.is_batch else "nothing ended"
    best = next(p for p in study.ranking() if _has(study, p, name) and study.keeps_up(p))
    if policy == best or not study.difference(policy, best, name).is_clear:
        return BEST
    return f"{max(_LEAST, study.metric(policy, name).mean / study.metric(best, name).mean):.2f}"


def _has(study: Study, policy: str, name: str) -> bool:
    return name in study.metrics(policy)
