"""Endpoint models: what a pool knows of an endpoint, how it behaves, what is changed on the way.

Frozen data. It must not know who asks for them, nor how a run carries any of this out.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from balancer.endpoint import Endpoint
from balancer.settings.endpoints import Capacity, EndpointTable, Weight
from balancer.settings.tables import CheckedInPython
from balancer_simulator.scenario.distributions import Distribution
from balancer_simulator.scenario.faults import Fault

__all__ = ["Change", "Count", "EndpointModel", "Host", "Positive"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Capacity = Annotated[Capacity, Field(le=1_000_000)]  # a run notes for each slot when it is free


class EndpointModel(EndpointTable, CheckedInPython):
    """One endpoint or, with ranges in its URL, several; what a pool knows of it, and how it really behaves.

    Attributes:
        url, capacity, weight, labels, host, group, quota: as in a config; `capacity` leases may be out at once.
        speed: work done per second; 2 halves the time of every call.
        parallel: how many calls it works on at once; the others queue inside it. Default: all.
        refuse_beyond: calls it takes in at once, at work or queued; one more is refused at once as an overload.
            Default: it takes all.
        tells_load: each answer says how much of it is used, and how many calls wait in it.
        retry_after_s: what a refusal asks for: to be left alone so long. Default: it does not say.
        service: seconds of a call at speed 1, instead of the request's own work.
        services: the same for the calls of a kind, by its name; it comes before `service`.
        network: seconds that each call spends on the way, besides.
        faults: what is wrong with it.
        from_s: when it joins the pool.
        seen_at_once: the most calls that it was seen to have at once, where it was fitted to a trace: what it would do
            with more nobody knows, so `recommend` gives it no more. No run depends on it.
    """

    capacity: _Capacity = 1
    speed: Positive = 1.0
    parallel: Count | None = None
    refuse_beyond: Count | None = None
    retry_after_s: Positive | None = None
    tells_load: bool = False
    service: Distribution | None = None
    services: dict[str, Distribution] = Field(default_factory=dict)
    network: Distribution | None = None
    faults: list[Fault] = Field(default_factory=list)
    from_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seen_at_once: Count | None = None

    def endpoint(self, url: str) -> Endpoint:
        """Return the endpoint as a pool takes it."""
        return Endpoint(
            url,
            capacity=self.capacity,
            weight=self.weight,
            labels=frozenset(self.labels),
            host=self.host,
            group=self.group,
            quota=self.quota,
        )


class Host(CheckedInPython):
    """A machine whose endpoints share its cores: with more calls than cores each gets a part of one."""

    cores: Positive


class Change(CheckedInPython):
    """What somebody does to the pool at an instant: `add` again, `drain`, `remove`, or `update`."""

    at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
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
