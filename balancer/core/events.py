"""Events: changes of a pool, an endpoint or a lease, for observers.

A shell says which kinds are wanted (`Journal.wanted`), and empties the journal after it has released its lock.

The attribute `endpoint` of an event is the name of an endpoint, by default its URL.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, ParamSpec

from balancer.endpoint import Lease, Outcome

__all__ = [
    "KINDS",
    "Abandoned",
    "Added",
    "Drained",
    "Ejected",
    "Ended",
    "Event",
    "Expired",
    "Granted",
    "Hedged",
    "Journal",
    "Leaked",
    "LimitChanged",
    "Probing",
    "Queued",
    "Removed",
    "Rested",
    "Restored",
    "Retried",
    "Spared",
    "Spent",
    "StrategyChanged",
    "TimedOut",
]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Event:
    """A change at the time `at_s`, in seconds of the pool's clock."""

    at_s: float


@dataclass(frozen=True, slots=True)
class _OfEndpoint(Event):
    endpoint: str


@dataclass(frozen=True, slots=True)
class _OfLease(Event):
    lease_id: int
    endpoint: str
    holder: str  # "" if the caller did not say
    slots: int


@dataclass(frozen=True, slots=True)
class _OfHeldLease(_OfLease):
    held_s: float


# -- leases ----------------------------------------------------------------------------------------


class Queued(Event):
    """An acquire found no free slot and waits."""


@dataclass(frozen=True, slots=True)
class Granted(_OfLease):
    """A lease was granted, after a wait of `waited_s` seconds."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class Ended(_OfLease):
    """A lease ended with an outcome, after `held_s` seconds. Every granted lease ends once."""

    outcome: Outcome
    held_s: float


@dataclass(frozen=True, slots=True)
class TimedOut(Event):
    """An acquire gave up after `waited_s` seconds."""

    waited_s: float


class Expired(_OfHeldLease):
    """The `ttl_s` of a lease has passed, so the pool ended it. `Ended` follows."""


class Abandoned(_OfHeldLease):
    """A lease was abandoned (no object refers to it), so the pool ended it. `Ended` follows."""


@dataclass(frozen=True, slots=True)
class Leaked(_OfLease):
    """A lease has been out for longer than `leak_after_s`. `where`: file and line of its acquire."""

    where: str
    held_s: float


# -- endpoints -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ejected(_OfEndpoint):
    """An endpoint was ejected because of failures.

    `why`: what was measured, in words. `for_s`: seconds until it is tried again, as far as known now; None: unknown.
    """

    why: str = ""
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Spared(_OfEndpoint):
    """An endpoint would be ejected, but stays in service, as only `allowed` of `endpoints` may be ejected.

    `why`: what was measured, in words. There is one event for all failures that follow each other.
    """

    why: str
    allowed: int
    endpoints: int

    @property
    def but(self) -> str:
        """Why it stays."""
        return f"at most {self.allowed} of {self.endpoints} may be (max_ejected_share)"


class Probing(_OfEndpoint):
    """The cooldown of an endpoint is over. It now gets one lease at a time, as a probe."""


@dataclass(frozen=True, slots=True)
class Rested(_OfEndpoint):
    """An endpoint asked for no calls (`Retry-After`) for `for_s` seconds; None: unknown."""

    for_s: float | None = None


class Restored(_OfEndpoint):
    """An endpoint is back in service."""


class Spent(_OfEndpoint):
    """The account of an endpoint has no quota left. It is out of service until it is added again."""


@dataclass(frozen=True, slots=True)
class LimitChanged(_OfEndpoint):
    """At most `limit` slots of an endpoint may be in use from now on, if its host has room."""

    limit: int


class Added(_OfEndpoint):
    """An endpoint was taken into service, or back into it."""


class Drained(_OfEndpoint):
    """An endpoint gets no new leases, but stays listed."""


class Removed(_OfEndpoint):
    """An endpoint gets no new leases, and is forgotten when its last lease ends."""


@dataclass(frozen=True, slots=True)
class StrategyChanged(Event):
    """The strategy was replaced. `strategy`: the name of the new one."""

    strategy: str


# -- calls -----------------------------------------------------------------------------------------


class Retried(_OfEndpoint):
    """A call that failed at `endpoint` is made again."""


class Hedged(_OfEndpoint):
    """A slow call is made a second time, at `endpoint`."""


KINDS: Final = frozenset(
    kind
    for name, kind in globals().items()
    if name in __all__ and isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
)
"""All kinds of events."""


class Journal:
    """Events that no observer got yet, of the kinds that observers want. Others are never made.

    Attributes:
        wanted: the kinds.
        happened: oldest first. Written under the shell's lock; read from the left without a lock.
    """

    def __init__(self) -> None:
        self.wanted: frozenset[object] = frozenset()
        self.happened: deque[Event] = deque()

    def note(self, kind: Callable[P, Event], *facts: P.args, **more: P.kwargs) -> None:
        """Record an event, if its kind is wanted."""
        if kind in self.wanted:
            self.happened.append(kind(*facts, **more))

    def note_lease(self, kind: Callable[..., Event], at_s: float, lease: Lease, *facts: object) -> None:
        """Record an event of a lease, if its kind is wanted."""
        self.happened.extend(self.of_lease(kind, at_s, lease, *facts))

    def of_lease(self, kind: Callable[..., Event], at_s: float, lease: Lease, *facts: object) -> tuple[Event, ...]:
        """Return a tuple of the event that `note_lease` would record, for later; empty if its kind is not wanted."""
        if kind not in self.wanted:
            return ()
        return (kind(at_s, lease.id, lease.endpoint.name, lease.holder, lease.slots, *facts),)
