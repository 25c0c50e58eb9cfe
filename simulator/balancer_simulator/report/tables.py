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
    Section,
    Table,
    identifier,
    table,
)
from balancer.reporting.words import NOTHING
from balancer_simulator.studies.figures import FIGURES, figure_of, worded
from balancer_simulator.studies.intervals import Interval
from balancer_simulator.studies.study import Study

__all__ = [
    "compared_tables",
    "figure_table",
    "load_table",
    "more_sections",
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
    return _by_policy(study, _COLUMNS.get(study.scenario.workload.kind, _OPEN))


def more_sections(study: Study) -> Iterator[Section]:
    """Yield the figures of kinds of requests, and what was cached and where sessions went, where there are such."""
    if len(study.scenario.requests.kinds) > 1:
        lines = [
            ((identifier(policy), kind), metrics)
            for policy in study.policies
            for kind, metrics in study.by_kind(policy).items()
        ]
        yield Section("By kind of request", (_pivot(lines, _OF_KINDS),), "kinds", "Kinds")
    if study.scenario.has_keys:
        yield Section("Prompts and sessions", (_by_policy(study, _OF_PROMPTS),), "prompts", "Prompts")


def _by_policy(study: Study, keys: Sequence[str]) -> Table:
    """Return those of the figures that there are, under each policy."""
    lines = [((policy,), study.metrics(policy)) for policy in study.policies]
    return _pivot(lines, [key for key in keys if any(key in metrics for _, metrics in lines)])


def _pivot(lines: Sequence[tuple[Row, Mapping[str, Interval]]], keys: Sequence[str]) -> Table:
    """Return a line for each policy, or each policy and kind, with its figures."""
    columns = [Column("policy", _NAME, unbroken=True), Column("kind", _TEXT, unbroken=True)][: len(lines[0][0])]
    columns += [Column(figure_of(key).heading, _MEASURE) for key in keys]
    return table(columns, ((*names, *(_cell(metrics, key) for key in keys)) for names, metrics in lines))


def _cell(metrics: Mapping[str, Interval], key: str) -> str:
    return worded(metrics[key], figure_of(key).unit) if key in metrics else NOTHING


def load_table(study: Study, key: str) -> Table:
    """Return a figure of each policy at each of the scenario's loads."""
    columns = (Column("load", _NAME), *(Column(identifier(policy), _MEASURE) for policy in study.policies))
    at = {load: study.at_load(load) for load in study.curves}
    return table(columns, ((f"{load:g}", *(_cell(at[load].metrics(p), key) for p in study.policies)) for load in at))


def compared_tables(study: Study) -> Iterator[Table]:
    """Yield every figure of every policy, the best first: figures down, policies across; with many, several tables."""
    figures = [f for f in FIGURES if any(f.key in study.metrics(policy) for policy in study.policies)]
    for policies in _beside(study.ranking()):
        columns = (Column("figure", _NAME), *(Column(identifier(policy), _MEASURE) for policy in policies))
        metrics = [study.metrics(policy) for policy in policies]
        rows: Iterator[Row] = (
            (Cell(f.heading, below=f.meaning), *(_cell(each, f.key) for each in metrics)) for f in figures
        )
        yield replace(table(columns, rows), look="compared")


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
