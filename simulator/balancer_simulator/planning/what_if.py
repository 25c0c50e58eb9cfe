"""What-if changes of a pool and its load, applied to a scenario. It is the only way in which the planner changes one.

Recorded arrivals keep their shape: fewer are a random part of them, more are copies of them at other instants.
"""

import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count as count_from
from typing import Any, Final

import numpy as np

from balancer.errors import ConfigError
from balancer.reporting.words import count
from balancer.values.urls import identity_of
from balancer.values.wording import did_you_mean
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.endpoints import EndpointModel, FailWithin, Host
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Workload
from balancer_simulator.studies.study import chosen_policies

__all__ = [
    "WhatIf",
    "block_of",
    "blocks_of",
    "callers_of",
    "check_ranges",
    "from_0",
    "rate_of_work",
    "scaled_arrivals",
    "url_of",
    "whole_of",
]

_SETTINGS: Final = (
    "strategy", "options", "health", "limits", "retries", "host_caps", "max_waiters", "spill_after_s",
    "requests",
)  # fmt: skip
_MOST_LOAD: Final = 100.0
_MOST_ADDED: Final = 500
_REFUSED_S: Final = 0.01  # until a call to a server that is gone fails
_BLOCKS: Final = 20.0  # into which a record is cut; dependence within one is kept


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Changes to make; without any, all stays as it is.

    Attributes:
        settings: values by dotted key, as under `[pool]` of a config or in a scenario, e.g. {"strategy": "p2c",
            "options.choices": 3, "requests.attempts": 2}.
        without: names or URLs of the endpoints that are left out.
        capacities: slots, by name or URL of an endpoint.
        add: number of further endpoints, by name or URL of the one that each is like; "": the one with the median rate
            of work.
        load: rate of recorded open arrivals, in times of today's.
        callers: number of callers, each of whom waits for its answer; of a run of the pipeline, number of problems at
            once. None: as today.
        slower: how many times as long calls take, by name or URL of an endpoint.
        gone: the second from which all calls fail, by name or URL of an endpoint.
        again: this day again, and today is that day: arrivals, outages and slow spells as they came.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    capacities: Mapping[str, int] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    load: float = 1.0
    callers: int | None = None
    slower: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    again: bool = False

    @property
    def differs(self) -> bool:
        """Whether something is changed: another kind of day is none."""
        return self != self.today

    @property
    def today(self) -> "WhatIf":
        """Nothing changed, on the same kind of day."""
        return WhatIf(again=self.again)

    @property
    def words(self) -> Iterator[str]:
        """Each change, in words."""
        yield from (f"{key} = {value}" for key, value in self.settings.items())
        yield from (f"without {url}" for url in self.without)
        yield from (f"{url} with {count(many, 'slot')}" for url, many in self.capacities.items())
        yield from (f"{many} more like {url}" for url, many in self.add.items())
        if self.load != 1.0:
            yield f"load x {self.load:g}"
        if self.callers is not None:
            yield count(self.callers, "caller")
        yield from (f"{url} {times:g} times as slow" for url, times in self.slower.items())
        yield from (f"{url} gone after {at_s:g} s" for url, at_s in self.gone.items())

    def check(self) -> None:
        """Check what needs no fit, as a fit of a long trace takes a while.

        Raises:
            ConfigError: there is no such setting or strategy, or a number is out of range.
        """
        several = "a whole number, 1 or more"
        check_ranges([
            ("--load", self.load, 0 < self.load <= _MOST_LOAD, f"more than 0 and at most {_MOST_LOAD:g}, e.g. x1.3"),
            ("--callers", self.callers or 0, self.callers is None or self.callers > 0, several),
            *(("--capacity", each, each > 0, several) for each in self.capacities.values()),
            *(("--add", each, each > 0, several) for each in self.add.values()),
            ("--add", sum(self.add.values()), sum(self.add.values()) <= _MOST_ADDED, f"at most {_MOST_ADDED} in all"),
            *(("--slower", x, 0 < x < math.inf, "more than 0, e.g. 2 for twice as long") for x in self.slower.values()),
            *(("--gone", s, 0 <= s < math.inf, "0 or more, in seconds after the begin") for s in self.gone.values()),
        ])  # fmt: skip
        for key in self.settings:
            name, *path = key.split(".")
            if name not in _SETTINGS or (name == "strategy" and path):
                raise ConfigError(f"--set: unknown key {key!r}{did_you_mean(name, _SETTINGS)}; there are {_KEYS}")
        if "strategy" in self.settings:
            self.policy(Policy(strategy=str(self.settings["strategy"])))

    def resolved(self, scenario: Scenario, urls: Mapping[str, str]) -> "WhatIf":
        """Return these changes with the URLs of a scenario. `urls`: of its endpoints, by name and by URL.

        Raises:
            ConfigError: one of them does not apply.
        """
        self.check()
        callers = callers_of(scenario.workload)
        if callers is not None and self.load != 1.0:
            raise ConfigError(
                f"--load: {callers} callers wait for their answers (a closed loop), so there are no arrivals to scale; "
                "use --callers"
            )
        if callers is None and self.callers is not None:
            raise ConfigError(
                "--callers: calls come whether or not earlier ones have ended (open arrivals); use --load"
            )
        without = tuple(url_of("--without", name, urls) for name in self.without)
        if double := [url for url in without if without.count(url) > 1]:
            raise ConfigError(f"--without: {double[0]} is listed twice; give each once")
        left = [model for model in scenario.endpoints if model.url not in without]
        if not left:
            raise ConfigError("--without: no endpoint is left; leave out fewer")
        by_url: dict[str, Any] = {}
        for option, name in (("--capacity", "capacities"), ("--slower", "slower"), ("--gone", "gone")):
            by_url[name] = {url_of(option, each, urls): value for each, value in getattr(self, name).items()}
            if gone := [url for url in by_url[name] if url in without]:
                raise ConfigError(f"{option}: {gone[0]} is left out by --without; give one of the two")
        median = sorted(left, key=lambda model: rate_of_work(scenario, model))[len(left) // 2].url
        add = {url_of("--add", name, urls) if name else median: many for name, many in self.add.items()}
        found = replace(self, without=without, add=add, **by_url)
        found.applied(scenario)
        return found

    def applied(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the changes of its pool and its callers. `Planner` changes its arrivals.

        A further endpoint is like the one that it copies with its new capacity, and neither slower nor gone.

        Raises:
            ConfigError: there is no such setting, or it may not have the value.
        """
        first = {
            model.url: model.model_copy(update={"capacity": self.capacities.get(model.url, model.capacity)})
            for model in scenario.endpoints
        }
        models = [self._troubled(model) for url, model in first.items() if url not in self.without]
        hosts, taken = dict(scenario.hosts), set(first)
        for url, many in self.add.items():
            for _ in range(many):
                models.append(_twin_of(first[url], taken, hosts))
                taken.add(models[-1].url)
        there = {model.endpoint(model.url).host for model in models}
        values: dict[str, Any] = {
            "endpoints": models, "hosts": {name: host for name, host in hosts.items() if name in there},
            "policies": [self.policy(scenario.policies[0])] if scenario.policies else [],
        }  # fmt: skip
        if self.callers is not None:
            workload, samples = scenario.workload, getattr(scenario.workload, "samples", None)
            update = {"workers": self.callers} if samples is None else {"samples_at_once": min(self.callers, samples)}
            values["workload"] = workload.model_copy(update=update)
        for key, value in self.settings.items():
            name, *path = key.split(".", 1 if key.startswith("host_caps.") else -1)  # a host may have dots
            if name not in ("strategy", "options"):
                values[name] = _put(values.get(name, _data(scenario, name)), path, value)
        try:
            return scenario.changed(**values)
        except ConfigError as error:
            raise ConfigError(f"--set: {line.removeprefix('the scenario: ')}" for line in error.problems) from None

    def made_up(self, scenario: Scenario) -> dict[str, str]:
        """Return the made-up URL of each further endpoint -> the URL of the one it copies. `scenario` is changed."""
        like = [url for url, many in self.add.items() for _ in range(many)]
        new = [model.url for model in scenario.endpoints][len(scenario.endpoints) - len(like) :]
        return dict(zip(new, like, strict=True))

    def _troubled(self, model: EndpointModel) -> EndpointModel:
        faults, url = list(model.faults), model.url
        if url in self.gone:
            faults.append(FailWithin(from_s=self.gone[url], after_s=_REFUSED_S))
        return model.model_copy(update={"speed": model.speed / self.slower.get(url, 1.0), "faults": faults})

    def policy(self, today: Policy) -> Policy:
        """Return the policy: that of today, if the changes leave it.

        Raises:
            ConfigError: there is no such strategy or option.
        """
        options = {key.partition(".")[2]: value for key, value in self.settings.items() if key.startswith("options.")}
        name = self.settings.get("strategy")
        if name is None and not options:
            return today
        found = Policy(strategy=str(name or today.strategy), options=options)
        try:
            chosen_policies(_NO_SCENARIO, [found])
        except ConfigError as error:
            raise ConfigError(f"--set: {line.removeprefix('policies: ')}" for line in error.problems) from None
        return found


_KEYS: Final = ", ".join(_SETTINGS)
_NO_SCENARIO: Any = None  # the policies are given


def check_ranges(rows: Iterable[tuple[str, float, bool, str]]) -> None:
    """Raise ConfigError if an option has a wrong number: its name, the number, whether it is right, what is allowed."""
    for option, value, right, allowed in rows:
        if not right:
            raise ConfigError(f"{option}: found {value:g}; it must be {allowed}")


def url_of(option: str, name: str, urls: Mapping[str, str]) -> str:
    """Return the URL of an endpoint that is named, or has that URL in any of its forms."""
    if name in urls:
        return urls[name]
    same = {identity_of(url): url for url in urls.values()}
    try:
        return same[identity_of(name)]
    except (KeyError, ValueError):
        raise ConfigError(f"{option}: there is no endpoint {name!r}; there are {', '.join(urls)}") from None


def _data(scenario: Scenario, name: str) -> Any:
    value = getattr(scenario, name)
    return value.to_data() if hasattr(value, "to_data") else value


def _put(table: Any, path: list[str], value: Any) -> Any:
    """Return a table with a value at a path; without a path, the value."""
    if not path:
        return value
    inner = table if isinstance(table, Mapping) else {}
    return {**inner, path[0]: _put(inner.get(path[0]), path[1:], value)}


# -- more endpoints ------------------------------------------------------------------------------------


def rate_of_work(scenario: Scenario, model: EndpointModel) -> float:
    """Return the calls per second that an endpoint finishes if it is never idle; hosts, network and faults are left
    out.
    """
    mean_s = (model.service or next(iter(model.services.values()), None) or scenario.work).mean_s
    return min(model.capacity, model.parallel or model.capacity) * model.speed / max(mean_s, 1e-9)


def _twin_of(model: EndpointModel, taken: Container[str], hosts: dict[str, Host]) -> EndpointModel:
    """Return an endpoint like `model` that does not exist yet, on a machine of its own, which is added to `hosts`.

    Its name shows which one it copies. `taken` are the URLs that it may not have.
    """
    like = re.sub(r"[^A-Za-z0-9]+", "-", model.url.split("://")[-1]).strip("-")
    names = (f"{'one' if number == 1 else number}-more-like-{like}" for number in count_from(1))
    name = next(name for name in names if f"http://{name}/" not in taken)
    host = model.endpoint(model.url).host or ""
    if host in hosts:
        hosts[name] = Host(cores=hosts[host].cores)
    return model.model_copy(update={"url": f"http://{name}/", "host": name})


def callers_of(workload: Workload) -> int | None:
    """Return how many callers wait for their answers, or how many samples are at once; None: arrivals are open."""
    return workload.samples_at_once if isinstance(workload, Batch) else getattr(workload, "workers", None)


# -- more load -----------------------------------------------------------------------------------------


def from_0(at_s: Sequence[float] | Floats) -> Floats:
    """Return the instants of recorded arrivals after the first one."""
    return np.asarray(np.array(at_s) - at_s[0])


def whole_of(at_s: Floats) -> float:
    """Return how long arrivals lasted, with a gap after the last one."""
    return max(float(at_s[-1]), 1e-6) * len(at_s) / max(1, len(at_s) - 1)


def block_of(at_s: Floats) -> float:
    """Return the length of the blocks into which arrivals are cut: what depends on each other is in one block."""
    return whole_of(at_s) / max(1.0, min(_BLOCKS, len(at_s) / 10))


def scaled_arrivals(at_s: Floats, load: float, rng: np.random.Generator) -> Floats:
    """Return arrivals at `load` times their rate: all, then copies of all, and a random part of the last copy.

    A copy is shifted by up to a block, so that its bursts are not at the same instants, but its slow changes are.
    """
    if load == 1.0:
        return at_s
    length_s, block_s = whole_of(at_s), block_of(at_s)
    found = [at_s] * (load >= 1)
    for number in range(1 if load >= 1 else 0, math.ceil(load)):
        copy = at_s[rng.random(len(at_s)) < load - number]
        found.append((copy + rng.uniform(-block_s, block_s)) % length_s if number else copy)
    return np.sort(np.concatenate(found))


def blocks_of(at_s: Floats, length_s: float, block_s: float, lasts_s: float, rng: np.random.Generator) -> list[float]:
    """Return arrivals for `lasts_s`, in blocks of a record that is `length_s` long: they keep dependence within one."""
    found: list[float] = []
    begun_s = 0.0
    while begun_s < lasts_s:
        offset_s = rng.random() * length_s
        inside = (at_s - offset_s) % length_s
        found += (begun_s + inside[inside < min(block_s, lasts_s - begun_s)]).tolist()
        begun_s += block_s
    return [round(each, 6) for each in sorted(found)] or [0.0]
