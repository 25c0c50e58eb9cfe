"""Holds a core against the naive model: what must agree, and who must have been served.

Decides what "agree" means, which is the whole contract of the core and of a strategy inside it:

- conservation: the slots out of an endpoint are its in-flight, and at the grant at most its limit, and those of its
  host at most the host's cap; a lease has as many as were asked for;
- nothing is granted that is draining, retiring, excluded or without the labels asked for;
- lease ids grow and are never used again; the table shows the leases that are out, and no other; a lease whose time is
  over has ended, and no other; a waiter ends once, and never with a lease after its deadline;
- work conservation: no waiter could use a slot that is free, unless it is kept for an older claim that needs several;
- one endpoint (and those that share its host) is kept for each of these, and no more;
- order: of the waiters that can use a freed slot, the one with the oldest claim gets it;
- what is refused (a second return, a stranger's lease, an unknown URL) changes nothing at all.

It must not choose the calls, nor make them. Every breach is an AssertionError with one line that says
what happened and what should have.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from math import isclose

from balancer.core import Core, Waiter
from balancer.core.metrics import EndpointStats, WaitStats
from balancer.endpoint import Lease, Outcome
from balancer.errors import AcquireTimeout, BalancerError, NoEndpoint
from balancer.strategy import Request
from balancer.testing.clock import ManualClock
from balancer.testing.model import ModelEndpoint, ModelPool, ModelWaiter

__all__ = ["Law", "Referee"]

Law = Callable[[Sequence[ModelEndpoint], str], None]
"""Told the endpoints that could have been granted, as they were just before, and the URL that was."""


class Referee:
    """Watches a core and its model.

    Attributes:
        out: the leases out, oldest first.
        waiting: those who wait, in order of arrival.
        grants: the URL of every lease granted so far.
    """

    def __init__(self, core: Core, model: ModelPool, clock: ManualClock, law: Law | None) -> None:
        self._core = core
        self._model = model
        self._clock = clock
        self._law = law
        self._finished: list[tuple[Waiter, Lease | None, BalancerError | None]] = []
        self.out: list[Lease] = []
        self.waiting: dict[Waiter, ModelWaiter] = {}
        self.grants: list[str] = []

    # -- what happened -----------------------------------------------------------------------------

    def granted(self, lease: Lease | None, request: Request) -> None:
        """Book what an acquire got at once; nothing, only if nothing was free."""
        free = self._model.free_for(request, self._keepers())
        if lease is None:
            assert not free, f"no lease for {request}, though {free[0].spec.name} has a slot free"
            return
        self._judge(free, lease)
        self._model.grant(lease.id, lease.endpoint.name, request, self._clock())
        self._take(lease)

    def gave_up(self, waiter: Waiter, kind: type[BalancerError]) -> None:
        """Book a waiter that ended without a lease."""
        model = self.waiting.pop(waiter)
        assert isinstance(waiter.error, kind), f"a waiter ended with {waiter.error!r}, not with {kind.__name__}"
        if kind is AcquireTimeout:
            self._model.time_out(model)
        else:
            self._model.give_up(model)
        self._finish(waiter)

    def expired(self) -> list[Lease]:
        """Book the leases whose time is over; each must have ended."""
        over = set(self._model.expire(self._clock()))
        leases = [lease for lease in self.out if lease.id in over]
        self.out = [lease for lease in self.out if lease.id not in over]
        for lease in leases:
            assert lease.ended, f"the time of {lease} is over, but it is still out"
        for lease in self.out:
            assert not lease.ended, f"{lease} ended before its time was over"
        return leases

    def settle(self, ended: Sequence[Waiter]) -> None:
        """Hold what a call did to the waiters against what it should have done."""
        left = set(ended)
        assert len(left) == len(ended), "a waiter was reported twice"
        keepers = self._keepers()
        core_of = {model: waiter for waiter, model in self.waiting.items()}
        for model in self._model.in_order():  # oldest claim first: this is the order in which slots are due
            waiter = core_of[model]
            if self._settle_one(waiter, model, _kept_before(model, keepers)):
                assert waiter in left, "a waiter ended, but the shell was not told to wake it"
                left.remove(waiter)
        assert not left, f"{left} were reported, but did not wait"

    # -- whether it agrees -------------------------------------------------------------------------

    def snapshot(self) -> tuple[object, ...]:
        """Return all that can be seen of the core, to compare."""
        endpoints, totals, waits = self._core.counters(self._clock())
        ended = [waiter.ended for waiter in self.waiting]
        leases = [repr(lease) for lease in self.out]
        return endpoints, totals, waits.summary(totals["acquired"]), ended, leases, repr(self._core)

    def check(self) -> None:
        """Check that core and model agree on everything."""
        now = self._clock()
        model = self._model
        endpoints, totals, waits = self._core.counters(now)
        expected = {
            "acquired": model.acquired,
            "timed_out": model.timed_out,
            "waiting": len(model.waiters),
            "calls": model.ends.total() - model.ends[Outcome.IGNORED],
            "failures": model.ends[Outcome.FAILURE],
            "overloads": model.ends[Outcome.OVERLOAD],
            **dict.fromkeys(("retries", "hedges", "ejections"), 0),
        }
        assert totals == expected, f"the totals are {totals}, not {expected}"
        rows = [(row.id, row.endpoint, row.holder, row.age_s, row.slots) for row in self._core.leases(now)]
        assert rows == model.table(now), f"the leases that are out are {rows}, not {model.table(now)}"
        keepers = self._keepers()
        self._check_endpoints(endpoints, keepers, now)
        _check_waits(waits.summary(model.acquired), model)
        self._check_waiters(keepers, now)

    def check_ended(self) -> None:
        """Check that who has ended has stayed so."""
        for waiter, lease, error in self._finished:
            assert (waiter.lease, waiter.error) == (lease, error), "a waiter that had ended ended again"

    # -- inside ------------------------------------------------------------------------------------

    def _settle_one(self, waiter: Waiter, model: ModelWaiter, kept: Collection[str]) -> bool:
        """Check one waiter; return whether it ended."""
        if self._model.hopeless(model.request):
            self.gave_up(waiter, NoEndpoint)
            return True
        # Whose time is up may be told so now or by its own timer, but must not be served, unless at its arrival.
        if self._clock() >= model.deadline_s and not (waiter.lease and self._clock() == model.since_s):
            if waiter.ended:
                self.gave_up(waiter, AcquireTimeout)
            return waiter.ended
        free = self._model.free_for(model.request, kept)
        if not free:
            assert not waiter.ended, f"{waiter.lease or waiter.error!r} for a waiter that no free slot can serve"
            return False
        self._serve(waiter, model, free)
        return True

    def _serve(self, waiter: Waiter, model: ModelWaiter, free: Sequence[ModelEndpoint]) -> None:
        lease = waiter.lease
        assert lease is not None, f"{free[0].spec.name} has a slot free, but the oldest who can use it waits on"
        self._judge(free, lease)
        self._model.serve(model, lease.id, lease.endpoint.name, self._clock())
        del self.waiting[waiter]
        self._finish(waiter)
        self._take(lease)

    def _finish(self, waiter: Waiter) -> None:
        assert (waiter.lease is None) != (waiter.error is None), "a waiter ends with a lease or an error, not both"
        self._finished.append((waiter, waiter.lease, waiter.error))

    def _judge(self, free: Sequence[ModelEndpoint], lease: Lease) -> None:
        if self._law is not None:
            self._law(free, lease.endpoint.name)

    def _take(self, lease: Lease) -> None:
        known = self._model.find(lease.endpoint.name)
        assert known is not None, f"{lease} is not in the pool"
        assert lease.endpoint == known.spec, f"{lease} shows {lease.endpoint}, but the spec is {known.spec}"
        assert lease.granted_s == self._clock(), f"{lease} says it was granted at {lease.granted_s}"
        slots = known.held[lease.id][1]
        assert lease.slots == slots, f"{lease} has {lease.slots} slots, not {slots}"
        self.out.append(lease)
        self.grants.append(lease.endpoint.name)

    def _keepers(self) -> dict[str, ModelWaiter]:
        """Return for whom the slots of which URL are kept, checked."""
        heads: dict[object, ModelWaiter] = {}
        for waiter, model in self.waiting.items():  # in order of arrival, as in a group
            if not waiter.ended:
                heads.setdefault(waiter.group, model)
        keepers: dict[str, ModelWaiter] = {}
        for whom, account in self._core.ledger.kept.items():
            model, endpoint = heads[whom], self._model.find(account.endpoint.name)
            assert endpoint is not None, f"{account.endpoint.name} is kept, but is not in the pool"
            assert model.request.slots > 1, f"{endpoint.spec.name} is kept for {model}, which needs one slot only"
            assert endpoint.serves(model.request), f"{endpoint.spec.name} is kept for {model}, which it cannot serve"
            for other in self._model.together(endpoint):
                assert other.spec.name not in keepers, f"{other.spec.name} is kept twice"
                keepers[other.spec.name] = model
        return keepers

    def _check_endpoints(
        self, endpoints: Sequence[EndpointStats], keepers: Mapping[str, ModelWaiter], now: float
    ) -> None:
        found, expected = [e.name for e in endpoints], [e.spec.name for e in self._model.endpoints]
        assert found == expected, f"the endpoints listed are {found}, not {expected}"
        leases = sum(endpoint.leases for endpoint in self._model.endpoints) or 1
        for stats, endpoint in zip(endpoints, self._model.endpoints, strict=True):
            limit = self._model.limit(endpoint)
            if endpoint.spec.name in keepers:
                limit = min(limit, endpoint.in_flight)
            _check_endpoint(stats, endpoint, limit, leases, now)

    def _check_waiters(self, keepers: Mapping[str, ModelWaiter], now: float) -> None:
        assert not any(waiter.ended for waiter in self.waiting), "a waiter ended, but the shell was not told"
        for model in self._model.waiters:
            kept = _kept_before(model, keepers)
            free = self._model.free_for(model.request, kept) if now < model.deadline_s else ()
            assert not free, f"{free[0].spec.name} has a slot free while somebody waits who could use it"


def _kept_before(waiter: ModelWaiter, keepers: Mapping[str, ModelWaiter]) -> list[str]:
    """Return the names of endpoints that are kept for claims older than that of `waiter`."""
    return [url for url, keeper in keepers.items() if keeper.claim < waiter.claim]


def _check_endpoint(stats: EndpointStats, expected: ModelEndpoint, limit: int, leases: int, now: float) -> None:
    spec = expected.spec
    wanted = EndpointStats(
        url=spec.url,
        name=spec.name,
        state=expected.state,
        in_flight=expected.in_flight,
        limit=limit,
        leases=expected.leases,
        failures=expected.failures,
        share=expected.leases / leases,
        busy_s=stats.busy_s,
        overloads=expected.overloads,
        capacity=spec.capacity,
        weight=spec.weight,
    )
    found, right = asdict(stats), asdict(wanted)
    wrong = [f"{name} is {found[name]!r}, not {right[name]!r}" for name in found if found[name] != right[name]]
    assert not wrong, f"{spec.url}: {', '.join(wrong)}"
    busy_s = expected.busy_s(now)
    assert _near(stats.busy_s, busy_s), f"{spec.name}: busy_s is {stats.busy_s}, not {busy_s}"
    assert stats.busy_s >= 0, f"{spec.name}: busy_s is {stats.busy_s}; a time cannot be negative"


def _check_waits(summary: WaitStats, model: ModelPool) -> None:
    assert _near(summary.mean * model.acquired, model.waited_s), f"the mean wait is {summary.mean}"
    longest_s = model.longest_wait_s
    assert summary.max == longest_s, f"the longest wait is {summary.max}, not {longest_s}"


def _near(found: float, expected: float) -> bool:
    # Both add up instants of some thousands or millions of seconds, whose last bit is worth up to 1e-10 s;
    # a walk of 100 000 steps with a random error of that size each strays by 3e-8 s.
    return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6)
