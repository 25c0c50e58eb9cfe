"""Ranking of a study: a line for each policy, the verdict, and remarks on the runs.

The verdict says which policy is certainly the best, or which ones chance may have put in order. It is the same in
tables and on the page. Remarks name refused figures, a single sample, and the warm-up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from balancer.reporting.document import Column, ColumnKind, Table, identifier, table
from balancer.reporting.words import NOTHING
from balancer.settings import DEFAULT_STRATEGY
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals
from balancer_simulator.studies.figures import TOO_SHORT, figure_of, worded, worded_difference
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.precision import look_at
from balancer_simulator.studies.warmup import why_all_counts

__all__ = [
    "UNSURE",
    "Ranked",
    "Winner",
    "behind",
    "of_the_runs",
    "ranked",
    "ranking_table",
    "to_know_more",
    "unsure",
    "winner_of",
]

_FEW_INDEPENDENT: Final = 100.0  # with fewer, some 85% of the intervals of means hold

UNSURE: Final = "may not keep up: as many wait as at an offered load of 1, and the run is too short"


class Ranked(NamedTuple):
    """A line of the ranking: its value, and its difference to the first."""

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
            remark = "" if found.is_clear else "no difference shown"
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


@dataclass(frozen=True, slots=True)
class Winner:
    """The first of a ranking, and the policies that cannot be told apart from it.

    Attributes:
        first: the policy with the best mean; it is not always certain that it is the best.
        alike: policies whose paired difference to it may be chance: on the same requests and faults, the 95% interval
            holds 0. With one replication all others.
        figure: that they are ranked by.
        of: number of policies.
    """

    first: str
    alike: tuple[str, ...]
    figure: str
    of: int

    @property
    def is_certain(self) -> bool:
        """Whether the first is better than every other policy by more than chance explains."""
        return self.of > 1 and not self.alike

    @property
    def kept(self) -> str:
        """The policy to keep: the usual one, if none is better than it by more than chance explains; else the first."""
        return DEFAULT_STRATEGY if DEFAULT_STRATEGY in self.alike else self.first

    def sentence(self) -> str:
        """Return the verdict as a line; "" if there is nothing to compare."""
        if self.of < 2:
            return ""
        heading = figure_of(self.figure).heading
        if self.is_certain:
            return f"best by {heading}: {self.first}"
        named = ", ".join([self.first, *self.alike])
        return f"no difference by {heading} that these runs show: {named}; keep {self.kept}"


def winner_of(study: StudyFindings, by: str | None = None) -> Winner | None:
    """Return the winner by the figure `by`; None if no policy has it in all its runs.

    Raises:
        ConfigError: there is no such figure, or neither of its ends is better.
    """
    name = by or study.default_metric
    if not any(name in study.metrics(policy) for policy in study.ranking(by)):
        return None
    first, *alike = study.best(name)
    return Winner(first, tuple(alike), name, len(study.policies))


def behind(study: StudyFindings) -> list[str]:
    """Return the policies that cannot keep up."""
    return [policy for policy in study.policies if not study.keeps_up(policy)]


def unsure(study: StudyFindings) -> list[str]:
    """Return the policies that may not keep up."""
    return [policy for policy in study.policies if study.may_not_keep_up(policy)]


def to_know_more(scenario: Scenario, longer: str) -> str:
    """Return what to do for better known figures: `longer`, or what helps where runs cannot become longer."""
    if scenario.is_one_sample:
        return "record for longer"
    return "raise replications" if scenario.is_batch or isinstance(scenario.workload, Arrivals) else longer


def of_the_runs(study: StudyFindings) -> Iterator[str]:
    """Yield remarks for a reader of any figure: refused figures, a single sample, requests that do not count."""
    refused = {name: reason for policy in study.policies for name, reason in study.too_short(policy).items()}
    if refused:
        name, reason = next(iter(refused.items()))
        advice = to_know_more(study.scenario, "raise horizon_s or replications")
        yield f"{TOO_SHORT}: {advice} for {', '.join(refused)} (of {name}: {reason})"
    if study.is_one_sample:
        yield (
            "one sample: the requests were recorded, so they are the same in every replication; intervals cover only "
            "the other random parts"
        )
    scenario = study.scenario
    if scenario.replications > 1 and any(model.seen_at_once for model in scenario.endpoints):
        yield (
            "fitted to a trace: intervals are of the mean over runs of this fit, not of one next run; for that, "
            "use balancer predict TRACE"
        )
    yield from _of_precision(study)
    yield from _of_weights_and_groups(study)
    if scenario.warmup_s:
        yield f"warm-up: the first {scenario.warmup_s:g} s of each run do not count"
    elif scenario.warmup_s is None and (why := why_all_counts(scenario)):
        yield f"no warm-up: all of each run counts, because {why}"


def _of_precision(study: StudyFindings) -> Iterator[str]:
    """Yield what is known to which precision, and whether the intervals of means are too narrow."""
    scenario, name = study.scenario, study.aim or study.default_metric
    if scenario.precision is not None:
        known = "known" if look_at(study, name).is_known else "not known"
        yield (
            f"precision: {name} is {known} to within {100 * scenario.precision:.2g}%, after {scenario.replications} "
            f"runs of {scenario.horizon_s:g} s"
        )
    least = min(map(study.independent, study.policies))
    if least < _FEW_INDEPENDENT:
        came = sum(record.arrived for record in study.records[study.policies[0]])
        longer = "raise horizon_s" if why_all_counts(scenario) else "raise horizon_s, or use --precision"
        yield (
            f"short runs: {came} requests count as about {least:.0f} independent ones, because those that come close "
            f"together are alike; intervals of means hold less often than 95%; {to_know_more(scenario, longer)}"
        )


def _of_weights_and_groups(study: StudyFindings) -> Iterator[str]:
    """Yield what users of other balancers expect, and does not happen."""
    endpoints, scenario = study.scenario.endpoints, study.scenario
    by = [policy.label for policy in scenario.policies if policy.strategy == "round_robin"]
    named = by or [label for label in study.policies if label == "round_robin"]
    if named and len({model.weight for model in endpoints}) > 1:
        yield f"{named[0]} ignores weights, which differ here; weighted_round_robin goes round by weight"
    lost = sum(record.lost + record.timed_out for records in study.records.values() for record in records)
    if lost and scenario.spill_after_s is None and len(groups := sorted({model.group for model in endpoints})) > 1:
        yield (
            f"groups: group {groups[1]} is used only if group {groups[0]} is out of service, however full that is, "
            "because spill_after_s is absent; with 0.0 a full group overflows at once"
        )
