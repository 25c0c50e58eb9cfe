"""Member of a cluster: one process's leases, which a coordinator elsewhere grants.

Decides when it asks and says again, what it still may use, and who of its own callers gets what is granted. It must not
know how messages travel, nor what time it is. To a shell it is what `balancer.core.Core` is: `acquire`, `wait`,
`release` and the like, one call at a time, and those whose wait has ended are returned. Beyond that a shell hands in
what the owner says (`receive`), calls `tick` at `due_s`, and sends what `take_out` returns, whenever `due_s` has come.

What it promises: it stops using what it has after 0.8 TTL without contact, counted from when it said the last thing
that the owner has certainly heard; so before the owner gives that to others. And every wait ends once.
"""

from collections.abc import Callable, Container, Sequence
from itertools import count
from math import inf
from typing import Any

from balancer.cluster.protocol.caller_queue import CallerQueue
from balancer.cluster.protocol.counters import MemberCounters
from balancer.cluster.protocol.errors import error_of
from balancer.cluster.protocol.member_leases import IdleLeases, MemberLease, is_interchangeable, without_times
from balancer.cluster.protocol.membership import ContactState, CoordinatorContact
from balancer.cluster.protocol.messages import (
    CallHedged,
    CallRetried,
    EndpointListed,
    EndpointsOut,
    FromCoordinator,
    FromMember,
    IdleRecalled,
    LeaseEnded,
    LeasesGranted,
    LeaseToken,
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
)
from balancer.cluster.protocol.times import ClusterTimes
from balancer.core.events import Abandoned, Added, Ended, Expired, Journal, Leaked, Queued, Removed, TimedOut
from balancer.core.events import Granted as GrantedEvent
from balancer.core.events import Hedged as HedgedEvent
from balancer.core.events import Retried as RetriedEvent
from balancer.core.lease_timers import LeaseTimers
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import AcquireTimeout, BalancerError, LeaseError, PoolClosed
from balancer.load import Load
from balancer.strategy import Request

__all__ = ["ClusterMember"]

Served = Sequence[Waiter]

_IGNORED = Outcome.IGNORED


class ClusterMember:
    """One process's leases.

    Args:
        who: its name, and an incarnation that no other life of that name ever has.
        lender: who the leases go back to (the shell).
        block: how many leases to ask for at once; 1: one by one.
        times: until the owner has said its own TTL, how often to knock; `idle_s` is its own.
        stirred: called when there is something to send, perhaps often.
        now: the time.

    Attributes:
        due_s: when `tick` and `take_out` have something to do. It may move at every call.
        out: the leases that are in use, by their own id.
        journal: what happens to the leases of this process; the owner's has what happens to endpoints.
        endpoints, strategy: what there is to lease and how it is chosen, as the owner said when the visit began.
        tally: what is counted of this process.
        expiry_s: from then on nothing is used, unless the owner is heard before.
    """

    def __init__(
        self,
        who: MemberId,
        *,
        lender: Lender,
        block: int = 1,
        times: ClusterTimes | None = None,
        stirred: Callable[[], object] | None = None,
        now: float,
    ) -> None:
        self.out: dict[int, Lease] = {}
        self.journal = Journal()
        self.endpoints: tuple[Endpoint, ...] = ()
        self.strategy = ""
        self.tally = MemberCounters()
        self._who = who
        self._lender = lender
        self._wanted_block = block
        self._block = block
        self._stirred = stirred or _nothing
        self._presence = CoordinatorContact(who, times or ClusterTimes(), now)
        self._holds: dict[LeaseToken, MemberLease] = {}
        self._stock = IdleLeases()
        self._listed: dict[int, Endpoint] = {}
        self._out_of_service: frozenset[str] = frozenset()
        self._tenures = LeaseTimers()
        self._asks = CallerQueue()
        self._ids = count(1)
        self._closed = False

    # -- what comes in and goes out ----------------------------------------------------------------

    def receive(self, message: FromCoordinator, now: float) -> Served:
        """Hear a message of the owner; return those of its callers whose wait this ended."""
        presence = self._presence
        visit = message.epoch, message.visit
        if presence.state is ContactState.GONE:
            return ()
        if isinstance(message, SessionOffer):
            self._fence(now)
            if visit > presence.visit:
                self._begin(visit, now)
            return ()
        if visit != presence.visit:
            return ()
        if isinstance(message, SessionAccepted):
            if presence.state is ContactState.GREETED:
                self._welcomed(message, now)
            return ()
        if presence.state is not ContactState.INSIDE:
            return ()
        presence.note_contact(message)
        if self._fence(now):
            return ()
        words = presence.hear(message, now)
        served: list[Waiter] = []
        for word in words:
            served += _ANSWERS[type(word)](self, word, now)
        if words or presence.has_words:
            self._stirred()
        return served

    def tick(self, now: float) -> Served:
        """Let time do what is due. Return nobody: no wait ends by time here, a shell sees to that (`cancel`)."""
        if not self._fence(now) and self._presence.is_unanswered(now) and not self._holds:
            self._leave(now)  # nobody knows that visit any more
        for hold in self._stock.idle(now, self._presence.times.idle_s):
            self._give_back(hold)
        for lease, is_over in self._tenures.take_due(now):
            if is_over:
                self.journal.note(Expired, now, *_facts(lease), now - lease.granted_s)
                lease.fate = f"{lease!r} ran out: its ttl_s was over, so its slot went to others; return it sooner"
                self.release(lease, _IGNORED, now)
            else:
                self.journal.note(Leaked, now, *_facts(lease), getattr(lease, "where", ""), now - lease.granted_s)
        return ()

    def take_out(self, now: float, *, again: bool = False) -> list[FromMember]:
        """Return what is to be sent now; with `again`, when a connection is new, what may have been lost too."""
        return self._presence.take_out(now, again=again)

    @property
    def due_s(self) -> float:
        """When there is something to do next; `-inf`: there is something to send."""
        if self._presence.state is ContactState.GONE:
            return inf
        idle_s = self._stock.due_s(self._presence.times.idle_s)
        return min(self._presence.due_s, self.expiry_s, self._tenures.due_s, idle_s)

    # -- the visit ---------------------------------------------------------------------------------

    @property
    def expiry_s(self) -> float:
        """From then on nothing is used, unless the owner is heard before; `inf`: there is nothing to use."""
        return self._presence.expiry_s(has=bool(self._holds))

    @property
    def inside(self) -> bool:
        """True while it is in a visit."""
        return self._presence.state is ContactState.INSIDE

    @property
    def visit(self) -> tuple[int, int]:
        """Epoch and number of the visit; zeros: it is outside."""
        return self._presence.visit

    @property
    def ttl_s(self) -> float:
        """The owner's TTL, as far as it is known."""
        return self._presence.times.ttl_s

    def _begin(self, visit: tuple[int, int], now: float) -> None:
        """Say hello in a new visit, with all that it has and all that its callers want."""
        self._presence.begin(visit, tuple(hold.told(now) for hold in self._holds.values()), now)
        self._listed.clear()
        for number in self._asks:
            self._say(self._asks.said(number, self._block, now))
        self._stirred()

    def _welcomed(self, welcome: SessionAccepted, now: float) -> None:
        self._presence.welcomed(welcome)
        self._block = min(self._wanted_block, welcome.block)
        kept = set(welcome.kept)
        for held in self._presence.hello:
            if held.token not in kept and held.token in self._holds:
                self._lose(held.token, "the owner has given it to others")
        self._go_if_done()
        if self._presence.state is ContactState.GONE:
            return
        self._presence.enter(now)
        self._out_of_service = frozenset()
        self.strategy = welcome.strategy
        self._list(welcome.endpoints, now)
        if not self._fence(now):
            self._stirred()

    def _list(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """Learn what there is to lease; an owner that comes back may have other endpoints."""
        before = {(each.name, each.url, each.headers) for each in self.endpoints}
        after = {(each.name, each.url, each.headers) for each in endpoints}
        self.endpoints = endpoints
        for kind, moved in ((Removed, before - after), (Added, after - before)):
            for name in sorted(name for name, _, _ in moved):
                self.journal.note(kind, now, name)

    def _fence(self, now: float) -> bool:
        """Stop using everything if there was no contact for too long; return whether that is so."""
        if now < self.expiry_s:
            return False
        for token in list(self._holds):
            self._lose(token, f"there was no contact with the owner for {now - self._presence.contact_s:.3g} s")
        self._leave(now)
        return True

    def _leave(self, now: float) -> None:
        """Go outside with nothing, to begin again: what the owner thinks that it has is free by its next hello."""
        self._presence.leave(now)
        self._go_if_done()
        self._stirred()

    def _lose(self, token: LeaseToken, why: str) -> None:
        hold = self._holds.pop(token)
        if hold.lease_id:
            lease = self.out.pop(hold.lease_id)
            lease.fate = f"{lease!r} was lost: {why}"
            lease.account = None
        else:
            self._stock.drop(hold)

    # -- for its callers: leases -------------------------------------------------------------------

    def acquire(self, request: Request, now: float) -> Lease | None:
        """Return a lease that is here already, or None if the owner must be asked (see `wait`)."""
        if self._closed:
            raise PoolClosed
        if not self._stock or self._fence(now) or not is_interchangeable(request):
            return None
        hold = self._stock.take(request)
        return None if hold is None else self._lend(hold, request, now)

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request, and ask the owner."""
        if self._closed:
            raise PoolClosed
        waiter, number = self._asks.push(request, now, deadline_s, priority, wake)
        self.journal.note(Queued, now)
        self._say(self._asks.said(number, self._block, now))
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> Served:
        """Let `waiter` ask for `request` from now on. If nobody could serve that, it waits on as before."""
        if waiter.ended:
            return ()
        self._say(RequestAmended(self._asks.amend(waiter, request), without_times(request)))
        return ()

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> Served:
        """Let `waiter` give up; does nothing to one that has ended."""
        if waiter.ended:
            return ()
        if timed_out:
            waiter.error = AcquireTimeout(
                now - waiter.since_s, waiter.deadline_s - waiter.since_s, len(self._out_of_service)
            )
            self._time_out(waiter, now)
        else:
            waiter.error = BalancerError("the wait was cancelled")
        self._say(RequestCancelled(self._asks.dismiss(waiter)))
        return ()

    def release(self, lease: Lease, outcome: Outcome, now: float) -> Served:
        """End a lease.

        Raises:
            LeaseError: it has ended, or was granted elsewhere. Nothing is changed.
            TypeError: `outcome` is no outcome; likewise.
        """
        if not isinstance(outcome, Outcome):
            raise TypeError(f"outcome is {outcome!r}; it takes an Outcome, e.g. Outcome.FAILURE")
        hold = self._hold_of(lease, now)
        del self._holds[hold.token]
        del self.out[lease.id]
        lease.account = None
        self.tally.ended(lease, outcome, now)
        self.journal.note(Ended, now, *_facts(lease), outcome, now - lease.granted_s)
        raised = getattr(lease, "raised", "")
        self._say(LeaseEnded(hold.token, outcome, now - lease.granted_s, lease.hint, raised))
        self._go_if_done()
        return ()

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> Served:
        """End the lease of this holder that is out under this id. Raises LeaseError if there is none."""
        lease = self.out.get(id)
        if lease is None:
            raise LeaseError(id, "it is not out here: it has ended, or was never granted to this process")
        lease.fate = f"{lease!r} was ended by its id; a lease ends once"
        return self.release(lease, outcome, now)

    def used(self, lease: Lease, tokens: int, now: float) -> Served:
        """Learn how many tokens the call of `lease` has used so far. Raises LeaseError if it is not out."""
        self._say(TokensUsed(self._hold_of(lease, now).token, tokens))
        return ()

    def told(self, lease: Lease, load: Load, now: float) -> Served:
        """Learn what the endpoint of `lease` has said of its load. Raises LeaseError if it is not out."""
        self._say(LoadReported(self._hold_of(lease, now).token, load))
        return ()

    def abandon(self, leases: Sequence[Lease], now: float) -> Served:
        """End those of `leases` that are out: nobody has them any more to give them back."""
        for lease in leases:
            if not lease.ended and not self._fence(now):
                self.journal.note(Abandoned, now, *_facts(lease), now - lease.granted_s)
                lease.fate = f"{lease!r} was nobody's any more, so its slot went to others"
                self.release(lease, _IGNORED, now)
        return ()

    def close(self, now: float) -> Served:
        """Fail every waiter and every later acquire; leases out may still be returned, and then it says bye."""
        self._closed = True
        ended = self._asks.all()
        for waiter in ended:
            waiter.error = PoolClosed()
            self._say(RequestCancelled(self._asks.dismiss(waiter)))
        for hold in self._stock.all():
            self._give_back(hold)
        self._go_if_done()
        return ended

    def recover(self, now: float, waiting: Container[Waiter]) -> Served:
        """Make good what a call left undone that was cut short by an interrupt.

        Of the waiters only those are left that are in `waiting`: of another one the shell never heard.
        """
        self._asks.keep(waiting)
        return ()

    # -- for its callers: what else there is --------------------------------------------------------

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> Served:
        """Tell the owner of an active probe."""
        self._say(ProbeReported(name, ok, conclusive))
        return ()

    def retried(self, name: str, now: float) -> Served:
        """Tell the owner that a call that failed at endpoint `name` is made again."""
        self.tally.retries += 1
        self.journal.note(RetriedEvent, now, name)
        self._say(CallRetried(name))
        return ()

    def hedged(self, name: str, now: float) -> Served:
        """Tell the owner that a call that is slow is made a second time."""
        self.tally.hedges += 1
        self.journal.note(HedgedEvent, now, name)
        self._say(CallHedged(name))
        return ()

    def out_of_service(self) -> frozenset[str]:
        """Return who serves nobody for now, as the owner said last."""
        return self._out_of_service

    @property
    def waiting(self) -> int:
        """How many of its callers wait now."""
        return len(self._asks)

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def gone(self) -> bool:
        """True once it is closed, has nothing, and has said so."""
        return self._presence.state is ContactState.GONE

    @property
    def stocked(self) -> int:
        """How many leases it has that nobody uses yet."""
        return len(self._stock)

    def __repr__(self) -> str:
        name, incarnation = self._who
        return (
            f"holder {name}#{incarnation} {self._presence.state.value}: {len(self.out)} out, {self.stocked} in stock, "
            f"{self.waiting} waiting"
        )

    # -- inside ------------------------------------------------------------------------------------

    def _say(self, word: object) -> None:
        if self._presence.say(word):
            self._stirred()

    def _hold_of(self, lease: Lease, now: float) -> MemberLease:
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; return it there")
        self._fence(now)
        hold: MemberLease | None = lease.account
        if hold is None:
            raise LeaseError(lease.id, getattr(lease, "fate", f"{lease!r} was given back already; a lease ends once"))
        return hold

    def _time_out(self, waiter: Waiter, now: float) -> None:
        self.tally.timed_out += 1
        self.journal.note(TimedOut, now, now - waiter.since_s)

    def _lend(self, hold: MemberLease, request: Request, now: float, waited_s: float = 0.0) -> Lease:
        """Make a lease of what was granted."""
        lease = Lease()
        lease.slots = hold.slots
        lease.id = next(self._ids)
        lease.endpoint = hold.endpoint
        lease.granted_s = hold.since_s = now
        lease.account = hold
        lease.lender = self._lender
        lease.outcome = lease.hint = None
        lease.request = request
        hold.lease_id = lease.id
        hold.request = request
        self.out[lease.id] = lease
        if request.terms is not None:
            self._tenures.add(lease, now)
        self.tally.begun(lease, waited_s)
        self.journal.note(GrantedEvent, now, *_facts(lease), waited_s)
        return lease

    def _give_back(self, hold: MemberLease) -> None:
        """End what nobody has used."""
        del self._holds[hold.token]
        self._say(LeaseEnded(hold.token, _IGNORED, 0.0))

    def _granted(self, word: LeasesGranted, now: float) -> Served:
        waiter = self._asks.of(word.number)
        served: list[Waiter] = []
        for share in word.shares:
            request = waiter.request if waiter is not None else Request(slots=share.slots)
            hold = MemberLease(share.token, self._listed[share.listed], share.slots, request, now)
            self._holds[share.token] = hold
            if waiter is not None and not served:
                waiter.lease = self._lend(hold, request, now, now - waiter.since_s)
                self._asks.dismiss(waiter)
                served.append(waiter)
            elif waiter is not None and is_interchangeable(request) and not self._closed:
                self._stock.put(hold)
            else:
                self._give_back(hold)
        if len(word.shares) > 1:
            served += self._serve_from_stock(now)
        return served

    def _serve_from_stock(self, now: float) -> Served:
        served: list[Waiter] = []
        for waiter in self._asks.candidates():
            hold = self._stock.take(waiter.request) if is_interchangeable(waiter.request) else None
            if hold is not None:
                waiter.lease = self._lend(hold, waiter.request, now, now - waiter.since_s)
                self._say(RequestCancelled(self._asks.dismiss(waiter)))
                served.append(waiter)
        return served

    def _refused(self, word: RequestRefused, now: float) -> Served:
        waiter = self._asks.of(word.number)
        if waiter is None:
            return ()
        waiter.error = error_of(word.error, tuple(word.facts))
        if isinstance(waiter.error, AcquireTimeout):
            self._time_out(waiter, now)
        self._asks.dismiss(waiter)
        return (waiter,)

    def _hear_listed(self, word: EndpointListed, now: float) -> Served:
        self._listed[word.number] = word.endpoint
        return ()

    def _hear_out(self, word: EndpointsOut, now: float) -> Served:
        self._out_of_service = word.names
        return ()

    def _hear_changed(self, word: PoolChanged, now: float) -> Served:
        self.strategy = word.strategy
        self._block = min(self._wanted_block, word.block)
        self._list(word.endpoints, now)
        return ()

    def _recalled(self, word: IdleRecalled, now: float) -> Served:
        for hold in self._stock.all():
            self._give_back(hold)
        return ()

    def _go_if_done(self) -> None:
        """Say bye once it is closed and has nothing."""
        if self._closed and not self._holds and self._presence.part(MemberLeft()):
            self._stirred()


def _facts(lease: Lease) -> tuple[int, str, str, int]:
    return lease.id, lease.endpoint.name, lease.holder, lease.slots


def _nothing() -> None:
    pass


_ANSWERS: dict[type, Callable[[ClusterMember, Any, float], Served]] = {
    LeasesGranted: ClusterMember._granted,
    RequestRefused: ClusterMember._refused,
    EndpointListed: ClusterMember._hear_listed,
    EndpointsOut: ClusterMember._hear_out,
    PoolChanged: ClusterMember._hear_changed,
    IdleRecalled: ClusterMember._recalled,
}
