"""A scenario: all that decides a simulation but the strategy's choices. Frozen data, from TOML or Python.

Decides what belongs together and what is allowed. It must not know the engine. Same scenario, same numbers.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.ranges import expand_range
from balancer.settings import Settings, problems_of, read_toml
from simulator.distributions import Distribution, Exponential
from simulator.faults import Fault
from simulator.workload import Arrivals, Batch, Closed, Poisson, Requests, Workload

__all__ = ["Change", "EndpointModel", "Host", "Policy", "Scenario", "load_scenario"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class EndpointModel(Settings):
    """One endpoint or, with ranges in its URL, several; what a pool knows of it, and how it really behaves.

    Attributes:
        url, capacity, weight, labels, host: as in a config; `capacity` leases may be out at once.
        speed: work done per second; 2 halves the time of every call.
        parallel: how many calls it works on at once; the others queue inside it. Default: all.
        service: seconds of a call at speed 1, instead of the request's own work.
        network: seconds that each call spends on the way, besides.
        faults: what is wrong with it.
        from_s: when it joins the pool.
    """

    url: str
    capacity: Count = 1
    weight: Positive = 1.0
    labels: list[str] = Field(default_factory=list)
    host: str | None = None
    speed: Positive = 1.0
    parallel: Count | None = None
    service: Distribution | None = None
    network: Distribution | None = None
    faults: list[Fault] = Field(default_factory=list)
    from_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _sound(self) -> Self:
        expand_range(self.url)
        return self

    @property
    def urls(self) -> list[str]:
        """The URLs this entry stands for."""
        return expand_range(self.url)

    def endpoint(self, url: str) -> Endpoint:
        """Return the endpoint as a pool takes it."""
        return Endpoint(url, capacity=self.capacity, weight=self.weight, labels=frozenset(self.labels), host=self.host)


class Host(Settings):
    """A machine whose endpoints share its cores: with more calls than cores each gets a part of one."""

    cores: Positive


class Change(Settings):
    """What somebody does to the pool at an instant: `add` again, `drain`, `remove`, or `update`."""

    at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    do: Literal["add", "drain", "remove", "update"]
    url: str
    capacity: Count | None = None
    weight: Positive | None = None


class Policy(Settings):
    """A strategy with its options, or one of the baselines; `label` is what tables call it."""

    strategy: str
    options: dict[str, Any] = Field(default_factory=dict)
    label: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.label:
            given = ", ".join(f"{name}={value}" for name, value in self.options.items())
            object.__setattr__(self, "label", f"{self.strategy} ({given})" if given else self.strategy)
        return self


class Scenario(Settings):
    """A whole scenario.

    Attributes:
        name: for people.
        workload: who asks, and when.
        work: seconds that a request takes on an endpoint of speed 1.
        endpoints: the cluster.
        requests: kinds, attempts, time-outs.
        hosts: by name; a host that is not here has cores enough.
        changes: of the pool's membership, on the way.
        policies: strategies to compare; a plain name is one with its default options.
        horizon_s: how long to simulate; a batch ends when it is done, or then at the latest.
        warmup_s: requests that arrive before are not counted.
        replications: independent runs; each sees the same requests and faults under every strategy.
        seed: of everything.
        loads: offered loads (0..1) at which an open workload is simulated for curves; none by default.
        max_waiters: how many may wait at once; None for any number.
    """

    name: str = "scenario"
    workload: Workload
    work: Distribution = Exponential(mean_s=1.0)
    endpoints: Annotated[list[EndpointModel], Field(min_length=1)]
    requests: Requests = Requests()
    hosts: dict[str, Host] = Field(default_factory=dict)
    changes: list[Change] = Field(default_factory=list)
    policies: list[Policy] = Field(default_factory=list)
    horizon_s: Positive = 1000.0
    warmup_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    replications: Annotated[int, Field(ge=1, le=10_000)] = 5
    seed: Annotated[int, Field(ge=0)] = 1
    loads: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=list)
    max_waiters: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_names(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("policies"), list):
            policies = [{"strategy": p} if isinstance(p, str) else p for p in data["policies"]]
            return {**data, "policies": policies}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := _problems(self):
            raise ValueError("\n".join(problems))
        return self

    @property
    def by_url(self) -> dict[str, EndpointModel]:
        """The model of each endpoint, ranges expanded."""
        return {url: model for model in self.endpoints for url in model.urls}

    @property
    def most_leases(self) -> dict[str, int]:
        """The largest capacity that each endpoint has at any time, changes included."""
        most = {url: model.capacity for url, model in self.by_url.items()}
        for change in self.changes:
            most[change.url] = max(most[change.url], change.capacity or 0)
        return most

    @property
    def is_batch(self) -> bool:
        """Whether it has an end."""
        return isinstance(self.workload, Batch)

    @property
    def rate(self) -> float:
        """Requests per second that the endpoints could finish if none were ever idle or at fault.

        Hosts, faults and network are left out.
        """
        total = 0.0
        for model in self.by_url.values():
            mean_s = (model.service or self.work).mean_s if model.service else self._mean_work_s()
            total += min(model.capacity, model.parallel or model.capacity) * model.speed / mean_s
        return total

    def at_load(self, load: float) -> "Scenario":
        """Return this scenario with Poisson arrivals that offer `load` times what the endpoints could do.

        Raises:
            ConfigError: the workload is not open, so there is no such thing.
        """
        if isinstance(self.workload, Closed | Batch):
            raise ConfigError(
                f"loads: a {self.workload.kind} workload has no offered load; use poisson, on_off or arrivals"
            )
        return self.changed(workload=Poisson(rate_per_s=load * self.rate), loads=[])

    def changed(self, **values: Any) -> "Scenario":
        """Return a copy with other values, validated. Raises ConfigError."""
        unchanged = {name: getattr(self, name) for name in type(self).model_fields if name not in values}
        return _validated({**unchanged, **values}, "the scenario")

    def _mean_work_s(self) -> float:
        kinds = self.requests.kinds
        total = sum(kind.share for kind in kinds)
        return sum(kind.share * (kind.work or self.work).mean_s for kind in kinds) / total


def _problems(scenario: Scenario) -> list[str]:
    urls = [url for model in scenario.endpoints for url in model.urls]
    found = [f"endpoints: {url!r} is there twice; URLs must differ" for url in _twice(urls)]
    found += _impossible(scenario)
    labels = [policy.label for policy in scenario.policies]
    found += [f"policies: {label!r} is there twice; give one a label" for label in _twice(labels)]
    if scenario.warmup_s >= scenario.horizon_s:
        found.append(f"warmup_s is {scenario.warmup_s:g} and horizon_s {scenario.horizon_s:g}; it must be less")
    if scenario.is_batch and scenario.warmup_s:
        found.append("warmup_s: a batch is counted from its first task; leave it out")
    hosts = {model.endpoint(url).host for url, model in scenario.by_url.items()}
    found += [f"hosts: no endpoint is on {host!r}" for host in scenario.hosts if host not in hosts]
    count = len(scenario.requests.kinds)
    last = max(scenario.workload.kinds, default=0) if isinstance(scenario.workload, Arrivals) else 0
    if last >= count:
        found.append(f"workload.kinds: found {last}, and requests.kinds has {count}; the first is 0")
    offered = {label for model in scenario.endpoints for label in model.labels}
    for kind in scenario.requests.kinds:
        if not set(kind.labels) <= offered:
            found.append(
                f"requests.kinds: {kind.name!r} asks for {kind.labels}, and the endpoints offer {sorted(offered)}"
            )
    return found


def _impossible(scenario: Scenario) -> list[str]:
    """Return what the changes ask of endpoints that are not there, or are there already."""
    there = {url: model.from_s == 0 for url, model in scenario.by_url.items()}
    known = dict(there)  # also those that drain
    joins = [Change(at_s=model.from_s, do="add", url=url) for url, model in scenario.by_url.items() if model.from_s]
    found = []
    for change in sorted([*joins, *scenario.changes], key=lambda change: change.at_s):
        url = change.url
        if url not in there:
            found.append(f"changes: there is no endpoint {url!r}")
        elif there[url] if change.do == "add" else not known[url]:
            state = "there already" if change.do == "add" else "not there"
            found.append(f"changes: {change.do!r} of {url!r} at {change.at_s:g} s, when it is {state}")
        else:
            there[url] = change.do == "add" or (there[url] and change.do == "update")
            known[url] = change.do != "remove"
    return found


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def load_scenario(path: str | PathLike[str]) -> Scenario:
    """Read the TOML file at `path`.

    Raises:
        ConfigError: with one line for each thing to fix: file, key, what was found, what is allowed.
    """
    scenario = _validated(read_toml(path), str(path))
    if not isinstance(scenario.workload, Arrivals):
        return scenario
    try:
        return scenario.changed(workload=scenario.workload.loaded(Path(path).parent))
    except OSError as error:
        raise ConfigError(f"{path}: workload.file: {error.filename} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: workload.file: {line}" for line in problems_of(error, Arrivals)) from None
    except ValueError as error:
        raise ConfigError(f"{path}: workload.file: {error}") from None


def _validated(raw: Mapping[str, Any], name: str) -> Scenario:
    try:
        return Scenario.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError(f"{name}: {line}" for line in problems_of(error, Scenario)) from None
