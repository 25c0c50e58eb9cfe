"""Ranking of a study: a line for each policy, the verdict, and remarks on the runs.

The verdict says which policy is certainly the best, or which ones chance may have put in order. It is the same in
tables and on the page. Remarks name refused figures, a single sample, and the warm-up.
"""

from collections.abc import Iterator
from typing import Final

from markupsafe import Markup

from balancer.reporting.document import Column, ColumnKind, Table, identifier, table
from balancer.reporting.html import bare_table
from balancer.reporting.words import NOTHING
from balancer.settings import DEFAULT_STRATEGY
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals
from balancer_simulator.studies.figures import TOO_SHORT, figure_of, worded, worded_difference
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.warmup import settles

__all__ = ["best_of", "ranking_html", "ranking_table", "remarks", "verdict"]

_FEW_INDEPENDENT: Final = 100.0  # with fewer, some 85% of the intervals of means hold

_UNSURE: Final = "may not keep up: as many wait as at an offered load of 1, and the run is too short"


def ranking_table(study: StudyFindings, by: str | None = None) -> Table:
    """Return the policies, the best first, each with its paired difference to the best.

    Policies that cannot be told apart from the first share its place. `by`: a figure; default: the study's own.
    """
    name, ranking, best = by or study.default_metric, study.ranking(by), best_of(study, by)
    figure = figure_of(name)
    more = "beside the first" if figure.better == "more" else "more than the first"
    columns = [Column("", unbroken=True), Column("policy", ColumnKind.NAME, unbroken=True)]
    columns += [Column(head, ColumnKind.MEASURE, unbroken=True) for head in (figure.heading, more)]
    columns.append(Column("lost", ColumnKind.MEASURE))  # it folds, so that a name beside it is whole
    columns.append(Column("", ColumnKind.TEXT, wide=True))  # in the terminal a line below says it
    rows = []
    for place, policy in enumerate(ranking, start=1):
        shared = 1 if policy in best[1:] else place
        lost = study.metrics(policy).get("lost")
        words = NOTHING if lost is None else worded(lost, "part")
        rows.append(
            (str(shared), identifier(policy), *_ranked(study, ranking[0], policy, name), words, _fares(study, policy))
        )
    return table(columns, rows)


def _ranked(study: StudyFindings, best: str, policy: str, name: str) -> tuple[str, str]:
    metrics, unit = study.metrics(policy), figure_of(name).unit
    value = worded(metrics[name], unit) if name in metrics else NOTHING
    if policy == best or name not in metrics or name not in study.metrics(best):
        return value, ""
    difference = study.difference(policy, best, name)
    words = worded_difference(difference, study.metric(best, name).mean, unit)
    return value, words if difference.is_clear else f"{words} ~"


def _fares(study: StudyFindings, policy: str) -> str:
    if not study.keeps_up(policy):
        return f"cannot keep up: {study.unfinished(policy):.1%} unfinished"
    return "may not keep up" if study.may_not_keep_up(policy) else ""


def ranking_html(study: StudyFindings) -> str:
    """Return the ranking for a notebook cell: what it is by, the table, and the remarks."""
    lines = [f"{study.scenario.name}: {figure_of(study.default_metric).meaning}", verdict(study), *remarks(study)]
    first, *others = (Markup("<div>{}</div>").format(line) for line in lines if line)
    return str(Markup("").join([first, Markup(bare_table(ranking_table(study))), *others]))  # the table is escaped


def best_of(study: StudyFindings, by: str | None = None) -> list[str]:
    """Return `study.best(by)`; nothing if no policy has the figure in all its runs.

    With one replication it is every policy that loses no more requests.

    Raises:
        ConfigError: there is no such figure, or neither of its ends is better.
    """
    name = by or study.default_metric
    return study.best(name) if any(name in study.metrics(policy) for policy in study.ranking(by)) else []


def _to_know_more(scenario: Scenario, longer: str) -> str:
    """Return what to do for better known figures: `longer`, or what helps where runs cannot become longer."""
    if scenario.is_one_sample:
        return "record for longer"
    return "raise replications" if scenario.is_batch or isinstance(scenario.workload, Arrivals) else longer


def verdict(study: StudyFindings, by: str | None = None) -> str:
    """Return the best as a line; "" with one replication, which decides nothing, or with nothing to compare.

    If others are as good as the first, the policy to keep is the usual one if it is among them.
    """
    best = best_of(study, by)
    if not best or len(study.policies) < 2 or study.scenario.replications == 1:
        return ""
    heading = figure_of(by or study.default_metric).heading
    if len(best) == 1:
        return f"best by {heading}: {best[0]}"
    kept = DEFAULT_STRATEGY if DEFAULT_STRATEGY in best else best[0]
    return f"no difference by {heading} that these runs show: {', '.join(best)}; keep {kept}"


def remarks(study: StudyFindings, by: str | None = None) -> Iterator[str]:
    """Yield what a reader of the ranking must know: how sure it is, who is behind, what is not known."""
    name, ranking, scenario = by or study.default_metric, study.ranking(by), study.scenario
    there = [policy for policy in ranking if name in study.metrics(policy)]
    if not there:
        what = "no batch was done" if scenario.is_batch else "in no replication did a request succeed"
        yield f"{what} within horizon_s, {scenario.horizon_s:g} s: raise it, or see what fails"
    if scenario.replications == 1:
        yield "one replication, so no intervals; run more with --replications"
    else:
        each = "" if scenario.is_batch else f", {scenario.horizon_s:g} s each"
        yield f"\u00b1: 95% intervals over {scenario.replications} replications{each}; differences are paired"
        if any(not study.difference(policy, there[0], name).is_clear for policy in there[1:]):
            yield "~: cannot be told apart from the first: the interval of the difference holds 0"
    if losers := [policy for policy in ranking if study.loses_more(policy)]:
        yield f"ranked last, because they lose more requests, or never end them: {', '.join(losers)}"
    if found := [f"{p} ({study.unfinished(p):.1%} unfinished)" for p in study.policies if not study.keeps_up(p)]:
        yield f"cannot keep up, so the times grow with the horizon: {', '.join(found)}"
    if names := [policy for policy in study.policies if study.may_not_keep_up(policy)]:
        yield f"{_UNSURE}; {_to_know_more(scenario, 'raise horizon_s')}: {', '.join(names)}"
    yield from _of_the_runs(study)


def _of_the_runs(study: StudyFindings) -> Iterator[str]:
    """Yield remarks for a reader of any figure: refused figures, a single sample, requests that do not count."""
    refused = {name: reason for policy in study.policies for name, reason in study.too_short(policy).items()}
    if refused:
        name, reason = next(iter(refused.items()))
        advice = _to_know_more(study.scenario, "raise horizon_s or replications")
        yield f"{TOO_SHORT}: {advice} for {', '.join(refused)} (of {name}: {reason})"
    scenario = study.scenario
    if scenario.is_one_sample:
        yield (
            "one sample: the requests were recorded, so they are the same in every replication; intervals cover only "
            "the other random parts"
        )
    if scenario.replications > 1 and any(model.seen_at_once for model in scenario.endpoints):
        yield (
            "fitted to a trace: intervals are of the mean over runs of this fit, not of one next run; for that, "
            "use balancer predict TRACE"
        )
    yield from _of_length(study)
    if scenario.warmup_s:
        yield f"warm-up: the first {scenario.warmup_s:g} s of each run do not count"
    elif scenario.warmup_s is None and not settles(scenario):
        yield "no warm-up: all of each run counts, because the work has an end, was recorded, or something changes"


def _of_length(study: StudyFindings) -> Iterator[str]:
    """Yield whether the intervals of means are too narrow."""
    least = min(map(study.independent, study.policies))
    if least < _FEW_INDEPENDENT:
        came = sum(record.arrived for record in study.records[study.policies[0]])
        yield (
            f"short runs: {came} requests count as about {least:.0f} independent ones, because those that come close "
            "together are alike; intervals of means hold less often than 95%; "
            f"{_to_know_more(study.scenario, 'raise horizon_s')}"
        )
