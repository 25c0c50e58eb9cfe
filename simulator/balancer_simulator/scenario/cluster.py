"""Cluster model: in how many processes the callers are, and how far their coordinator is.

Frozen data. It must not know what the owner and its holders say to each other, nor how a run carries it.
"""

from typing import Annotated

from pydantic import Field

from balancer.settings.tables import CheckedInPython
from balancer_simulator.scenario.distributions import Distribution
from balancer_simulator.scenario.endpoints import Count, Positive

__all__ = ["ClusterModel", "Outage"]


class Outage(CheckedInPython):
    """The owner is killed at an instant, and one that has only its record begins `for_s` seconds later."""

    at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    for_s: Positive


class ClusterModel(CheckedInPython):
    """Callers in several processes, who lease from one owner.

    Attributes:
        holders: processes that callers are spread over, evenly.
        network: seconds that each message is on its way, either way; messages one way of one holder stay in order.
            None: no time.
        loss: the part of all messages that get lost; what they said is said again after a twentieth of the TTL.
        owner_s: seconds that the owner, which does one thing at a time, takes for each message that it hears.
        block: how many leases a holder asks for at once.
        ttl_s: after how many seconds a holder that is not heard of has lost its leases.
        outages: of the owner.
    """

    holders: Count
    network: Distribution | None = None
    loss: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    owner_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    block: Count = 1
    ttl_s: Positive = 10.0
    outages: list[Outage] = Field(default_factory=list)
