"""Tables of a study: figures, kinds of requests, shares. Pure.

No number is computed here, and a renderer decides how a table looks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from balancer.reporting.document import (
    Cell,
    Column,
    ColumnKind,
    Row,
    Table,
    identifier,
    table,
)
from balancer.reporting.words import NOTHING
from balancer_simulator.studies.figures import FIGURES, Figure, figure_of, worded
from balancer_simulator.studies.intervals import Interval
from balancer_simulator.studies.study import Study

__all__ = [
    "compared_tables",
    "figure_table",
    "kind_table",
    "prompt_table",
    "share_tables",
]

_NAME, _TEXT, _MEASURE = ColumnKind.NAME, ColumnKind.TEXT, ColumnKind.MEASURE
_COMMON: Final = ("wait_p99_s", "sojourn_mean_s", "sojourn_p99_s")
_OF_A_BATCH: Final = ("makespan_s", "makespan_by_bound", "wait_p99_s", "utilisation", "jain_workers", "lost")
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "closed": ("throughput_per_s", *_COMMON, "jain_workers", "lost"),
    "batch": _OF_A_BATCH,
}
_OPEN: Final = ("throughput_per_s", *_COMMON, "failed_calls", "lost")
_OF_KINDS: Final = ("wait_mean_s", "wait_p99_s", "sojourn_mean_s", "sojourn_p99_s", "lost")
_OF_PROMPTS: Final = ("cached_blocks", "cached_at_best", "imbalance", "moved_turns", "broken_sessions")
_MOST_ENDPOINTS: Final = 12
_MOST_BESIDE: Final = 6  # policies in one table; on paper more would not fit


def figure_table(study: Study) -> Table:
    """Return the main figures of each policy."""
    there = {key for policy in study.policies for key in study.metrics(policy)}
    return _by_policy(study, [key for key in _COLUMNS.get(study.scenario.workload.kind, _OPEN) if key in there])


def prompt_table(study: Study) -> Table:
    """Return what was cached and where sessions went, under each policy; an empty table if nothing has prompts."""
    there = {key for policy in study.policies for key in study.metrics(policy)}
    return _by_policy(study, [key for key in _OF_PROMPTS if key in there])


def _by_policy(study: Study, keys: Sequence[str]) -> Table:
    columns = (Column("policy", _NAME, unbroken=True), *(Column(figure_of(key).heading, _MEASURE) for key in keys))
    return table(columns, ((policy, *_cells(study.metrics(policy), keys)) for policy in study.policies))


def kind_table(study: Study) -> Table:
    """Return the times of each kind of request, under each policy."""
    columns = (
        Column("policy", _NAME, unbroken=True),
        Column("kind", _TEXT, unbroken=True),
        *(Column(figure_of(key).heading, _MEASURE) for key in _OF_KINDS),
    )
    rows: Iterator[Row] = (
        (identifier(policy), kind, *_cells(metrics, _OF_KINDS))
        for policy in study.policies
        for kind, metrics in study.by_kind(policy).items()
    )
    return table(columns, rows)


def _cells(metrics: Mapping[str, Interval], keys: Sequence[str]) -> Iterator[str]:
    return (worded(metrics[key], figure_of(key).unit) if key in metrics else NOTHING for key in keys)


def compared_tables(study: Study) -> Iterator[Table]:
    """Yield every figure of every policy, the best first: figures down, policies across; with many, several tables."""
    figures = [f for f in FIGURES if any(f.key in study.metrics(policy) for policy in study.policies)]
    for policies in _beside(study.ranking()):
        columns = (Column("figure", _NAME), *(Column(identifier(policy), _MEASURE) for policy in policies))
        yield replace(table(columns, (_figure_row(study, policies, each) for each in figures)), look="compared")


def _figure_row(study: Study, policies: Sequence[str], figure: Figure) -> Row:
    values = (next(_cells(study.metrics(policy), [figure.key])) for policy in policies)
    return (Cell(figure.heading, below=figure.meaning), *values)


def share_tables(study: Study) -> Iterator[Table]:
    """Yield the share of all calls at each endpoint, the mean over the replications; with many policies, several."""
    for policies in _beside(study.policies):
        columns = (Column("endpoint", _NAME), *(Column(identifier(policy)) for policy in policies))
        rows = ((url, *(f"{study.share(policy, url):.1%}" for policy in policies)) for url in study.scenario.by_url)
        yield table(columns, rows, most=_MOST_ENDPOINTS)


def _beside(policies: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the policies, as many at a time as one table shows."""
    beside = math.ceil(len(policies) / math.ceil(len(policies) / _MOST_BESIDE))
    for start in range(0, len(policies), beside):
        yield policies[start : start + beside]
