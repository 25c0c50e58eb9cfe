"""Number of servers for arrivals that come anyway: the cheapest pool whose p99 is short enough at a given load.

All pools are simulated on the same fits and the same arrivals (common random numbers). A pool is a number of endpoints
of a chain: those of today, the fastest for its cost first, then copies of one of them. More of a chain is never slower,
so the number is found by bisection. If slots have a cost, so is that with other capacities, where one binds.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.predicting.changes import block_of, blocks_of, rate_of_work, scaled_arrivals, whole_of
from balancer_simulator.predicting.goodness import refuse_if_off
from balancer_simulator.predicting.predict import prediction_of
from balancer_simulator.predicting.predicted import Predicted
from balancer_simulator.predicting.settings import STRATEGIES, Setting, TriedSetting, binds, members_with
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals, OnOff, Poisson
from balancer_simulator.studies.parallel import Order, Simulators

__all__ = ["KNEE_LOADS", "ServerForecast", "ServerGoal", "Sizing", "servers_for"]

KNEE_LOADS: Final = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Loads at which the knee is shown, in times of the load asked for."""

_MOST: Final = 200  # endpoints: more are not tried
_CALLS: Final = 10_000  # a longer run is cut: a p99 hardly changes, and each further call takes time
_KINDS: Final = 3  # endpoints that are copied: more would take too long
_DRAINS: Final = 5.0  # times the arrivals: until a queue is empty
_BUSY: Final = 0.8  # share of the time: where the search begins
_IDLE: Final = 4.0  # times the load: with so many endpoints hardly any request waits
_KNEE_DRAWS: Final = 6
_SLOTS: Final = (0.5, 1.5, 2.0, 3.0)  # capacities that are tried, in times of today's
_LOST: Final = 0.001  # share of the requests that may be lost, if it is not more today
_AS_TODAY: Final = 1.25


@dataclass(frozen=True, slots=True)
class ServerGoal:
    """What is wanted.

    Attributes:
        p99_s: 99 in 100 requests of a run take no longer, from arrival to success.
        load: rate of the arrivals, in times of today's.
        losing: number of endpoints that are gone for the whole run: those that do most.
        certainty: probability that a run meets it.
        costs: of an endpoint and of each copy, by URL; 1 for all others.
        slot_cost: of each slot beside that; None: capacities stay as they are.
    """

    p99_s: float
    load: float = 1.0
    losing: int = 0
    certainty: float = 0.95
    costs: Mapping[str, float] | None = None
    slot_cost: float | None = None


@dataclass(frozen=True, slots=True)
class ServerForecast(TriedSetting):
    """Prediction for a pool.

    Attributes:
        p99_s: of one next run, with an interval of 95%; None if calls come faster than they are served.
        sure_s: the p99 is at most this, with the certainty asked for.
        lost: share of the requests, 0 to 1.
        cost: of its endpoints.
    """

    p99_s: Predicted | None
    sure_s: float
    lost: float
    cost: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """The cheapest pool, with all that were tried.

    Attributes:
        goal: what was asked for.
        present: the pool of today.
        chosen: the cheapest that meets the goal; None if there is none.
        fails: the nearest that does not: one endpoint less than `chosen`, or the best of all.
        tried: all.
        knee: by name ("as it is", "answer", "one more"), the p99 at each load.
        most_lost: share of the requests that may be lost.
    """

    goal: ServerGoal
    present: ServerForecast
    chosen: ServerForecast | None
    fails: ServerForecast | None
    tried: tuple[ServerForecast, ...]
    knee: dict[str, dict[float, Predicted]]
    most_lost: float

    def does(self, found: ServerForecast) -> bool:
        """Return whether a pool meets the goal."""
        return _meets(found, self.goal, self.most_lost)


def _meets(found: ServerForecast, goal: ServerGoal, most_lost: float) -> bool:
    return found.sure_s <= goal.p99_s and found.lost <= most_lost


def servers_for(
    source: Fit | Scenario,
    goal: ServerGoal,
    *,
    strategies: Sequence[str] = STRATEGIES,
    draws: int = 20,
    seed: int = 1,
    jobs: int = 1,
    anyway: bool = False,
) -> Sizing:
    """Return the cheapest pool that meets the goal.

    Args:
        source: a fit, or a scenario, with open arrivals.
        strategies: to try beside that of today.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.
        anyway: build on a fit that is off.

    Raises:
        ConfigError: callers wait for their answers, the goal cannot be, or runs of the fit are unlike its trace.
    """
    bases = _bases(source, draws, seed)
    _check(goal, bases[0])
    if isinstance(source, Fit) and not anyway:
        refuse_if_off(source)
    with Simulators(jobs) as simulators:
        search = _Search(bases, goal, seed, simulators)
        return search.found(strategies)


def _check(goal: ServerGoal, base: Scenario) -> None:
    if not goal.p99_s > 0:
        raise ConfigError(f"--p99: found {goal.p99_s:g} s; it must be more than 0")
    if not 0 < goal.load <= 100:
        raise ConfigError(f"--load: found {goal.load:g}; it must be more than 0 and at most 100, e.g. x1.5")
    if goal.losing < 0:
        raise ConfigError(f"--losing: found {goal.losing}; it must be a whole number, 0 or more")
    if strange := [url for url in goal.costs or () if url not in base.by_url]:
        raise ConfigError(f"--cost: there is no endpoint {strange[0]!r}; there are {', '.join(base.by_url)}")
    if goal.slot_cost is not None:
        if not 0 <= goal.slot_cost < math.inf:
            raise ConfigError(f"--slot-cost: found {goal.slot_cost:g}; it must be 0 or more")
        if not any(binds(model) for model in base.endpoints):
            raise ConfigError(
                "--slot-cost: no endpoint ever had all its slots in use, so no capacity binds; leave it out"
            )
    if wrong := [cost for cost in (goal.costs or {}).values() if not 0 < cost < math.inf]:
        raise ConfigError(f"--cost: found {wrong[0]:g}; it must be more than 0")


def _bases(source: Fit | Scenario, draws: int, seed: int) -> list[Scenario]:
    """Return the scenario, then `draws` equally likely ones."""
    if isinstance(source, Scenario):
        apart = [model.model_copy(update={"url": url}) for model in source.endpoints for url in model.urls]
        base = source.changed(endpoints=apart)
        if not isinstance(base.workload, Arrivals | Poisson | OnOff):
            raise ConfigError(_CLOSED.format(f"its workload is {base.workload.kind}"))
        return [base] * (1 + draws)
    if source.caller_pattern.callers is not None:
        raise ConfigError(_CLOSED.format(f"{source.caller_pattern.callers} callers wait for their answers"))
    drawn = [source.scenario(draw=np.random.default_rng([seed, number]), replications=1) for number in range(draws)]
    return [source.scenario(replications=1), *drawn]


_CLOSED: Final = "--p99: it is for open arrivals, and {} (a closed loop); use --deadline"


class _Search:
    """Tries pools, each once at each load."""

    def __init__(self, bases: Sequence[Scenario], goal: ServerGoal, seed: int, simulators: Simulators) -> None:
        self._base, *self._drawn = bases
        self._goal = goal
        self._seed = seed
        self._simulators = simulators
        self._known: dict[Setting, ServerForecast] = {}
        self._rates = [rate_of_work(self._base, _seen(model)) for model in self._base.endpoints]
        costs = goal.costs or {}
        self._costs = [costs.get(model.url, 1.0) for model in self._base.endpoints]
        self._most_lost = _LOST

    def found(self, strategies: Sequence[str]) -> Sizing:
        """Return the answer: the number for today's strategy and each kind, then what other strategies save."""
        now = self._base.policies[0].strategy if self._base.policies else STRATEGIES[0]
        today = Setting(tuple(range(len(self._rates))), "as it is", 0, now)
        present = self.forecast(today)
        self._most_lost = max(_LOST, _AS_TODAY * self._today_lost(today))
        best: ServerForecast | None = None
        for kind in self._kinds():
            best = self._cheaper(best, self._fewest(kind, now))
            for other in dict.fromkeys(name for name in strategies if name != now):
                best = self._cheaper(best, self._fewer(kind, other, best))
            if self._goal.slot_cost is not None:
                strategy = best.setting.strategy if best else now
                for slots in _SLOTS:
                    best = self._cheaper(best, self._fewest(kind, strategy, slots))
        tried = list(self._known.values())
        failing = [each for each in tried if not self._does(each)]
        cheaper = [each for each in failing if best is None or each.cost < best.cost]
        fails = min(cheaper or failing, key=lambda each: (each.sure_s, each.cost), default=None)
        knee = self._knee(present, best or min(tried, key=lambda each: each.sure_s))
        return Sizing(self._goal, present, best, fails, tuple(tried), knee, self._most_lost)

    def forecast(self, setting: Setting) -> ServerForecast:
        """Return the prediction for a pool at the load asked for."""
        if setting not in self._known:
            self._known[setting] = self._forecast(setting)
        return self._known[setting]

    def _does(self, found: ServerForecast) -> bool:
        return _meets(found, self._goal, self._most_lost)

    def _kinds(self) -> list[int]:
        """Return the endpoints to copy: those that do most for their cost, different from each other."""
        places = sorted(range(len(self._rates)), key=self._worth, reverse=True)
        kinds: dict[tuple[float, float], int] = {}
        for place in places:
            kinds.setdefault((round(self._rates[place], 2), self._costs[place]), place)
        spread = list(kinds.values())
        middle = places[len(places) // 2]
        return list(dict.fromkeys([spread[0], middle, *spread[1:]]))[:_KINDS] if self._goal.costs else [middle]

    def _worth(self, place: int) -> float:
        return self._rates[place] / self._costs[place]

    def _chain(self, kind: int, count: int) -> tuple[int, ...]:
        """Return the first `count` endpoints of a chain."""
        places = sorted(range(len(self._rates)), key=self._worth, reverse=True)
        return tuple(sorted(places[:count])) + (kind,) * (count - len(places))

    def _at(self, kind: int, count: int, strategy: str, slots: float = 1.0) -> ServerForecast:
        return self.forecast(Setting(self._chain(kind, count), "as it is", 0, strategy, slots))

    def _fewest(self, kind: int, strategy: str, slots: float = 1.0) -> ServerForecast | None:
        """Return the shortest part of a chain that does: steps that double from a guess, then bisection."""
        low, high, step = self._goal.losing, _MOST + 1, 1  # `low` does not do; `high` does, or is not tried
        count = self._guess(kind)
        while high - low > 1:
            if self._does(self._at(kind, count, strategy, slots)):
                high, count = count, count - step
            elif self._is_idle(kind, count, slots):
                return None
            else:
                low, count = count, count + step
            step *= 2
            count = count if low < count < high else (low + high) // 2
        return None if high > _MOST else self._at(kind, high, strategy, slots)

    def _guess(self, kind: int) -> int:
        """Return the length of a chain that is busy for a share of `_BUSY` of the time."""
        wanted = self._goal.load * self._rate() / _BUSY
        first = self._goal.losing + 1
        enough = (n for n in range(first, _MOST) if self._does_work(self._chain(kind, n)) >= wanted)
        return next(enough, _MOST)

    def _does_work(self, endpoints: tuple[int, ...]) -> float:
        """Return the requests per second that those that are left finish if they are never idle."""
        return sum(self._rates[place] for place in self._left(endpoints))

    def _fewer(self, kind: int, strategy: str, best: ServerForecast | None) -> ServerForecast | None:
        """Return the shortest part of a chain that does under another strategy, if it is cheaper than the best."""
        if best is None:
            return self._fewest(kind, strategy)
        found, count = None, len(best.setting.endpoints)
        while count - 1 > self._goal.losing and self._does(self._at(kind, count - 1, strategy)):
            count -= 1
            found = self._at(kind, count, strategy)
        return found

    def _is_idle(self, kind: int, count: int, slots: float) -> bool:
        """Return whether more endpoints do not help, because these are idle most of the time."""
        return min(1.0, slots) * self._does_work(self._chain(kind, count)) > _IDLE * self._goal.load * self._rate()

    def _rate(self) -> float:
        workload = self._base.workload
        if isinstance(workload, Arrivals):
            return len(workload.at_s) / whole_of(_from_0(workload))
        assert isinstance(workload, Poisson | OnOff), "the others are refused"
        return workload.rate_per_s

    @staticmethod
    def _cheaper(best: ServerForecast | None, other: ServerForecast | None) -> ServerForecast | None:
        """Return the cheaper one; of equal ones, the faster."""
        known = [each for each in (best, other) if each is not None]
        return min(known, key=lambda each: (each.cost, each.sure_s), default=None)

    def _left(self, endpoints: tuple[int, ...]) -> tuple[int, ...]:
        """Return the endpoints without those that are lost: the ones that do most."""
        lost = sorted(range(len(endpoints)), key=lambda n: self._rates[endpoints[n]])[
            : len(endpoints) - self._goal.losing
        ]
        return tuple(endpoints[n] for n in sorted(lost))

    def _forecast(self, setting: Setting) -> ServerForecast:
        records = self._simulators.records(self._orders(setting, self._goal.load, len(self._drawn)))
        whole = _with(self._base, setting, self._base.workload, self._base.horizon_s)
        cost = sum(self._costs[place] for place in setting.endpoints)
        cost += (self._goal.slot_cost or 0.0) * sum(model.capacity for model in whole.endpoints)
        if not records or any(record.makespan_s is None for record in records):
            return ServerForecast(setting, whole, None, math.inf, 1.0, cost)
        p99s = [record.metrics.get("sojourn_p99_s", math.inf) for record in records]
        lost = float(np.mean([record.metrics.get("lost", 1.0) for record in records]))
        if not np.isfinite(p99s).all():
            return ServerForecast(setting, whole, None, math.inf, lost, cost)
        logs, count = np.log(np.maximum(p99s, 1e-9)), len(p99s)
        reach = float(stdtrit(count - 1, self._goal.certainty)) * logs.std(ddof=1) * math.sqrt(1 + 1 / count)
        return ServerForecast(setting, whole, prediction_of(p99s), float(np.exp(logs.mean() + reach)), lost, cost)

    def _today_lost(self, today: Setting) -> float:
        """Return the share of the requests that is lost at today's load, with all endpoints."""
        orders = [self._order(today, today.endpoints, 1.0, number) for number in range(min(5, len(self._drawn)))]
        return float(np.mean([record.metrics.get("lost", 0.0) for record in self._simulators.records(orders)]))

    def _orders(self, setting: Setting, load: float, count: int) -> list[Order]:
        left = self._left(setting.endpoints)
        return [self._order(setting, left, load, number) for number in range(count)] if left else []

    def _order(self, setting: Setting, endpoints: tuple[int, ...], load: float, number: int) -> Order:
        """Return a run on the `number`-th fit. Its arrivals depend on the load, and on nothing else of the pool."""
        base = self._drawn[number]
        workload, lasts_s = _loaded(base.workload, load, [self._seed, number], base.horizon_s)
        left = replace(setting, endpoints=endpoints)
        return Order(_with(base, left, workload, lasts_s * _DRAINS), Policy(strategy=setting.strategy), number)

    def _knee(self, present: ServerForecast, best: ServerForecast) -> dict[str, dict[float, Predicted]]:
        """Return the p99 over the load of today's pool, of the answer, and of one endpoint more."""
        more = replace(best.setting, endpoints=(*best.setting.endpoints, self._kinds()[0]))
        pools = {"as it is": present.setting, "answer": best.setting, "one more": more}
        loads = [round(part * self._goal.load, 4) for part in KNEE_LOADS]
        count = min(_KNEE_DRAWS, len(self._drawn))
        cells = [(name, load) for name in pools for load in loads]
        orders = [order for name, load in cells for order in self._orders(pools[name], load, count)]
        records = iter(self._simulators.records(orders))
        found: dict[str, dict[float, Predicted]] = {name: {} for name in pools}
        for name, load in cells:
            if self._left(pools[name].endpoints):
                p99s = [next(records).metrics.get("sojourn_p99_s", math.inf) for _ in range(count)]
                if np.isfinite(p99s).all():
                    found[name][load] = prediction_of(p99s)
        return found


def _with(base: Scenario, setting: Setting, workload: Any, horizon_s: float) -> Scenario:
    models, hosts = members_with(base, setting.endpoints, setting.room, setting.slots)
    return base.changed(
        endpoints=models, hosts=hosts, workload=workload, horizon_s=horizon_s,
        policies=[Policy(strategy=setting.strategy)],
    )  # fmt: skip


def _seen(model: EndpointModel) -> EndpointModel:
    """Return an endpoint that works on no more calls at once than it is known to."""
    return model.model_copy(update={"capacity": min(model.capacity, model.seen_at_once or model.capacity)})


def _from_0(workload: Arrivals) -> Floats:
    at_s: Floats = np.array(workload.at_s)
    return np.asarray(at_s - at_s[0])


def _loaded(workload: Any, load: float, seed: Sequence[int], horizon_s: float) -> tuple[Any, float]:
    """Return arrivals at a multiple of their rate, and how long they come: not more than `_CALLS` of them."""
    scaling, blocks = (np.random.default_rng([*seed, which]) for which in (1, 2))
    if isinstance(workload, Arrivals):
        at_s = _from_0(workload)
        whole_s, block_s = whole_of(at_s), block_of(at_s)
        lasts_s = whole_s * min(1.0, _CALLS / len(at_s))
        scaled = scaled_arrivals(at_s, load, scaling)
        return Arrivals(at_s=blocks_of(scaled, whole_s, block_s, lasts_s, blocks)), lasts_s
    lasts_s = min(horizon_s, _CALLS / workload.rate_per_s)
    return Arrivals(at_s=list(_drawn(workload, load * workload.rate_per_s, lasts_s, blocks)) or [0.0]), lasts_s


def _drawn(workload: Poisson | OnOff, rate: float, lasts_s: float, rng: np.random.Generator) -> Iterator[float]:
    """Yield arrivals of a scenario at a mean rate; those of on and off states have their states."""
    at_s = 0.0
    if isinstance(workload, Poisson):
        while (at_s := at_s + float(rng.exponential(1 / rate))) < lasts_s:
            yield at_s
        return
    times = rate / workload.rate_per_s
    while at_s < lasts_s:
        for each, mean_s in ((workload.on_rate_per_s, workload.on_s), (workload.off_rate_per_s, workload.off_s)):
            long_s = float(rng.exponential(mean_s))
            inside = np.sort(rng.random(rng.poisson(each * times * long_s)))
            yield from (at_s + long_s * inside).tolist()
            at_s += long_s
