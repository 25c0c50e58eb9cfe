"""A plan: the cheapest setting that keeps a goal, a deadline or a p99.

A pool is the first part of a chain: today's endpoints, those that do most for their cost first, then copies of the
first one or, if all cost the same, of the middle one. More of a chain is never slower, so their number is found by
bisection, for the best callers and strategy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from balancer.errors import ConfigError
from balancer_simulator.fitting.description import changes, runs_line
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.planning.goodness import refuse_if_off
from balancer_simulator.planning.planner import Forecast, Planner
from balancer_simulator.planning.what_if import WhatIf, callers_of, check_ranges, from_0, rate_of_work, url_of, whole_of
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, OnOff, Poisson
from balancer_simulator.studies.parallel import Simulators

__all__ = ["STRATEGIES", "Goal", "PoolPlan", "Setting", "plan"]

STRATEGIES: Final = ("least_in_flight", "fifo", "peak_ewma")
"""Tried beside the present one, by default."""

_MOST_OPEN: Final = 200  # endpoints: more are not tried
_MOST_CLOSED: Final = 24  # likewise, or twice the present number if that is more
_TIMES: Final = 4  # times the present endpoints: more are not tried for a deadline
_CALLS: Final = 10_000  # a longer run is cut: a p99 hardly changes, and each further call takes time
_BUSY: Final = 0.8  # share of the time: where the search begins
_IDLE: Final = 4.0  # times the load: with so many endpoints hardly any request waits
_TODAY_DRAWS: Final = 5  # that tell how many requests are lost today
_BETTER: Final = 0.02  # share of the time that another setting must save to replace the present one
_LOST: Final = 0.001  # share of the requests that may be lost, if it is not more today
_AS_TODAY: Final = 1.25


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: `deadline_s` or `p99_s`.

    Attributes:
        deadline_s: of callers who wait for their answers: seconds until all work is done; infinite: as soon as it can
            be with the endpoints that there are.
        p99_s: of open arrivals: 99 in 100 requests of a run take no longer, from arrival to success.
        tasks: with a deadline: number of calls; None: as in the source.
        load: with a p99: rate of the arrivals, in times of today's.
        losing: number of endpoints that are gone for the whole run: those that do most.
        certainty: probability that a run meets it.
        costs: of an endpoint and of each copy, by name or URL; 1 for all others.
    """

    deadline_s: float | None = None
    p99_s: float | None = None
    tasks: int | None = None
    load: float = 1.0
    losing: int = 0
    certainty: float = 0.95
    costs: Mapping[str, float] | None = None

    @property
    def figure(self) -> str:
        """The figure that must be small enough."""
        return "makespan_s" if self.p99_s is None else "sojourn_p99_s"

    @property
    def at_most(self) -> float:
        """How small it must be."""
        return (self.deadline_s if self.p99_s is None else self.p99_s) or 0.0

    def check(self) -> None:
        """Raise ConfigError if a number is out of range."""
        name = "--deadline" if self.p99_s is None else "--p99"
        check_ranges([
            (name, self.at_most, self.at_most > 0, "more than 0"),
            ("--load", self.load, 0 < self.load <= 100, "more than 0 and at most 100, e.g. x1.5"),
            ("--losing", self.losing, self.losing >= 0, "a whole number, 0 or more"),
            ("--certainty", self.certainty, 0.5 <= self.certainty < 1, "at least 0.5 and less than 1, e.g. 0.95"),
            *(("--cost", cost, 0 < cost < math.inf, "more than 0") for cost in (self.costs or {}).values()),
        ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that was simulated.

    Attributes:
        change: what differs from today.
        scenario: with the change, from the fit without resampling.
        made_up: the made-up URL of each endpoint that does not exist yet -> the URL of the one it copies.
        forecast: what came of it.
        sure: what the figure of the goal is below with the certainty asked for.
        cost: of its endpoints.
        does: whether it keeps the goal.
    """

    change: WhatIf
    scenario: Scenario
    made_up: dict[str, str]
    forecast: Forecast
    sure: float
    cost: float
    does: bool

    @property
    def strategy(self) -> str:
        """Its strategy."""
        return self.scenario.policies[0].strategy

    @property
    def callers(self) -> int | None:
        """Number of callers who wait for their answers, or of problems at once; None: arrivals are open."""
        return callers_of(self.scenario.workload)

    @property
    def slots(self) -> dict[str, int]:
        """The slots of each endpoint, by URL."""
        return {model.url: model.capacity for model in self.scenario.endpoints}

    @property
    def config(self) -> dict[str, Any]:
        """A config of a pool with this setting, as keys and values."""
        keys = {"url", "capacity", "weight", "labels"}
        endpoints = [model.model_dump(include=keys) for model in self.scenario.endpoints]
        return {"pool": {"strategy": self.strategy}, "endpoints": endpoints}


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """The cheapest setting, with all that were tried.

    Attributes:
        goal: what was asked for.
        present: the setting of today, at the load asked for.
        chosen: the cheapest that keeps the goal; None if there is none.
        nearest: the nearest that does not: one endpoint less than `chosen`, or the best of all.
        tried: all.
        remarks: assumptions, and where the search stopped; a sentence each.
    """

    goal: Goal
    present: Setting
    chosen: Setting | None
    nearest: Setting | None
    tried: tuple[Setting, ...]
    remarks: tuple[str, ...] = ()


def plan(
    source: Fit | Scenario,
    goal: Goal,
    *,
    strategies: Sequence[str] = STRATEGIES,
    draws: int = 20,
    seed: int = 1,
    jobs: int | None = 1,
    anyway: bool = False,
) -> PoolPlan:
    """Return the cheapest setting that keeps the goal.

    Args:
        source: a fit, or a scenario.
        goal: what is wanted.
        strategies: to try beside that of today.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.
        anyway: build on a fit that is off.

    Raises:
        ConfigError: the goal cannot be, or is of the other kind of load; or runs of the fit are unlike its trace.
    """
    _check_load(source, goal)
    goal.check()
    if isinstance(source, Fit) and not anyway:
        refuse_if_off(source, waits=source.batch is None)
    with Simulators(jobs) as simulators:
        planner = Planner(source, simulators, draws, seed, most_calls=_CALLS, calls=goal.tasks)
        costs = {url_of("--cost", name, planner.urls): cost for name, cost in (goal.costs or {}).items()}
        found = _Search(planner, replace(goal, costs=costs), strategies).found()
    return replace(found, remarks=(*_taken(source, goal), *found.remarks))


def _check_load(source: Fit | Scenario, goal: Goal) -> None:
    if (goal.deadline_s is None) == (goal.p99_s is None):
        raise ConfigError("plan: give either a deadline (--deadline) or, for open arrivals, a p99 (--p99)")
    if isinstance(source, Scenario):
        workload, said = source.workload, f"its workload is {source.workload.kind}"
        is_open = isinstance(workload, Arrivals | Poisson | OnOff)
        has_end = isinstance(workload, Batch) or (isinstance(workload, Closed) and bool(goal.tasks or workload.calls))
    else:
        said = f"{source.callers} callers wait for their answers"
        is_open, has_end = source.callers is None, source.callers is not None
    if goal.p99_s is not None and not is_open:
        raise ConfigError(f"--p99: it is for open arrivals, and {said} (a closed loop); use --deadline")
    if goal.deadline_s is not None and not has_end:
        raise ConfigError(
            "--deadline: arrivals are open, so the work has no end; if callers do wait for their answers, give each a "
            'holder (lease(holder=...)) and record again, or write the scenario with workload kind = "closed", workers '
            "and calls; of a run of the pipeline give its results folder; for the number of servers that open arrivals "
            "need, give --p99, e.g. --p99 0.8s --load x1.5"
        )


class _Search:
    """Tries settings, each once."""

    def __init__(self, planner: Planner, goal: Goal, strategies: Sequence[str]) -> None:
        self._planner, self._goal, self._base = planner, goal, planner.base
        self._models = {model.url: model for model in self._base.endpoints}
        self._rates = {url: rate_of_work(self._base, _seen(model)) for url, model in self._models.items()}
        self._costs = {url: (goal.costs or {}).get(url, 1.0) for url in self._models}
        self._chain = sorted(self._models, key=lambda url: self._rates[url] / self._costs[url], reverse=True)
        self._kind = self._chain[0 if goal.costs else len(self._chain) // 2]
        self._is_open = goal.p99_s is not None
        self._known: dict[str, Setting] = {}
        # A caller for each slot: of an endpoint without a known limit, as many as it was seen to have.
        known = {
            url: model.seen_at_once
            for url, model in self._models.items()
            if not self._is_open and model.capacity >= NO_LIMIT and model.seen_at_once
        }
        self._today = WhatIf(load=goal.load, capacities=known, callers=callers_of(self._base.workload))
        now = planner.policy(WhatIf()).strategy
        self._others = [{"strategy": name} for name in dict.fromkeys(strategies) if name != now]
        (today,) = planner.forecasts([replace(self._today, load=1.0)], draws=_TODAY_DRAWS)
        self._most_lost = max(_LOST, _AS_TODAY * min(today.mean("lost"), 1.0))

    def found(self) -> PoolPlan:
        """Return the answer: the fewest endpoints, then what other settings save."""
        present = self._tried(self._today)
        improved = self._improved(present)
        best, remarks = None, []
        if math.isinf(self._goal.at_most):
            best = improved if math.isfinite(improved.sure) else None
        else:
            best = self._fewest(improved.change)
            for settings in self._others:
                best = self._fewer(replace((best or improved).change, settings=settings), best) or best
            if best is None:
                remarks.append(f"more than {self._most} endpoints were not tried")
        tried = list(self._known.values())
        failing = [each for each in tried if not each.does]
        cheaper = [each for each in failing if best is None or each.cost < best.cost]
        nearest = min(cheaper or failing, key=lambda each: (each.sure, each.cost), default=None)
        return PoolPlan(self._goal, present, best, nearest, tuple(tried), tuple(remarks))

    # -- settings ------------------------------------------------------------------------------------

    def _tried(self, change: WhatIf) -> Setting:
        """Return a setting with what comes of it, without the endpoints that the goal loses."""
        key = repr(change)
        if key not in self._known:
            left = self._left(change)
            (forecast,) = self._planner.forecasts([left]) if left else (Forecast({}, {}, 0),)
            scenario = change.applied(self._base).changed(policies=[self._planner.policy(change)])
            made_up = change.made_up(scenario)
            cost = sum(self._costs[made_up.get(model.url, model.url)] for model in scenario.endpoints)
            sure = forecast.sure(self._goal.figure, self._goal.certainty)
            does = math.isfinite(sure) and sure <= self._goal.at_most and forecast.mean("lost") <= self._most_lost
            self._known[key] = Setting(change, scenario, made_up, forecast, sure, cost, does)
        return self._known[key]

    def _left(self, change: WhatIf) -> WhatIf | None:
        """Return a change without the endpoints that are lost, which do most; None if there is none left."""
        there = [url for url in self._models if url not in change.without]
        there += [url for url, many in change.add.items() for _ in range(many)]
        lost = sorted(there, key=lambda url: self._rates[url])[len(there) - self._goal.losing :]
        if self._goal.losing >= len(there):
            return None
        add = {url: max(0, many - lost.count(url)) for url, many in change.add.items()}
        gone = [url for url in self._models if url in lost and lost.count(url) > change.add.get(url, 0)]
        return replace(change, without=(*change.without, *gone), add={url: many for url, many in add.items() if many})

    def _at(self, number: int, change: WhatIf) -> WhatIf:
        """Return a change with the first endpoints of the chain, and a caller for each further slot."""
        there = len(self._chain)
        more = {self._kind: number - there} if number > there else {}
        pool = replace(change, without=tuple(self._chain[number:]), add=more)
        if change.callers is None:
            return pool
        further = self._crew(pool) - self._crew(replace(change, without=(), add={}))
        return replace(pool, callers=max(1, change.callers + max(further, 0)))

    def _crew(self, change: WhatIf) -> int:
        """Return how many callers fill these slots; of a batch, how many samples, as each has several threads."""
        slots = sum(model.capacity for model in change.applied(self._base).endpoints)
        workload = self._base.workload
        if not isinstance(workload, Batch):
            return slots
        return min(workload.samples, -(-slots // max(stage.workers for stage in workload.stages)))

    def _improved(self, present: Setting) -> Setting:
        """Return the best after changes of callers, then of strategies, with today's endpoints."""
        best = present
        if not self._is_open:
            crew, workload = self._crew(self._today), self._base.workload
            most = workload.samples if isinstance(workload, Batch) else 2 * crew
            for callers in (crew, min(most, 2 * crew)):
                best = self._better(best, self._tried(replace(best.change, callers=callers)))
        for settings in self._others:
            best = self._better(best, self._tried(replace(best.change, settings=settings)))
        return best

    @staticmethod
    def _better(best: Setting, other: Setting) -> Setting:
        return other if other.sure < best.sure * (1 - _BETTER) else best

    # -- the number of endpoints ---------------------------------------------------------------------

    def _fewest(self, change: WhatIf) -> Setting | None:
        """Return the shortest part of the chain that does: steps that double from a guess, then bisection."""
        most = self._most
        low, high, step = self._goal.losing, most + 1, 1  # `low` does not do; `high` does, or is not tried
        number = min(most, max(low + 1, self._doing(_BUSY) if self._is_open else len(self._chain)))
        while high - low > 1:
            if self._tried(self._at(number, change)).does:
                high, number = number, number - step
            else:
                low, number = number, number + step
            step *= 2
            number = number if low < number < high else (low + high) // 2
        return None if high > most else self._tried(self._at(high, change))

    def _fewer(self, change: WhatIf, best: Setting | None) -> Setting | None:
        """Return the shortest part of the chain that does with another change, if it is cheaper or faster."""
        if best is None:
            return self._fewest(change)
        found, number = None, len(best.scenario.endpoints)
        while number > self._goal.losing and (each := self._tried(self._at(number, change))).does:
            found, number = each, number - 1
        return found if found and (found.cost, found.sure) < (best.cost, best.sure) else None

    @property
    def _most(self) -> int:
        """How many endpoints are tried: with more, these would be idle most of the time."""
        there = len(self._chain)
        return (
            max(there, self._doing(1 / _IDLE)) if self._is_open else max(2 * there, min(_TIMES * there, _MOST_CLOSED))
        )

    def _doing(self, busy: float) -> int:
        """Return how many endpoints are busy for this share of the time under open arrivals, those lost left out."""
        workload = self._base.workload
        if isinstance(workload, Arrivals):
            rate = len(workload.at_s) / whole_of(from_0(workload.at_s))
        else:
            assert isinstance(workload, Poisson | OnOff), "the others are refused"
            rate = workload.rate_per_s
        for number in range(self._goal.losing + 1, _MOST_OPEN):
            urls = [*self._chain[:number], *[self._kind] * (number - len(self._chain))]
            rates = sorted(self._rates[url] for url in urls)[: number - self._goal.losing]
            if sum(rates) * busy >= self._goal.load * rate:
                return number
        return _MOST_OPEN


def _seen(model: EndpointModel) -> EndpointModel:
    """Return an endpoint that works on no more calls at once than it is known to."""
    return model.model_copy(update={"capacity": min(model.capacity, model.seen_at_once or model.capacity)})


def _taken(source: Fit | Scenario, goal: Goal) -> Iterator[str]:
    """Yield the assumptions that were made about a trace."""
    if isinstance(source, Scenario):
        return
    if goal.p99_s is None and (line := runs_line(source)):
        yield line if goal.tasks else f"{line}; tasks is the sum of all, {source.asked}, unless you give --tasks"
    yield from (f"not stationary: {line}" for line in changes(source))
    if source.batch is not None:
        yield "a run of the pipeline: the same problems again, each through its stages; callers are problems at once"
