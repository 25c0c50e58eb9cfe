"""Member sessions, as the coordinator keeps them: leases, queued acquires, and the channel to the member.

Decides nothing; the owner does.
"""

from dataclasses import replace
from math import inf

from balancer.cluster.protocol.channel import Channel
from balancer.cluster.protocol.messages import (
    CoordinatorFrame,
    EndpointListed,
    EndpointsOut,
    LeaseRequested,
    LeaseToken,
    MemberId,
    SessionAccepted,
)
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease

__all__ = ["MemberSession", "QueuedAcquire"]


class QueuedAcquire:
    """An ask that is not answered yet. It is what the core wakes, so that a waiter that has ended leads back here.

    Attributes:
        guest: whose.
        ask: what was said; its request may be amended.
        since_s, deadline_s: when its caller came, and when it is over.
        waiter: in the core's queue; None: it waits for the grace to end.
        order: between asks of one instant.
    """

    __slots__ = ("ask", "deadline_s", "guest", "order", "since_s", "waiter")

    def __init__(self, guest: "MemberSession", ask: LeaseRequested, now: float, order: int) -> None:
        self.guest = guest
        self.ask = ask
        self.since_s = now - ask.waited_s
        self.deadline_s = now + ask.timeout_s
        self.waiter: Waiter | None = None
        self.order = order

    def __call__(self) -> None:
        """Do nothing: the owner sees for itself who has ended."""

    @property
    def stands(self) -> bool:
        """True until it is answered or cancelled."""
        return self.guest.asks.get(self.ask.number) is self

    def __lt__(self, other: "QueuedAcquire") -> bool:
        return self.order < other.order


class MemberSession:
    """One holder in its visit.

    Attributes:
        who, epoch, visit: its, and that of the visit.
        heard_s: the greatest of its own instants that was heard.
        until_s: it has lost all it has unless it is heard again before.
        leases: what it has, by token.
        asks: what it waits for, by number.
        welcome: what it was let in with, to be said again; None once it has said something in its visit.
        due: those whom there is something to tell; it enters itself. The owner's, one for all.
    """

    def __init__(
        self,
        who: MemberId,
        epoch: int,
        visit: int,
        sent_s: float,
        until_s: float,
        again_s: float,
        due: "dict[MemberSession, None]",
    ) -> None:
        self.who = who
        self.epoch = epoch
        self.visit = visit
        self.heard_s = sent_s
        self.until_s = until_s
        self.leases: dict[LeaseToken, Lease] = {}
        self.asks: dict[int, QueuedAcquire] = {}
        self.welcome: SessionAccepted | None = None
        self._due = due
        due[self] = None
        self._link = Channel(again_s)
        self._listed: dict[str, tuple[Endpoint, int]] = {}
        self._numbers = 0

    def say(self, word: object) -> None:
        """Say `word` in the next letter."""
        self._link.say(word)
        self._due[self] = None

    def repeat(self) -> None:
        """Say something in the next letter, if only that it was heard."""
        self._due[self] = None

    def number_of(self, endpoint: Endpoint) -> int:
        """Return what `endpoint` is listed as, and list it first if it is not."""
        known = self._listed.get(endpoint.name)
        if known is not None and known[0] is endpoint:
            return known[1]
        self._numbers += 1
        self._listed[endpoint.name] = endpoint, self._numbers
        self.say(EndpointListed(self._numbers, endpoint))
        return self._numbers

    def out(self, names: frozenset[str]) -> None:
        """Tell who is out of service."""
        self.say(EndpointsOut(names))

    def hear(self, number: int, got: int, words: tuple[object, ...], now: float) -> tuple[object, ...]:
        """Return the words of its letter that are new. A heartbeat is answered, and what was heard before is too."""
        if number <= self._link.got:
            self.repeat()
        self.welcome = None
        return self._link.hear(number, got, words, now)

    def letters(self, now: float) -> list[SessionAccepted | CoordinatorFrame]:
        """Return what is to be sent to it now."""
        if self.welcome is not None:
            return [replace(self.welcome, heard_s=self.heard_s)]
        sent = self._link.letters(now) or [(0, ())]
        return [
            CoordinatorFrame(self.epoch, self.visit, self.heard_s, number, self._link.got, words)
            for number, words in sent
        ]


def first_expiry_s(sessions: "dict[MemberId, MemberSession]") -> float:
    """Return when the first of them has lost what it has, unless it is heard; `inf`: there is none."""
    return min((guest.until_s for guest in sessions.values()), default=inf)
