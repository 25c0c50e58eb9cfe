"""Times of a cluster: the TTL, its grace, heartbeats, resends, and the expiry of a member's leases."""

from dataclasses import dataclass

from balancer.values.numbers import checked, positive

__all__ = ["EXPIRY_SHARE", "ClusterTimes"]

EXPIRY_SHARE = 0.8
"""A member stops after this part of the TTL without contact. So clocks may differ in rate by 1 / 0.8 = 1.25."""

# Five heartbeats in a TTL, four of them before the expiry: three may be lost.
_BEATS = 5.0
# How often in a TTL unanswered messages are sent again.
_TRIES = 20.0


@dataclass(frozen=True, slots=True)
class ClusterTimes:
    """The times of a cluster, in seconds.

    Args:
        ttl_s: a member that the coordinator has not heard for so long has lost its leases (> 0).
        grace_s: after a restart the coordinator grants nothing for so long, or until all known members have reported
            their leases. At least `ttl_s`, which is the default.
        idle_s: how long a member keeps an idle lease of a block.

    Raises:
        ValueError: a number is out of range.
    """

    ttl_s: float = 10.0
    grace_s: float = 0.0
    idle_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("ttl_s", "idle_s"):
            checked(name, getattr(self, name), positive)
        if self.grace_s == 0.0:
            object.__setattr__(self, "grace_s", self.ttl_s)
        if not self.grace_s >= self.ttl_s:
            raise ValueError(f"grace_s is {self.grace_s!r}; it must be at least ttl_s, {self.ttl_s:g}, or left out")

    @property
    def expiry_s(self) -> float:
        """A member without contact for so many seconds stops using its leases."""
        return EXPIRY_SHARE * self.ttl_s

    @property
    def heartbeat_s(self) -> float:
        """How often a member sends a frame, even without words."""
        return self.ttl_s / _BEATS

    @property
    def again_s(self) -> float:
        """Unanswered messages are sent again after so many seconds."""
        return self.ttl_s / _TRIES
