"""The planner: what comes of a change, by a bootstrap of the fit.

Fits to calls resampled in blocks are simulated once each (Barton, Nelson and Xie, INFORMS Journal on Computing 26,
2014: input uncertainty by the bootstrap). If one fit were simulated many times, the interval would leave out the
uncertainty of the fit, which is most of it. All changes meet the same fits and the same requests (common random
numbers), so that only the change differs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer_simulator.fitting.fit import Fit
from balancer_simulator.planning.what_if import WhatIf, block_of, blocks_of, from_0, scaled_arrivals, whole_of
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, OnOff, Poisson
from balancer_simulator.studies.parallel import Order, Simulators

__all__ = [
    "DRAWS", "FAR", "FIGURES", "Forecast", "Planner", "Predicted", "prediction_of", "reach_of", "sure_below",
]  # fmt: skip

FIGURES: Final = (
    "sojourn_mean_s", "sojourn_p50_s", "sojourn_p99_s", "wait_mean_s", "wait_p99_s", "makespan_s", "throughput_per_s",
    "lost",
)  # fmt: skip
"""What is predicted."""

DRAWS: Final = 40
"""Fits that are drawn again, unless told otherwise."""

FAR: Final = 0.15
"""A fit is off if a figure of calls or waits differs by more than this part."""

_DRAINS: Final = 20.0  # times the arrivals: when a queue that has grown is over
_TO_THE_END: Final = 1000.0  # times the record: when callers who wait for their answers are done, whatever is changed


# -- intervals --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Predicted:
    """A figure: its most likely value, and the ends of an interval that holds it with a certainty of 95%."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the interval."""
        return self.low <= value <= self.high


def prediction_of(values: Sequence[float]) -> Predicted:
    """Return the prediction of the next value, from one value of each resampled fit.

    The logarithm of the value is assumed normal (Hahn and Meeker, Statistical Intervals, 4.7), which covers the
    uncertainty of few draws. If not all values are above 0, the values themselves are assumed normal.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"found {len(values)} values; an interval needs at least 2")
    found = np.array(values)
    positive = bool((found > 0).all())
    scaled = np.log(found) if positive else found
    half = reach_of(scaled, 0.975)
    ends = np.array([np.median(scaled), scaled.mean() - half, scaled.mean() + half])
    value, low, high = np.exp(ends) if positive else np.maximum(ends, 0.0)
    return Predicted(float(value), float(low), float(high))


def sure_below(values: Sequence[float], certainty: float) -> float:
    """Return what the next value is below with this certainty: the upper end of an interval with one end."""
    logs = np.log(np.maximum(values, 1e-9))
    return float(np.exp(logs.mean() + reach_of(logs, certainty)))


def reach_of(values: Floats, quantile: float) -> float:
    """Return by how much the next value may be above the mean of these, which are normal, at a quantile."""
    count = len(values)
    return float(stdtrit(count - 1, quantile) * values.std(ddof=1)) * math.sqrt(1 + 1 / count)


# -- runs of a change -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forecast:
    """What came of a change: of each figure the values of all runs, and the share of the calls by endpoint.

    Attributes:
        values: by figure, of the runs that have it.
        shares: by URL, of each run.
        count: number of runs.
        all_over: whether every run whose requests end came to its end.
    """

    values: dict[str, list[float]]
    shares: dict[str, list[float]]
    count: int
    all_over: bool = True

    @property
    def figures(self) -> dict[str, Predicted]:
        """The figures that more than half of the runs have."""
        return {
            name: prediction_of(values) for name, values in self.values.items() if len(values) > max(1, self.count // 2)
        }

    @property
    def share_of(self) -> dict[str, Predicted]:
        """The share of the calls at each endpoint, by URL."""
        return {url: prediction_of(values) for url, values in self.shares.items()}

    def mean(self, name: str) -> float:
        """Return the mean of a figure over the runs; infinite if no run has it."""
        return float(np.mean(self.values.get(name) or [math.inf]))

    def sure(self, name: str, certainty: float) -> float:
        """Return what a figure of one next run is below with this certainty; infinite if a run has none, or no end."""
        values = self.values.get(name, [])
        return sure_below(values, certainty) if self.all_over and len(values) == self.count > 1 else math.inf


def _forecast_of(records: Sequence[Record], *, all_over: bool) -> Forecast:
    values = {name: [each for record in records if (each := _figure(record, name)) is not None] for name in FIGURES}
    shares = {
        url: [record.shares.get(url, 0.0) for record in records] for url in (records[0].shares if records else ())
    }
    return Forecast({name: each for name, each in values.items() if each}, shares, len(records), all_over)


def _figure(record: Record, name: str) -> float | None:
    if name == "throughput_per_s":
        return record.completed / (record.makespan_s or record.measured_s)
    return record.metrics.get(name)


@dataclass(frozen=True)
class Planner:
    """Runs changes of a scenario, or of a trace that was fitted.

    Attributes:
        source: a fit, or a scenario.
        simulators: what runs them.
        draws, seed: number of resampled fits, and their seed.
        most_calls: arrivals of a run at most; the rest is cut, because a p99 hardly changes then.
        calls: number of calls of callers that wait for their answers; None: as in the source.
        lasts_s: how long open arrivals of a fit come; None: as long as in the trace.
    """

    source: Fit | Scenario
    simulators: Simulators
    draws: int = DRAWS
    seed: int = 1
    most_calls: float = math.inf
    calls: int | None = None
    lasts_s: float | None = None
    _known: dict[tuple[int, bool], Scenario] = field(default_factory=dict)

    @cached_property
    def base(self) -> Scenario:
        """The scenario without any change; of a fit, without resampling."""
        if isinstance(self.source, Fit):
            return self.source.scenario(replications=1, workload=self._asked(None))
        apart = [model.model_copy(update={"url": url}) for model in self.source.endpoints for url in model.urls]
        workload = self.source.workload
        if self.calls and isinstance(workload, Batch):
            workload = workload.with_calls(self.calls)
        elif self.calls and isinstance(workload, Closed):
            workload = workload.model_copy(update={"calls": self.calls})
        horizon_s = self.source.horizon_s * (_TO_THE_END if self.source.is_batch else 1.0)
        return self.source.changed(endpoints=apart, workload=workload, horizon_s=horizon_s)

    @cached_property
    def urls(self) -> dict[str, str]:
        """The URL of each endpoint, by its URL and by its name in the trace."""
        names = {each.name: each.url for each in self.source.members} if isinstance(self.source, Fit) else {}
        return {url: url for url in self.base.by_url} | names

    def resolved(self, change: WhatIf) -> WhatIf:
        """Return a change with the URLs of the base. Raises ConfigError if it does not apply."""
        return change.resolved(self.base, self.urls)

    def policy(self, change: WhatIf) -> Policy:
        """Return the policy under a change."""
        if isinstance(self.source, Fit):
            return change.policy(self.source.policy)
        return change.policy(self.source.policies[0] if self.source.policies else Policy(strategy="least_in_flight"))

    def forecasts(self, changes: Sequence[WhatIf], *, draws: int | None = None) -> list[Forecast]:
        """Return what comes of each change, with the URLs of the base. All runs are made in one go."""
        count = self.draws if draws is None else min(draws, self.draws)
        orders = [
            Order(self._changed(change, number), self.policy(change), number)
            for change in changes
            for number in range(count)
        ]
        records = self.simulators.records(orders)
        found = []
        for place in range(0, len(orders), count):
            mine = records[place : place + count]
            ends = not isinstance(orders[place].scenario.workload, Poisson | OnOff)
            found.append(_forecast_of(mine, all_over=not ends or all(each.makespan_s is not None for each in mine)))
        return found

    def _changed(self, change: WhatIf, number: int) -> Scenario:
        """Return the change on the fit that is drawn as the `number`-th, which does not depend on the change."""
        scenario = self._drawn(number, again=change.again)
        if change.differs:
            scenario = change.applied(scenario)
        workload, horizon_s = scenario.workload, scenario.horizon_s
        if isinstance(workload, Poisson | OnOff):
            rate = change.load * workload.rate_per_s
            return scenario.changed(
                workload=_at_load(workload, change.load), horizon_s=min(horizon_s, self.most_calls / rate)
            )
        if not isinstance(workload, Arrivals):
            return scenario
        seed = [self.seed, number]
        at_s = from_0(self.source.caller_pattern.at_s if isinstance(self.source, Fit) else workload.at_s)
        scaled = scaled_arrivals(at_s, change.load, np.random.default_rng([*seed, 1]))
        whole_s = whole_of(at_s)
        lasts_s = self.lasts_s or whole_s * min(1.0, self.most_calls / len(at_s))
        instants = scaled.tolist()
        if not change.again:
            instants = blocks_of(scaled, whole_s, block_of(at_s), lasts_s, np.random.default_rng([*seed, 2]))
        horizon_s = _DRAINS * (max(lasts_s, whole_s) + 1.0)
        return scenario.changed(workload=Arrivals(at_s=instants), horizon_s=horizon_s)

    def _drawn(self, number: int, *, again: bool) -> Scenario:
        if not isinstance(self.source, Fit):
            return self.base
        if (number, again) not in self._known:
            rng = np.random.default_rng([self.seed, number])
            times = max(1.0, (self.calls or 0) / self.source.asked)
            self._known[number, again] = self.source.scenario(
                draw=rng, replications=1, horizon_s=self.source.prepared.lasts_s * _TO_THE_END * times, again=again,
                workload=self._asked(rng),
            )  # fmt: skip
        return self._known[number, again]

    def _asked(self, rng: np.random.Generator | None) -> dict[str, Any] | None:
        """Return the workload of the fit, if it is not that of the trace."""
        fit = self.source
        assert isinstance(fit, Fit), "a scenario is changed, and not drawn"
        if self.calls is None:
            return None
        if fit.batch is not None:
            return Batch.model_validate(fit.batch).with_calls(self.calls).model_dump(exclude_none=True)
        return fit.workload(rng, calls=self.calls)


def _at_load(workload: Poisson | OnOff, load: float) -> Poisson | OnOff:
    names = ("rate_per_s",) if isinstance(workload, Poisson) else ("on_rate_per_s", "off_rate_per_s")
    return workload.model_copy(update={name: load * getattr(workload, name) for name in names})
