"""Coordinator of a cluster: it grants leases to members, and takes back those of members that are not heard of.

Decides who may be granted what, over a core that decides who is next: who is let in, whose words are heard, what a
holder that comes back still has, when one has lost what it had, and when an owner that is new grants its first lease.
It must not know how messages travel, nor what time it is. What it promises: no more leases are out among holders that
may act than there are slots, whatever is lost, repeated, late or in another order, and whoever dies.

A shell hands in messages and `now`, calls `tick` at `due_s`, and after each call keeps `record` if that is new and then
sends what `take_out` returns.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

from balancer.cluster.protocol.errors import facts_of
from balancer.cluster.protocol.messages import (
    CallHedged,
    CallRetried,
    ClaimedLease,
    FromCoordinator,
    FromMember,
    GrantedLease,
    IdleRecalled,
    JoinRequest,
    LeaseEnded,
    LeaseRequested,
    LeasesGranted,
    LeaseToken,
    LoadReported,
    MemberFrame,
    MemberId,
    MemberLeft,
    PoolChanged,
    ProbeReported,
    RequestAmended,
    RequestCancelled,
    RequestRefused,
    SessionAccepted,
    SessionOffer,
    SessionStart,
    TokensUsed,
)
from balancer.cluster.protocol.record import CoordinatorRecord
from balancer.cluster.protocol.session import MemberSession, QueuedAcquire, first_expiry_s
from balancer.cluster.protocol.times import ClusterTimes
from balancer.core import Core, Waiter
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import AcquireTimeout, BalancerError, LeaseError, StrategyError

__all__ = ["Coordinator"]

_IGNORED = Outcome.IGNORED
_MOST_OFFERS = 10_000


class Coordinator:
    """One pool, owned.

    Args:
        core: fresh, or used by nobody else; who its leases go back to does not matter.
        epoch: greater than that of every owner before.
        times: how long promises last.
        last: what the owner before left; None: nothing is known of it, so the whole grace passes.
        now: the time.

    Attributes:
        due_s: when `tick` has something to do; `inf`: never.
        grace: True while nothing is granted, because there may be leases out that are not told of yet.
        record: what is to be kept for the next owner; another object whenever that changes.

    Raises:
        ValueError: `epoch` is not greater than that of `last`.
    """

    def __init__(
        self, core: Core, *, epoch: int, times: ClusterTimes, last: CoordinatorRecord | None, now: float
    ) -> None:
        if last is not None and epoch <= last.epoch:
            raise ValueError(f"epoch is {epoch}; the last owner's was {last.epoch}, and this one's must be greater")
        self._core = core
        self._epoch = epoch
        self._times = times
        self._guests: dict[MemberId, MemberSession] = {}
        self._due: dict[
            MemberSession, None
        ] = {}  # there may be thousands of sessions, so those are noted whom it is about
        self._stocked: dict[MemberSession, None] = {}  # those who may have leases that nobody uses
        self._visits = count(1)
        self._offers: dict[MemberId, int] = {}
        self._greet: dict[MemberId, None] = {}
        self._adopted: set[LeaseToken] = set()
        self._parked: list[QueuedAcquire] = []
        self._deadlines: list[tuple[float, QueuedAcquire]] = []
        self._orders = count()
        self._out = core.out_of_service()
        self._offer = self._offered()
        self._awaited = None if last is None or last.holders is None else set(last.holders)
        grace_s = max(times.grace_s, last.ttl_s) if last is not None else times.grace_s
        # Whoever holds something was in touch with the owner before this one, so it has stopped by then.
        self._grace_until_s = now + grace_s
        self.grace = True
        self.due_s = inf
        self._look_s = inf
        self.record = CoordinatorRecord(epoch, times.ttl_s)
        self._remember()
        self._end_grace_early(now)
        self._after(now)

    # -- what comes in -----------------------------------------------------------------------------

    def receive(self, message: FromMember, now: float) -> None:
        """Hear a message of a holder."""
        if now >= self.due_s:
            self.tick(now)
        if isinstance(message, MemberFrame):
            self._hear(message, now)
        elif isinstance(message, SessionStart):
            self._begin(message, now)
        else:
            self._knocked(message)
        self._after(now)

    def tick(self, now: float) -> None:
        """Let time do what is due."""
        if self.grace and now >= self._grace_until_s:
            self._end_grace(now)
        for guest in [guest for guest in self._guests.values() if now >= guest.until_s]:
            self._give_up(guest, now)
        while self._deadlines and self._deadlines[0][0] <= now:
            asked = heappop(self._deadlines)[1]
            if asked.stands:
                self._time_out(asked, now)
        if now >= self._core.due_s:
            self._settle(lambda: self._core.tick(now), now)
        self._after(now)

    def sessions(self) -> list[tuple[MemberId, list[Lease], int]]:
        """Return who is let in, what each has, and how many of its callers wait; to look at."""
        return [(each.who, list(each.leases.values()), len(each.asks)) for each in self._guests.values()]

    def vanished(self, who: MemberId, now: float) -> None:
        """Learn for certain that a holder is dead, so that what it had need not wait for its TTL."""
        guest = self._guests.get(who)
        if guest is not None:
            self._give_up(guest, now)
        if self._awaited is not None and who in self._awaited:
            self._awaited.discard(who)
            self._remember()
            self._end_grace_early(now)
        self._after(now)

    def change(self, acts: Iterable[Callable[[], Sequence[Waiter]]], now: float) -> None:
        """Change the core, e.g. its endpoints, one act after the other; who waited in vain is answered, all are told.

        Raises:
            BalancerError: as the core does; what was done before that is done, and told.
        """
        try:
            for act in acts:
                self._settle(act, now)
        finally:
            offer = self._offered()
            if offer != self._offer:
                self._offer = offer
                for guest in self._guests.values():
                    guest.say(PoolChanged(*offer, self._block()))
                for guest in self._stocked:  # of what is not to be used any more, perhaps
                    guest.say(IdleRecalled())
                self._stocked.clear()
            self._after(now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> None:
        """Learn from an active probe of the endpoint `name`, which may have gone; see `Core.pinged`."""
        self._settle(lambda: self._core.pinged(name, ok, now, conclusive=conclusive), now)
        self._after(now)

    def _offered(self) -> tuple[tuple[Endpoint, ...], str]:
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
        for who in self._greet:
            if who not in self._offers:
                self._offers[who] = next(self._visits)
                if len(self._offers) > _MOST_OFFERS:  # of some who never came back
                    del self._offers[next(iter(self._offers))]
            sent.append((who, SessionOffer(self._epoch, self._offers[who])))
        self._greet.clear()
        due = list(self._due)
        self._due.clear()
        for guest in due:
            if self._guests.get(guest.who) is guest:
                sent += ((guest.who, letter) for letter in guest.letters(now))
        return sent

    # -- visits ------------------------------------------------------------------------------------

    def _knocked(self, knock: JoinRequest) -> None:
        guest = self._guests.get(knock.who)
        if guest is None or knock.sent_s > guest.heard_s:
            self._greet[knock.who] = None

    def _begin(self, hello: SessionStart, now: float) -> None:
        """Let a holder in that takes up its offer; what it had and does not claim is free."""
        before = self._guests.get(hello.who)
        if before is not None and hello.epoch == self._epoch and hello.visit == before.visit:
            self._renew(before, hello.sent_s, now)
            before.repeat()
            return
        if hello.epoch != self._epoch or self._offers.get(hello.who) != hello.visit:
            if before is None:
                self._greet[hello.who] = None
            return
        del self._offers[hello.who]
        until_s = now + self._times.ttl_s
        guest = MemberSession(
            hello.who, self._epoch, hello.visit, hello.sent_s, until_s, self._times.again_s, self._due
        )
        had = before.leases if before is not None else {}
        for held in hello.held:
            lease = had.pop(held.token, None) or self._adopt(held, now)
            if lease is not None and not lease.ended:
                guest.leases[held.token] = lease
        if before is not None:
            self._clear(before, now)
            self._stocked.pop(before, None)
        self._guests[hello.who] = guest
        self._look_s = min(self._look_s, until_s)
        if guest.leases:
            self._stocked[guest] = None
        endpoints, strategy = self._offered()
        kept, ttl_s = tuple(guest.leases), self._times.ttl_s
        guest.welcome = SessionAccepted(
            self._epoch, hello.visit, hello.sent_s, kept, ttl_s, self._block(), strategy, endpoints
        )
        if self._out:
            guest.out(self._out)
        self._remember()

    def _adopt(self, held: ClaimedLease, now: float) -> Lease | None:
        """Put a lease on the books that an owner before granted, once, and only while it could be nobody else's."""
        if not self.grace or held.token.epoch >= self._epoch or held.token in self._adopted:
            return None
        lease = self._core.adopt(held.endpoint, held.slots, held.terms, held.tokens, now)
        if lease is not None:
            lease.granted_s = now - held.held_s
            self._adopted.add(held.token)
        return lease

    def _hear(self, letter: MemberFrame, now: float) -> None:
        guest = self._guests.get(letter.who)
        if guest is None:
            self._greet[letter.who] = None
            return
        if (letter.epoch, letter.visit) != (self._epoch, guest.visit):
            return
        self._renew(guest, letter.sent_s, now)
        for word in guest.hear(letter.number, letter.got, letter.words, now):
            if self._guests.get(guest.who) is guest:  # it may have said that it goes
                _ANSWERS[type(word)](self, guest, word, now)
        if self._awaited is not None and guest.who in self._awaited:  # with the first letter come those who wait there
            self._awaited.discard(guest.who)
            self._end_grace_early(now)

    def _renew(self, guest: MemberSession, sent_s: float, now: float) -> None:
        """Let a holder keep what it has for another TTL, if this is the newest that was heard of it."""
        if sent_s > guest.heard_s:
            guest.heard_s = sent_s
            guest.until_s = now + self._times.ttl_s

    def _give_up(self, guest: MemberSession, now: float) -> None:
        """Take everything back from a holder that has not been heard for a TTL, or has gone."""
        del self._guests[guest.who]
        self._stocked.pop(guest, None)
        self._clear(guest, now)
        self._remember()

    def _clear(self, guest: MemberSession, now: float) -> None:
        """End all that a holder has and waits for."""
        asks = list(guest.asks.values())
        guest.asks.clear()
        for asked in asks:
            self._withdraw(asked, now)
        for token in list(guest.leases):
            self._release(guest, token, _IGNORED, now)

    # -- grace -------------------------------------------------------------------------------------

    def _end_grace_early(self, now: float) -> None:
        if self.grace and self._awaited is not None and not self._awaited:
            self._end_grace(now)

    def _end_grace(self, now: float) -> None:
        """Begin to grant: those first who have waited longest."""
        self.grace = False
        self._awaited = set()
        self._remember()
        parked, self._parked = self._parked, []
        for asked in sorted(parked, key=lambda asked: (asked.since_s, asked.order)):
            if asked.stands:
                self._submit(asked, now)

    def _remember(self) -> None:
        holders = None
        if self._awaited is not None:
            holders = frozenset(self._guests).union(self._awaited)
        record = CoordinatorRecord(self._epoch, self._times.ttl_s, holders)
        if record != self.record:
            self.record = record

    # -- asks --------------------------------------------------------------------------------------

    def _ask(self, guest: MemberSession, ask: LeaseRequested, now: float) -> None:
        asked = QueuedAcquire(guest, ask, now, next(self._orders))
        guest.asks[ask.number] = asked
        if self.grace:
            self._parked.append(asked)
            self._mind(asked)
        else:
            self._submit(asked, now)

    def _submit(self, asked: QueuedAcquire, now: float) -> None:
        """Ask the core."""
        request = asked.ask.request
        try:
            lease = self._core.acquire(request, now)
            if lease is None:
                asked.waiter = self._core.wait(request, now, asked.deadline_s, asked.ask.priority, asked)
                if asked.waiter.ended:
                    self._answer(asked, now)
                elif asked.deadline_s <= now:
                    self._time_out(asked, now)
                else:
                    self._mind(asked)
                return
        except BalancerError as error:
            self._refuse(asked, error)
        except Exception as error:  # of a strategy
            self._refuse(asked, StrategyError(self._core.ledger.strategy.name, f"raised {error!r}"))
            self._recover(now)
        else:
            self._grant(asked, lease, now)

    def _mind(self, asked: QueuedAcquire) -> None:
        if asked.deadline_s < inf:
            heappush(self._deadlines, (asked.deadline_s, asked))

    def _grant(self, asked: QueuedAcquire, lease: Lease, now: float) -> None:
        """Tell of a lease; and of further ones, where a block was asked for and nobody is kept waiting by that."""
        guest, ask = asked.guest, asked.ask
        guest.asks.pop(ask.number, None)
        shares = [self._share(guest, lease)]
        most = min(ask.block, self._block()) if ask.block > 1 else 1
        while len(shares) < most and not self._core.waiting:
            try:
                further = self._core.acquire(ask.request, now)
            except Exception:
                self._recover(now)
                break
            if further is None:
                break
            shares.append(self._share(guest, further))
            self._stocked[guest] = None
        guest.say(LeasesGranted(ask.number, tuple(shares)))

    def _share(self, guest: MemberSession, lease: Lease) -> GrantedLease:
        token = LeaseToken(self._epoch, lease.id)
        guest.leases[token] = lease
        return GrantedLease(token, guest.number_of(lease.endpoint), lease.slots)

    def _block(self) -> int:
        """Return how many leases one grant may have: a holder's part of all slots."""
        return max(1, self._core.ledger.slots // max(1, len(self._guests)))

    def _refuse(self, asked: QueuedAcquire, error: BalancerError) -> None:
        asked.guest.asks.pop(asked.ask.number, None)
        asked.guest.say(RequestRefused(asked.ask.number, *facts_of(error)))

    def _time_out(self, asked: QueuedAcquire, now: float) -> None:
        waiter = asked.waiter
        if waiter is None:
            self._refuse(asked, AcquireTimeout(now - asked.since_s, asked.deadline_s - asked.since_s))
            return
        self._settle(lambda: self._core.cancel(waiter, now, timed_out=True), now)
        self._answer(asked, now)

    def _withdraw(self, asked: QueuedAcquire, now: float) -> None:
        """Let an ask give up that nobody wants answered any more."""
        waiter = asked.waiter
        if waiter is not None:
            self._settle(lambda: self._core.cancel(waiter, now, timed_out=False), now)

    def _answer(self, asked: QueuedAcquire, now: float) -> None:
        """Tell how a wait has ended."""
        waiter = asked.waiter
        assert waiter is not None, "it was in the queue"
        if waiter.lease is not None:
            if asked.stands:
                self._grant(asked, waiter.lease, now)
            else:
                lease = waiter.lease
                self._settle(lambda: self._core.release(lease, _IGNORED, now), now)
        elif asked.stands and waiter.error is not None:
            self._refuse(asked, waiter.error)

    def _cancelled(self, guest: MemberSession, word: RequestCancelled, now: float) -> None:
        asked = guest.asks.pop(word.number, None)
        if asked is not None:
            self._withdraw(asked, now)

    def _amended(self, guest: MemberSession, word: RequestAmended, now: float) -> None:
        asked = guest.asks.get(word.number)
        if asked is None:
            return
        asked.ask = replace(asked.ask, request=word.request)
        waiter = asked.waiter
        if waiter is not None:
            with suppress(BalancerError):  # nobody could serve it: it waits on as before
                self._settle(lambda: self._core.amend(waiter, word.request, now), now)

    # -- leases ------------------------------------------------------------------------------------

    def _ended(self, guest: MemberSession, word: LeaseEnded, now: float) -> None:
        lease = guest.leases.get(word.token)
        if lease is None:
            return
        lease.granted_s = max(lease.granted_s, now - word.used_s)  # how long the call took, not the messages
        lease.hint = word.hint
        if word.raised:
            lease.raised = word.raised
        self._release(guest, word.token, word.outcome, now)

    def _release(self, guest: MemberSession, token: LeaseToken, outcome: Outcome, now: float) -> None:
        lease = guest.leases.pop(token)
        with suppress(LeaseError):  # somebody ended it by its id
            self._settle(lambda: self._core.release(lease, outcome, now), now)

    def _used(self, guest: MemberSession, word: TokensUsed, now: float) -> None:
        if (lease := guest.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._settle(lambda: self._core.used(lease, word.tokens, now), now)

    def _told(self, guest: MemberSession, word: LoadReported, now: float) -> None:
        if (lease := guest.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._settle(lambda: self._core.told(lease, word.load, now), now)

    def _pinged(self, guest: MemberSession, word: ProbeReported, now: float) -> None:
        self._settle(lambda: self._core.pinged(word.endpoint, word.ok, now, conclusive=word.conclusive), now)

    def _retried(self, guest: MemberSession, word: CallRetried, now: float) -> None:
        self._core.retried(word.endpoint, now)

    def _hedged(self, guest: MemberSession, word: CallHedged, now: float) -> None:
        self._core.hedged(word.endpoint, now)

    def _bye(self, guest: MemberSession, word: MemberLeft, now: float) -> None:
        self._give_up(guest, now)

    # -- inside ------------------------------------------------------------------------------------

    def _settle(self, act: Callable[[], Sequence[Waiter]], now: float) -> None:
        """Do something to the core, and answer those whose wait has ended by it."""
        try:
            served: Iterable[Waiter] = act()
        except BalancerError:
            raise
        except Exception:  # of a strategy: whoever was to be served is served all the same
            self._recover(now)
            return
        for waiter in served:
            self._answer_waiter(waiter, now)

    def _recover(self, now: float) -> None:
        waiting = {asked.waiter for guest in self._guests.values() for asked in guest.asks.values() if asked.waiter}
        with suppress(Exception):
            self._core.recover(now, waiting)
        for waiter in waiting:
            if waiter.ended:
                self._answer_waiter(waiter, now)

    def _answer_waiter(self, waiter: Waiter, now: float) -> None:
        asked = waiter.wake
        assert isinstance(asked, QueuedAcquire), "a waiter of this core is of an ask"
        self._answer(asked, now)

    def _after(self, now: float) -> None:
        """Tell what has changed for others, and when something is due."""
        if self._core.waiting and self._stocked:
            for guest in self._stocked:
                guest.say(IdleRecalled())
            self._stocked.clear()
        out = self._core.out_of_service()
        if out != self._out:
            self._out = out
            for guest in self._guests.values():
                guest.out(out)
        if now >= self._look_s:
            self._look_s = first_expiry_s(self._guests)
        while self._deadlines and not self._deadlines[0][1].stands:
            heappop(self._deadlines)
        self.due_s = min(
            self._look_s,
            self._grace_until_s if self.grace else inf,
            self._deadlines[0][0] if self._deadlines else inf,
            self._core.due_s if self._core.waiting else self._core.lapse_s,
        )


_ANSWERS: dict[type, Callable[[Coordinator, MemberSession, Any, float], None]] = {
    LeaseRequested: Coordinator._ask,
    RequestAmended: Coordinator._amended,
    RequestCancelled: Coordinator._cancelled,
    LeaseEnded: Coordinator._ended,
    TokensUsed: Coordinator._used,
    LoadReported: Coordinator._told,
    ProbeReported: Coordinator._pinged,
    CallRetried: Coordinator._retried,
    CallHedged: Coordinator._hedged,
    MemberLeft: Coordinator._bye,
}
