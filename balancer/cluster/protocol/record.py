"""Coordinator record: what a coordinator must still know after its restart.

Decides nothing. A shell keeps it, on a disk or with whoever restarts the owner, *before* it sends what the owner says.
"""

from dataclasses import dataclass

from balancer.cluster.protocol.messages import MemberId

__all__ = ["CoordinatorRecord"]


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """The last word of an owner.

    Args:
        epoch: its own; the next owner's must be greater.
        ttl_s: for how long, at most, it may have let its holders act.
        holders: all who may hold something; None: it does not know all of them itself.
    """

    epoch: int
    ttl_s: float
    holders: frozenset[MemberId] | None = None
