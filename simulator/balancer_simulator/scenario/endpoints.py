"""Endpoint models: the pool's view of an endpoint, its real behaviour, and later changes. Frozen data.

Faults of an endpoint are data too; those of one endpoint add up. `world.server` applies them to calls. All instants are
seconds since the start of the run.
"""

import math
from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from balancer.endpoint import Endpoint
from balancer.settings.endpoints import Capacity, EndpointTable, Weight
from balancer.settings.tables import CheckedInPython
from balancer_simulator.scenario.distributions import LEAST_S, Count, Distribution, Positive, Seconds

__all__ = [
    "Change",
    "CrashRepair",
    "EndpointModel",
    "FailWithin",
    "Fault",
    "Host",
    "SlowSpells",
    "SlowWithin",
    "TimedFault",
]

Instant = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(gt=0, le=1)]


def _long_enough(value_s: float) -> float:
    if 0 < value_s < LEAST_S:
        raise ValueError(f"it must be 0 or at least {LEAST_S:g}")
    return value_s


Brief = Annotated[Seconds, AfterValidator(_long_enough)]
"""Seconds after which a call may fail without work."""

_KNOWN_BY_HEART: Final = 16_384  # endpoints, so that further runs of a scenario need not check them again
_Capacity = Annotated[Capacity, Field(le=1_000_000)]  # a run records for each slot when it is free


class TimedFault(CheckedInPython):
    """Base of faults that hold between two instants."""

    from_s: Instant = 0.0
    to_s: Instant = math.inf

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_s >= self.to_s:
            raise ValueError(f"from_s is {self.from_s:g} and to_s {self.to_s:g}; from_s must be less")
        return self

    def missed(self, joins_s: float, horizon_s: float) -> str | None:
        """Return why this never happens to an endpoint that joins at `joins_s` in a run up to `horizon_s`, or None."""
        if self.from_s >= horizon_s:
            return f"from_s is {self.from_s:g}, and the run ends at horizon_s = {horizon_s:g}; begin before that"
        if self.to_s <= joins_s:
            return f"to_s is {self.to_s:g}, and the endpoint joins at from_s = {joins_s:g}; end after that"
        return None


class SlowWithin(TimedFault):
    """Calls whose work begins between two instants take `factor` times as long."""

    kind: Literal["slow_within"] = "slow_within"
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0


class SlowSpells(CheckedInPython):
    """Slow again and again: calls whose work begins in a spell take `factor` times as long.

    Times between spells and lengths of spells are drawn. A run begins at a random instant of that, in a spell or not.
    """

    kind: Literal["slow_spells"] = "slow_spells"
    between: Distribution
    lasts: Distribution
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0

    @property
    def cycle_s(self) -> float:
        """Mean seconds from the begin of a spell to that of the next."""
        return self.between.mean_s + self.lasts.mean_s

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        for name, each in (("between", self.between), ("lasts", self.lasts)):
            if not 0 < each.mean_s < math.inf:
                raise ValueError(f"{name}: its mean is {each.mean_s:g} s; it must be more than 0")
        return self


class FailWithin(TimedFault):
    """Calls that begin between two instants fail, each with `probability`, after they have done their work.

    With `after_s` they fail after so many seconds, without any work. A short time makes a black hole: an endpoint that
    is always free.
    """

    kind: Literal["fail_within"] = "fail_within"
    probability: Probability = 1.0
    after_s: Brief | None = None


class CrashRepair(CheckedInPython):
    """Flapping: up for a time, then down until it is repaired, again and again (both exponential).

    A crash fails all calls under way. While it is down, calls are refused after `refuse_s`.
    """

    kind: Literal["crash_repair"] = "crash_repair"
    mtbf_s: Positive
    mttr_s: Positive
    refuse_s: Brief = 0.01


Fault = Annotated[SlowWithin | SlowSpells | FailWithin | CrashRepair, Field(discriminator="kind")]


_endpoint = lru_cache(_KNOWN_BY_HEART, typed=True)(Endpoint)


class EndpointModel(EndpointTable, CheckedInPython):
    """One endpoint or, with ranges in its URL, several: the pool's view of it, and its real behaviour.

    Attributes:
        url, capacity, weight, labels, host, group, quota: as in a config; `capacity` leases may be out at once.
        speed: work done per second; 2 halves the time of every call.
        parallel: calls it works on at once; the others queue inside it. Default: all.
        refuse_beyond: calls it accepts at once, at work or queued; further ones are refused at once as an overload.
            Default: no limit.
        tells_load: each answer reports how much of it is used, and how many calls wait in it.
        retry_after_s: the rest that a refusal asks for, in seconds. Default: none.
        refuse_s: seconds that a refusal takes.
        service: seconds of a call at speed 1, instead of the request's own work.
        services: the same for the calls of a kind, by its name; it comes before `service`.
        network: additional seconds of each call on the network.
        prefill_s: additional seconds, at speed 1, for each block of the prompt that is not in its cache.
        cache_blocks: how many blocks its cache keeps, those used last; 0: it has none. A crash empties it.
        faults: its faults.
        from_s: when it joins the pool.
        seen_at_once: the most calls at once in the trace it was fitted to. Its behaviour with more is unknown, so
            `plan` gives it no more. It does not affect a run.
    """

    capacity: _Capacity = 1
    speed: Positive = 1.0
    parallel: Count | None = None
    refuse_beyond: Count | None = None
    retry_after_s: Positive | None = None
    refuse_s: Brief = 0.005
    tells_load: bool = False
    service: Distribution | None = None
    services: dict[str, Distribution] = Field(default_factory=dict)
    network: Distribution | None = None
    prefill_s: Seconds = 0.0
    cache_blocks: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    faults: list[Fault] = Field(default_factory=list)
    from_s: Seconds = 0.0
    seen_at_once: Count | None = None

    def endpoint(self, url: str) -> Endpoint:
        """Return the endpoint as a pool takes it."""
        return _endpoint(
            url,
            capacity=self.capacity,
            weight=self.weight,
            labels=frozenset(self.labels),
            host=self.host,
            group=self.group,
            quota=self.quota,
        )


class Host(CheckedInPython):
    """A machine whose endpoints share its cores: with more calls than cores, each gets a part of one."""

    cores: Positive


class Change(CheckedInPython):
    """A change of the pool at an instant: `add` again, `drain`, `remove`, or `update`."""

    at_s: Seconds
    do: Literal["add", "drain", "remove", "update"]
    url: str
    capacity: _Capacity | None = None
    weight: Weight | None = None

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        values = self.capacity is not None or self.weight is not None
        if self.do == "update" and not values:
            raise ValueError("'update' needs capacity or weight, or both")
        if self.do != "update" and values:
            raise ValueError(f"{self.do!r} takes neither capacity nor weight; they are for 'update'")
        return self
