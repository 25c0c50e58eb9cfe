"""Referee of a reference check: what must agree, and which waiters must have been served.

"Agree" means the whole contract of the core and of a strategy inside it:

- conservation: the slots out of an endpoint are its in-flight slots. At the grant they are at most its limit, and those
  of its host at most the host's cap. A lease has as many slots as asked for, or all there are while they are limited;
- nothing is granted that is draining, retiring, excluded or without the labels asked for;
- with health, at most the allowed share is ejected. An endpoint that is ejected or rests is not granted. A half open
  one has one lease at a time;
- lease ids grow and are never used again. The table shows exactly the leases that are out. A lease has ended by time if
  and only if its time is over. A waiter ends once, and never with a lease after its deadline;
- work conservation: no waiter could use a free slot, now or before something is due. Exceptions: the slot is kept for
  an older claim that needs several; its quota is kept or has no room; the waiter must wait for a lower failover group;
- a quota is never exceeded. If an oldest claim lacks only a quota, the quota is kept for it;
- one endpoint (and those that share its host) is kept for each of these, and no more;
- order: of the waiters that can use a freed slot, the one with the oldest claim gets it;
- with fair shares: one of the holder with the least service gets it, and of its waiters the oldest claim. No holder has
  more leases or waiters than it may;
- the strategy knows the state of every node;
- a refused call (a second return, a lease of another pool, an unknown URL) changes nothing.

`tests.referee.agreement` compares the figures. Every breach is an AssertionError with one line: what happened and
what should have.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from balancer.core import Core, Waiter
from balancer.core.readings import endpoint_stats
from balancer.endpoint import Lease
from balancer.errors import AcquireTimeout, BalancerError, NoEndpoint
from balancer.strategy import Request
from tests.referee.agreement import (
    check_counters,
    check_holders,
    check_kept,
    check_kinds,
    check_share,
    check_short,
    check_table,
    check_time,
    check_told,
    check_weights,
    kept_before,
)
from tests.referee.model import ModelEndpoint, ModelPool, ModelWaiter

__all__ = ["Referee"]


class Referee:
    """Watches a core and its model.

    Attributes:
        out: the leases out, oldest first.
        ended: the leases that have ended.
        waiting: the waiters, in order of arrival.
        grants: the name of every endpoint that was leased, in order.
        most_kept: the most endpoints kept at once, for different claims.
    """

    def __init__(self, core: Core, model: ModelPool, clock: Callable[[], float]) -> None:
        self._core = core
        self._model = model
        self._clock = clock
        self._finished: list[tuple[Waiter, Lease | None, BalancerError | None]] = []
        self.out: list[Lease] = []
        self.ended: list[Lease] = []
        self.waiting: dict[Waiter, ModelWaiter] = {}
        self.grants: list[str] = []
        self.most_kept = 0

    # -- what happened -----------------------------------------------------------------------------

    def look(self) -> None:
        """Update the health of endpoints, and the leases that ended by the clock."""
        now = self._clock()
        over = [lease for lease in self.out if lease.ended]
        if over:
            self.out = [lease for lease in self.out if not lease.ended]
            self.ended += over
            for lease in over:
                self._model.expire(lease, now)
        if self._model.rules.health:
            self._model.see({stats.name: stats.health for stats in endpoint_stats(self._core.ledger, now)}, now)

    def granted(self, lease: Lease | None, request: Request) -> None:
        """Record what an acquire got at once. Nothing is right only if nothing was free."""
        self.look()
        keepers, now = self._keepers(), self._clock()
        self._model.observe(now, keepers)
        free = self._model.free_for(request, {*keepers, *self._short()}, now=now)
        if lease is None:
            assert not free, f"no lease for {request}, although {free[0].spec.name} has a slot free"
            return
        self._model.grant(lease.id, lease.endpoint.name, request, self._clock())
        self._take(lease, free)
        self._model.observe(now, keepers)

    def gave_up(self, waiter: Waiter, kind: type[BalancerError]) -> None:
        """Record a waiter that ended without a lease."""
        model = self.waiting.pop(waiter)
        assert isinstance(waiter.error, kind), f"a waiter ended with {waiter.error!r}, not with {kind.__name__}"
        if kind is AcquireTimeout:
            self._model.time_out(model)
        else:
            self._model.give_up(model, cancelled=kind is BalancerError)
        self._finish(waiter)

    def settle(self, ended: Sequence[Waiter]) -> None:
        """Compare what a call did to the waiters with what it should have done."""
        left = set(ended)
        assert len(left) == len(ended), "a waiter was reported twice"
        self.look()
        keepers, short = self._keepers(), self._short()
        if self._model.rules.holders is not None:
            self._settle_fairly(ended, keepers, short)
            return
        core_of = {model: waiter for waiter, model in self.waiting.items()}
        for model in self._model.in_order():  # oldest claim first: this is the order in which slots are due
            waiter = core_of[model]
            if self._settle_one(
                waiter, model, [*kept_before(self._model, model, keepers), *kept_before(self._model, model, short)]
            ):
                assert waiter in left, "a waiter ended, but was not reported to the shell, which must wake it"
                left.remove(waiter)
        assert not left, f"{left} were reported, but did not wait"
        self._model.observe(self._clock(), keepers)

    # -- whether it agrees -------------------------------------------------------------------------

    def snapshot(self) -> tuple[object, ...]:
        """Return all visible state of the core, for a comparison."""
        endpoints, totals, waits = self._core.counters(self._clock())
        self.look()  # it has let time do what was due
        self._model.observe(self._clock(), self._keepers())
        ended = [waiter.ended for waiter in self.waiting]
        leases = [repr(lease) for lease in self.out]
        return endpoints, totals, waits.summary(totals["acquired"]), ended, leases, repr(self._core)

    def check(self) -> None:
        """Check that core and model agree on everything."""
        core, model, now = self._core, self._model, self._clock()
        counters = core.counters(now)  # does what is due by time, if there are no waiters
        self.look()
        keepers, short = self._keepers(), self._short()
        model.observe(now, keepers)
        check_counters(counters, model, keepers, now)
        check_kinds(core)
        check_table(core, model, now)
        check_holders(core, model, now)
        check_told(core, model)
        check_kept(model, list(self._heads().values()), keepers, short, now)
        check_short(model, list(self._heads().values()), keepers, short, now)
        check_share(model)
        if core.due_s > now:
            check_time(model, now)
            check_weights(core, model, now)
        assert not any(waiter.ended for waiter in self.waiting), "a waiter ended, but was not reported to the shell"
        self._check_nobody_may(now, keepers, short)
        for at_s in model.instants(now) if model.rules.gated and model.waiters else ():
            if at_s >= core.due_s:
                break
            self._check_nobody_may(at_s, keepers, short)

    def _check_nobody_may(
        self, at_s: float, keepers: Mapping[str, ModelWaiter], short: Mapping[str, ModelWaiter]
    ) -> None:
        """Check that no waiter could be served at `at_s`, which is now or before anything is due."""
        model = self._model
        for waiter in model.waiters:
            if at_s < waiter.deadline_s and not self._is_behind(waiter):
                kept = [*kept_before(model, waiter, keepers), *kept_before(model, waiter, short)]
                free = model.free_for(waiter.request, kept, now=at_s, since_s=waiter.since_s)
                assert not free, f"{free[0].spec.name} has a slot free that a waiter could use"

    def _is_behind(self, waiter: ModelWaiter) -> bool:
        """Return whether an earlier waiter asks for the same: these are served in order, whatever their tokens."""
        if not self._model.rules.quotas:
            return False
        whose = waiter.request.terms and waiter.request.terms.holder if self._model.rules.holders is not None else ""
        return any(
            other.claim < waiter.claim
            and (other.request, other.priority) == (waiter.request, waiter.priority)
            and (self._model.rules.holders is None or (other.request.terms and other.request.terms.holder) == whose)
            for other in self._model.waiters
        )

    def check_ended(self) -> None:
        """Check that ended waiters have not changed."""
        for waiter, lease, error in self._finished:
            assert (waiter.lease, waiter.error) == (lease, error), "a waiter that had ended ended again"

    def ends(self) -> Counter[str]:
        """Return how many waits ended in which way: by the name of the error, or "lease"."""
        return Counter(type(error).__name__ if error else "lease" for _, _, error in self._finished)

    # -- inside ------------------------------------------------------------------------------------

    def _settle_fairly(
        self, ended: Sequence[Waiter], keepers: Mapping[str, ModelWaiter], short: Mapping[str, ModelWaiter]
    ) -> None:
        """Check the waiters that ended, in the order in which they did; each changes who is next."""
        pool, now, kept = self._model, self._clock(), {**keepers, **short}
        for waiter in ended:
            each = self.waiting.get(waiter)
            assert each is not None, f"{waiter} was reported, but did not wait"
            if waiter.lease is None:
                self.gave_up(waiter, NoEndpoint if pool.hopeless(each.request) else AcquireTimeout)
                continue
            for other in pool.waiters:
                if pool.is_before(other, each, now) and now < other.deadline_s and not self._is_behind(other):
                    others = kept_before(pool, other, kept)
                    free = pool.free_for(other.request, others, now=now, since_s=other.since_s)
                    assert not free, f"{waiter.lease} is for {each}, although {other} was to be served before"
            taken = [name for name, keeper in kept.items() if pool.is_before(keeper, each, now)]
            free = pool.free_for(each.request, taken, now=now, since_s=each.since_s)
            assert free, f"{waiter.lease} for a waiter that no free slot can serve"
            self._serve(waiter, each, free)
        for waiter, each in self.waiting.items():
            assert not waiter.ended, "a waiter ended, but was not reported to the shell, which must wake it"
            assert not pool.hopeless(each.request), f"{each} still waits, although no endpoint could ever serve it"
        self._check_nobody_may(now, keepers, short)
        pool.observe(now, keepers)

    def _settle_one(self, waiter: Waiter, model: ModelWaiter, kept: Collection[str]) -> bool:
        """Check one waiter; return whether it ended."""
        if self._model.hopeless(model.request):
            self.gave_up(waiter, NoEndpoint)
            return True
        # A waiter past its deadline may end now or by its own timer. It must not be served, except at its arrival.
        if self._clock() >= model.deadline_s and not (waiter.lease and self._clock() == model.since_s):
            if waiter.ended:
                self.gave_up(waiter, AcquireTimeout)
            return waiter.ended
        free = []
        if not self._is_behind(model):
            free = self._model.free_for(model.request, kept, now=self._clock(), since_s=model.since_s)
        if not free:
            assert not waiter.ended, f"{waiter.lease or waiter.error!r} for a waiter that no free slot can serve"
            return False
        self._serve(waiter, model, free)
        return True

    def _serve(self, waiter: Waiter, model: ModelWaiter, free: Sequence[ModelEndpoint]) -> None:
        lease = waiter.lease
        assert lease is not None, (
            f"{free[0].spec.name} has a slot free, but the oldest waiter that can use it still waits"
        )
        self._model.serve(model, lease.id, lease.endpoint.name, self._clock())
        del self.waiting[waiter]
        self._finish(waiter)
        self._take(lease, free)

    def _finish(self, waiter: Waiter) -> None:
        assert (waiter.lease is None) != (waiter.error is None), "a waiter ends with a lease or an error, not both"
        self._finished.append((waiter, waiter.lease, waiter.error))

    def _take(self, lease: Lease, free: Sequence[ModelEndpoint]) -> None:
        known = self._model.find(lease.endpoint.name)
        assert known is not None, f"{lease} is not in the pool"
        assert known in free, f"{lease} has slots that are reserved for an older claim"
        assert lease.endpoint == known.spec, f"{lease} shows {lease.endpoint}, but the spec is {known.spec}"
        assert lease.granted_s == self._clock(), f"{lease} says it was granted at {lease.granted_s}"
        slots = known.held[lease.id][1]
        assert lease.slots == slots, f"{lease} has {lease.slots} slots, not {slots}"
        self.out.append(lease)
        self.grants.append(lease.endpoint.name)

    def _heads(self) -> dict[object, ModelWaiter]:
        """Return the waiter with the oldest claim of each group that asks for the same."""
        heads: dict[object, ModelWaiter] = {}
        for waiter, model in self.waiting.items():  # in order of arrival, as in a group
            if not waiter.ended:
                heads.setdefault(waiter.group, model)
        return heads

    def _short(self) -> dict[str, ModelWaiter]:
        """Return for which waiter the quota of each endpoint is kept, by endpoint name."""
        heads = self._heads()
        short: dict[str, ModelWaiter] = {}
        for meter, whom in self._core.admission.kept.items():
            for endpoint in self._model.endpoints:
                if endpoint.spec.quota == meter.name:
                    short[endpoint.spec.name] = heads[whom]
        return short

    def _keepers(self) -> dict[str, ModelWaiter]:
        """Return for which waiter the slots of each endpoint are kept, by endpoint name, checked."""
        heads, kept = self._heads(), self._core.reservations.accounts
        self.most_kept = max(self.most_kept, len(kept))
        keepers: dict[str, ModelWaiter] = {}
        for whom, account in kept.items():
            model, endpoint = heads[whom], self._model.find(account.endpoint.name)
            assert endpoint is not None, f"{account.endpoint.name} is reserved, but is not in the pool"
            assert model.request.slots > 1, f"{endpoint.spec.name} is reserved for {model}, which needs only one slot"
            assert endpoint.serves(model.request), (
                f"{endpoint.spec.name} is reserved for {model}, which it cannot serve"
            )
            for other in self._model.together(endpoint):
                assert other.spec.name not in keepers, f"{other.spec.name} is reserved twice"
                keepers[other.spec.name] = model
        return keepers
