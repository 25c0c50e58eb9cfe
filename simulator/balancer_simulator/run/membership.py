"""Pool membership over time: endpoints that are there, and the changes of the scenario."""

from collections.abc import Sequence
from dataclasses import replace

from simpy import Environment

from balancer.core import Core, Waiter
from balancer_simulator.run.disciplines import Discipline
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.calendar import after

__all__ = ["Membership"]


class Membership:
    """Puts the endpoints into the pool and carries out the changes, each at its instant."""

    def __init__(self, env: Environment, core: Core, scenario: Scenario, discipline: Discipline) -> None:
        self._env = env
        self._core = core
        self._scenario = scenario
        self._changed = discipline.changed
        self._specs = {url: discipline.enlist(model.endpoint(url)) for url, model in scenario.by_url.items()}

    def begin(self) -> None:
        """Let those that are there from the start join, and wait for the others."""
        for url, model in self._scenario.by_url.items():
            if model.from_s:
                after(self._env, model.from_s, self._change, Change(at_s=model.from_s, do="add", url=url))
            else:
                self._core.add(self._specs[url], self._env.now)
        for change in self._scenario.changes:
            after(self._env, change.at_s, self._change, change)

    def _change(self, change: Change) -> None:
        for waiter in self._carry_out(change):
            waiter.wake()
        self._changed()

    def _carry_out(self, change: Change) -> Sequence[Waiter]:
        now, url = self._env.now, change.url
        match change.do:
            case "add":
                return self._core.add(self._specs[url], now)
            case "drain":
                return self._core.drain(url, now)
            case "remove":
                return self._core.remove(url, now)
            case "update":
                values = {"capacity": change.capacity, "weight": change.weight}
                given = {name: value for name, value in values.items() if value is not None}
                self._specs[url] = replace(self._specs[url], **given)  # type: ignore[arg-type]  # checked by Change
                return self._core.update(self._specs[url], now)
