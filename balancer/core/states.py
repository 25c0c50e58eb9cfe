"""States of an endpoint, of its membership and of its health, and the tables of their transitions.

`balancer.core.health` decides when a change of health happens.
"""

from enum import Enum
from math import inf
from typing import Any, Final

__all__ = [
    "MEMBERSHIP",
    "SHOWN",
    "SPENT",
    "TRANSITIONS",
    "Health",
    "HealthEvent",
    "HealthRecord",
    "MembershipEvent",
    "MembershipState",
]


class MembershipState(Enum):
    """Whether an endpoint takes new leases, and what happens to it afterwards."""

    GONE = "gone"  # not in the pool
    ACTIVE = "active"
    DRAINING = "draining"  # no new leases; stays listed until it is added back or removed
    RETIRING = "retiring"  # no new leases; gone when the last one ends


class MembershipEvent(Enum):
    """Events that change the membership of an endpoint."""

    ADD = "it is added"
    DRAIN = "it is drained"
    REMOVE = "it is removed"
    IDLE = "its last lease ends"


MEMBERSHIP: dict[tuple[MembershipState, MembershipEvent], MembershipState] = {
    (MembershipState.GONE, MembershipEvent.ADD): MembershipState.ACTIVE,
    (MembershipState.ACTIVE, MembershipEvent.DRAIN): MembershipState.DRAINING,
    (MembershipState.ACTIVE, MembershipEvent.REMOVE): MembershipState.RETIRING,
    (MembershipState.DRAINING, MembershipEvent.ADD): MembershipState.ACTIVE,
    (MembershipState.DRAINING, MembershipEvent.DRAIN): MembershipState.DRAINING,
    (MembershipState.DRAINING, MembershipEvent.REMOVE): MembershipState.RETIRING,
    (MembershipState.RETIRING, MembershipEvent.ADD): MembershipState.ACTIVE,
    (MembershipState.RETIRING, MembershipEvent.DRAIN): MembershipState.RETIRING,
    (MembershipState.RETIRING, MembershipEvent.REMOVE): MembershipState.RETIRING,
    (MembershipState.RETIRING, MembershipEvent.IDLE): MembershipState.GONE,
}
"""Other changes do not happen, or are refused: an active endpoint cannot be added."""


class Health(Enum):
    """The health of an endpoint."""

    HEALTHY = "healthy"
    EJECTED = "ejected"  # no leases until its cooldown is over
    HALF_OPEN = "half_open"  # one lease at a time; the first to end with an answer decides
    SLOW_START = "slow_start"  # new or back in service, with a growing weight
    RESTING = "resting"  # it asked for no calls (Retry-After); it was not ejected


SPENT: Final = "spent"
SHOWN: Final = (*(each.value for each in Health), SPENT)
"""What an endpoint may show as its health. That its account is spent hides the rest, and is known without any watch."""


class HealthEvent(Enum):
    """Events that change the health of an endpoint."""

    TRIPPED = "a test finds it an outlier"
    COOLED = "its time is over"
    PROBED_WELL = "the probe succeeds"
    PROBED_BADLY = "the probe fails"
    WARMED = "its weight is whole"
    ASKED_REST = "it asks for a rest"
    READMITTED = "too many are ejected"
    JOINED = "it is new, and others serve"
    DOUBTED = "it is added again, and was ejected when it left"


TRANSITIONS: dict[tuple[Health, HealthEvent], Health] = {
    (Health.HEALTHY, HealthEvent.JOINED): Health.SLOW_START,
    (Health.HEALTHY, HealthEvent.DOUBTED): Health.HALF_OPEN,
    (Health.HEALTHY, HealthEvent.TRIPPED): Health.EJECTED,
    (Health.HEALTHY, HealthEvent.ASKED_REST): Health.RESTING,
    (Health.EJECTED, HealthEvent.COOLED): Health.HALF_OPEN,
    (Health.EJECTED, HealthEvent.READMITTED): Health.SLOW_START,
    (Health.HALF_OPEN, HealthEvent.PROBED_WELL): Health.SLOW_START,
    (Health.HALF_OPEN, HealthEvent.PROBED_BADLY): Health.EJECTED,
    (Health.HALF_OPEN, HealthEvent.READMITTED): Health.SLOW_START,
    (Health.HALF_OPEN, HealthEvent.ASKED_REST): Health.EJECTED,
    (Health.SLOW_START, HealthEvent.WARMED): Health.HEALTHY,
    (Health.SLOW_START, HealthEvent.TRIPPED): Health.EJECTED,
    (Health.SLOW_START, HealthEvent.ASKED_REST): Health.RESTING,
    (Health.RESTING, HealthEvent.COOLED): Health.SLOW_START,
}


class HealthRecord:
    """The health data of one endpoint.

    Attributes:
        state: its health.
        asked: while it is ejected: True if it asked for no calls.
        fresh: successes that are not booked yet, all from before `fresh_until_s`.
        look_s: until then a success is only counted in `fresh`; -inf: all ends are seen. Only `HealthWatch` sets it.
        each: True if the end of every lease must be reported, with any outcome.
        why: why it was last ejected, in words.
        last: the exception of its last failure, e.g. "ConnectError"; "": not known.
        spared: why it would be ejected, in words, if more might be. It ends with five successes in a row.
        failed_calls, failed_pings: those in a row.
        good, bad: successes and failures, which count less with time, as of `faded_s`.
    """

    def __init__(self, key: Any, now: float) -> None:
        self.key = key
        self.state = Health.HEALTHY
        self.since_s = now
        self.until_s = inf  # when time alone changes something
        self.bad_probes = 0  # failed probes, which make the next cooldown longer
        self.failing = False  # whether the last booked outcome is a failure
        self.row = 0  # successes since it last failed or came back
        self.probe: int | None = None  # the id of the lease that decides
        self.asked = False
        self.failed_calls = self.failed_pings = 0
        self.good = self.bad = 0.0
        self.faded_s = now
        self.overload_s = -inf  # when it was last overloaded
        self.fresh = 0
        self.look_s = -inf
        self.fresh_until_s = now
        self.each = False
        self.why = self.last = self.spared = ""

    @property
    def half_open(self) -> bool:
        """True while it gets one lease at a time."""
        return self.state is Health.HALF_OPEN

    @property
    def fit(self) -> bool:
        """True while it is in service."""
        return self.state is Health.HEALTHY or self.state is Health.SLOW_START
