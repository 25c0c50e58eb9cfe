"""A member's contact with its coordinator: joining, heartbeats, resends, and the expiry of its leases.

Contact counts from when the member sent the last message that the coordinator has certainly received, however late the
answer came.
"""

from enum import Enum
from math import inf

from balancer.cluster.protocol.channel import Channel
from balancer.cluster.protocol.messages import (
    ClaimedLease,
    CoordinatorFrame,
    FromMember,
    JoinRequest,
    MemberFrame,
    MemberId,
    SessionAccepted,
    SessionStart,
)
from balancer.cluster.protocol.times import EXPIRY_SHARE, ClusterTimes

__all__ = ["ContactState", "CoordinatorContact"]

# The coordinator has at most 64 frames without an acknowledgement. After so many, the member answers at once.
_MOST_UNANSWERED = 16


class ContactState(Enum):
    """The state of the contact; the values are words for people."""

    OUTSIDE = "asks to join"
    BEGINNING = "begins a session"
    INSIDE = "is in a session"
    GONE = "has left"


class CoordinatorContact:
    """One member's side of all its sessions.

    Args:
        who: the member.
        times: the coordinator's times, as far as known.
        now: the time.

    Attributes:
        state, session: the state; epoch and number of the session. A greater pair is later.
        times: as given, until the coordinator sends its own.
        claimed: the leases that it has reported.
        contact_s: when it sent the last message that was certainly received.
    """

    def __init__(self, who: MemberId, times: ClusterTimes, now: float) -> None:
        self.state = ContactState.OUTSIDE
        self.session = (0, 0)
        self.times = times
        self.claimed: tuple[ClaimedLease, ...] = ()
        self.contact_s = -inf
        self._who = who
        self._channel = Channel(times.again_s)
        self._again_s = now  # when to ask again to join
        self._begun_s = now
        self._heartbeat_due_s = inf
        self._unanswered = 0  # frames of the coordinator
        self._starts_anew = False
        self._leaving = False

    # -- what happens ------------------------------------------------------------------------------

    def begin(self, session: tuple[int, int], claimed: tuple[ClaimedLease, ...], now: float) -> None:
        """Begin a new session."""
        self.session = session
        self.state = ContactState.BEGINNING
        self.claimed = claimed
        self._begun_s = self._again_s = now
        self._starts_anew = False
        self._channel = Channel(self.times.again_s)

    def accepted(self, accepted: SessionAccepted) -> None:
        """Record that the start was received, and the coordinator's times."""
        self.times = ClusterTimes(accepted.ttl_s, idle_s=self.times.idle_s)
        self._channel.again_s = self.times.again_s
        self.contact_s = max(self.contact_s, accepted.heard_s)

    def enter(self, now: float) -> None:
        """Enter the session."""
        self.state = ContactState.INSIDE
        self._heartbeat_due_s = now  # the coordinator waits for a first frame

    def note_contact(self, reply: CoordinatorFrame) -> None:
        """Update the time of contact from a reply."""
        self.contact_s = max(self.contact_s, reply.heard_s)

    def hear(self, reply: CoordinatorFrame, now: float) -> tuple[object, ...]:
        """Return the new words of `reply`."""
        self._unanswered += bool(reply.number)
        return self._channel.hear(reply.number, reply.got, reply.words, now)

    def leave(self, now: float) -> None:
        """Leave the session, and accept any coordinator, even with a smaller epoch: a clock may have been set back."""
        self.state = ContactState.OUTSIDE
        self.session = (0, 0)
        self._again_s = now

    def start_anew(self, now: float) -> None:
        """Ask for another session, in which all leases and requests are reported: words of this one may be lost."""
        self._starts_anew = self.state is ContactState.INSIDE
        self._again_s = now

    def part(self, last: object) -> bool:
        """Leave for good: send `last` if a session is open. Return whether it is sent."""
        if self.state is ContactState.INSIDE:
            self._leaving = True
            self._channel.say(last)
            return True
        self.state = ContactState.GONE
        return False

    def say(self, word: object) -> bool:
        """Send `word` in the next frame if a session is open. Return whether it is."""
        heard = self.state in (ContactState.BEGINNING, ContactState.INSIDE)
        if heard:
            self._channel.say(word)
        return heard

    # -- what follows ------------------------------------------------------------------------------

    @property
    def owes(self) -> bool:
        """True if there is something to send at once."""
        return self._channel.has_words or self._unanswered >= _MOST_UNANSWERED

    def expiry_s(self, *, has: bool) -> float:
        """Return when leases must not be used without contact; inf if it `has` none and is in no session."""
        if not has and self.state is not ContactState.INSIDE:
            return inf
        return self.contact_s + EXPIRY_SHARE * self.times.ttl_s

    def is_silent_since(self, since_s: float, now: float) -> bool:
        """Return whether the coordinator has received nothing that was sent after `since_s`, though sent twice."""
        return self.contact_s < since_s and now >= since_s + 2 * self.times.again_s

    def is_unanswered(self, now: float) -> bool:
        """Return whether the coordinator no longer knows the session that this member has begun."""
        return self.state is ContactState.BEGINNING and now >= self._begun_s + self.times.ttl_s

    def take_out(self, now: float, *, again: bool) -> list[FromMember]:
        """Return the messages to send now. `again`: True for a new connection, where earlier ones may be lost."""
        if self.state is ContactState.GONE:
            return []
        if self.state is not ContactState.INSIDE:
            if not (again or now >= self._again_s):
                return []
            self._again_s = now + self.times.again_s
            if self.state is ContactState.OUTSIDE:
                return [JoinRequest(self._who, now)]
            return [SessionStart(self._who, *self.session, now, self.claimed)]
        asked: list[FromMember] = []
        if self._starts_anew and (again or now >= self._again_s):
            self._again_s = now + self.times.again_s
            asked.append(JoinRequest(self._who, now))
        frames = self._channel.frames(now, again=again)
        if not (frames or again) and self._unanswered < _MOST_UNANSWERED and now < self._heartbeat_due_s:
            return asked  # with `again` it sends at once: a new coordinator waits for its report
        if self._leaving:
            self.state = ContactState.GONE
        self._unanswered = 0
        self._heartbeat_due_s = now + self.times.heartbeat_s
        got = self._channel.got
        for number, words in frames or [(0, ())]:
            asked.append(MemberFrame(self._who, *self.session, now, number, got, words))
        return asked

    @property
    def due_s(self) -> float:
        """When there is something to send next; -inf: now."""
        if self.state is ContactState.GONE:
            return inf
        if self.state is not ContactState.INSIDE:
            return self._again_s
        if self.owes:
            return -inf
        return min(self._channel.due_s, self._heartbeat_due_s, self._again_s if self._starts_anew else inf)
