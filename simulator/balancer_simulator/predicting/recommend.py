"""Recommendation of a setting: strategy, endpoints, capacities and workers for a deadline or a budget.

It decides which settings are tried, in which order. The cheapest one that is sure enough has the fewest endpoints; of
equal ones, it is the one that is over first. All settings are simulated on the same fits and the same requests, so that
only the settings differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from balancer.errors import ConfigError
from balancer_simulator.fitting.callers import come_and_go, have_several_at_once
from balancer_simulator.fitting.description import changes, runs_line
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.predicting.goodness import refuse_if_off
from balancer_simulator.predicting.settings import STRATEGIES, Setting, SettingForecast, SettingSearch, TriedSetting
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Closed
from balancer_simulator.studies.parallel import Simulators

__all__ = ["STRATEGIES", "Recommendation", "Setting", "SettingForecast", "recommend", "setting_config"]


_TIMES: Final = 4  # times the present endpoints: more are not tried
_MOST: Final = 24  # endpoints, or twice the present number if that is more: each further one takes time to try
_HELPS: Final = 0.1  # share of the time that one more would save if all were equally busy: with less it does not help


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Recommended setting, with all that were tried.

    Attributes:
        present: the setting now.
        chosen: the cheapest that is sure enough; None if there is none.
        nearest: of all that were tried, the least beyond the deadline and the budget, by ratio; without either, the one
            that is surely over first.
        by_number: with one endpoint after the other, all else as chosen, or as the nearest.
        tried: all.
        deadline_s, budget_h, certainty: as asked for.
        remarks: assumptions, and where the search stopped; a sentence each.
    """

    present: SettingForecast
    chosen: SettingForecast | None
    nearest: SettingForecast
    by_number: tuple[SettingForecast, ...]
    tried: tuple[SettingForecast, ...]
    deadline_s: float | None
    budget_h: float | None
    certainty: float
    remarks: tuple[str, ...] = ()

    def does(self, outlook: SettingForecast) -> bool:
        """Return whether a setting meets the deadline and the budget."""
        in_time = self.deadline_s is None or outlook.sure_s <= self.deadline_s
        return in_time and (self.budget_h is None or outlook.cost_h <= self.budget_h) and outlook.ends_s is not None

    def beyond(self, outlook: SettingForecast) -> float:
        """Return how far a setting is beyond the deadline and the budget, by ratio; without either, its sure end."""
        wishes = ((outlook.sure_s, self.deadline_s), (outlook.cost_h, self.budget_h))
        return max((found / max(wish, 1e-9) for found, wish in wishes if wish is not None), default=outlook.sure_s)


def recommend(
    source: Fit | Scenario,
    *,
    deadline_s: float | None = None,
    tasks: int | None = None,
    budget_h: float | None = None,
    certainty: float = 0.95,
    strategies: Sequence[str] = STRATEGIES,
    draws: int = 20,
    seed: int = 1,
    jobs: int = 1,
    anyway: bool = False,
) -> Recommendation:
    """Return the setting that meets the deadline and the budget.

    Args:
        source: a fit, or a scenario whose callers wait for their answers, or are a batch.
        deadline_s: seconds until it must be over; None: as soon as possible.
        tasks: number of calls; default: as in `source`.
        budget_h: endpoint-hours that it may use.
        certainty: probability to meet the deadline.
        strategies: to try.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.
        anyway: build on a fit that is off.

    Raises:
        ConfigError: there is no end, because arrivals are open; or runs of the fit are unlike its trace.
    """
    if isinstance(source, Fit) and not anyway:
        refuse_if_off(source, waits=source.batch is None and not _of_problems(source))
    bases = _bases(source, tasks, draws, seed)
    with Simulators(jobs) as simulators:
        search = SettingSearch(bases, certainty, simulators)
        present = search.outlook(search.present)
        best = search.improved(present, strategies)
        goal = Recommendation(present, None, best, (), (), deadline_s, budget_h, certainty)
        found = _found(search, goal, best)
    return replace(found, remarks=(*_taken(source, tasks), *found.remarks))


def _found(search: SettingSearch, goal: Recommendation, best: SettingForecast) -> Recommendation:
    """Return the recommendation: the best setting with fewer endpoints, and with more."""
    deadline_s = goal.deadline_s
    by_number = [best]
    fewer = best
    while len(fewer.setting.endpoints) > 1:
        fewer = search.outlook(replace(fewer.setting, endpoints=search.without_one(fewer.setting.endpoints)))
        by_number.insert(0, fewer)
        if deadline_s is not None and not goal.does(fewer) and len(by_number) > 2:
            break
    there = len(search.present.endpoints)
    most = max(2 * there, min(_TIMES * there, _MOST))
    more, idle, stopped = best, 0, ""
    while not stopped:
        before, more = more, search.outlook(search.manned(more.setting, search.with_one(more.setting.endpoints)))
        by_number.append(more)
        many = len(more.setting.endpoints)
        idle = 0 if more.sure_s < before.sure_s * (1 - _HELPS / many) else idle + 1
        if deadline_s is None or goal.does(more):
            break
        if idle == 2:
            stopped = f"more endpoints do not help: with {many} it ends hardly sooner than with {many - 2}"
        elif many >= most:
            stopped = f"more than {many} endpoints were not tried"
    does = [outlook for outlook in search.tried if goal.does(outlook)]
    if deadline_s is None and goal.budget_h is None:  # as soon as possible, with the present endpoints
        does = [outlook for outlook in does if len(outlook.setting.endpoints) <= len(search.present.endpoints)]
    cheapest = min(does, key=_by_cost if deadline_s is not None else _by_end, default=None)
    nearest = min(search.tried, key=lambda outlook: (goal.beyond(outlook), outlook.sure_s))
    remarks = (stopped,) if stopped and cheapest is None else ()
    return replace(
        goal, chosen=cheapest, nearest=nearest, by_number=tuple(by_number), tried=tuple(search.tried), remarks=remarks
    )


def setting_config(outlook: TriedSetting) -> dict[str, Any]:
    """Return a config of a pool with this setting, as keys and values."""
    endpoints: list[dict[str, Any]] = []
    for url, model in outlook.scenario.by_url.items():
        data: dict[str, Any] = {"url": url, "capacity": model.capacity}
        if model.weight != 1.0:
            data["weight"] = model.weight
        if model.labels:
            data["labels"] = list(model.labels)
        endpoints.append(data)
    return {"pool": {"strategy": outlook.setting.strategy}, "endpoints": endpoints}


def _by_cost(outlook: SettingForecast) -> tuple[float, float]:
    return len(outlook.setting.endpoints), outlook.sure_s


def _by_end(outlook: SettingForecast) -> float:
    return outlook.sure_s


def _bases(source: Fit | Scenario, tasks: int | None, draws: int, seed: int) -> list[Scenario]:
    """Return the scenario, then `draws` equally likely ones, with `tasks` calls."""
    if isinstance(source, Scenario):
        return [_with_tasks(_apart(source), tasks)] * (1 + draws)
    if source.callers is None and not _of_problems(source):
        raise ConfigError(
            f"{_ENDLESS}; if they do wait for their answers, give each a holder (lease(holder=...)), as balancer run "
            "does, and record again, or "
            'write the scenario with balancer fit --out and set its workload to kind = "closed", with workers and calls'
            f"; {_OTHER_RATES}"
        )
    found = [_apart(source.scenario(workload=_asked(source, tasks)))]
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        found.append(_apart(source.scenario(draw=rng, workload=_asked(source, tasks, rng))))
    return found


def _of_problems(fit: Fit) -> str:
    """Return the sign that names are those of problems, whose stages are unknown, not of callers; "": there is none."""
    if fit.batch is not None:
        return ""
    if fit.caller_pattern.callers is None:
        return "have several calls at once" if have_several_at_once(fit.prepared.attempts) else ""
    return "come and go" if fit.caller_pattern.named and come_and_go(fit.prepared.attempts) else ""


def _asked(fit: Fit, tasks: int | None, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Return the workload. Names of problems become as many callers as keep the number of calls under way."""
    if fit.batch is not None:
        batch = Batch.model_validate(fit.batch)
        return batch.with_calls(tasks).model_dump(exclude_none=True) if tasks else dict(fit.batch)
    if not _of_problems(fit):
        return fit.workload(rng, calls=tasks)
    workers, pause_s = fit.equivalent_callers(1)
    think = {"think": {"kind": "exponential", "mean_s": pause_s}} if pause_s else {}
    return {"kind": "closed", "workers": workers, "calls": tasks or fit.asked, **think}


def _taken(source: Fit | Scenario, tasks: int | None) -> Iterator[str]:
    """Yield the assumptions that were made about a trace."""
    if isinstance(source, Scenario):
        return
    if line := runs_line(source):
        yield line if tasks else f"{line}; tasks is the sum of all, {source.asked}, unless you give --tasks"
    yield from (f"not stationary: {line}" for line in changes(source))
    if source.batch is not None:
        yield "a run of the pipeline: the same problems again, each through its stages; callers are problems at once"
    if shown := _of_problems(source):
        workers, pause_s = source.equivalent_callers(1)
        pause = f", each with pauses of {pause_s:.3g} s on average" if pause_s else ""
        yield (
            f"names {shown}, like problems and stages of the pipeline: assumed to be {workers} "
            f"{'caller' if workers == 1 else 'callers'}, the mean number in flight{pause}"
        )


_ENDLESS: Final = "recommend: arrivals are open, so the work has no end"
_OTHER_RATES: Final = "for the number of servers that open arrivals need, give --p99, e.g. --p99 0.8s --load x1.5"


def _with_tasks(scenario: Scenario, tasks: int | None) -> Scenario:
    workload = scenario.workload
    if isinstance(workload, Batch):
        return scenario.changed(workload=workload.with_calls(tasks)) if tasks else scenario
    if isinstance(workload, Closed) and (tasks or workload.calls):
        return scenario.changed(workload=workload.model_copy(update={"calls": tasks or workload.calls}))
    raise ConfigError(
        f'{_ENDLESS}; set its workload to kind = "closed", with workers and calls; of a run of the '
        f"pipeline give its trace, run.sqlite in the results folder; {_OTHER_RATES}"
    )


def _apart(scenario: Scenario) -> Scenario:
    """Return the scenario with one entry for each endpoint. One without a known limit has the most calls seen."""
    apart = [
        model.model_copy(update={"url": url, "capacity": _known_capacity(model)})
        for model in scenario.endpoints
        for url in model.urls
    ]
    return scenario.changed(endpoints=apart)


def _known_capacity(model: EndpointModel) -> int:
    return model.capacity if model.capacity < NO_LIMIT else model.seen_at_once or model.capacity
