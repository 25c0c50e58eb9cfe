"""A scenario: all that decides a simulation but the strategy's choices. Frozen data, from TOML or Python.

Decides what belongs together and what is allowed. It must not know the engine. Same scenario, same numbers.
"""

import math
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.settings.ranges import expand_range
from balancer.settings.rules import EnabledHealth, LimitSettings, RetrySettings
from balancer.settings.tables import Settings, problems_of, read_toml
from balancer_simulator.scenario.contradictions import problems_in, twice
from balancer_simulator.scenario.distributions import Distribution, Exponential
from balancer_simulator.scenario.faults import Fault
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, Kind, Poisson, Requests, Workload

__all__ = ["Change", "EndpointModel", "Host", "Policy", "Scenario", "load_scenario"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class EndpointModel(Settings):
    """One endpoint or, with ranges in its URL, several; what a pool knows of it, and how it really behaves.

    Attributes:
        url, capacity, weight, labels, host: as in a config; `capacity` leases may be out at once.
        speed: work done per second; 2 halves the time of every call.
        parallel: how many calls it works on at once; the others queue inside it. Default: all.
        refuse_beyond: calls it takes in at once, at work or queued; one more is refused at once as an overload.
            Default: it takes all.
        retry_after_s: what a refusal asks for: to be left alone so long. Default: it does not say.
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
    refuse_beyond: Count | None = None
    retry_after_s: Positive | None = None
    service: Distribution | None = None
    network: Distribution | None = None
    faults: list[Fault] = Field(default_factory=list)
    from_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @field_validator("url")
    @classmethod
    def _sound(cls, url: str) -> str:
        expand_range(url)
        return url

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

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        values = self.capacity is not None or self.weight is not None
        if self.do == "update" and not values:
            raise ValueError("'update' needs capacity or weight, or both")
        if self.do != "update" and values:
            raise ValueError(f"{self.do!r} takes neither capacity nor weight; they are for 'update'")
        return self


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
        hosts: by name, which may have ranges; a host that is not here has cores enough.
        changes: of the pool's membership, on the way.
        policies: strategies to compare; a plain name is one with its default options.
        horizon_s: how long to simulate; a batch ends when it is done, or then at the latest.
        warmup_s: requests that arrive before are not counted.
        replications: independent runs; each sees the same requests and faults under every strategy.
        seed: of everything.
        loads: offered loads (0..1) at which an open workload is simulated for curves; none by default.
        max_waiters: how many may wait at once; None for any number.
        health, limits, host_caps, retries: as in a config, for every policy that is not a baseline. Without `health`,
            or where it is not `enabled`, nobody is ejected; without `retries` there is no budget and the pauses are
            `requests.retry_pause_s`. `health.ping` must be "off": active probes are not simulated.
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
    health: EnabledHealth = None
    limits: LimitSettings | None = None
    host_caps: dict[str, Count] = Field(default_factory=dict)
    retries: RetrySettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_names(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("policies"), list):
            policies = [{"strategy": p} if isinstance(p, str) else p for p in data["policies"]]
            return {**data, "policies": policies}
        return data

    @field_validator("hosts")
    @classmethod
    def _each_host(cls, hosts: dict[str, Host]) -> dict[str, Host]:
        names = [name for given in hosts for name in expand_range(given)]
        if double := twice(names):
            raise ValueError(f"{double[0]!r} is there twice; names, ranges expanded, must differ")
        return {name: host for given, host in hosts.items() for name in expand_range(given)}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := problems_in(self):
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

        Hosts, caps, faults and network are left out.
        """
        total = 0.0
        for model in self.by_url.values():
            call_s, slots_s = self._call_s(model), self._slots_s(model)
            at_work = model.parallel or math.inf
            total += min(model.capacity / slots_s, at_work / call_s) if call_s else math.inf
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

    @property
    def quickest_call_s(self) -> float:
        """Mean seconds of a call at the endpoint where it takes least; faults, hosts and network are left out."""
        return min(map(self._call_s, self.endpoints))

    def _call_s(self, model: EndpointModel) -> float:
        return self._mean(lambda kind: self._seconds(model, kind))

    def _slots_s(self, model: EndpointModel) -> float:
        """Return the mean slot-seconds of a call."""
        return self._mean(lambda kind: kind.slots * self._seconds(model, kind))

    def _seconds(self, model: EndpointModel, kind: Kind) -> float:
        return (model.service or kind.work or self.work).mean_s / model.speed

    def _mean(self, of: Callable[[Kind], float]) -> float:
        kinds = self.requests.kinds
        return sum(kind.share * of(kind) for kind in kinds) / sum(kind.share for kind in kinds)


def load_scenario(path: str | PathLike[str]) -> Scenario:
    """Read the TOML file at `path`.

    Raises:
        ConfigError: with one line for each thing to fix: file, key, what was found, what is allowed.
    """
    raw = read_toml(path)
    if alien := sorted({"pool", "pipeline"} & set(raw)):
        raise ConfigError(
            f"{path}: this is a run config, for balancer run: it has [{alien[0]}]; a scenario has [workload] and "
            "[[endpoints]], see docs/simulator.md"
        )
    scenario = _validated(raw, str(path))
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
