"""A plan: the cheapest setting that keeps a goal, a deadline or a p99.

A pool is the first part of a chain: today's endpoints, those that do most for their cost first, then copies of one of
them. More of a chain is never slower, so their number is found by bisection, for the best callers, capacities and
strategy.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from balancer.errors import ConfigError
from balancer_simulator.fitting.callers import come_and_go, have_several_at_once
from balancer_simulator.fitting.description import changes, runs_line
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.planning.goodness import refuse_if_off
from balancer_simulator.planning.planner import FitDraws, Forecast, Planner
from balancer_simulator.planning.predicted import Predicted
from balancer_simulator.planning.what_if import WhatIf, from_0, rate_of_work, url_of, whole_of
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, OnOff, Poisson
from balancer_simulator.studies.parallel import Simulators

__all__ = ["KNEE_LOADS", "STRATEGIES", "Goal", "PoolPlan", "Setting", "plan"]

STRATEGIES: Final = ("least_in_flight", "fifo", "peak_ewma")
"""Tried beside the present one, by default."""

KNEE_LOADS: Final = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Loads at which the knee is shown, in times of the load asked for."""

_MOST_OPEN: Final = 200  # endpoints: more are not tried
_MOST_CLOSED: Final = 24  # likewise, or twice the present number if that is more
_TIMES: Final = 4  # times the present endpoints: more are not tried for a deadline
_CALLS: Final = 10_000  # a longer run is cut: a p99 hardly changes, and each further call takes time
_KINDS: Final = 3  # endpoints that are copied: more would take too long
_BUSY: Final = 0.8  # share of the time: where the search begins
_IDLE: Final = 4.0  # times the load: with so many endpoints hardly any request waits
_KNEE_DRAWS: Final = 6
_TODAY_DRAWS: Final = 5  # that tell how many requests are lost today
_SLOTS: Final = (0.5, 1.5, 2.0, 3.0)  # capacities that are tried if slots have a cost, in times of today's
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
        slot_cost: of each slot beside that; None: slots are free, and those of open arrivals stay as they are.
    """

    deadline_s: float | None = None
    p99_s: float | None = None
    tasks: int | None = None
    load: float = 1.0
    losing: int = 0
    certainty: float = 0.95
    costs: Mapping[str, float] | None = None
    slot_cost: float | None = None

    @property
    def figure(self) -> str:
        """The figure that must be small enough."""
        return "makespan_s" if self.p99_s is None else "sojourn_p99_s"

    @property
    def at_most(self) -> float:
        """How small it must be."""
        return (self.deadline_s if self.p99_s is None else self.p99_s) or 0.0

    def check(self, base: Scenario) -> None:
        """Raise ConfigError if the goal cannot be one of this scenario."""
        if not self.at_most > 0:
            name = "--deadline" if self.p99_s is None else "--p99"
            raise ConfigError(f"{name}: found {self.at_most:g} s; it must be more than 0")
        if not 0 < self.load <= 100:
            raise ConfigError(f"--load: found {self.load:g}; it must be more than 0 and at most 100, e.g. x1.5")
        if self.losing < 0:
            raise ConfigError(f"--losing: found {self.losing}; it must be a whole number, 0 or more")
        if not 0.5 <= self.certainty < 1:
            raise ConfigError(
                f"--certainty: found {self.certainty:g}; it must be at least 0.5 and less than 1, e.g. 0.95"
            )
        if wrong := [cost for cost in (self.costs or {}).values() if not 0 < cost < math.inf]:
            raise ConfigError(f"--cost: found {wrong[0]:g}; it must be more than 0")
        if self.slot_cost is not None:
            if not 0 <= self.slot_cost < math.inf:
                raise ConfigError(f"--slot-cost: found {self.slot_cost:g}; it must be 0 or more")
            if not any(map(_binds, base.endpoints)):
                raise ConfigError(
                    "--slot-cost: no endpoint ever had all its slots in use, so no capacity binds; leave it out"
                )


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that was simulated.

    Attributes:
        change: what differs from today.
        scenario: with the change, from the fit without resampling.
        made_up: the made-up URL of each endpoint that does not exist yet -> the URL of the one it copies.
        forecast: what came of it.
        sure: what the figure of the goal is below with the certainty asked for.
        cost: of its endpoints, and of their slots.
    """

    change: WhatIf
    scenario: Scenario
    made_up: dict[str, str]
    forecast: Forecast
    sure: float
    cost: float

    @property
    def strategy(self) -> str:
        """Its strategy."""
        return self.scenario.policies[0].strategy

    @property
    def callers(self) -> int | None:
        """Number of callers who wait for their answers, or of problems at once; None: arrivals are open."""
        workload = self.scenario.workload
        return workload.samples_at_once if isinstance(workload, Batch) else getattr(workload, "workers", None)

    @property
    def slots(self) -> dict[str, int]:
        """The slots of each endpoint, by URL."""
        return {model.url: model.capacity for model in self.scenario.endpoints}

    @property
    def config(self) -> dict[str, Any]:
        """A config of a pool with this setting, as keys and values."""
        endpoints = [
            {
                "url": model.url, "capacity": model.capacity,
                "weight": model.weight if model.weight != 1.0 else None, "labels": list(model.labels) or None,
            }
            for model in self.scenario.endpoints
        ]  # fmt: skip
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
        knee: with a p99: of "as it is", "answer" and "one more", the p99 at each load.
        most_lost: share of the requests that may be lost.
        remarks: assumptions, and where the search stopped; a sentence each.
    """

    goal: Goal
    present: Setting
    chosen: Setting | None
    nearest: Setting | None
    tried: tuple[Setting, ...]
    knee: dict[str, dict[float, Predicted]]
    most_lost: float
    remarks: tuple[str, ...] = ()

    def does(self, found: Setting) -> bool:
        """Return whether a setting keeps the goal."""
        return _keeps(found, self.goal, self.most_lost)


def _keeps(found: Setting, goal: Goal, most_lost: float) -> bool:
    return math.isfinite(found.sure) and found.sure <= goal.at_most and found.forecast.mean("lost") <= most_lost


def plan(
    source: Fit | Scenario,
    goal: Goal,
    *,
    strategies: Sequence[str] = STRATEGIES,
    draws: int = 20,
    seed: int = 1,
    jobs: int = 1,
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
    as_callers = isinstance(source, Fit) and goal.p99_s is None and bool(_of_problems(source))
    if isinstance(source, Fit) and not anyway:
        refuse_if_off(source, waits=goal.p99_s is not None or (source.batch is None and not as_callers))
    with Simulators(jobs) as simulators:
        drawn = FitDraws(simulators, draws, seed)
        planner = Planner(source, drawn, most_calls=_CALLS, calls=goal.tasks, as_callers=as_callers)
        costs = {url_of("--cost", name, planner.urls): cost for name, cost in (goal.costs or {}).items()}
        goal = replace(goal, costs=costs)
        goal.check(planner.base)
        found = _Search(planner, goal, strategies).found()
    return replace(found, remarks=(*_taken(source, goal), *found.remarks))


def _check_load(source: Fit | Scenario, goal: Goal) -> None:
    if (goal.deadline_s is None) == (goal.p99_s is None):
        raise ConfigError("plan: give either a deadline (--deadline) or, for open arrivals, a p99 (--p99)")
    if isinstance(source, Scenario):
        workload = source.workload
        said = f"its workload is {workload.kind}"
        is_open = isinstance(workload, Arrivals | Poisson | OnOff)
        has_end = isinstance(workload, Batch) or (isinstance(workload, Closed) and bool(goal.tasks or workload.calls))
        way_out = (
            'set its workload to kind = "closed", with workers and calls; of a run of the pipeline give its trace, '
            "run.sqlite in the results folder"
        )
    else:
        said = f"{source.callers} callers wait for their answers"
        is_open = source.callers is None
        has_end = not is_open or bool(_of_problems(source))
        way_out = (
            "if callers do wait for their answers, give each a holder (lease(holder=...)), as balancer run does, and "
            'record again, or write the scenario with balancer fit --out and set its workload to kind = "closed", with '
            "workers and calls"
        )
    if goal.p99_s is not None and not is_open:
        raise ConfigError(f"--p99: it is for open arrivals, and {said} (a closed loop); use --deadline")
    if goal.deadline_s is not None and not has_end:
        raise ConfigError(
            f"--deadline: arrivals are open, so the work has no end; {way_out}; for the number of servers that open "
            "arrivals need, give --p99, e.g. --p99 0.8s --load x1.5"
        )


class _Search:
    """Tries settings, each once."""

    def __init__(self, planner: Planner, goal: Goal, strategies: Sequence[str]) -> None:
        self._planner, self._goal, self._base = planner, goal, planner.base
        now = planner.policy(WhatIf()).strategy
        self._strategies = [name for name in dict.fromkeys(strategies) if name != now]
        self._models = {model.url: model for model in self._base.endpoints}
        self._rates = {url: rate_of_work(self._base, _seen(model)) for url, model in self._models.items()}
        self._costs = {url: (goal.costs or {}).get(url, 1.0) for url in self._models}
        self._chain = sorted(self._models, key=self._worth, reverse=True)
        self._is_open = goal.p99_s is not None
        self._most_lost = _LOST
        self._known: dict[str, Setting] = {}
        # A caller for each slot: of an endpoint without a known limit, as many as it was seen to have.
        known = {
            url: model.seen_at_once
            for url, model in self._models.items()
            if not self._is_open and model.capacity >= NO_LIMIT and model.seen_at_once
        }
        workload = self._base.workload
        callers = workload.samples_at_once if isinstance(workload, Batch) else getattr(workload, "workers", None)
        self._today = WhatIf(load=goal.load, capacities=known, callers=callers)

    def found(self) -> PoolPlan:
        """Return the answer: the fewest endpoints for each kind to copy, then what other settings save."""
        goal = self._goal
        present = self._tried(self._today)
        (today,) = self._planner.forecasts([replace(self._today, load=1.0)], draws=_TODAY_DRAWS)
        self._most_lost = max(_LOST, _AS_TODAY * min(today.mean("lost"), 1.0))
        improved = self._improved(present)
        best, remarks = None, []
        if math.isinf(goal.at_most):
            best = improved if math.isfinite(improved.sure) else None
        else:
            for kind in self._kinds():
                best = self._cheaper(best, self._fewest(kind, improved.change))
                for patch in self._variants():
                    change = replace((best or improved).change, **patch)
                    best = self._cheaper(best, self._fewer(kind, change, best))
            if best is None:
                remarks.append(f"more than {self._most(self._kinds()[0])} endpoints were not tried")
        tried = list(self._known.values())
        failing = [each for each in tried if not self._does(each)]
        cheaper = [each for each in failing if best is None or each.cost < best.cost]
        nearest = min(cheaper or failing, key=lambda each: (each.sure, each.cost), default=None)
        knee = self._knee(present, best or nearest or present) if self._is_open else {}
        return PoolPlan(goal, present, best, nearest, tuple(tried), knee, self._most_lost, tuple(remarks))

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
            cost += (self._goal.slot_cost or 0.0) * sum(model.capacity for model in scenario.endpoints)
            sure = forecast.sure(self._goal.figure, self._goal.certainty)
            self._known[key] = Setting(change, scenario, made_up, forecast, sure, cost)
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

    def _number(self, change: WhatIf) -> int:
        return len(self._models) - len(change.without) + sum(change.add.values())

    def _at(self, kind: str, count: int, change: WhatIf) -> WhatIf:
        """Return a change with the first `count` endpoints of a chain, and a caller for each further slot."""
        there = len(self._chain)
        pool = replace(change, without=tuple(self._chain[count:]), add={kind: count - there} if count > there else {})
        if change.callers is None:
            return pool
        more = self._crew(pool) - self._crew(replace(change, without=(), add={}))
        return replace(pool, callers=max(1, change.callers + max(more, 0)))

    def _crew(self, change: WhatIf) -> int:
        """Return how many callers fill these slots; of a batch, how many samples, as each has several threads."""
        scenario = change.applied(self._base)
        slots = sum(model.capacity for model in scenario.endpoints)
        workload = self._base.workload
        if not isinstance(workload, Batch):
            return slots
        return min(workload.samples, -(-slots // max(stage.workers for stage in workload.stages)))

    def _improved(self, present: Setting) -> Setting:
        """Return the best after changes of callers, then of capacities, then of strategies, with today's endpoints."""
        best = present
        if not self._is_open:
            crew, workload = self._crew(self._today), self._base.workload
            most = workload.samples if isinstance(workload, Batch) else 2 * crew
            for callers in (crew, min(most, 2 * crew)):
                best = self._better(best, self._tried(replace(best.change, callers=callers)))
        for patch in self._variants():
            if self._is_open and "capacities" in patch:  # more slots cost more: they are tried with fewer endpoints
                continue
            change = replace(best.change, **patch)
            best = self._better(best, self._tried(change))
            if not self._is_open and self._crew(change) > (change.callers or 0):  # or the slots would stay empty
                best = self._better(best, self._tried(replace(change, callers=self._crew(change))))
        return best

    def _variants(self) -> Iterator[dict[str, Any]]:
        """Yield what may be changed of a setting: all capacities, or the strategy."""
        ways: list[Callable[[EndpointModel], int]] = []
        if not self._is_open:
            ways = [_as_it_works, _twice]
        elif self._goal.slot_cost is not None:
            ways = [partial(_times, times=times) for times in _SLOTS]
        for way in ways:
            capacities = {url: way(model) for url, model in self._models.items()}
            if capacities != {url: _limited(model) for url, model in self._models.items()}:
                yield {"capacities": capacities}
        for name in self._strategies:
            yield {"settings": {"strategy": name}}

    @staticmethod
    def _better(best: Setting, other: Setting) -> Setting:
        return other if other.sure < best.sure * (1 - _BETTER) else best

    # -- the number of endpoints ---------------------------------------------------------------------

    def _worth(self, url: str) -> float:
        return self._rates[url] / self._costs[url]

    def _kinds(self) -> list[str]:
        """Return the endpoints to copy: those that do most for their cost, different from each other."""
        kinds: dict[tuple[float, float], str] = {}
        for url in self._chain:
            kinds.setdefault((round(self._rates[url], 2), self._costs[url]), url)
        spread = list(kinds.values())
        middle = self._chain[len(self._chain) // 2]
        return list(dict.fromkeys([spread[0], middle, *spread[1:]]))[:_KINDS] if self._goal.costs else [middle]

    def _fewest(self, kind: str, change: WhatIf) -> Setting | None:
        """Return the shortest part of a chain that does: steps that double from a guess, then bisection."""
        most = self._most(kind)
        low, high, step = self._goal.losing, most + 1, 1  # `low` does not do; `high` does, or is not tried
        count = min(most, max(low + 1, self._guess(kind)))
        while high - low > 1:
            if self._does(self._tried(self._at(kind, count, change))):
                high, count = count, count - step
            else:
                low, count = count, count + step
            step *= 2
            count = count if low < count < high else (low + high) // 2
        return None if high > most else self._tried(self._at(kind, high, change))

    def _fewer(self, kind: str, change: WhatIf, best: Setting | None) -> Setting | None:
        """Return the shortest part of a chain that does with another change, if it is cheaper than the best."""
        if best is None:
            return self._fewest(kind, change)
        found, count = None, self._number(best.change)
        while count > self._goal.losing:
            tried = self._tried(self._at(kind, count, change))
            if not self._does(tried):
                break
            found, count = tried, count - 1
        return found

    def _guess(self, kind: str) -> int:
        """Return the present number or, of open arrivals, one whose endpoints are busy for `_BUSY` of the time."""
        if not self._is_open:
            return len(self._chain)
        wanted = self._goal.load * self._rate() / _BUSY
        return next((n for n in range(self._goal.losing + 1, _MOST_OPEN) if self._work(kind, n) >= wanted), _MOST_OPEN)

    def _most(self, kind: str) -> int:
        """Return how many endpoints are tried: with more, these would be idle most of the time."""
        there = len(self._chain)
        if not self._is_open:
            return max(2 * there, min(_TIMES * there, _MOST_CLOSED))
        wanted = _IDLE * self._goal.load * self._rate()
        return next((n for n in range(there, _MOST_OPEN) if self._work(kind, n) > wanted), _MOST_OPEN)

    def _work(self, kind: str, count: int) -> float:
        """Return the requests per second that those that are left of a chain finish if they are never idle."""
        rates = sorted(self._rates[url] for url in [*self._chain[:count], *[kind] * (count - len(self._chain))])
        return sum(rates[: max(0, count - self._goal.losing)])

    def _rate(self) -> float:
        workload = self._base.workload
        if isinstance(workload, Arrivals):
            return len(workload.at_s) / whole_of(from_0(workload))
        assert isinstance(workload, Poisson | OnOff), "the others are refused"
        return workload.rate_per_s

    def _does(self, found: Setting) -> bool:
        return _keeps(found, self._goal, self._most_lost)

    @staticmethod
    def _cheaper(best: Setting | None, other: Setting | None) -> Setting | None:
        """Return the cheaper one; of equal ones, the faster."""
        known = [each for each in (best, other) if each is not None]
        return min(known, key=lambda each: (each.cost, each.sure), default=None)

    def _knee(self, present: Setting, best: Setting) -> dict[str, dict[float, Predicted]]:
        """Return the p99 over the load of today's pool, of the answer, and of one endpoint more."""
        kind = self._kinds()[0]
        more = replace(best.change, add={**best.change.add, kind: best.change.add.get(kind, 0) + 1})
        found: dict[str, dict[float, Predicted]] = {"as it is": {}, "answer": {}, "one more": {}}
        loads = [round(part * self._goal.load, 4) for part in KNEE_LOADS]
        for line, change in zip(found.values(), (present.change, best.change, more), strict=True):
            if (left := self._left(change)) is not None:
                at_loads = [replace(left, load=load) for load in loads]
                for load, each in zip(loads, self._planner.forecasts(at_loads, draws=_KNEE_DRAWS), strict=True):
                    if each.all_over and len(each.values.get(self._goal.figure, ())) == each.count:
                        line[load] = each.figures[self._goal.figure]
        return found


def _binds(model: EndpointModel) -> bool:
    """Return whether its capacity is known to bind: all its slots were in use, or nothing says how many were."""
    return (model.seen_at_once or model.capacity) >= model.capacity


def _seen(model: EndpointModel) -> EndpointModel:
    """Return an endpoint that works on no more calls at once than it is known to."""
    return model.model_copy(update={"capacity": min(model.capacity, model.seen_at_once or model.capacity)})


def _as_it_works(model: EndpointModel) -> int:
    return min(_limited(model), model.parallel or model.capacity)


def _twice(model: EndpointModel) -> int:
    """Return twice the capacity, but at most the number of calls that was seen, if known."""
    most = _limited(model)
    return max(most, min(2 * most, model.seen_at_once or 2 * most))


def _limited(model: EndpointModel) -> int:
    return model.capacity if model.capacity < NO_LIMIT else model.seen_at_once or model.capacity


def _times(model: EndpointModel, *, times: float) -> int:
    return max(1, round(times * model.capacity)) if _binds(model) else model.capacity


def _of_problems(fit: Fit) -> str:
    """Return the sign that names are those of problems, whose stages are unknown, not of callers; "": there is none."""
    if fit.batch is not None:
        return ""
    if fit.caller_pattern.callers is None:
        return "have several calls at once" if have_several_at_once(fit.prepared.attempts) else ""
    return "come and go" if fit.caller_pattern.named and come_and_go(fit.prepared.attempts) else ""


def _taken(source: Fit | Scenario, goal: Goal) -> Iterator[str]:
    """Yield the assumptions that were made about a trace."""
    if isinstance(source, Scenario):
        return
    if goal.p99_s is None and (line := runs_line(source)):
        yield line if goal.tasks else f"{line}; tasks is the sum of all, {source.asked}, unless you give --tasks"
    yield from (f"not stationary: {line}" for line in changes(source))
    if goal.p99_s is not None:
        return
    if source.batch is not None:
        yield "a run of the pipeline: the same problems again, each through its stages; callers are problems at once"
    if shown := _of_problems(source):
        workers, pause_s = source.equivalent_callers(1)
        pause = f", each with pauses of {pause_s:.3g} s on average" if pause_s else ""
        yield (
            f"names {shown}, like problems and stages of the pipeline: assumed to be {workers} "
            f"{'caller' if workers == 1 else 'callers'}, the mean number in flight{pause}"
        )
