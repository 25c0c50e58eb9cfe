"""Scenario keys: allowed values, and what follows from them.

`contradictions` checks whether the keys fit together. One table is here as a whole: a policy to compare (a strategy
with its options, or a baseline).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from balancer.settings.rules import HolderSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.settings.tables import CheckedInPython, EnabledHealth, HealthSection
from balancer.values.urls import expand_range, identity_of
from balancer_simulator.scenario.distributions import Count, Distribution, Exponential, Positive, Seconds
from balancer_simulator.scenario.endpoints import Change, EndpointModel, Host
from balancer_simulator.scenario.workload import Batch, Closed, Conversations, Kind, Requests, Workload

__all__ = ["Policy", "PolicySessions", "ScenarioFields", "twice"]

_ROUNDING: Final = 1e-9  # of rates that are sums


class PolicySessions(CheckedInPython):
    """Requests go where their session lives, as with `Sessions` of a transport.

    Attributes:
        elsewhere: when a request may leave its endpoint: "gone" (out of service), "full" (no free slot).
    """

    elsewhere: list[Literal["gone", "full"]] = Field(default_factory=list)


class Policy(CheckedInPython):
    """A strategy with its options, or one of the baselines. `label` is its name in tables.

    `key`: what requests have as their key: "prompt", all blocks of the prompt; "session"; or a number, the first so
    many blocks as one name. `sessions`: requests go where their session lives; None: where the strategy says.
    """

    strategy: str
    options: dict[str, Any] = Field(default_factory=dict)
    label: str = ""
    key: Literal["prompt", "session"] | Count = "prompt"
    sessions: PolicySessions | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_name(cls, data: Any) -> Any:
        return {"strategy": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.label:
            given = [f"{name}={value}" for name, value in self.options.items()]
            given += [f"key={self.key}"] * (self.key != "prompt")
            if self.sessions is not None:
                given.append("+".join(["sessions", *self.sessions.elsewhere]))
            object.__setattr__(self, "label", f"{self.strategy} ({', '.join(given)})" if given else self.strategy)
        return self


class ScenarioFields(CheckedInPython):
    """All keys of a scenario, and what follows from them. Whether they fit together is not checked here.

    Attributes:
        name: title of the scenario.
        workload: who asks, and when.
        work: seconds of a request on an endpoint of speed 1.
        endpoints: the cluster.
        requests: kinds, attempts, time-outs.
        hosts: by name, which may have ranges; a host that is not here has cores enough.
        changes: of the pool's membership during the run.
        policies: strategies to compare; a plain name is one with its default options.
        horizon_s: how long to simulate; a batch ends when it is done, or then at the latest.
        warmup_s: requests that arrive before are not counted. None: a study finds out when the number of requests under
            way has settled, see `studies.warmup`; a single run counts from 0.
        replications: independent runs; each has the same requests and faults under every strategy.
        seed: of all random numbers.
        loads: offered loads (0..1) at which an open workload is simulated for curves; none by default.
        max_waiters: how many may wait at once; None for any number.
        spill_after_s: how long a failover group may be full before the next one is used; None: for ever.
        fairness, holders: shares of holders as in a config, for every policy that is not a baseline; a kind of requests
            names its holder.
        health, limits, host_caps, quotas, retries: as in a config, for every policy that is not a baseline. `health` is
            on; with `enabled = false`, in Python `health=None`, no endpoint is ejected. Without `retries` there is no
            budget and no pause before a retry. `health.ping` must be "off": active probes are not
            simulated.
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
    warmup_s: Seconds | None = None
    replications: Annotated[int, Field(ge=1, le=10_000)] = 5
    seed: Annotated[int, Field(ge=0)] = 1
    loads: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=list)
    max_waiters: Annotated[int, Field(ge=0)] | None = None
    health: EnabledHealth = HealthSection()
    limits: LimitSettings | None = None
    host_caps: dict[str, Count] = Field(default_factory=dict)
    quotas: dict[str, QuotaSettings] = Field(default_factory=dict)
    spill_after_s: Seconds | None = None
    fairness: Literal["holder"] | None = None
    holders: dict[str, HolderSettings] = Field(default_factory=dict)
    retries: RetrySettings | None = None

    @field_validator("hosts")
    @classmethod
    def _each_host(cls, hosts: dict[str, Host]) -> dict[str, Host]:
        names = [name for given in hosts for name in expand_range(given)]
        if double := twice(names):
            raise ValueError(f"{double[0]!r} is listed twice; names, with ranges expanded, must differ")
        return {name: host for given, host in hosts.items() for name in expand_range(given)}

    @model_validator(mode="after")
    def _changes_of_endpoints(self) -> Self:
        """Write the endpoint of each change in its normal form: "http://h:1" is "http://h:1/"."""
        known = {identity_of(url): url for url in self.by_url}
        changes = [c.model_copy(update={"url": known.get(identity_of(c.url), c.url)}) for c in self.changes]
        object.__setattr__(self, "changes", changes)
        return self

    @property
    def by_url(self) -> dict[str, EndpointModel]:
        """The model of each endpoint, ranges expanded."""
        return {url: model for model in self.endpoints for url in model.urls}

    @property
    def most_leases(self) -> dict[str, int]:
        """The largest capacity of each endpoint at any time, changes included."""
        most = {url: model.capacity for url, model in self.by_url.items()}
        for change in self.changes:
            most[change.url] = max(most[change.url], change.capacity or 0)
        return most

    @property
    def is_batch(self) -> bool:
        """Whether it has an end: the amount of work is fixed, and the run ends when it is done."""
        workload = self.workload
        return isinstance(workload, Batch) or (isinstance(workload, Closed) and workload.calls is not None)

    @property
    def has_prompts(self) -> bool:
        """Whether requests have prompts, which endpoints may have cached."""
        return isinstance(self.workload, Conversations) or any(getattr(self.workload, "prompts", ()))

    @property
    def has_sessions(self) -> bool:
        """Whether requests belong to sessions."""
        return isinstance(self.workload, Conversations) or any(getattr(self.workload, "sessions", ()))

    @property
    def has_keys(self) -> bool:
        """Whether requests have prompts or sessions."""
        return self.has_prompts or self.has_sessions

    @property
    def counts_from_s(self) -> float:
        """Instant from which requests count."""
        return self.warmup_s or 0.0

    @property
    def is_one_sample(self) -> bool:
        """Whether all replications have the same requests, because they were recorded."""
        return bool(getattr(self.workload, "work_s", ()))

    @property
    def rate(self) -> float:
        """Requests per second that the endpoints could finish if they were never idle or at fault.

        Hosts, caps, faults, network and prompts are left out.
        """
        return sum(map(self._rate_of, self.by_url.values()))

    @property
    def is_beyond(self) -> bool:
        """Whether more work arrives than the endpoints could do if they were never idle, so that a queue must grow.

        False if that is unknown: waits have a limit, or the endpoints change during the run. A load of exactly 1 counts
        as beyond, as such a queue has no mean.
        """
        rate = getattr(self.workload, "rate_per_s", None)
        fickle = self.changes or self.max_waiters is not None or self.requests.call_timeout_s
        if rate is None or fickle or any(kind.acquire_timeout_s for kind in self.requests.kinds):
            return False
        return bool(rate >= self._most_rate * (1 - _ROUNDING))

    @property
    def _most_rate(self) -> float:
        """Requests per second that no schedule can exceed: `rate`, with the limit of each host's cores."""
        rates: dict[str | None, float] = {}
        quickest_s: dict[str | None, float] = {}
        for url, model in self.by_url.items():
            host = model.endpoint(url).host
            rates[host] = rates.get(host, 0.0) + self._rate_of(model)
            quickest_s[host] = min(quickest_s.get(host, math.inf), self._call_s(model))
        for host, limit in self.hosts.items():
            if quickest_s.get(host):
                rates[host] = min(rates[host], limit.cores / quickest_s[host])
        return sum(rates.values())

    @property
    def quickest_call_s(self) -> float:
        """Mean seconds of a call at its fastest endpoint; faults, hosts and network are left out."""
        return min(map(self._call_s, self.endpoints))

    def _rate_of(self, model: EndpointModel) -> float:
        call_s, slots_s = self._call_s(model), self._slots_s(model)
        return min(model.capacity / slots_s, (model.parallel or math.inf) / call_s) if call_s else math.inf

    def _call_s(self, model: EndpointModel) -> float:
        return self._mean(lambda kind: self._seconds(model, kind))

    def _slots_s(self, model: EndpointModel) -> float:
        """Return the mean slot-seconds of a call."""
        return self._mean(lambda kind: kind.slots * self._seconds(model, kind))

    def _seconds(self, model: EndpointModel, kind: Kind) -> float:
        return (model.services.get(kind.name) or model.service or kind.work or self.work).mean_s / model.speed

    def _mean(self, of: Callable[[Kind], float]) -> float:
        kinds = self.requests.kinds
        return sum(kind.share * of(kind) for kind in kinds) / sum(kind.share for kind in kinds)


def twice(names: Sequence[str]) -> list[str]:
    """Return the names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
