"""Member sessions, as the coordinator keeps them: leases, queued acquires, and the channel to the member."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
    """An acquire that is not answered yet. It is the `wake` of its waiter, so an ended waiter leads back to it.

    Args:
        woken: called if its waiter was ended by a call of somebody else than the coordinator.

    Attributes:
        session: the session of its member.
        ask: the request message; its request may be amended.
        since_s, deadline_s: when its caller arrived, and when it times out.
        waiter: in the core's queue; None: it waits for the end of the grace.
        order: breaks ties between acquires of one instant.
    """

    __slots__ = ("ask", "deadline_s", "order", "session", "since_s", "waiter", "woken")

    def __init__(
        self, session: "MemberSession", ask: LeaseRequested, now: float, order: int, woken: Callable[[], object]
    ) -> None:
        self.session = session
        self.ask = ask
        self.since_s = now - max(0.0, ask.waited_s)
        self.deadline_s = now + ask.timeout_s
        self.waiter: Waiter | None = None
        self.order = order
        self.woken = woken

    def __call__(self) -> None:
        """Say that its waiter may have ended. Any thread may call this."""
        self.woken()

    @property
    def stands(self) -> bool:
        """True until it is answered or cancelled."""
        return self.session.acquires.get(self.ask.number) is self

    def __lt__(self, other: "QueuedAcquire") -> bool:
        return self.order < other.order


class MemberSession:
    """One member, from one start to the next.

    Args:
        start: the message that began it.
        until_s: see below.
        again_s: a frame that is not acknowledged after so many seconds is sent again.
        due: the coordinator's set of sessions with something to send. The session adds itself.

    Attributes:
        member, epoch, number: the member; epoch and number of the session.
        heard_s: the greatest `sent_s` of the member that was received.
        until_s: when the member loses all its leases, unless it is heard before.
        leases: its leases, by token.
        acquires: its requests, by number.
        accepted: the answer to its start, for resends; None once it has sent a frame in this session.
        backlog: words that were received and are not handled yet.
    """

    def __init__(self, start: SessionStart, until_s: float, again_s: float, due: "dict[MemberSession, None]") -> None:
        self.member = start.who
        self.number = start.session
        self.heard_s = start.sent_s
        self.until_s = until_s
        self.leases: dict[LeaseToken, Lease] = {}
        self.acquires: dict[int, QueuedAcquire] = {}
        self.backlog: deque[Any] = deque()
        self.accepted: SessionAccepted | None = None
        self.epoch = start.epoch
        self._due = due
        due[self] = None
        self._channel = Channel(again_s)
        self._again = False
        self._listed: dict[str, tuple[Endpoint, int]] = {}
        self._endpoint_numbers = 0

    def say(self, word: object) -> None:
        """Send `word` in the next frame."""
        self._channel.say(word)
        self._due[self] = None

    def repeat(self, *, all_of_them: bool = False) -> None:
        """Send a frame, even if only to acknowledge. `all_of_them`: also all that are not acknowledged."""
        self._due[self] = None
        self._again = self._again or all_of_them

    def number_of(self, endpoint: Endpoint) -> int:
        """Return the number of `endpoint` in this session. A new one is sent to the member first."""
        known, number = self._listed.get(endpoint.name, (None, 0))
        if known is endpoint:
            return number
        self._endpoint_numbers += 1
        self._listed[endpoint.name] = endpoint, self._endpoint_numbers
        self.say(EndpointListed(self._endpoint_numbers, endpoint))
        return self._endpoint_numbers

    def say_out(self, names: frozenset[str]) -> None:
        """Send which endpoints are out of service."""
        self.say(EndpointsOut(names))

    def hear(self, number: int, got: int, words: tuple[object, ...], now: float) -> tuple[object, ...]:
        """Return the new words of a frame. Heartbeats, and frames that were received before, are answered."""
        if number <= self._channel.got:
            self.repeat()
        self.accepted = None
        return self._channel.hear(number, got, words, now)

    def frames(self, now: float) -> list[SessionAccepted | CoordinatorFrame]:
        """Return what to send to the member now."""
        if self.accepted is not None:
            return [replace(self.accepted, heard_s=self.heard_s)]
        sent = self._channel.frames(now, again=self._again) or [(0, ())]
        self._again = False
        got = self._channel.got
        return [CoordinatorFrame(self.epoch, self.number, self.heard_s, number, got, words) for number, words in sent]
