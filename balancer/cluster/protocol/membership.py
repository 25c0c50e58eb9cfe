"""A member's contact with its coordinator: joining, heartbeats, resends, and the expiry of its leases.

Decides when it knocks, says hello, says again what was not heard, and says that it is there; and from when on it may
use nothing. Contact counts from when it said the last thing that the owner has certainly heard, however late the answer
came. It must not know what its words mean, nor what it has.
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

# Letters of the owner, which has 64 on their way at most; else an answer waits for the next letter.
_MOST_UNANSWERED = 16


class ContactState(Enum):
    """Where it stands; the values are words for people."""

    OUTSIDE = "knocks"
    GREETED = "has said hello"
    INSIDE = "is in a visit"
    GONE = "has said bye"


class CoordinatorContact:
    """One holder's side of all its visits.

    Args:
        who: the holder.
        times: those of the owner, as far as they are known.
        now: the time.

    Attributes:
        state, visit: where it stands; epoch and number of the visit, of which greater ones are later.
        times: likewise.
        hello: what it has said that it has.
        contact_s: when it said the last thing that was certainly heard.
    """

    def __init__(self, who: MemberId, times: ClusterTimes, now: float) -> None:
        self.state = ContactState.OUTSIDE
        self.visit = (0, 0)
        self.times = times
        self.hello: tuple[ClaimedLease, ...] = ()
        self.contact_s = -inf
        self._who = who
        self._link = Channel(times.again_s)
        self._again_s = now  # when to knock, or say hello, again
        self._greeted_s = now
        self._beat_due_s = inf
        self._unanswered = 0  # letters of the owner
        self._leaving = False

    # -- what happens ------------------------------------------------------------------------------

    def begin(self, visit: tuple[int, int], hello: tuple[ClaimedLease, ...], now: float) -> None:
        """Say hello in a new visit."""
        self.visit = visit
        self.state = ContactState.GREETED
        self.hello = hello
        self._greeted_s = self._again_s = now
        self._link = Channel(self.times.again_s)

    def welcomed(self, welcome: SessionAccepted) -> None:
        """Learn that the hello was heard, and the owner's times."""
        self.times = ClusterTimes(welcome.ttl_s, idle_s=self.times.idle_s)
        self._link.again_s = self.times.again_s
        self.contact_s = max(self.contact_s, welcome.heard_s)

    def enter(self, now: float) -> None:
        """Be in the visit."""
        self.state = ContactState.INSIDE
        self._beat_due_s = now  # the owner waits for a word

    def note_contact(self, reply: CoordinatorFrame) -> None:
        """Learn up to when the owner has heard."""
        self.contact_s = max(self.contact_s, reply.heard_s)

    def hear(self, reply: CoordinatorFrame, now: float) -> tuple[object, ...]:
        """Return the words of `reply` that are new."""
        self._unanswered += bool(reply.number)
        return self._link.hear(reply.number, reply.got, reply.words, now)

    def leave(self, now: float) -> None:
        """Go outside, to begin again with whatever owner there is, even of a smaller epoch: a clock was put back."""
        self.state = ContactState.OUTSIDE
        self.visit = (0, 0)
        self._again_s = now

    def part(self, last: object) -> bool:
        """Go for good: say `last` if there is somebody to hear it, and return whether it is said."""
        if self.state is ContactState.INSIDE:
            self._leaving = True
            self._link.say(last)
            return True
        self.state = ContactState.GONE
        return False

    def say(self, word: object) -> bool:
        """Say `word` in the next letter, if there is somebody to hear it, and return whether there is."""
        heard = self.state in (ContactState.GREETED, ContactState.INSIDE)
        if heard:
            self._link.say(word)
        return heard

    # -- what follows ------------------------------------------------------------------------------

    @property
    def has_words(self) -> bool:
        """True if there are words for a new letter."""
        return self._link.has_words

    def expiry_s(self, *, has: bool) -> float:
        """Return from when on nothing is used, unless the owner is heard; `inf`: it neither `has` nor waits for any."""
        if not has and self.state is not ContactState.INSIDE:
            return inf
        return self.contact_s + EXPIRY_SHARE * self.times.ttl_s

    def is_unanswered(self, now: float) -> bool:
        """Return whether nobody knows any more the visit that it has said hello in."""
        return self.state is ContactState.GREETED and now >= self._greeted_s + self.times.ttl_s

    def take_out(self, now: float, *, again: bool) -> list[FromMember]:
        """Return what is to be sent now; with `again`, when a connection is new, what may have been lost too."""
        if self.state is ContactState.GONE:
            return []
        if self.state is not ContactState.INSIDE:
            if not (again or now >= self._again_s):
                return []
            self._again_s = now + self.times.again_s
            if self.state is ContactState.OUTSIDE:
                return [JoinRequest(self._who, now)]
            return [SessionStart(self._who, *self.visit, now, self.hello)]
        letters = self._link.letters(now, again=again)
        if not (letters or again) and self._unanswered < _MOST_UNANSWERED and now < self._beat_due_s:
            return []  # but on a new connection it speaks at once: the owner may be a new one, that waits to be told
        if self._leaving:
            self.state = ContactState.GONE
        self._unanswered = 0
        self._beat_due_s = now + self.times.heartbeat_s
        got = self._link.got
        return [MemberFrame(self._who, *self.visit, now, number, got, words) for number, words in letters or [(0, ())]]

    @property
    def due_s(self) -> float:
        """When there is something to send next; `-inf`: now."""
        if self.state is ContactState.GONE:
            return inf
        if self.state is not ContactState.INSIDE:
            return self._again_s
        if self._link.has_words or self._unanswered >= _MOST_UNANSWERED:
            return -inf
        return min(self._link.due_s, self._beat_due_s)
