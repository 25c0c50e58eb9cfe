"""Charts of a study on its page: the plots of `studies.plots`, as SVG with a title and a caption.

If there is too much to show, a chart leaves something out and its caption says so.
"""

from collections.abc import Iterator

from balancer.reporting.charts import MOST_LINES, Drawing, to_svg
from balancer.reporting.document import Chart
from balancer.reporting.words import percent
from balancer_simulator.studies import plots
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.intervals import QUANTILES
from balancer_simulator.studies.plots import MOST_ROWS
from balancer_simulator.studies.study import Study

__all__ = ["draw_charts"]


def draw_charts(study: Study) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in reading order."""
    return tuple(_charts(study))


def _charts(study: Study) -> Iterator[Chart]:
    if sum(study.default_metric in study.metrics(policy) for policy in study.policies) > 1:
        yield _ranking(study, study.default_metric)
    for name in ("cached_blocks", "imbalance") if study.scenario.has_keys else ():
        if all(name in study.metrics(policy) for policy in study.policies):
            yield _ranking(study, name)
    if study.curves:
        by_load = {load: study.at_load(load) for load in study.curves}
        meaning = _capital(figure_of("sojourn_mean_s").meaning)
        caption = f"{meaning}; the lines at the marks are 95% intervals.{_left_out(study)}"
        yield _chart("Time by load", caption, plots.curve(by_load, "sojourn_mean_s", plots.LOAD))
    if any(record.sojourn.count for records in study.records.values() for record in records):
        yield _tail(study, "sojourn_s", "Times of requests: the tail")
    if any(record.wait.quantile(0.999) > 0 for policy in study.drawn() for record in study.records[policy]):
        yield _tail(study, "wait_s", "Waits: the tail")
    best = study.ranking()[0]
    yield _utilisation(study, best)
    if len(study.scenario.by_url) > 1:
        yield _shares(study, best)


def _ranking(study: Study, name: str) -> Chart:
    figure = figure_of(name)
    dot = "that of all observations of" if name in QUANTILES else "the mean over"
    caption = (
        f"{_capital(figure.meaning)}. The dot is {dot} {study.scenario.replications} replications, the bar its 95% "
        f"interval. {figure.better.capitalize()} is better; policies that lose more requests are last."
    )
    if without := [policy for policy in study.policies if name not in study.metrics(policy)]:
        caption += f" Not known: {', '.join(without)}."
    return _chart(f"Ranking by {figure.heading}", caption, plots.ranking(study, name))


def _tail(study: Study, what: plots.Measure, title: str) -> Chart:
    caption = (
        "How likely it is that a request took longer than the time below. Further left and down is better. "
        f"All {study.scenario.replications} replications together, without the rarest 0.1%.{_left_out(study)}"
    )
    return _chart(title, caption, plots.cdf(study, what, tail=True))


def _utilisation(study: Study, policy: str) -> Chart:
    count = len(study.records[policy][0].timeline.at_s) - 1
    caption = f"In the first replication, over {count} equal parts of the time.{_cut(study)}"
    return Chart(f"Utilisation over time: {policy}", caption, to_svg(plots.utilisation(study, policy)))


def _shares(study: Study, policy: str) -> Chart:
    failed = [record.metrics.get("failed_calls", 0.0) for record in study.records[policy]]
    said = f"{percent(sum(failed) / len(failed), digits=1)} of all calls failed." if any(failed) else "No call failed."
    return Chart(f"Share of calls: {policy}", f"{said}{_cut(study)}", to_svg(plots.shares(study, policy)), wide=False)


def _chart(title: str, caption: str, drawing: Drawing) -> Chart:
    return Chart(title, caption, to_svg(drawing))


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _cut(study: Study) -> str:
    count = len(study.scenario.by_url)
    return f" Shown are {MOST_ROWS} of {count} endpoints." if count > MOST_ROWS else ""


def _left_out(study: Study) -> str:
    count = len(study.policies)
    return f" Shown are {MOST_LINES} of {count} policies." if count > MOST_LINES else ""
