"""Settings of a run, with the prediction of each: simulated on resampled fits, once each.

It applies a setting to a scenario, and finds settings near it. It never tries more calls at once at an endpoint than
the trace has, because their effect is unknown. A fitted scenario has that number.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from scipy.special import stdtrit

from balancer_simulator.predicting.changes import rate_of_work, twin_of, with_callers
from balancer_simulator.predicting.predict import prediction_of
from balancer_simulator.predicting.predicted import Predicted
from balancer_simulator.scenario.endpoints import EndpointModel, Host
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Closed
from balancer_simulator.studies.parallel import Simulators

__all__ = [
    "STRATEGIES", "Setting", "SettingForecast", "SettingSearch", "TriedSetting", "binds", "members_with",
    "with_setting",
]  # fmt: skip

STRATEGIES: Final = ("least_in_flight", "fifo", "peak_ewma")
"""Tried beside the present one, by default."""

_BETTER: Final = 0.02  # share of the time that another setting must save to replace the present one
_HORIZON: Final = 20.0  # times the duration if the endpoints were never idle
_HOUR_S: Final = 3600.0

Room = Literal["as it is", "as much as it works on", "twice"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a run.

    Attributes:
        endpoints: indices of the endpoints; one that occurs twice has a twin.
        room: the capacity of each.
        workers: number of callers; of a batch, of samples at once.
        strategy: its name.
        slots: capacity of the endpoints whose capacity binds, in times of what `room` says.
    """

    endpoints: tuple[int, ...]
    room: Room
    workers: int
    strategy: str
    slots: float = 1.0


@dataclass(frozen=True, slots=True)
class TriedSetting:
    """A setting that was simulated.

    Attributes:
        setting: the setting.
        scenario: the simulated scenario, from the fit without resampling.
    """

    setting: Setting
    scenario: Scenario

    @property
    def made_up(self) -> dict[str, str]:
        """The made-up URL of each endpoint that does not exist yet -> the URL of the one it copies."""
        first: dict[int, str] = {}
        found = {}
        for place, model in zip(self.setting.endpoints, self.scenario.endpoints, strict=True):
            if first.setdefault(place, model.url) != model.url:
                found[model.url] = first[place]
        return found

    @property
    def crew(self) -> str:
        """The number of callers, or of problems at once, in words."""
        many = self.setting.workers
        what = "problem" if isinstance(self.scenario.workload, Batch) else "caller"
        return f"{many} {what}{'s' * (many != 1)}"


@dataclass(frozen=True, slots=True)
class SettingForecast(TriedSetting):
    """Prediction for a setting of callers that wait for their answers.

    Attributes:
        ends_s: its end, with an interval of 95%; None if not all runs came to an end.
        sure_s: by when it is over with the requested certainty.
    """

    ends_s: Predicted | None
    sure_s: float

    @property
    def cost_h(self) -> float:
        """Endpoint-hours: endpoints x the time that they are needed for, by the likeliest end."""
        return math.inf if self.ends_s is None else len(self.setting.endpoints) * self.ends_s.value / _HOUR_S


class SettingSearch:
    """Tries settings, each once."""

    def __init__(self, bases: Sequence[Scenario], certainty: float, simulators: Simulators) -> None:
        self._bases = bases
        self._certainty = certainty
        self._simulators = simulators
        self._known: dict[Setting, SettingForecast] = {}
        base = bases[0]
        workload = base.workload
        assert isinstance(workload, Closed | Batch), "the others are refused"
        workers = workload.samples_at_once if isinstance(workload, Batch) else workload.workers
        strategy = base.policies[0].strategy if base.policies else STRATEGIES[0]
        self.present = Setting(tuple(range(len(base.endpoints))), "as it is", workers, strategy)

    @property
    def tried(self) -> list[SettingForecast]:
        """All settings that were tried, in order."""
        return list(self._known.values())

    def outlook(self, setting: Setting) -> SettingForecast:
        """Return the prediction for a setting."""
        if setting not in self._known:
            self._known[setting] = self._outlook(setting)
        return self._known[setting]

    def improved(self, present: SettingForecast, strategies: Iterable[str]) -> SettingForecast:
        """Return the best after changes of workers, then of capacities, then of strategies."""
        best = present
        for workers in self._crews(best.setting):
            best = self._better(best, self.outlook(replace(best.setting, workers=workers)))
        for room in self._rooms():
            best = self._better(best, self.outlook(replace(best.setting, room=room)))
            crew = self._crew(best.setting.endpoints, room)
            if crew > best.setting.workers:  # otherwise the slots would stay empty
                best = self._better(best, self.outlook(replace(best.setting, room=room, workers=crew)))
        for strategy in strategies:
            best = self._better(best, self.outlook(replace(best.setting, strategy=strategy)))
        return best

    def without_one(self, endpoints: tuple[int, ...]) -> tuple[int, ...]:
        """Return the endpoints without the one with the lowest rate of work."""
        least = min(endpoints, key=lambda place: rate_of_work(self._bases[0], self._bases[0].endpoints[place]))
        rest = list(endpoints)
        rest.remove(least)
        return tuple(rest)

    def with_one(self, endpoints: tuple[int, ...]) -> tuple[int, ...]:
        """Return the endpoints with one more, a copy of the one with the median rate of work."""
        places = sorted(
            range(len(self._bases[0].endpoints)),
            key=lambda n: rate_of_work(self._bases[0], self._bases[0].endpoints[n]),
        )
        return (*endpoints, places[len(places) // 2])

    def manned(self, setting: Setting, endpoints: tuple[int, ...]) -> Setting:
        """Return the setting with these endpoints, and a caller for each further slot."""
        more = self._crew(endpoints, setting.room) - self._crew(setting.endpoints, setting.room)
        return replace(setting, endpoints=endpoints, workers=max(1, setting.workers + more))

    def _crew(self, endpoints: tuple[int, ...], room: Room = "as it is") -> int:
        """Return how many callers fill these slots; of a batch, how many samples, as each has several threads."""
        slots = sum(_capacity(self._bases[0].endpoints[place], room) for place in endpoints)
        workload = self._bases[0].workload
        if not isinstance(workload, Batch):
            return slots
        threads = max(stage.workers for stage in workload.stages)
        return min(workload.samples, -(-slots // threads))

    def _better(self, best: SettingForecast, other: SettingForecast) -> SettingForecast:
        return other if other.sure_s < best.sure_s * (1 - _BETTER) else best

    def _crews(self, setting: Setting) -> list[int]:
        crew, workload = self._crew(setting.endpoints), self._bases[0].workload
        most = workload.samples if isinstance(workload, Batch) else 2 * crew
        return [workers for workers in {crew: 0, min(most, 2 * crew): 0} if workers != setting.workers]

    def _rooms(self) -> Iterator[Room]:
        models = self._bases[0].endpoints
        if any(model.parallel and model.parallel < model.capacity for model in models):
            yield "as much as it works on"
        if any(_capacity(model, "twice") > model.capacity for model in models):
            yield "twice"

    def _outlook(self, setting: Setting) -> SettingForecast:
        base, *drawn = (with_setting(scenario, setting) for scenario in self._bases)
        records = self._simulators.run_each(drawn, Policy(strategy=setting.strategy))
        ends_s = [record.makespan_s for record in records if record.makespan_s is not None]
        if len(ends_s) < len(records):
            return SettingForecast(setting, base, None, math.inf)
        logs = np.log(np.maximum(ends_s, 1e-9))
        count = len(logs)
        reach = float(stdtrit(count - 1, self._certainty)) * logs.std(ddof=1) * math.sqrt(1 + 1 / count)
        return SettingForecast(setting, base, prediction_of(ends_s), float(np.exp(logs.mean() + reach)))


def _capacity(model: EndpointModel, room: Room) -> int:
    """Return the capacity of an endpoint. A doubled one is at most the number of calls that was seen, if known."""
    if room == "as much as it works on":
        return min(model.capacity, model.parallel or model.capacity)
    if room == "twice":
        return max(model.capacity, min(2 * model.capacity, model.seen_at_once or 2 * model.capacity))
    return model.capacity


def binds(model: EndpointModel) -> bool:
    """Return whether its capacity is known to bind: all its slots were in use, or nothing says how many were."""
    return (model.seen_at_once or model.capacity) >= model.capacity


def members_with(
    scenario: Scenario, endpoints: Sequence[int], room: Room, slots: float = 1.0
) -> tuple[list[EndpointModel], dict[str, Host]]:
    """Return the endpoints of a scenario at these indices, with twins of those that occur twice, and their hosts.

    `slots`: see `Setting`.
    """
    models, hosts, seen, taken = list[EndpointModel](), dict(scenario.hosts), set[int](), set[str]()
    for place in endpoints:
        model = scenario.endpoints[place]
        capacity = _capacity(model, room)
        if slots != 1.0 and binds(model):
            capacity = max(1, round(slots * capacity))
        model = model.model_copy(update={"capacity": capacity})
        if place in seen:
            model = twin_of(model, taken, hosts)
        taken.add(model.url)
        seen.add(place)
        models.append(model)
    there = {model.endpoint(model.url).host for model in models}
    return models, {name: host for name, host in hosts.items() if name in there}


def with_setting(scenario: Scenario, setting: Setting) -> Scenario:
    """Return the scenario with a setting."""
    models, hosts = members_with(scenario, setting.endpoints, setting.room)
    workload = with_callers(scenario.workload, setting.workers)
    lean = scenario.model_copy(update={"endpoints": models})
    assert isinstance(workload, Closed | Batch), "the others are refused"
    calls = workload.calls or 1
    pause_s = _pause_s(workload)
    slowest_s = max((model.service or scenario.work).mean_s for model in models)
    horizon_s = _HORIZON * (calls / lean.rate + calls * (pause_s + slowest_s) / setting.workers) + 1.0
    return scenario.changed(
        endpoints=models,
        hosts=hosts,
        workload=workload,
        policies=[Policy(strategy=setting.strategy)],
        horizon_s=horizon_s,
    )


def _pause_s(workload: Closed | Batch) -> float:
    """Return how long a caller pauses before a call; of a batch at most, and with the time before its stages."""
    if not isinstance(workload, Batch):
        return workload.think.mean_s
    late_s = sum(stage.late.mean_s for stage in workload.stages if stage.late) * workload.samples / workload.calls
    return late_s + max(stage.think.mean_s if stage.think else 0.0 for stage in workload.stages)
