"""Export of a study as JSON for programs. Names and layout are fixed here."""

from collections.abc import Mapping
from typing import Any

from balancer.reporting.files import json_text
from balancer_simulator.studies.findings import intervals
from balancer_simulator.studies.intervals import Interval
from balancer_simulator.studies.ranking import best_of
from balancer_simulator.studies.study import Study

__all__ = ["to_data", "to_json"]


def to_json(study: Study) -> str:
    """Return the study as JSON text."""
    return json_text(to_data(study))


def to_data(study: Study, by: str | None = None) -> dict[str, Any]:
    """Return the scenario, every figure with its 95% interval, paired differences and curves, as plain data.

    Args:
        by: the figure to rank by; default: the study's own.
    """
    ranking = study.ranking(by)
    best = ranking[0]
    return {
        "scenario": study.scenario.to_data(),
        "ranking": {
            "by": by or study.default_metric,
            "policies": ranking,
            "best": best_of(study, by),
        },
        "policies": {policy: _figures(study.metrics(policy)) for policy in study.policies},
        "too_short": {policy: study.too_short(policy) for policy in study.policies},
        "keeps_up": {policy: _keeps_up(study, policy) for policy in study.policies},
        "one_sample": study.scenario.is_one_sample,
        "kinds": {
            policy: {kind: _figures(figures) for kind, figures in study.by_kind(policy).items()}
            for policy in study.policies
        },
        "differences_to_best": {
            policy: _figures(_differences(study, policy, best)) for policy in study.policies if policy != best
        },
        "shares": {
            policy: {url: study.share(policy, url) for url in study.scenario.by_url} for policy in study.policies
        },
        "curves": {
            f"{load:g}": {policy: _figures(intervals(records)) for policy, records in table.items()}
            for load, table in study.curves.items()
        },
    }


def _keeps_up(study: Study, policy: str) -> bool | None:
    """Return whether `policy` keeps up; None if the runs are too short to tell."""
    return None if study.may_not_keep_up(policy) else study.keeps_up(policy)


def _differences(study: Study, policy: str, best: str) -> dict[str, Interval]:
    names = [name for name in study.metrics(policy) if name in study.metrics(best)]
    return {name: study.difference(policy, best, name) for name in names}


def _figures(figures: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: {"mean": i.mean, "low": i.low, "high": i.high} for name, i in figures.items() if not i.is_refused}
