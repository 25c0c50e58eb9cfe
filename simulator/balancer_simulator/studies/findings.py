"""Findings of a study: the figures of each policy, and which policies can be told apart.

Policies are compared on the same requests and faults.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, nan, sqrt
from typing import Any, Final, Self

from balancer.errors import ConfigError
from balancer.values.wording import did_you_mean
from balancer_simulator.run.record import Record, Tally
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Closed
from balancer_simulator.studies.figures import checked_figure, figure_of, ranking_figure
from balancer_simulator.studies.intervals import (
    QUANTILES,
    Interval,
    Pooled,
    difference_of,
    independent,
    interval_of,
    pooled,
)

__all__ = ["StudyFindings", "intervals"]

# A policy that loses more than the best one, by this share of all requests, is ranked behind those that do not: it
# looks quick because it does less.
_MORE_LOST: Final = 0.01
# A policy cannot keep up if more requests are under way at the end than in the middle, by more than this share of those
# that came between. If as many come as are served, the difference has about the variance of the two counts, which
# are Poisson's: this many deviations of it may be chance.
_GROWTH: Final = 0.01
_CHANCE: Final = 2.0
# At a load of 1 a queue is as long as what comes and what ends differ by chance: after n arrivals some sqrt(2 * n), in
# M/M/1 0.9 times that on average over the second half of a run. Of studies of three replications at a load of 1.00 one
# in twenty is below 0.4 times, at 0.90 one in thirty is above.
_AS_AT_ONE: Final = 0.4


@dataclass(frozen=True, slots=True, repr=False)
class StudyFindings:
    """Results of a `Study`, with the same attributes."""

    scenario: Scenario
    records: dict[str, tuple[Record, ...]]
    curves: dict[float, dict[str, tuple[Record, ...]]] = field(default_factory=dict)

    def __repr__(self) -> str:
        loads = f", loads {', '.join(f'{load:g}' for load in self.curves)}" if self.curves else ""
        count = self.scenario.replications
        many = "replication" if count == 1 else "replications"
        return f"<Study of {self.scenario.name!r}: {', '.join(self.policies)}; {count} {many}{loads}>"

    @property
    def figures(self) -> Any:
        """A row for each policy and figure: policy, figure, mean, low, high, unit, known. A DataFrame of pandas.

        A refused figure has no numbers. With loads there is a column `load`, NaN for the scenario itself.
        """
        from pandas import DataFrame, concat

        columns = ["policy", "figure", "mean", "low", "high", "unit", "known"]
        rows = [
            (policy, name, *_numbers(interval), figure_of(name).unit, not interval.is_refused)
            for policy in self.records
            for name, interval in self.metrics(policy).items()
        ]
        own = DataFrame(rows, columns=columns)
        by_load = [self.at_load(load).figures.assign(load=load) for load in self.curves]
        return concat([own.assign(load=nan), *by_load], ignore_index=True) if by_load else own

    @property
    def runs(self) -> Any:
        """A row for each run: policy, replication, and a column for each figure. A DataFrame of pandas."""
        from pandas import DataFrame

        return DataFrame([{"policy": r.policy, "replication": r.replication, **r.metrics} for r in self._every_run()])

    def requests(self) -> Any:
        """Return the requests of all runs, as `Record.requests` has them, after policy and replication.

        Raises:
            BalancerError: the runs kept none: they were made with `requests=False`.
        """
        return self._together("requests")

    def endpoints(self) -> Any:
        """Return the endpoints of all runs, as `Record.endpoints` has them, after policy and replication."""
        return self._together("endpoints")

    def _together(self, name: str) -> Any:
        from pandas import concat

        runs = {(record.policy, record.replication): getattr(record, name) for record in self._every_run()}
        return concat(runs, names=["policy", "replication"]).reset_index(level=[0, 1]).reset_index(drop=True)

    def _every_run(self) -> list[Record]:
        return [record for records in self.records.values() for record in records]

    @property
    def policies(self) -> list[str]:
        """The labels, in the given order."""
        return list(self.records)

    def metrics(self, policy: str) -> dict[str, Interval]:
        """Return every figure that all replications of `policy` have, with its interval; some may be refused.

        Raises:
            ConfigError: there is no such policy.
        """
        return intervals(self._samples(policy))

    def too_short(self, policy: str) -> dict[str, str]:
        """Return why quantiles of `policy` are refused, by figure: the runs are too short or too few for them.

        Raises:
            ConfigError: there is no such policy.
        """
        return refusals(self._samples(policy))

    def by_kind(self, policy: str) -> dict[str, dict[str, Interval]]:
        """Return the figures of each kind of request, by its name; empty if there is only one kind.

        Raises:
            ConfigError: there is no such policy.
        """
        runs = [record.kinds for record in self._samples(policy)]
        return {name: intervals([kinds[name] for kinds in runs]) for name in runs[0]}

    def independent(self, policy: str) -> float:
        """Return how many independent observations the requests under `policy` count as; inf if that is unknown.

        Raises:
            ConfigError: there is no such policy.
        """
        return independent(self._samples(policy))

    def _samples(self, *policies: str) -> list[Record]:
        """Return the runs of the first of `policies` that differ: one if all are copies of one sample."""
        runs = [self.runs_of(policy) for policy in policies]
        copies = self.scenario.is_one_sample and all(r.metrics == mine[0].metrics for mine in runs for r in mine)
        return list(runs[0][:1] if copies else runs[0])

    def values(self, policy: str, name: str) -> list[float]:
        """Return one figure of `policy` in each replication.

        Raises:
            ConfigError: there is no such policy or figure, or a run of it does not have the figure.
        """
        found = [record.metrics for record in self.runs_of(policy)]
        if not all(name in metrics for metrics in found):
            raise ConfigError(self._without(policy, name))
        return [metrics[name] for metrics in found]

    def metric(self, policy: str, name: str) -> Interval:
        """Return one figure of `policy`.

        Raises:
            ConfigError: there is no such policy or figure, or a run of it does not have the figure.
        """
        return _of_all(self._samples(policy), name, self.values(policy, name)).interval

    def difference(self, policy: str, other: str, name: str) -> Interval:
        """Return how much larger `name` is under `policy` than under `other`, paired by replication.

        Raises:
            ConfigError: there is no such policy or figure, or a run does not have the figure.
        """
        values, others = self.values(policy, name), self.values(other, name)
        mine, theirs = self._samples(policy, other), self._samples(other, policy)
        return difference_of(_of_all(mine, name, values), _of_all(theirs, name, others))

    @property
    def default_metric(self) -> str:
        """The figure that policies are ranked by unless told otherwise: less is better."""
        return "makespan_s" if self.scenario.is_batch else "sojourn_mean_s"

    def ranking(self, name: str | None = None) -> list[str]:
        """Return the policies, the best first, by the better end of `name`. Those that lose more requests come last.

        Raises:
            ConfigError: there is no such figure, or neither of its ends is better.
        """
        figure = ranking_figure(name or self.default_metric)
        if name is not None and not any(name in self.metrics(policy) for policy in self.records):
            raise ConfigError(self._without(self.policies[0], name))
        sign = -1 if figure.better == "more" else 1
        found = {policy: self.metrics(policy).get(figure.key) for policy in self.records}
        values = {policy: inf if interval is None else sign * interval.mean for policy, interval in found.items()}
        return sorted(self.records, key=lambda policy: (self.loses_more(policy), values[policy]))

    def best(self, name: str | None = None) -> list[str]:
        """Return the best policy by the better end of `name`, then those that cannot be told apart from it.

        A policy is as good as the best if the interval of their paired difference holds 0, and it loses no more
        requests. With one replication there are no intervals, so no policy can be told apart.

        Raises:
            ConfigError: there is no such figure, neither of its ends is better, or no policy has it in all its runs.
        """
        name = name or self.default_metric
        ranked = [policy for policy in self.ranking(name) if name in self.metrics(policy)]
        if not ranked:
            raise ConfigError(self._without(self.policies[0], name))
        best, *others = ranked
        alike = [p for p in others if not self.loses_more(p) and not self.difference(p, best, name).is_clear]
        return [best, *alike]

    def at_load(self, load: float) -> Self:
        """Return the study at one of the scenario's `loads`, which can be ranked and compared like any other.

        Raises:
            KeyError: the scenario was not run at this load.
        """
        records = self.curves[load]
        return type(self)(self.scenario.at_load(load), records)

    def loses_more(self, policy: str) -> bool:
        """Return whether `policy` loses clearly more requests than the policy that loses least.

        If `policy` cannot keep up (see `keeps_up`), requests under way at the end count as lost too.
        """
        lost = {other: self._lost(other) for other in self.records}
        return lost[policy] > min(lost.values()) + _MORE_LOST

    def keeps_up(self, policy: str) -> bool:
        """Return whether as many requests end under `policy` as arrive, apart from chance.

        They do not if the offered load is beyond what the endpoints can do, by the means (`Scenario.is_beyond`). They
        also do not if, in the second half of the time that counts, over all replications, the number under way grows by
        more than 1% of the arrivals and by more than chance explains. A batch has a makespan instead, and callers of a
        closed workload wait for their answers: both always keep up.
        """
        if self.scenario.is_batch or isinstance(self.scenario.workload, Closed):
            return True
        if self.scenario.is_beyond:
            return False
        came = growth = 0
        for record in self.runs_of(policy):
            arrived, under_way = record.halfway
            came += record.arrived - arrived
            growth += record.unfinished - under_way
        return growth <= _GROWTH * came + _CHANCE * sqrt(2 * came)

    def may_not_keep_up(self, policy: str) -> bool:
        """Return whether it is unknown if `policy` can keep up: no run of this length could tell.

        In the second half of the time that counts, as many requests wait on average as at a load of 1. A stable queue
        is shorter, if the run is long compared with the memory of the queue. So raise `horizon_s`.
        """
        if self.scenario.is_batch or isinstance(self.scenario.workload, Closed) or not self.keeps_up(policy):
            return False
        runs = self.runs_of(policy)
        came = sum(record.arrived - record.halfway[0] for record in runs) / len(runs)
        return sum(record.waiting for record in runs) / len(runs) > _AS_AT_ONE * sqrt(2 * came)

    def unfinished(self, policy: str) -> float:
        """Return the share of requests that were still under way at the end, over all replications."""
        came = sum(record.arrived for record in self.runs_of(policy))
        return sum(record.unfinished for record in self.runs_of(policy)) / max(1, came)

    def drawn(self) -> list[str]:
        """Return the policies to draw, the best first: those that keep up, or all if none does."""
        return [policy for policy in self.ranking() if self.keeps_up(policy)] or self.ranking()

    def share(self, policy: str, url: str) -> float:
        """Return the share of all calls at an endpoint, the mean over the replications."""
        records = self.runs_of(policy)
        return sum(record.shares[url] for record in records) / len(records)

    def _lost(self, policy: str) -> float:
        """Return the share of requests that are lost; all of them if none has ended."""
        came = sum(record.arrived for record in self.runs_of(policy))
        if self.keeps_up(policy):
            came -= sum(record.unfinished for record in self.runs_of(policy))
        return 1 - sum(record.completed for record in self.runs_of(policy)) / came if came else 1.0

    def runs_of(self, policy: str) -> tuple[Record, ...]:
        """Return the records of `policy`. Raises ConfigError with the policies that there are."""
        if policy not in self.records:
            raise ConfigError(
                f"study: unknown policy {policy!r}{did_you_mean(policy, self.records)} "
                f"(there are: {', '.join(self.records)})"
            )
        return self.records[policy]

    def _without(self, policy: str, name: str) -> str:
        """Return why there is no such figure, and what to do."""
        checked_figure(name)
        records = self.runs_of(policy)
        missing = sum(name not in record.metrics for record in records)
        line = f"study: {policy!r} has no {name} in {missing} of {len(records)} replications"
        completed = sum(record.completed for record in records)
        if completed:
            return f"{line}; it has {', '.join(self.metrics(policy))}"
        return (
            f"{line}: none of {sum(record.arrived for record in records)} requests succeeded; raise horizon_s or see "
            "what fails, and test a strategy of your own with check_strategy of balancer.testing.conformance"
        )


def intervals(records: Sequence[Tally]) -> dict[str, Interval]:
    """Return every figure that all of `records` have, with its interval. Quantiles are of all records together."""
    found = [record.metrics for record in records]
    names = [name for name in found[0] if all(name in metrics for metrics in found)]
    return {name: _of_all(records, name, [metrics[name] for metrics in found]).interval for name in names}


def _of_all(records: Sequence[Tally], name: str, values: Sequence[float]) -> Pooled:
    """Return a figure of all of `records`, from its values: of these and of copies of them."""
    if name in QUANTILES:
        return pooled(records, name)
    each = values[: len(records)]
    return Pooled(interval_of(each, least=0.0), "", tuple(each))


def refusals(records: Sequence[Tally]) -> dict[str, str]:
    """Return why quantiles are refused, by figure, for those that all of `records` have."""
    found = {name: pooled(records, name).refusal for name in QUANTILES if all(name in r.metrics for r in records)}
    return {name: refusal for name, refusal in found.items() if refusal}


def _numbers(interval: Interval) -> tuple[float, float, float]:
    return (nan, nan, nan) if interval.is_refused else (interval.mean, interval.low, interval.high)
