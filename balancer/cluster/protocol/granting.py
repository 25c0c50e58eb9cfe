"""Granting: the acquires of all members and their leases, over a core that decides who is next."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from balancer.cluster.protocol.messages import (
    MOST_WAITING,
    ClaimedLease,
    GrantedLease,
    IdleRecalled,
    LeaseEnded,
    LeaseRequested,
    LeasesGranted,
    LeaseToken,
    LoadReported,
    MemberId,
    RequestAmended,
    RequestCancelled,
    RequestRefused,
    TokensUsed,
    facts_of,
)
from balancer.cluster.protocol.session import MemberSession, QueuedAcquire
from balancer.core import Core, Waiter
from balancer.core.strategy_calls import StrategyRaised
from balancer.endpoint import Lease, LeaseTerms, Outcome
from balancer.errors import AcquireTimeout, BalancerError, LeaseError, StrategyError, TooManyWaiters
from balancer.strategy import Request

__all__ = ["GrantQueue", "GrantedLeases"]

_IGNORED = Outcome.IGNORED
_FEWEST = 64  # with fewer deadlines a sweep is not worth it


class GrantQueue:
    """The acquires of all members.

    Args:
        core: grants.
        epoch: of the coordinator.
        sessions: returns the open sessions.
        woken: called, from any thread, when waiters were ended by calls of others; then `answer_ended` answers them.

    Attributes:
        is_open: False: requests wait, and nothing is granted yet.
    """

    def __init__(
        self, core: Core, epoch: int, sessions: Collection[MemberSession], woken: Callable[[], object]
    ) -> None:
        self._core = core
        self._woken = woken
        self._epoch = epoch
        self._sessions = sessions
        self._deadlines: list[tuple[float, QueuedAcquire]] = []
        self._sweep_at = _FEWEST
        self._orders = count()
        self._with_idle: dict[MemberSession, None] = {}  # those that may have idle leases
        self.is_open = False
        core.shells.append(self)

    def __iter__(self) -> Iterator[Waiter]:
        """Yield the waiters of all members."""
        acquires = [queued for session in self._sessions for queued in session.acquires.values()]
        return iter([queued.waiter for queued in acquires if queued.waiter is not None])

    # -- what members ask --------------------------------------------------------------------------

    def request(self, session: MemberSession, word: LeaseRequested, now: float) -> None:
        """Grant a lease to a caller of a member, or let the caller wait. Refuse it if too many of that member wait."""
        queued = QueuedAcquire(session, word, now, next(self._orders), self._woken)
        if len(session.acquires) >= MOST_WAITING:
            _refuse(queued, TooManyWaiters(len(session.acquires), MOST_WAITING, of_one_process=True))
            return
        session.acquires[word.number] = queued
        if self.is_open:
            self._submit(queued, now)
        else:
            self._mind(queued)

    def open(self, now: float) -> None:
        """Start to grant. The callers that have waited longest come first."""
        self.is_open = True
        parked = [queued for session in self._sessions for queued in session.acquires.values()]
        for queued in sorted(parked, key=lambda each: (each.since_s, each.order)):
            if queued.stands:
                self._submit(queued, now)

    def cancel(self, session: MemberSession, word: RequestCancelled, now: float) -> None:
        """Cancel the request of a caller, or time it out as its member did."""
        queued = session.acquires.pop(word.number, None)
        if queued is not None:
            self._cancel([queued], now, timed_out=word.timed_out)

    def amend(self, session: MemberSession, word: RequestAmended, now: float) -> None:
        """Change the request of a caller, at its place in the queue."""
        queued = session.acquires.get(word.number)
        if queued is None:
            return
        queued.ask = replace(queued.ask, request=word.request)
        waiter = queued.waiter
        if waiter is not None:
            with suppress(BalancerError):  # no endpoint could serve it: it waits as before
                self.settle(lambda: self._core.amend(waiter, self._named(session, word.request), now), now)

    def withdraw_all(self, session: MemberSession, now: float) -> None:
        """Cancel all requests of a member."""
        acquires = list(session.acquires.values())
        session.acquires.clear()
        self._cancel(acquires, now, timed_out=False)

    # -- time --------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Answer the requests that have timed out."""
        late: list[QueuedAcquire] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            queued = heappop(self._deadlines)[1]
            if queued.stands:
                late.append(queued)
        if late:
            self._time_out(late, now)

    @property
    def due_s(self) -> float:
        """When the first request times out; inf: never."""
        while self._deadlines and not self._deadlines[0][1].stands:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else inf

    # -- blocks ------------------------------------------------------------------------------------

    @property
    def block(self) -> int:
        """The most leases of one grant: a member's part of all slots."""
        return max(1, self._core.ledger.kinds.slots // max(1, len(self._sessions)))

    def note_idle(self, session: MemberSession) -> None:
        """Note that a member may have idle leases."""
        self._with_idle[session] = None

    def forget(self, session: MemberSession) -> None:
        """Forget a session that is over."""
        self._with_idle.pop(session, None)

    def recall_idle(self) -> None:
        """Ask members to give back idle leases."""
        for session in self._with_idle:
            session.say(IdleRecalled())
        self._with_idle.clear()

    def recall_if_short(self) -> None:
        """Ask members to give back idle leases if a caller waits."""
        if self._core.waiting and self._with_idle:
            self.recall_idle()

    # -- the core ----------------------------------------------------------------------------------

    def settle(self, act: Callable[[], Sequence[Waiter]], now: float) -> None:
        """Call `act` on the core, and answer the waiters that ended by it."""
        try:
            served: Iterable[Waiter] = act()
        except StrategyRaised:  # the waiters must be served all the same
            self._recover(now)
            return
        except BalancerError:
            raise
        except Exception:  # as above
            self._recover(now)
            return
        for waiter in served:
            self._answer_waiter(waiter, now)

    def _submit(self, queued: QueuedAcquire, now: float) -> None:
        request = self._named(queued.session, queued.ask.request)
        try:
            lease = self._core.acquire(request, now)
            if lease is None:
                queued.waiter = self._core.wait(request, now, queued.deadline_s, queued.ask.priority, queued)
                if queued.waiter.ended:
                    self._answer(queued, now)
                elif queued.deadline_s <= now:
                    self._time_out([queued], now)
                else:
                    self._mind(queued)
                return
        except StrategyRaised as error:
            _refuse(queued, StrategyError(error.strategy, error.reason))
            self._recover(now)
        except BalancerError as error:
            _refuse(queued, error)
        except Exception as error:  # an error of a strategy
            _refuse(queued, StrategyError(self._core.ledger.strategy.name, f"raised {error!r}"))
            self._recover(now)
        else:
            self._grant(queued, lease, now)

    def _named(self, session: MemberSession, request: Request) -> Request:
        """Return the request, with the member as its holder if it names none and holders have fair shares."""
        if self._core.shares is None or (request.terms is not None and request.terms.holder):
            return request
        return replace(request, terms=_held_by(session.member, request.terms))

    def _mind(self, queued: QueuedAcquire) -> None:
        """Time it out at its deadline. The heap has at most twice as many entries as callers wait, and a few more."""
        if len(self._deadlines) >= self._sweep_at:
            self._deadlines = [entry for entry in self._deadlines if entry[1].stands]
            heapify(self._deadlines)
            self._sweep_at = 2 * len(self._deadlines) + _FEWEST
        if queued.deadline_s < inf:
            heappush(self._deadlines, (queued.deadline_s, queued))

    def _grant(self, queued: QueuedAcquire, lease: Lease, now: float) -> None:
        """Send a lease to its member; and further ones if it asked for a block and no caller waits for them."""
        session, ask = queued.session, queued.ask
        session.acquires.pop(ask.number, None)
        granted = [self._share(session, lease)]
        most = min(ask.block, self.block) if ask.block > 1 else 1
        while len(granted) < most and not self._core.waiting:
            try:
                further = self._core.acquire(self._named(session, ask.request), now)
            except Exception:
                self._recover(now)
                break
            if further is None:
                break
            granted.append(self._share(session, further))
            self.note_idle(session)
        session.say(LeasesGranted(ask.number, tuple(granted)))

    def _share(self, session: MemberSession, lease: Lease) -> GrantedLease:
        token = LeaseToken(self._epoch, lease.id)
        session.leases[token] = lease
        return GrantedLease(token, session.number_of(lease.endpoint), lease.slots)

    def _time_out(self, late: list[QueuedAcquire], now: float) -> None:
        self._cancel(late, now, timed_out=True)
        for queued in late:
            if queued.waiter is None:
                _refuse(queued, AcquireTimeout(now - queued.since_s, queued.deadline_s - queued.since_s))
            else:
                self._answer(queued, now)

    def _cancel(self, acquires: list[QueuedAcquire], now: float, *, timed_out: bool) -> None:
        """Cancel acquires, together: after each one the core may have to look at all that wait."""
        waiters = [queued.waiter for queued in acquires if queued.waiter is not None]
        if waiters:
            self.settle(lambda: self._core.cancel_all(waiters, now, timed_out=timed_out), now)
        for queued in acquires:
            if queued.waiter is not None and not queued.stands:
                self._answer(queued, now)  # another shell may have served it just before: its lease is released

    def _answer(self, queued: QueuedAcquire, now: float) -> None:
        waiter = queued.waiter
        assert waiter is not None, "it was in the queue"
        if waiter.lease is not None:
            if queued.stands:
                self._grant(queued, waiter.lease, now)
            else:
                lease = waiter.lease
                self.settle(lambda: self._core.release(lease, _IGNORED, now), now)
        elif queued.stands and waiter.error is not None:
            _refuse(queued, waiter.error)

    def answer_ended(self, now: float) -> None:
        """Answer waiters that were ended by calls of others."""
        for waiter in self._core.ended():
            self._answer_waiter(waiter, now)

    def _answer_waiter(self, waiter: Waiter, now: float) -> None:
        queued = waiter.wake
        if isinstance(queued, QueuedAcquire):
            self._answer(queued, now)
        else:  # of another shell
            queued()

    def _recover(self, now: float) -> None:
        with suppress(Exception):
            self._core.recover(now)
        self.answer_ended(now)


class GrantedLeases:
    """The leases of members, and the effects of members' messages about them.

    Args:
        core: has them in its ledger.
        queue: answers the waiters that an ended lease serves.
        epoch: of the coordinator.
    """

    def __init__(self, core: Core, queue: GrantQueue, epoch: int) -> None:
        self._core = core
        self._queue = queue
        self._epoch = epoch
        self._adopted: set[LeaseToken] = set()

    def end(self, session: MemberSession, word: LeaseEnded, now: float) -> None:
        """End a lease as its member reports it."""
        lease = session.leases.get(word.token)
        if lease is None:
            return
        lease.granted_s = min(now, max(lease.granted_s, now - word.used_s))  # without the messages
        lease.hint = word.hint
        if word.raised:
            lease.raised = word.raised
        self._release(session, word.token, word.outcome, now)

    def use_tokens(self, session: MemberSession, word: TokensUsed, now: float) -> None:
        """Set how many tokens a call has used."""
        if (lease := session.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._queue.settle(lambda: self._core.used(lease, word.tokens, now), now)

    def report_load(self, session: MemberSession, word: LoadReported, now: float) -> None:
        """Set the load that an endpoint reported."""
        if (lease := session.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._queue.settle(lambda: self._core.told(lease, word.load, now), now)

    def end_all(self, session: MemberSession, now: float) -> None:
        for token in list(session.leases):
            self._release(session, token, _IGNORED, now)

    def adopt(self, member: MemberId, claimed: ClaimedLease, now: float) -> Lease | None:
        """Add a lease of an earlier epoch to the ledger, once, and only before other leases are granted."""
        if self._queue.is_open or claimed.token.epoch >= self._epoch or claimed.token in self._adopted:
            return None
        terms = claimed.terms if self._core.shares is None else _held_by(member, claimed.terms)
        lease = self._core.adopt(claimed.endpoint, claimed.slots, terms, claimed.tokens, now)
        if lease is not None:
            lease.granted_s = now - max(0.0, claimed.held_s)
            self._adopted.add(claimed.token)
        return lease

    def _release(self, session: MemberSession, token: LeaseToken, outcome: Outcome, now: float) -> None:
        lease = session.leases.pop(token)
        with suppress(LeaseError):  # it was ended by its id
            self._queue.settle(lambda: self._core.release(lease, outcome, now), now)


def _held_by(member: MemberId, terms: LeaseTerms | None) -> LeaseTerms:
    """Return the terms, with the member as the holder if they name none."""
    return terms if terms is not None and terms.holder else replace(terms or LeaseTerms(), holder=member.name)


def _refuse(queued: QueuedAcquire, error: BalancerError) -> None:
    queued.session.acquires.pop(queued.ask.number, None)
    queued.session.say(RequestRefused(queued.ask.number, *facts_of(error)))
