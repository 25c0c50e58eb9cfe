"""The owner of a pool's slots: it grants leases to holders elsewhere, and gives up those of whom it hears nothing.

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
from balancer.cluster.protocol.guest import Asked, Guest, first_until
from balancer.cluster.protocol.messages import (
    Amend,
    Ask,
    Bye,
    Cancel,
    Changed,
    End,
    FromHolder,
    FromOwner,
    Granted,
    Greeting,
    Hedged,
    Held,
    Hello,
    Knock,
    Letter,
    Pinged,
    Recall,
    Refused,
    Retried,
    Share,
    Token,
    Told,
    Used,
    Welcome,
    Who,
)
from balancer.cluster.protocol.record import Record
from balancer.cluster.protocol.times import Times
from balancer.core import Core, Waiter
from balancer.core.account import State
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import AcquireTimeout, BalancerError, LeaseError, StrategyError

__all__ = ["Owner"]

_IGNORED = Outcome.IGNORED
_MOST_OFFERS = 10_000


class Owner:
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

    def __init__(self, core: Core, *, epoch: int, times: Times, last: Record | None, now: float) -> None:
        if last is not None and epoch <= last.epoch:
            raise ValueError(f"epoch is {epoch}; the last owner's was {last.epoch}, and this one's must be greater")
        self._core = core
        self._epoch = epoch
        self._times = times
        self._guests: dict[Who, Guest] = {}
        self._due: dict[Guest, None] = {}  # there may be thousands of guests, so those are noted whom it is about
        self._stocked: dict[Guest, None] = {}  # those who may have leases that nobody uses
        self._visits = count(1)
        self._offers: dict[Who, int] = {}
        self._greet: dict[Who, None] = {}
        self._adopted: set[Token] = set()
        self._parked: list[Asked] = []
        self._deadlines: list[tuple[float, Asked]] = []
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
        self.record = Record(epoch, times.ttl_s)
        self._remember()
        self._end_grace_early(now)
        self._after(now)

    # -- what comes in -----------------------------------------------------------------------------

    def receive(self, message: FromHolder, now: float) -> None:
        """Hear a message of a holder."""
        if now >= self.due_s:
            self.tick(now)
        if isinstance(message, Letter):
            self._hear(message, now)
        elif isinstance(message, Hello):
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

    def guests(self) -> list[tuple[Who, list[Lease], int]]:
        """Return who is let in, what each has, and how many of its callers wait; to look at."""
        return [(each.who, list(each.leases.values()), len(each.asks)) for each in self._guests.values()]

    def vanished(self, who: Who, now: float) -> None:
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
                    guest.say(Changed(*offer, self._block()))
                for guest in self._stocked:  # of what is not to be used any more, perhaps
                    guest.say(Recall())
                self._stocked.clear()
            self._after(now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> None:
        """Learn from an active probe of the endpoint `name`, which may have gone; see `Core.pinged`."""
        self._settle(lambda: self._core.pinged(name, ok, now, conclusive=conclusive), now)
        self._after(now)

    def _offered(self) -> tuple[tuple[Endpoint, ...], str]:
        """Return what there is to lease, and how it is chosen."""
        ledger = self._core.ledger
        listed = tuple(account.endpoint for account in ledger.accounts() if account.state is not State.RETIRING)
        return listed, ledger.strategy.name

    # -- what goes out -----------------------------------------------------------------------------

    def take_out(self, now: float) -> list[tuple[Who, FromOwner]]:
        """Return what is to be sent, and to whom."""
        sent: list[tuple[Who, FromOwner]] = []
        for who in self._greet:
            if who not in self._offers:
                self._offers[who] = next(self._visits)
                if len(self._offers) > _MOST_OFFERS:  # of some who never came back
                    del self._offers[next(iter(self._offers))]
            sent.append((who, Greeting(self._epoch, self._offers[who])))
        self._greet.clear()
        due = list(self._due)
        self._due.clear()
        for guest in due:
            if self._guests.get(guest.who) is guest:
                sent += ((guest.who, letter) for letter in guest.letters(now))
        return sent

    # -- visits ------------------------------------------------------------------------------------

    def _knocked(self, knock: Knock) -> None:
        guest = self._guests.get(knock.who)
        if guest is None or knock.sent_s > guest.heard_s:
            self._greet[knock.who] = None

    def _begin(self, hello: Hello, now: float) -> None:
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
        guest = Guest(hello.who, self._epoch, hello.visit, hello.sent_s, until_s, self._times.again_s, self._due)
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
        guest.welcome = Welcome(self._epoch, hello.visit, hello.sent_s, kept, ttl_s, self._block(), strategy, endpoints)
        if self._out:
            guest.out(self._out)
        self._remember()

    def _adopt(self, held: Held, now: float) -> Lease | None:
        """Put a lease on the books that an owner before granted, once, and only while it could be nobody else's."""
        if not self.grace or held.token.epoch >= self._epoch or held.token in self._adopted:
            return None
        lease = self._core.adopt(held.endpoint, held.slots, held.terms, held.tokens, now)
        if lease is not None:
            lease.granted_s = now - held.held_s
            self._adopted.add(held.token)
        return lease

    def _hear(self, letter: Letter, now: float) -> None:
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

    def _renew(self, guest: Guest, sent_s: float, now: float) -> None:
        """Let a holder keep what it has for another TTL, if this is the newest that was heard of it."""
        if sent_s > guest.heard_s:
            guest.heard_s = sent_s
            guest.until_s = now + self._times.ttl_s

    def _give_up(self, guest: Guest, now: float) -> None:
        """Take everything back from a holder that has not been heard for a TTL, or has gone."""
        del self._guests[guest.who]
        self._stocked.pop(guest, None)
        self._clear(guest, now)
        self._remember()

    def _clear(self, guest: Guest, now: float) -> None:
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
        record = Record(self._epoch, self._times.ttl_s, holders)
        if record != self.record:
            self.record = record

    # -- asks --------------------------------------------------------------------------------------

    def _ask(self, guest: Guest, ask: Ask, now: float) -> None:
        asked = Asked(guest, ask, now, next(self._orders))
        guest.asks[ask.number] = asked
        if self.grace:
            self._parked.append(asked)
            self._mind(asked)
        else:
            self._submit(asked, now)

    def _submit(self, asked: Asked, now: float) -> None:
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

    def _mind(self, asked: Asked) -> None:
        if asked.deadline_s < inf:
            heappush(self._deadlines, (asked.deadline_s, asked))

    def _grant(self, asked: Asked, lease: Lease, now: float) -> None:
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
        guest.say(Granted(ask.number, tuple(shares)))

    def _share(self, guest: Guest, lease: Lease) -> Share:
        token = Token(self._epoch, lease.id)
        guest.leases[token] = lease
        return Share(token, guest.number_of(lease.endpoint), lease.slots)

    def _block(self) -> int:
        """Return how many leases one grant may have: a holder's part of all slots."""
        return max(1, self._core.ledger.slots // max(1, len(self._guests)))

    def _refuse(self, asked: Asked, error: BalancerError) -> None:
        asked.guest.asks.pop(asked.ask.number, None)
        asked.guest.say(Refused(asked.ask.number, *facts_of(error)))

    def _time_out(self, asked: Asked, now: float) -> None:
        waiter = asked.waiter
        if waiter is None:
            self._refuse(asked, AcquireTimeout(now - asked.since_s, asked.deadline_s - asked.since_s))
            return
        self._settle(lambda: self._core.cancel(waiter, now, timed_out=True), now)
        self._answer(asked, now)

    def _withdraw(self, asked: Asked, now: float) -> None:
        """Let an ask give up that nobody wants answered any more."""
        waiter = asked.waiter
        if waiter is not None:
            self._settle(lambda: self._core.cancel(waiter, now, timed_out=False), now)

    def _answer(self, asked: Asked, now: float) -> None:
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

    def _cancelled(self, guest: Guest, word: Cancel, now: float) -> None:
        asked = guest.asks.pop(word.number, None)
        if asked is not None:
            self._withdraw(asked, now)

    def _amended(self, guest: Guest, word: Amend, now: float) -> None:
        asked = guest.asks.get(word.number)
        if asked is None:
            return
        asked.ask = replace(asked.ask, request=word.request)
        waiter = asked.waiter
        if waiter is not None:
            with suppress(BalancerError):  # nobody could serve it: it waits on as before
                self._settle(lambda: self._core.amend(waiter, word.request, now), now)

    # -- leases ------------------------------------------------------------------------------------

    def _ended(self, guest: Guest, word: End, now: float) -> None:
        lease = guest.leases.get(word.token)
        if lease is None:
            return
        lease.granted_s = max(lease.granted_s, now - word.used_s)  # how long the call took, not the messages
        lease.hint = word.hint
        if word.raised:
            lease.raised = word.raised
        self._release(guest, word.token, word.outcome, now)

    def _release(self, guest: Guest, token: Token, outcome: Outcome, now: float) -> None:
        lease = guest.leases.pop(token)
        with suppress(LeaseError):  # somebody ended it by its id
            self._settle(lambda: self._core.release(lease, outcome, now), now)

    def _used(self, guest: Guest, word: Used, now: float) -> None:
        if (lease := guest.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._settle(lambda: self._core.used(lease, word.tokens, now), now)

    def _told(self, guest: Guest, word: Told, now: float) -> None:
        if (lease := guest.leases.get(word.token)) is not None:
            with suppress(LeaseError):
                self._settle(lambda: self._core.told(lease, word.load, now), now)

    def _pinged(self, guest: Guest, word: Pinged, now: float) -> None:
        self._settle(lambda: self._core.pinged(word.endpoint, word.ok, now, conclusive=word.conclusive), now)

    def _retried(self, guest: Guest, word: Retried, now: float) -> None:
        self._core.retried(word.endpoint, now)

    def _hedged(self, guest: Guest, word: Hedged, now: float) -> None:
        self._core.hedged(word.endpoint, now)

    def _bye(self, guest: Guest, word: Bye, now: float) -> None:
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
        assert isinstance(asked, Asked), "a waiter of this core is of an ask"
        self._answer(asked, now)

    def _after(self, now: float) -> None:
        """Tell what has changed for others, and when something is due."""
        if self._core.waiting and self._stocked:
            for guest in self._stocked:
                guest.say(Recall())
            self._stocked.clear()
        out = self._core.out_of_service()
        if out != self._out:
            self._out = out
            for guest in self._guests.values():
                guest.out(out)
        if now >= self._look_s:
            self._look_s = first_until(self._guests)
        while self._deadlines and not self._deadlines[0][1].stands:
            heappop(self._deadlines)
        self.due_s = min(
            self._look_s,
            self._grace_until_s if self.grace else inf,
            self._deadlines[0][0] if self._deadlines else inf,
            self._core.due_s if self._core.waiting else self._core.lapse_s,
        )


_ANSWERS: dict[type, Callable[[Owner, Guest, Any, float], None]] = {
    Ask: Owner._ask,
    Amend: Owner._amended,
    Cancel: Owner._cancelled,
    End: Owner._ended,
    Used: Owner._used,
    Told: Owner._told,
    Pinged: Owner._pinged,
    Retried: Owner._retried,
    Hedged: Owner._hedged,
    Bye: Owner._bye,
}
