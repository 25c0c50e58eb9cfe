"""Member sessions, as the coordinator keeps them: leases, queued acquires, and the channel to the member.

Decides nothing; the coordinator does.
"""

from dataclasses import replace

from balancer.cluster.protocol.channel import Channel
from balancer.cluster.protocol.messages import (
    CoordinatorFrame,
    EndpointListed,
    EndpointsOut,
    LeaseRequested,
    LeaseToken,
    SessionAccepted,
    SessionStart,
)
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease

__all__ = ["MemberSession", "QueuedAcquire"]


class QueuedAcquire:
    """An acquire that is not answered yet. It is what the core wakes, so that a waiter that has ended leads back here.

    Attributes:
        session: whose.
        ask: what was said; its request may be amended.
        since_s, deadline_s: when its caller came, and when it is over.
        waiter: in the core's queue; None: it waits for the grace to end.
        order: between acquires of one instant.
    """

    __slots__ = ("ask", "deadline_s", "order", "session", "since_s", "waiter")

    def __init__(self, session: "MemberSession", ask: LeaseRequested, now: float, order: int) -> None:
        self.session = session
        self.ask = ask
        self.since_s = now - ask.waited_s
        self.deadline_s = now + ask.timeout_s
        self.waiter: Waiter | None = None
        self.order = order

    def __call__(self) -> None:
        """Do nothing: the coordinator sees for itself who has ended."""

    @property
    def stands(self) -> bool:
        """True until it is answered or cancelled."""
        return self.session.acquires.get(self.ask.number) is self

    def __lt__(self, other: "QueuedAcquire") -> bool:
        return self.order < other.order


class MemberSession:
    """One member, from one start to the next.

    Args:
        start: what the member began it with.
        until_s: see below.
        again_s: a frame that was not heard for so long is sent again.
        due: the sessions in which there is something to say; this enters itself. The coordinator's, one for all.

    Attributes:
        member, epoch, number: whose; epoch and number of the session.
        heard_s: the greatest of the member's own instants that was heard.
        until_s: the member has lost all it has unless it is heard again before.
        leases: what it has, by token.
        acquires: what it waits for, by number.
        accepted: what it was let in with, to be said again; None once it has said something in its session.
    """

    def __init__(self, start: SessionStart, until_s: float, again_s: float, due: "dict[MemberSession, None]") -> None:
        self.member = start.who
        self.number = start.session
        self.heard_s = start.sent_s
        self.until_s = until_s
        self.leases: dict[LeaseToken, Lease] = {}
        self.acquires: dict[int, QueuedAcquire] = {}
        self.accepted: SessionAccepted | None = None
        self.epoch = start.epoch
        self._due = due
        due[self] = None
        self._channel = Channel(again_s)
        self._listed: dict[str, tuple[Endpoint, int]] = {}
        self._endpoint_numbers = 0

    def say(self, word: object) -> None:
        """Say `word` in the next frame."""
        self._channel.say(word)
        self._due[self] = None

    def repeat(self) -> None:
        """Send a frame, if only to say what was heard."""
        self._due[self] = None

    def number_of(self, endpoint: Endpoint) -> int:
        """Return what `endpoint` is listed as, and list it first if it is not."""
        known, number = self._listed.get(endpoint.name, (None, 0))
        if known is endpoint:
            return number
        self._endpoint_numbers += 1
        self._listed[endpoint.name] = endpoint, self._endpoint_numbers
        self.say(EndpointListed(self._endpoint_numbers, endpoint))
        return self._endpoint_numbers

    def say_out(self, names: frozenset[str]) -> None:
        """Tell which endpoints are out of service."""
        self.say(EndpointsOut(names))

    def hear(self, number: int, got: int, words: tuple[object, ...], now: float) -> tuple[object, ...]:
        """Return the words of its frame that are new. A heartbeat is answered, and what was heard before is too."""
        if number <= self._channel.got:
            self.repeat()
        self.accepted = None
        return self._channel.hear(number, got, words, now)

    def frames(self, now: float) -> list[SessionAccepted | CoordinatorFrame]:
        """Return what is to be sent to it now."""
        if self.accepted is not None:
            return [replace(self.accepted, heard_s=self.heard_s)]
        sent = self._channel.frames(now) or [(0, ())]
        got = self._channel.got
        return [CoordinatorFrame(self.epoch, self.number, self.heard_s, number, got, words) for number, words in sent]
