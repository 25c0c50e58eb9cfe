"""Coordinator of a cluster: grants leases to members, and takes back the leases of members that are silent.

`GrantQueue` decides who gets a lease; `Grace` decides when a new coordinator may grant its first one. The coordinator
promises: members that may act never have more leases than there are slots. That holds if messages are lost, repeated,
late or reordered, and if any process dies.

A shell passes in messages and `now`, and calls `tick` at `due_s`. After each call it stores `record` if that is new,
and then sends what `take_out` returns.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from math import inf
from typing import Any

from balancer.cluster.protocol.grace import CoordinatorRecord, Grace
from balancer.cluster.protocol.granting import GrantedLeases, GrantQueue
from balancer.cluster.protocol.messages import (
    CallCounted,
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
# Words of one member that are handled before others have a turn. One costs 5 us, or some ms if thousands of different
# requests wait for quotas.
_MOST_AT_ONCE = 32


class Coordinator:
    """One pool, coordinated for many processes.

    Args:
        core: a new core. It may have any lender. Others may call it as well, one at a time, and wake the waiters that
            they end.
        epoch: greater than that of every earlier coordinator.
        times: the times of the cluster.
        last: the record of the previous coordinator; None: unknown, so the whole grace must pass.
        now: the time.
        woken: called, from any thread, when waiters of members were ended by calls of others. Call `answer_ended` then.

    Attributes:
        due_s: when `tick` has something to do; inf: never.
        record: what to store for the next coordinator; a new object after each change.

    Raises:
        ValueError: `epoch` is not greater than that of `last`.
    """

    def __init__(
        self,
        core: Core,
        *,
        epoch: int,
        times: ClusterTimes,
        last: CoordinatorRecord | None,
        now: float,
        woken: Callable[[], object] | None = None,
    ) -> None:
        self._core = core
        self._epoch = epoch
        self._times = times
        self._sessions: dict[MemberId, MemberSession] = {}
        self._behind: dict[MemberSession, None] = {}  # the sessions with a backlog
        self._due: dict[MemberSession, None] = {}  # only the sessions with something to send, as there may be thousands
        self._grace = Grace(epoch, times, last, now)
        self._queue = GrantQueue(core, epoch, self._sessions.values(), woken or _nothing)
        self._leases = GrantedLeases(core, self._queue, epoch)
        self._numbers = count(1)
        self._offers: dict[MemberId, int] = {}
        self._to_offer: dict[MemberId, None] = {}
        self._to_drain = set() if last is None else set(last.drained)  # those of them that are not there yet
        self._drain_again(now)
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
            CallCounted: self._counted,
            MemberLeft: self._left,
        }
        self.due_s = inf
        self.record = self._grace.record((), self._drained())
        self._end_grace_if_it_may(now)
        self._after(now)

    @property
    def grace(self) -> bool:
        """True while nothing is granted, because there may be leases out that are not reported yet."""
        return not self._grace.over

    @property
    def grants_at_s(self) -> float | None:
        """When it begins to grant, at the latest; None: it grants."""
        return None if self._grace.over else self._grace.due_s

    # -- what comes in -----------------------------------------------------------------------------

    def receive(self, message: FromMember, now: float) -> None:
        """Handle a message of a member."""
        self.receive_all((message,), now)

    def receive_all(self, messages: Iterable[FromMember], now: float) -> None:
        """Handle messages of members, in their order."""
        if now >= self.due_s:
            self.tick(now)
        for message in messages:
            if isinstance(message, MemberFrame):
                self._hear(message, now)
            elif isinstance(message, SessionStart):
                self._begin(message, now)
            else:
                self._asked_to_join(message)
        self._after(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._end_grace_if_it_may(now)
        for session in list(self._behind):  # each in turn, so that nobody waits for all that another one says
            self._work_off(session, now)
        for session in [session for session in self._sessions.values() if now >= session.until_s]:
            self._give_up(session, now)
        self._queue.expire(now)
        if now >= self._core.due_s:
            self._queue.settle(lambda: self._core.tick(now), now)
        self._after(now)

    def sessions(self) -> list[tuple[MemberId, list[Lease], list[float]]]:
        """Return for each member in a session: its id, its leases, and since when its callers wait. Read only."""
        return [
            (each.member, list(each.leases.values()), [queued.since_s for queued in each.acquires.values()])
            for each in self._sessions.values()
        ]

    def reconnected(self, who: MemberId) -> None:
        """Send again what a member may not have received before its last connection was lost."""
        session = self._sessions.get(who)
        if session is not None:
            session.repeat(all_of_them=True)

    def vanished(self, member: MemberId, now: float) -> None:
        """End the leases of a member that is certainly dead, without waiting for its TTL."""
        session = self._sessions.get(member)
        if session is not None:
            self._give_up(session, now)
        if self._grace.heard_of(member):
            self._remember()
            self._end_grace_if_it_may(now)
        self._after(now)

    def change(self, acts: Iterable[Callable[[], Sequence[Waiter]]], now: float) -> None:
        """Change the core, e.g. its endpoints, one act after the other. Answer failed waiters, and inform all members.

        Raises:
            BalancerError: as the core does. Earlier acts stay done, and members are informed of them.
        """
        try:
            for act in acts:
                self._queue.settle(act, now)
        finally:
            self._drain_again(now)
            self._remember()
            offered = self._on_offer()
            if offered != self._offered:
                self._offered = offered
                for session in self._sessions.values():
                    session.say(PoolChanged(*offered, self._queue.block))
                self._queue.recall_idle()  # perhaps they may not be used any more
            self._after(now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> None:
        """Record a ping of the endpoint `name`, which may have gone; see `Core.pinged`."""
        self._queue.settle(lambda: self._core.pinged(name, ok, now, conclusive=conclusive), now)
        self._after(now)

    def answer_ended(self, now: float) -> None:
        """Answer waiters of members that were ended by calls of others, e.g. by a timer of the pool."""
        self._queue.answer_ended(now)
        self._after(now)

    def _drain_again(self, now: float) -> None:
        """Drain the endpoints that the previous coordinator had drained. A source may list one of them later."""
        for account in self._core.ledger.accounts() if self._to_drain else ():
            name = account.endpoint.name
            if name in self._to_drain:
                self._to_drain.remove(name)
                self._queue.settle(partial(self._core.drain, name, now), now)

    def _drained(self) -> frozenset[str]:
        accounts = self._core.ledger.accounts()
        there = (each.endpoint.name for each in accounts if each.state is MembershipState.DRAINING)
        return frozenset((*there, *self._to_drain))

    def _on_offer(self) -> tuple[tuple[Endpoint, ...], str]:
        ledger = self._core.ledger
        listed = tuple(
            account.endpoint for account in ledger.accounts() if account.state is not MembershipState.RETIRING
        )
        return listed, ledger.strategy.name

    # -- what goes out -----------------------------------------------------------------------------

    def take_out(self, now: float) -> list[tuple[MemberId, FromCoordinator]]:
        """Return the messages to send, with their members."""
        sent: list[tuple[MemberId, FromCoordinator]] = []
        for member in self._to_offer:
            if member not in self._offers:
                self._offers[member] = next(self._numbers)
                if len(self._offers) > _MOST_OFFERS:  # offers to members that never came back
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
        """Start the session that a member was offered. Leases that it had and does not claim are free."""
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
            lease = had.pop(claimed.token, None) or self._leases.adopt(start.who, claimed, now)
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
        session.backlog.extend(session.hear(frame.number, frame.got, frame.words, now))
        if session not in self._behind:
            self._work_off(session, now)

    def _work_off(self, session: MemberSession, now: float) -> None:
        """Handle the next words of a member, up to `_MOST_AT_ONCE`. `tick` goes on with the rest."""
        for _ in range(min(_MOST_AT_ONCE, len(session.backlog))):
            if self._sessions.get(session.member) is not session:  # it has said that it leaves
                session.backlog.clear()
                break
            word = session.backlog.popleft()
            self._handlers[type(word)](session, word, now)
        if session.backlog:
            self._behind[session] = None
            return
        self._behind.pop(session, None)
        if not self._grace.over and self._grace.heard_of(
            session.member
        ):  # the first frame has the requests of its waiting callers
            self._end_grace_if_it_may(now)

    def _renew(self, session: MemberSession, sent_s: float, now: float) -> None:
        """Extend the leases of a member by a TTL, if `sent_s` is the newest time that was received from it."""
        if sent_s > session.heard_s:
            session.heard_s = sent_s
            session.until_s = now + self._times.ttl_s

    def _give_up(self, session: MemberSession, now: float) -> None:
        """Take everything back from a member that was silent for a TTL, or has left."""
        del self._sessions[session.member]
        self._clear(session, now)
        self._remember()

    def _clear(self, session: MemberSession, now: float) -> None:
        """End all leases and requests of a member, and forget what it said last."""
        self._behind.pop(session, None)
        session.backlog.clear()
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
        record = self._grace.record(self._sessions, self._drained())
        if record != self.record:
            self.record = record

    def _probed(self, session: MemberSession, word: ProbeReported, now: float) -> None:
        self._queue.settle(lambda: self._core.pinged(word.endpoint, word.ok, now, conclusive=word.conclusive), now)

    def _counted(self, session: MemberSession, word: CallCounted, now: float) -> None:
        count = self._core.retried if word.figure == "retries" else self._core.hedged
        count(word.endpoint, now)

    def _after(self, now: float) -> None:
        """Inform members of changes, and set `due_s`."""
        self._queue.recall_if_short()
        out = self._core.out_of_service()
        if out != self._out:
            self._out = out
            for session in self._sessions.values():
                session.say_out(out)
        if now >= self._first_expiry_s:
            self._first_expiry_s = min((each.until_s for each in self._sessions.values()), default=inf)
        self.due_s = min(
            -inf if self._behind else inf,
            self._first_expiry_s,
            self._grace.due_s,
            self._queue.due_s,
            self._core.due_s if self._core.waiting else self._core.lapse_s,
        )


def _nothing() -> None:
    pass
