"""Events: what happens to a pool, an endpoint or a lease, as observers hear of it.

Decides what there is to tell, and keeps in order what nobody has been told yet. It must not know observers, nor when
they are told: a shell says which kinds somebody wants, and empties the journal once it has let go of its lock.

`endpoint` is the name of an endpoint, mostly its URL.
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
    "Panic",
    "Probing",
    "Queued",
    "Removed",
    "Rested",
    "Restored",
    "Retried",
    "Spent",
    "StrategyChanged",
    "TimedOut",
]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at_s`, by the pool's clock."""

    at_s: float


@dataclass(frozen=True, slots=True)
class _OfEndpoint(Event):
    endpoint: str


@dataclass(frozen=True, slots=True)
class _OfLease(Event):
    lease_id: int
    endpoint: str
    holder: str  # "": nobody said
    slots: int


# -- leases ----------------------------------------------------------------------------------------


class Queued(Event):
    """An acquire found no free slot and waits."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Granted(_OfLease):
    """A lease was granted, after a wait of `waited_s` seconds."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class Ended(_OfLease):
    """A lease ended with an outcome, after `held_s` seconds. Every lease that was granted ends once."""

    outcome: Outcome
    held_s: float


@dataclass(frozen=True, slots=True)
class TimedOut(Event):
    """An acquire gave up after `waited_s` seconds."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class Expired(_OfLease):
    """The `ttl_s` of a lease was over, so the pool ended it; `Ended` follows."""

    held_s: float


@dataclass(frozen=True, slots=True)
class Abandoned(_OfLease):
    """Nobody had a lease any more, so the pool ended it; `Ended` follows."""

    held_s: float


@dataclass(frozen=True, slots=True)
class Leaked(_OfLease):
    """A lease has been out for longer than `leak_after_s`, and still is. `where` it was acquired: file and line."""

    where: str
    held_s: float


# -- endpoints -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ejected(_OfEndpoint):
    """An endpoint was taken out of service for its failures; `why`: what was measured, in words."""

    why: str = ""


class Probing(_OfEndpoint):
    """The cooldown of an endpoint is over: one lease at a time tries it."""

    __slots__ = ()


class Rested(_OfEndpoint):
    """An endpoint asked to be left alone for a while (`Retry-After`)."""

    __slots__ = ()


class Restored(_OfEndpoint):
    """An endpoint is back in service."""

    __slots__ = ()


class Spent(_OfEndpoint):
    """Whoever pays for an endpoint has nothing left: it is out of service until it is added again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Panic(Event):
    """So few endpoints are fit that all must serve; or, not `on`, that is over."""

    on: bool


@dataclass(frozen=True, slots=True)
class LimitChanged(_OfEndpoint):
    """At most `limit` slots of an endpoint may be in use from now on, as far as its host has room."""

    limit: int


class Added(_OfEndpoint):
    """An endpoint was taken into service, or back into it."""

    __slots__ = ()


class Drained(_OfEndpoint):
    """An endpoint gets no new leases, and stays listed."""

    __slots__ = ()


class Removed(_OfEndpoint):
    """An endpoint gets no new leases, and is forgotten when its last one ends."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class StrategyChanged(Event):
    """Another strategy chooses."""

    strategy: str


# -- calls -----------------------------------------------------------------------------------------


class Retried(_OfEndpoint):
    """A call that failed at `endpoint` is made again."""

    __slots__ = ()


class Hedged(_OfEndpoint):
    """A call that is slow is made a second time, at `endpoint`."""

    __slots__ = ()


KINDS: Final[frozenset[type[Event]]] = frozenset(
    {
        *(Queued, Granted, Ended, TimedOut, Expired, Abandoned, Leaked),
        *(Ejected, Probing, Rested, Restored, Spent, Panic, LimitChanged),
        *(Added, Drained, Removed, StrategyChanged, Retried, Hedged),
    }
)
"""All kinds of events."""


class Journal:
    """What happened and has not been told yet, of the kinds that somebody wants. What nobody wants is never made.

    Attributes:
        wanted: the kinds.
        happened: oldest first. Written under the shell's lock; whoever tells takes from its left without one.
    """

    __slots__ = ("happened", "wanted")

    def __init__(self) -> None:
        self.wanted: frozenset[object] = frozenset()
        self.happened: deque[Event] = deque()

    def note(self, kind: Callable[P, Event], *facts: P.args, **more: P.kwargs) -> None:
        """Write down that something happened, if anybody wants to know."""
        if kind in self.wanted:
            self.happened.append(kind(*facts, **more))

    def note_lease(self, kind: Callable[..., Event], at_s: float, lease: Lease, *facts: object) -> None:
        """Write down what happened to a lease, likewise."""
        if kind in self.wanted:
            self.happened.append(kind(at_s, lease.id, lease.endpoint.name, lease.holder, lease.slots, *facts))

    def of_lease(self, kind: Callable[..., Event], at_s: float, lease: Lease, *facts: object) -> tuple[Event, ...]:
        """Return what `note_lease` would write down, to be written when it has happened; nothing if nobody wants it."""
        if kind not in self.wanted:
            return ()
        return (kind(at_s, lease.id, lease.endpoint.name, lease.holder, lease.slots, *facts),)
