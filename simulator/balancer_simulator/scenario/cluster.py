"""Cluster model: in how many processes the callers are, and how far their coordinator is.

Frozen data. It must not know what the coordinator and its members say to each other, nor how a run carries it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from balancer.settings.tables import CheckedInPython
from balancer_simulator.scenario.distributions import Distribution
from balancer_simulator.scenario.endpoints import Count, Positive

__all__ = ["ClusterModel", "Outage", "renamed"]

_OLD_KEYS: Final = {"holders": "members", "owner_s": "coordinator_s"}


class Outage(CheckedInPython):
    """The coordinator is killed at an instant, and one that has only its record begins `for_s` seconds later."""

    at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    for_s: Positive


class ClusterModel(CheckedInPython):
    """Callers in several processes, who lease from one coordinator.

    Attributes:
        members: processes that callers are spread over, evenly.
        network: seconds that each message is on its way, either way; messages one way of one member stay in order.
            None: no time.
        loss: the part of all messages that get lost; what they said is said again after a twentieth of the TTL.
        coordinator_s: seconds that the coordinator, which does one thing at a time, takes for each message.
        block: how many leases a member asks for at once.
        ttl_s: after how many seconds a member that is not heard of has lost its leases.
        outages: of the coordinator.
    """

    members: Count
    network: Distribution | None = None
    loss: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    coordinator_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    block: Count = 1
    ttl_s: Positive = 10.0
    outages: list[Outage] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, data: Any) -> Any:
        return renamed(data, _OLD_KEYS)


def renamed(data: Any, keys: Mapping[str, str]) -> Any:
    """Return the table with the new names of keys that were renamed; the old ones go on for a version."""
    return {keys.get(key, key): value for key, value in data.items()} if isinstance(data, Mapping) else data
