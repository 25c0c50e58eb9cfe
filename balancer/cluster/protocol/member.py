"""Member of a cluster: the leases of one process, granted by a coordinator elsewhere.

To a shell it is like `balancer.core.Core`: `acquire`, `wait`, `release` and so on, one call at a time; calls return the
waiters that ended. In addition the shell passes in the coordinator's messages (`receive`), calls `tick` at `due_s`, and
sends what `take_out` returns whenever `due_s` has come. `membership` decides when to send.

It promises: it stops using its leases after 0.8 TTL without contact. The time counts from when it sent the last message
that the coordinator has certainly received. So it stops before the coordinator gives them to others. And every wait
ends once.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import inf
from typing import Any

from balancer.answers import Load
from balancer.cluster.protocol.member_leases import (
    CallerQueue,
    LeaseTable,
    MemberLease,
    facts_of_lease,
    is_interchangeable,
    without_times,
)
from balancer.cluster.protocol.membership import ContactState, CoordinatorContact
from balancer.cluster.protocol.messages import (
    MOST_WAITING,
    CallCounted,
    EndpointListed,
    EndpointsOut,
    FromCoordinator,
    FromMember,
    IdleRecalled,
    LeasesGranted,
    LoadReported,
    MemberId,
    MemberLeft,
    PoolChanged,
    ProbeReported,
    RequestAmended,
    RequestCancelled,
    RequestRefused,
    SessionAccepted,
    SessionOffer,
    TokensUsed,
    error_of,
)
from balancer.cluster.protocol.times import ClusterTimes
from balancer.core.events import Abandoned, Added, Hedged, Journal, Queued, Removed, Retried, TimedOut
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import AcquireTimeout, BalancerError, LeaseError, PoolClosed, TooManyWaiters
from balancer.strategy import Request

__all__ = ["ClusterMember"]

Served = Sequence[Waiter]

_IGNORED = Outcome.IGNORED


class OfferedPool:
    """The pool that the coordinator offers, as of its last message.

    Args:
        journal: records endpoints that come and go.
        wanted_block: how many leases to ask for at once, if the coordinator allows it.

    Attributes:
        endpoints, strategy: the endpoints, and the name of the strategy.
        out: names of endpoints that are out of service.
        block: how many leases to ask for at once.
        listed: endpoints by their numbers in this session.
    """

    def __init__(self, journal: Journal, wanted_block: int) -> None:
        self.endpoints: tuple[Endpoint, ...] = ()
        self.strategy = ""
        self.out: frozenset[str] = frozenset()
        self.block = wanted_block
        self.listed: dict[int, Endpoint] = {}
        self._journal = journal
        self._wanted_block = wanted_block

    def learn(self, offer: SessionAccepted | PoolChanged, now: float) -> None:
        """Update from an offer. A restarted coordinator may have other endpoints."""
        before = {(each.name, each.url, each.headers) for each in self.endpoints}
        after = {(each.name, each.url, each.headers) for each in offer.endpoints}
        self.endpoints = offer.endpoints
        self.strategy = offer.strategy
        self.block = min(self._wanted_block, offer.block)
        for kind, moved in ((Removed, before - after), (Added, after - before)):
            for name in sorted(name for name, _, _ in moved):
                self._journal.note(kind, now, name)


class ClusterMember:
    """The leases of one process.

    Args:
        who: its name, and an incarnation that is unique for each start.
        lender: takes leases back (the shell).
        blank: makes a blank lease; a shell's own kind may look at the clock.
        block: how many leases to ask for at once; 1: one by one.
        times: until the coordinator has sent its TTL, how often to ask to join. `idle_s` is the member's own.
        stirred: called when there is something to send, perhaps often.
        why_apart: returns why there is no contact with the coordinator, as far as the shell knows; "": it does not.
        now: the time.

    Attributes:
        out: the leases in use, by their own id.
        journal: the events of this process's leases. The coordinator has the events of endpoints.
        tally: the counters of this process.
        offered: the pool on offer.
        shells: the waiters of each shell that makes calls. A shell adds its own.
    """

    def __init__(
        self,
        who: MemberId,
        *,
        lender: Lender,
        blank: Callable[[], Lease] = Lease,
        block: int = 1,
        times: ClusterTimes | None = None,
        stirred: Callable[[], object] | None = None,
        why_apart: Callable[[], str] = str,
        now: float,
    ) -> None:
        self._who = who
        self._why_apart = why_apart
        self._stirred = stirred or _nothing
        self._contact = CoordinatorContact(who, times or ClusterTimes(), now)
        self._leases = LeaseTable(lender, blank, self._say)
        self._callers = CallerQueue()
        self._closed = False
        self.shells: list[Iterable[Waiter]] = []
        self.out = self._leases.out
        self.journal = self._leases.journal
        self.tally = self._leases.counters
        self.offered = OfferedPool(self.journal, block)
        self._handlers: dict[type, Callable[[Any, float], Served]] = {
            LeasesGranted: self._granted,
            RequestRefused: self._refused,
            EndpointListed: self._endpoint_listed,
            EndpointsOut: self._endpoints_out,
            PoolChanged: self._pool_changed,
            IdleRecalled: self._idle_recalled,
        }

    # -- what comes in and goes out ----------------------------------------------------------------

    def receive(self, message: FromCoordinator, now: float) -> Served:
        """Handle a message of the coordinator. Return the callers whose wait this ended."""
        contact = self._contact
        session = message.epoch, message.session
        if contact.state is ContactState.GONE:
            return ()
        if isinstance(message, SessionOffer):
            self._expire(now)
            if session > contact.session:
                self._begin(session, now)
            return ()
        if session != contact.session:
            return ()
        if isinstance(message, SessionAccepted):
            if contact.state is ContactState.BEGINNING:
                self._accepted(message, now)
            return ()
        if contact.state is not ContactState.INSIDE:
            return ()
        contact.note_contact(message)
        if self._expire(now):
            return ()
        words = contact.hear(message, now)
        served: list[Waiter] = []
        for word in words:
            served += self._handlers[type(word)](word, now)
        if contact.owes or self._leases.has_times:
            self._stirred()
        return served

    def tick(self, now: float) -> Served:
        """Do what is due. Returns no waiters: no wait ends by time here, a shell does that (`cancel`)."""
        if not self._expire(now) and self._contact.is_unanswered(now) and not self._leases:
            self._leave(now)  # the coordinator no longer knows that session
        self._leases.give_back_idle(now, self._contact.times.idle_s)
        self._leases.end_by_terms(now)
        self._go_if_done()
        return ()

    def take_out(self, now: float, *, again: bool = False) -> list[FromMember]:
        """Return the messages to send now. `again`: True for a new connection, where earlier ones may be lost."""
        return self._contact.take_out(now, again=again)

    @property
    def due_s(self) -> float:
        """When there is something to do next; -inf: there is something to send. Any call may change it."""
        contact = self._contact
        if contact.state is ContactState.GONE:
            return inf
        idle_s = self._leases.idle.due_s(contact.times.idle_s)
        return min(contact.due_s, self.expiry_s, self._leases.terms_due_s, idle_s)

    # -- the session -------------------------------------------------------------------------------

    @property
    def expiry_s(self) -> float:
        """When it stops using its leases, unless the coordinator is heard before; inf: it has none."""
        return self._contact.expiry_s(has=bool(self._leases))

    @property
    def inside(self) -> bool:
        """True while it is in a session."""
        return self._contact.state is ContactState.INSIDE

    @property
    def session(self) -> tuple[int, int]:
        """Epoch and number of the session; zeros: it is in none."""
        return self._contact.session

    @property
    def again_s(self) -> float:
        """What it sends is sent again after so many seconds without an answer."""
        return self._contact.times.again_s

    @property
    def ttl_s(self) -> float:
        """The coordinator's TTL in seconds, if known."""
        return self._contact.times.ttl_s

    def _begin(self, session: tuple[int, int], now: float) -> None:
        """Begin a new session, with all its leases and all requests of its callers."""
        self._contact.begin(session, self._leases.claims(now), now)
        self.offered.listed.clear()
        for number in self._callers:
            self._say(self._callers.request(number, self.offered.block, now))
        self._stirred()

    def _accepted(self, accepted: SessionAccepted, now: float) -> None:
        self._contact.accepted(accepted)
        self._leases.lose("the coordinator granted its slot to others", but=frozenset(accepted.kept))
        self._go_if_done()
        if self._contact.state is ContactState.GONE:
            return
        self._contact.enter(now)
        self.offered.out = frozenset()
        self.offered.learn(accepted, now)
        if not self._expire(now):
            self._stirred()

    def _expire(self, now: float) -> bool:
        """Stop using all leases if there was no contact for too long. Return whether that is so."""
        if now < self.expiry_s:
            return False
        self._leases.lose(f"no contact with the coordinator for {now - self._contact.contact_s:.3g} s")
        self._leave(now)
        return True

    def _leave(self, now: float) -> None:
        """Leave the session without leases, to begin again. The coordinator frees them at its next start."""
        self._contact.leave(now)
        self._go_if_done()
        self._stirred()

    def _go_if_done(self) -> None:
        if self._closed and not self._leases and self._contact.part(MemberLeft()):
            self._stirred()

    def _say(self, word: object) -> None:
        if self._contact.say(word):
            self._stirred()

    # -- for its callers: leases -------------------------------------------------------------------

    def acquire(self, request: Request, now: float) -> Lease | None:
        """Return an idle lease of this member, or None if the coordinator must be asked (see `wait`)."""
        if self._closed:
            raise PoolClosed
        if not self._leases.idle or self._expire(now) or not is_interchangeable(request):
            return None
        held = self._leases.idle.take(request)
        return None if held is None else self._leases.lend(held, request, now)

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request, and ask the coordinator. Raises PoolClosed; TooManyWaiters: `MOST_WAITING` wait already."""
        if self._closed:
            raise PoolClosed
        if len(self._callers) >= MOST_WAITING:
            raise TooManyWaiters(len(self._callers), MOST_WAITING, of_one_process=True)
        waiter, number = self._callers.push(request, now, deadline_s, priority, wake)
        self.journal.note(Queued, now)
        self._say(self._callers.request(number, self.offered.block, now))
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> Served:
        """Change the request of `waiter`. If no endpoint could serve it, it waits as before."""
        if waiter.ended:
            return ()
        self._say(RequestAmended(self._callers.amend(waiter, request), without_times(request)))
        return ()

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> Served:
        """End the wait of `waiter`. Does nothing if it has ended."""
        if waiter.ended:
            return ()
        if timed_out:
            why = self._why_apart()
            waiter.error = AcquireTimeout(
                now - waiter.since_s,
                waiter.deadline_s - waiter.since_s,
                len(self.offered.out),
                apart=bool(why) or not self.inside or self._contact.is_silent_since(waiter.since_s, now),
                why_apart=why,
            )
            self._note_time_out(waiter, now)
        else:
            self.tally.counts["cancelled"] += 1
            waiter.error = BalancerError("the wait was cancelled")
        self._say(RequestCancelled(self._callers.dismiss(waiter), timed_out))
        return ()

    def release(self, lease: Lease, outcome: Outcome, now: float) -> Served:
        """End a lease.

        Raises:
            LeaseError: it has ended, or was granted elsewhere. Nothing is changed.
            TypeError: `outcome` is not an `Outcome`. Nothing is changed.
        """
        if not isinstance(outcome, Outcome):
            raise TypeError(f"outcome is {outcome!r}; it takes an Outcome, e.g. Outcome.FAILURE")
        self._check_ours(lease, now)
        self._leases.end(lease, outcome, now)
        self._go_if_done()
        return ()

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> Served:
        """End the lease of this member with this id. Raises LeaseError if there is none."""
        lease = self.out.get(id)
        if lease is None:
            raise LeaseError(id, "this process does not hold it: it has ended, or was granted elsewhere")
        lease.fate = f"the lease of {lease.endpoint.name} was ended by its id; a lease ends once"
        return self.release(lease, outcome, now)

    def used(self, lease: Lease, tokens: int, now: float) -> Served:
        """Set how many tokens the call of `lease` has used so far. Raises LeaseError if it is not out."""
        self._check_ours(lease, now)
        self._say(TokensUsed(self._leases.token_of(lease), tokens))
        return ()

    def told(self, lease: Lease, load: Load, now: float) -> Served:
        """Set the load that the endpoint of `lease` reported. Raises LeaseError if it is not out."""
        self._check_ours(lease, now)
        self._say(LoadReported(self._leases.token_of(lease), load))
        return ()

    def abandon(self, leases: Sequence[Lease], now: float) -> Served:
        """End those of `leases` that are still out. No object of the program refers to them any more."""
        for lease in leases:
            if lease.account is not None and not self._expire(now):
                self.journal.note(Abandoned, now, *facts_of_lease(lease), now - lease.granted_s)
                lease.fate = (
                    f"the lease of {lease.endpoint.name} was abandoned without a release, so its slot went to others"
                )
                self.release(lease, _IGNORED, now)
        return ()

    def close(self, now: float) -> Served:
        """Fail every waiter and every later acquire. Leases that are out may still be released; then it leaves."""
        self._closed = True
        ended = self._callers.all()
        for waiter in ended:
            waiter.error = PoolClosed()
            self._say(RequestCancelled(self._callers.dismiss(waiter)))
        self._leases.give_back_idle(now)
        self._go_if_done()
        return ended

    def recover(self, now: float) -> None:
        """Repair the state after a call was cut short by an interrupt.

        Waiters that no shell has are dropped: the call that made them was cut short. Words may be lost, of either side,
        so a new session begins, in which it reports what it has and what it waits for.
        """
        self._callers.keep(set(chain(*self.shells)))
        self._leases.mend()
        self._contact.start_anew(now)
        self._stirred()

    def ended(self) -> Served:
        """Return the waiters that have ended, while their shells still have them."""
        return [waiter for waiter in chain(*self.shells) if waiter.ended]

    def _check_ours(self, lease: Lease, now: float) -> None:
        self._leases.check_ours(lease)
        self._expire(now)

    def _note_time_out(self, waiter: Waiter, now: float) -> None:
        self.tally.counts["timed_out"] += 1
        self.journal.note(TimedOut, now, now - waiter.since_s)

    # -- for its callers: what else there is --------------------------------------------------------

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> Served:
        """Report a ping to the coordinator."""
        self._say(ProbeReported(name, ok, conclusive))
        return ()

    def retried(self, name: str, now: float) -> Served:
        """Report a retry of a call that failed at endpoint `name` to the coordinator."""
        self.tally.counts["retries"] += 1
        self.journal.note(Retried, now, name)
        self._say(CallCounted("retries", name))
        return ()

    def hedged(self, name: str, now: float) -> Served:
        """Report a hedge of a slow call to the coordinator."""
        self.tally.counts["hedges"] += 1
        self.journal.note(Hedged, now, name)
        self._say(CallCounted("hedges", name))
        return ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints on offer, as of the coordinator's last message."""
        return self.offered.endpoints

    @property
    def strategy(self) -> str:
        """The name of the coordinator's strategy, as of its last message."""
        return self.offered.strategy

    def out_of_service(self) -> frozenset[str]:
        """Return the endpoints that are out of service, as of the coordinator's last message."""
        return self.offered.out

    @property
    def waiting(self) -> int:
        """How many of its callers wait."""
        return len(self._callers)

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def gone(self) -> bool:
        """True once it is closed, has no leases, and has said so."""
        return self._contact.state is ContactState.GONE

    @property
    def idle(self) -> int:
        """How many idle leases it has."""
        return len(self._leases.idle)

    def __repr__(self) -> str:
        name, incarnation = self._who
        return (
            f"member {name}#{incarnation} {self._contact.state.value}: {len(self.out)} out, {self.idle} idle, "
            f"{self.waiting} waiting"
        )

    # -- words of the coordinator ------------------------------------------------------------------

    def _granted(self, word: LeasesGranted, now: float) -> Served:
        waiter = self._callers.of(word.number)
        served: list[Waiter] = []
        for share in word.shares:
            request = waiter.request if waiter is not None else Request(slots=share.slots)
            held = MemberLease(share.token, self.offered.listed[share.listed], share.slots, request, now)
            self._leases.add(held)
            if waiter is not None and not served:
                waiter.lease = self._leases.lend(held, request, now, now - waiter.since_s)
                self._callers.dismiss(waiter)
                served.append(waiter)
            elif waiter is not None and is_interchangeable(request) and not self._closed:
                self._leases.idle.put(held)
            else:
                self._leases.give_back(held)
        if len(word.shares) > 1:
            served += self._serve_from_idle(now)
        return served

    def _serve_from_idle(self, now: float) -> Served:
        served: list[Waiter] = []
        for waiter in self._callers.candidates(now):
            held = self._leases.idle.take(waiter.request) if is_interchangeable(waiter.request) else None
            if held is not None:
                waiter.lease = self._leases.lend(held, waiter.request, now, now - waiter.since_s)
                self._say(RequestCancelled(self._callers.dismiss(waiter)))
                served.append(waiter)
        return served

    def _refused(self, word: RequestRefused, now: float) -> Served:
        waiter = self._callers.of(word.number)
        if waiter is None:
            return ()
        waiter.error = error_of(word.error, tuple(word.facts))
        if isinstance(waiter.error, AcquireTimeout):
            self._note_time_out(waiter, now)
        self._callers.dismiss(waiter)
        return (waiter,)

    def _endpoint_listed(self, word: EndpointListed, now: float) -> Served:
        self.offered.listed[word.number] = word.endpoint
        return ()

    def _endpoints_out(self, word: EndpointsOut, now: float) -> Served:
        self.offered.out = word.names
        return ()

    def _pool_changed(self, word: PoolChanged, now: float) -> Served:
        self.offered.learn(word, now)
        return ()

    def _idle_recalled(self, word: IdleRecalled, now: float) -> Served:
        self._leases.give_back_idle(now)
        return ()


def _nothing() -> None:
    pass
