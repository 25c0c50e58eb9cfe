"""Charts of a study on its page: the plots of `studies.plots`, as SVG with a title and a caption.

If there is too much to show, a chart leaves something out and its caption says so.
"""

from collections.abc import Iterator

from balancer.reporting.charts import MOST_LINES, to_svg
from balancer.reporting.document import Chart
from balancer.reporting.words import percent
from balancer_simulator.studies.figures import capital, figure_of
from balancer_simulator.studies.intervals import QUANTILES
from balancer_simulator.studies.plots import MOST_ROWS, StudyPlots
from balancer_simulator.studies.study import Study

__all__ = ["draw_charts"]


def draw_charts(study: Study) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in reading order."""
    return tuple(_charts(study, StudyPlots(study, to_svg)))


def _charts(study: Study, plots: StudyPlots[str]) -> Iterator[Chart]:
    if sum(study.default_metric in study.metrics(policy) for policy in study.policies) > 1:
        yield _ranking(study, plots, study.default_metric)
    for name in ("cached_blocks", "imbalance") if study.scenario.has_keys else ():
        if all(name in study.metrics(policy) for policy in study.policies):
            yield _ranking(study, plots, name)
    many = len(study.policies)
    lines = f" Shown are {MOST_LINES} of {many} policies." if many > MOST_LINES else ""
    if study.curves:
        caption = f"{capital(figure_of('sojourn_mean_s').meaning)}; the lines at the marks are 95% intervals.{lines}"
        yield Chart("Time by load", caption, plots.curve("sojourn_mean_s"))
    caption = (
        "How likely it is that a request took longer than the time below. Further left and down is better. "
        f"All {study.scenario.replications} replications together, without the rarest 0.1%.{lines}"
    )
    if any(record.sojourn.count for records in study.records.values() for record in records):
        yield Chart("Times of requests: the tail", caption, plots.cdf("sojourn_s", tail=True))
    if any(record.wait.quantile(0.999) > 0 for policy in study.drawn() for record in study.records[policy]):
        yield Chart("Waits: the tail", caption, plots.cdf("wait_s", tail=True))
    many = len(study.scenario.by_url)
    rows = f" Shown are {MOST_ROWS} of {many} endpoints." if many > MOST_ROWS else ""
    best = study.ranking()[0]
    records = study.records[best]
    caption = f"In the first replication, over {len(records[0].timeline.at_s) - 1} equal parts of the time.{rows}"
    yield Chart(f"Utilisation over time: {best}", caption, plots.utilisation())
    if many > 1:
        failed = [record.metrics.get("failed_calls", 0.0) for record in records]
        part = (
            f"{percent(sum(failed) / len(failed), digits=1)} of all calls failed." if any(failed) else "No call failed."
        )
        yield Chart(f"Share of calls: {best}", f"{part}{rows}", plots.shares(), wide=False)


def _ranking(study: Study, plots: StudyPlots[str], name: str) -> Chart:
    figure = figure_of(name)
    dot = "that of all observations of" if name in QUANTILES else "the mean over"
    caption = (
        f"{capital(figure.meaning)}. The dot is {dot} {study.scenario.replications} replications, the bar its 95% "
        f"interval. {figure.better.capitalize()} is better; policies that lose more requests are last."
    )
    if without := [policy for policy in study.policies if name not in study.metrics(policy)]:
        caption += f" Not known: {', '.join(without)}."
    return Chart(f"Ranking by {figure.heading}", caption, plots.ranking(name))
