"""Which charts a page has of a study, in the order they are read. It must not know how one is drawn.

Importing this imports matplotlib.
"""

from collections.abc import Iterator

from balancer.reporting.chart import Chart
from balancer_simulator.report.charts import beside_best, curves, gantt, ranking, shares, tails, utilisation
from balancer_simulator.studies.study import Study

__all__ = ["draw_charts"]


def draw_charts(study: Study) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in the order they are read."""
    return tuple(_charts(study))


def _charts(study: Study) -> Iterator[Chart]:
    if sum(study.default_metric in study.metrics(policy) for policy in study.policies) > 1:
        yield ranking(study)
    if study.curves:
        yield curves(study)
        if len(study.policies) > 1:
            yield beside_best(study)
    if any(record.sojourn.count for records in study.records.values() for record in records):
        yield tails(study, "sojourn")
    if any(record.wait.most > 0 for records in study.records.values() for record in records):
        yield tails(study, "wait")
    for policy in study.policies:
        yield utilisation(study, policy)
    if study.scenario.is_batch:
        for policy in study.policies:
            yield gantt(study, policy)
    if len(study.scenario.by_url) > 1:
        for policy in study.policies:
            yield shares(study, policy)
