"""Coordinator of a cluster: it grants leases to members, and takes back those of members that are not heard of.

Decides who is let in, whose words are heard, what a member that comes back still has, and when one has lost what it
had. Who is granted what, `granting` decides; when a coordinator that is new grants its first lease, `grace`. It must
not know how messages travel, nor what time it is. What it promises: no more leases are out among members that may act
than there are slots, whatever is lost, repeated, late or in another order, and whoever dies.

A shell hands in messages and `now`, calls `tick` at `due_s`, and after each call keeps `record` if that is new and then
sends what `take_out` returns.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from math import inf
from typing import Any

from balancer.cluster.protocol.grace import CoordinatorRecord, Grace
from balancer.cluster.protocol.granting import GrantedLeases, GrantQueue
from balancer.cluster.protocol.messages import (
    CallHedged,
    CallRetried,
    FromCoordinator,
    FromMember,
    JoinRequest,
    LeaseEnded,
    LeaseRequested,
    LoadReported,
    MemberFrame,
    MemberId,
    MemberLeft,
    PoolChanged,
    ProbeReported,
    RequestAmended,
    RequestCancelled,
    SessionAccepted,
    SessionOffer,
    SessionStart,
    TokensUsed,
)
from balancer.cluster.protocol.session import MemberSession
from balancer.cluster.protocol.times import ClusterTimes
from balancer.core import Core, Waiter
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint, Lease

__all__ = ["Coordinator"]

_MOST_OFFERS = 10_000


class Coordinator:
    """One pool, coordinated for many processes.

    Args:
        core: fresh, or used by nobody else; who its leases go back to does not matter.
        epoch: greater than that of every coordinator before.
        times: how long promises last.
        last: what the coordinator before left; None: nothing is known of it, so the whole grace passes.
        now: the time.

    Attributes:
        due_s: when `tick` has something to do; `inf`: never.
        record: what is to be kept for the next coordinator; another object whenever that changes.

    Raises:
        ValueError: `epoch` is not greater than that of `last`.
    """

    def __init__(
        self, core: Core, *, epoch: int, times: ClusterTimes, last: CoordinatorRecord | None, now: float
    ) -> None:
        self._core = core
        self._epoch = epoch
        self._times = times
        self._sessions: dict[MemberId, MemberSession] = {}
        self._due: dict[MemberSession, None] = {}  # there may be thousands, so those are noted whom it is about
        self._grace = Grace(epoch, times, last, now)
        self._queue = GrantQueue(core, epoch, self._sessions.values())
        self._leases = GrantedLeases(core, self._queue, epoch)
        self._numbers = count(1)
        self._offers: dict[MemberId, int] = {}
        self._to_offer: dict[MemberId, None] = {}
        self._out = core.out_of_service()
        self._offered = self._on_offer()
        self._first_expiry_s = inf
        self._handlers: dict[type, Callable[[MemberSession, Any, float], None]] = {
            LeaseRequested: self._queue.request,
            RequestAmended: self._queue.amend,
            RequestCancelled: self._queue.cancel,
            LeaseEnded: self._leases.end,
            TokensUsed: self._leases.use_tokens,
            LoadReported: self._leases.report_load,
            ProbeReported: self._probed,
            CallRetried: self._retried,
            CallHedged: self._hedged,
            MemberLeft: self._left,
        }
        self.due_s = inf
        self.record = self._grace.record(())
        self._end_grace_if_it_may(now)
        self._after(now)

    @property
    def grace(self) -> bool:
        """True while nothing is granted, because there may be leases out that are not told of yet."""
        return not self._grace.over

    # -- what comes in -----------------------------------------------------------------------------

    def receive(self, message: FromMember, now: float) -> None:
        """Hear a message of a member."""
        if now >= self.due_s:
            self.tick(now)
        if isinstance(message, MemberFrame):
            self._hear(message, now)
        elif isinstance(message, SessionStart):
            self._begin(message, now)
        else:
            self._asked_to_join(message)
        self._after(now)

    def tick(self, now: float) -> None:
        """Let time do what is due."""
        self._end_grace_if_it_may(now)
        for session in [session for session in self._sessions.values() if now >= session.until_s]:
            self._give_up(session, now)
        self._queue.expire(now)
        if now >= self._core.due_s:
            self._queue.settle(lambda: self._core.tick(now), now)
        self._after(now)

    def sessions(self) -> list[tuple[MemberId, list[Lease], int]]:
        """Return who is let in, what each has, and how many of its callers wait; to look at."""
        return [(each.member, list(each.leases.values()), len(each.acquires)) for each in self._sessions.values()]

    def vanished(self, member: MemberId, now: float) -> None:
        """Learn for certain that a member is dead, so that what it had need not wait for its TTL."""
        session = self._sessions.get(member)
        if session is not None:
            self._give_up(session, now)
        if self._grace.heard_of(member):
            self._remember()
            self._end_grace_if_it_may(now)
        self._after(now)

    def change(self, acts: Iterable[Callable[[], Sequence[Waiter]]], now: float) -> None:
        """Change the core, e.g. its endpoints, one act after the other; who waited in vain is answered, all are told.

        Raises:
            BalancerError: as the core does; what was done before that is done, and told.
        """
        try:
            for act in acts:
                self._queue.settle(act, now)
        finally:
            offered = self._on_offer()
            if offered != self._offered:
                self._offered = offered
                for session in self._sessions.values():
                    session.say(PoolChanged(*offered, self._queue.block))
                self._queue.recall_idle()  # of what is not to be used any more, perhaps
            self._after(now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> None:
        """Learn from an active probe of the endpoint `name`, which may have gone; see `Core.pinged`."""
        self._queue.settle(lambda: self._core.pinged(name, ok, now, conclusive=conclusive), now)
        self._after(now)

    def _on_offer(self) -> tuple[tuple[Endpoint, ...], str]:
        """Return what there is to lease, and how it is chosen."""
        ledger = self._core.ledger
        listed = tuple(
            account.endpoint for account in ledger.accounts() if account.state is not MembershipState.RETIRING
        )
        return listed, ledger.strategy.name

    # -- what goes out -----------------------------------------------------------------------------

    def take_out(self, now: float) -> list[tuple[MemberId, FromCoordinator]]:
        """Return what is to be sent, and to whom."""
        sent: list[tuple[MemberId, FromCoordinator]] = []
        for member in self._to_offer:
            if member not in self._offers:
                self._offers[member] = next(self._numbers)
                if len(self._offers) > _MOST_OFFERS:  # of some who never came back
                    del self._offers[next(iter(self._offers))]
            sent.append((member, SessionOffer(self._epoch, self._offers[member])))
        self._to_offer.clear()
        due = list(self._due)
        self._due.clear()
        for session in due:
            if self._sessions.get(session.member) is session:
                sent += ((session.member, frame) for frame in session.frames(now))
        return sent

    # -- sessions ----------------------------------------------------------------------------------

    def _asked_to_join(self, join: JoinRequest) -> None:
        session = self._sessions.get(join.who)
        if session is None or join.sent_s > session.heard_s:
            self._to_offer[join.who] = None

    def _begin(self, start: SessionStart, now: float) -> None:
        """Let a member in that takes up its offer; what it had and does not claim is free."""
        before = self._sessions.get(start.who)
        if before is not None and start.epoch == self._epoch and start.session == before.number:
            self._renew(before, start.sent_s, now)
            before.repeat()
            return
        if start.epoch != self._epoch or self._offers.get(start.who) != start.session:
            if before is None:
                self._to_offer[start.who] = None
            return
        del self._offers[start.who]
        until_s = now + self._times.ttl_s
        session = MemberSession(start, until_s, self._times.again_s, self._due)
        had = before.leases if before is not None else {}
        for claimed in start.held:
            lease = had.pop(claimed.token, None) or self._leases.adopt(claimed, now)
            if lease is not None and not lease.ended:
                session.leases[claimed.token] = lease
        if before is not None:
            self._clear(before, now)
        self._sessions[start.who] = session
        self._first_expiry_s = min(self._first_expiry_s, until_s)
        if session.leases:
            self._queue.note_idle(session)
        endpoints, strategy = self._on_offer()
        kept, block = tuple(session.leases), self._queue.block
        session.accepted = SessionAccepted(
            self._epoch, start.session, start.sent_s, kept, self._times.ttl_s, block, strategy, endpoints
        )
        if self._out:
            session.say_out(self._out)
        self._remember()

    def _hear(self, frame: MemberFrame, now: float) -> None:
        session = self._sessions.get(frame.who)
        if session is None:
            self._to_offer[frame.who] = None
            return
        if (frame.epoch, frame.session) != (self._epoch, session.number):
            return
        self._renew(session, frame.sent_s, now)
        for word in session.hear(frame.number, frame.got, frame.words, now):
            if self._sessions.get(session.member) is session:  # it may have said that it goes
                self._handlers[type(word)](session, word, now)
        if self._grace.heard_of(session.member):  # with the first frame come those who wait there
            self._end_grace_if_it_may(now)

    def _renew(self, session: MemberSession, sent_s: float, now: float) -> None:
        """Let a member keep what it has for another TTL, if this is the newest that was heard of it."""
        if sent_s > session.heard_s:
            session.heard_s = sent_s
            session.until_s = now + self._times.ttl_s

    def _give_up(self, session: MemberSession, now: float) -> None:
        """Take everything back from a member that has not been heard for a TTL, or has gone."""
        del self._sessions[session.member]
        self._clear(session, now)
        self._remember()

    def _clear(self, session: MemberSession, now: float) -> None:
        """End all that a member has and waits for."""
        self._queue.forget(session)
        self._queue.withdraw_all(session, now)
        self._leases.end_all(session, now)

    def _left(self, session: MemberSession, word: MemberLeft, now: float) -> None:
        self._give_up(session, now)

    # -- inside ------------------------------------------------------------------------------------

    def _end_grace_if_it_may(self, now: float) -> None:
        if self._grace.may_end(now):
            self._end_grace(now)

    def _end_grace(self, now: float) -> None:
        self._grace.end()
        self._remember()
        self._queue.open(now)

    def _remember(self) -> None:
        record = self._grace.record(self._sessions)
        if record != self.record:
            self.record = record

    def _probed(self, session: MemberSession, word: ProbeReported, now: float) -> None:
        self._queue.settle(lambda: self._core.pinged(word.endpoint, word.ok, now, conclusive=word.conclusive), now)

    def _retried(self, session: MemberSession, word: CallRetried, now: float) -> None:
        self._core.retried(word.endpoint, now)

    def _hedged(self, session: MemberSession, word: CallHedged, now: float) -> None:
        self._core.hedged(word.endpoint, now)

    def _after(self, now: float) -> None:
        """Tell what has changed for others, and when something is due."""
        self._queue.recall_if_short()
        out = self._core.out_of_service()
        if out != self._out:
            self._out = out
            for session in self._sessions.values():
                session.say_out(out)
        if now >= self._first_expiry_s:
            self._first_expiry_s = min((each.until_s for each in self._sessions.values()), default=inf)
        self.due_s = min(
            self._first_expiry_s,
            self._grace.due_s,
            self._queue.due_s,
            self._core.due_s if self._core.waiting else self._core.lapse_s,
        )
