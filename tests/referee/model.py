"""Naive model of a pool: lists and scans.

It says what a pool should do, as plainly as possible, to compare the real one with it. It does not choose endpoints: it
learns which one was granted, and the health of each from the core, and checks whether that was allowed. It shares no
code, data structure or constant with the core.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf

from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.settings.rules import HolderSettings, QuotaSettings
from balancer.strategy import Request
from tests.referee.model_health import OUT, ModelHealth, RulesInForce

__all__ = ["ModelCharge", "ModelEndpoint", "ModelHolder", "ModelPool", "ModelWaiter"]

# Restated, not imported: the model must notice a change of the pool's figure.
_PRIORITY_WORTH_S = 10.0
_WINDOW_S = 60.0
_MEAN_OF = 64
_ROUNDING = 1e-6  # of sums of slot-seconds


@dataclass(slots=True)
class ModelEndpoint:
    """One endpoint: its spec, its state, its health, and its leases."""

    spec: Endpoint
    state: str = "active"
    standing: ModelHealth = field(default_factory=ModelHealth)
    held: dict[int, tuple[float, int]] = field(default_factory=dict)  # since when, and slots; by lease id
    leases: int = 0
    failures: int = 0
    overloads: int = 0
    successes: int = 0
    ignored: int = 0
    ended_s: float = 0.0  # slot-seconds of the leases that ended
    out_s: float = 0.0  # seconds in service without a slot
    out_since_s: float | None = None
    full_since_s: float = inf  # inf: it has a free slot

    @property
    def in_flight(self) -> int:
        """Slots leased now."""
        return sum(slots for _, slots in self.held.values())

    @property
    def limit(self) -> int:
        """Slots in force, without rules."""
        return self.spec.capacity if self.state == "active" else 0

    def serves(self, request: Request) -> bool:
        """Return whether it may serve `request`, now or later."""
        fits = all(label in self.spec.labels for label in request.labels) and request.slots <= self.spec.capacity
        named = self.spec.name not in request.exclude and request.only in (None, self.spec.name)
        return self.state == "active" and fits and named

    @property
    def fit(self) -> bool:
        """True unless it is ejected for its health, or on trial."""
        return self.standing.health not in (*OUT, "resting")

    def busy_s(self, now: float) -> float:
        """Slot-seconds leased so far."""
        return self.ended_s + sum((now - since_s) * slots for since_s, slots in self.held.values())

    def idle_s(self, now: float) -> float:
        """Seconds in service without a slot so far."""
        return self.out_s + (0.0 if self.out_since_s is None else now - self.out_since_s)


@dataclass(eq=False, slots=True)
class ModelWaiter:
    """One waiter."""

    request: Request
    since_s: float
    deadline_s: float
    priority: int
    number: int  # in the order of arrival

    @property
    def claim(self) -> tuple[float, int]:
        """Its claim: the oldest is served first."""
        return (self.since_s - _PRIORITY_WORTH_S * self.priority, self.number)


@dataclass(slots=True)
class ModelCharge:
    """Use of a quota by a call; it counts until an instant."""

    until_s: float
    calls: int
    tokens: int
    estimate: int = 0
    beyond: int = 0
    most: float = inf  # the whole quota of a minute


@dataclass(eq=False, slots=True)
class ModelHolder:
    """One holder, in a pool with fair shares."""

    settings: HolderSettings = field(default_factory=HolderSettings)
    lead_s: float = 0.0  # added to its service when it came back
    ended_s: float = 0.0  # slot-seconds of the leases that ended
    leases: int = 0
    calls: int = 0
    tokens: int = 0
    waited_s: float = 0.0


class ModelPool:
    """Expected state of a pool. Every illegal move is an AssertionError that says what was wrong."""

    def __init__(self, specs: list[Endpoint], max_waiters: int | None, rules: RulesInForce | None = None) -> None:
        self.rules = rules or RulesInForce()
        self.endpoints: list[ModelEndpoint] = []
        self.waiters: list[ModelWaiter] = []
        self.max_waiters = max_waiters
        self.closed = False
        self.last_id = 0
        self.acquired = 0
        self.timed_out = self.cancelled = 0
        self.ends: Counter[Outcome] = Counter()
        self.over_s: dict[int, float] = {}  # end of the time of each lease, by id
        self.holders: dict[int, str] = {}
        self.waited_s = 0.0  # by all waiters
        self.longest_wait_s = 0.0
        self.ejections = self.retries = self.hedges = 0
        self.seen: set[str] = set()  # of health
        self.charges: dict[str, list[ModelCharge]] = {}  # by quota
        self.charge_of: dict[int, tuple[str, ModelCharge]] = {}  # by lease id
        self.shares: dict[str, ModelHolder] = {}
        self.said: dict[int, int] = {}  # the most tokens that the call of a lease reported, by id
        self._served_s = 0.0
        self._mean_s = 1.0
        self._ends = 0
        self._numbers = 0
        for spec in specs:
            self.add(spec)

    # -- figures, named as in `PoolStats` ----------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Waiters now."""
        return len(self.waiters)

    @property
    def calls(self) -> int:
        """Leases that ended with an outcome other than IGNORED."""
        return self.ends.total() - self.ends[Outcome.IGNORED]

    @property
    def failures(self) -> int:
        """Calls that failed."""
        return self.ends[Outcome.FAILURE]

    @property
    def overloads(self) -> int:
        """Calls that found an endpoint busy."""
        return self.ends[Outcome.OVERLOAD]

    # -- questions ---------------------------------------------------------------------------------

    def find(self, name: str) -> ModelEndpoint | None:
        """Return the endpoint of this name, if there is one."""
        return next((endpoint for endpoint in self.endpoints if endpoint.spec.name == name), None)

    def free_for(
        self, request: Request, kept: Collection[str] = (), *, now: float, since_s: float | None = None
    ) -> list[ModelEndpoint]:
        """Return the endpoints that could serve `request` at once, of the lowest group that can.

        Args:
            request: of the caller.
            kept: names of endpoints that it may not use.
            now: the time.
            since_s: since when it waits; None: it has just arrived.
        """
        if self.is_full(request):
            return []
        reached: list[ModelEndpoint] = []
        for group in self._groups():
            reached += [e for e in self.endpoints if e.spec.group == group and e.state == "active"]
            could = [e for e in reached if e.serves(request) and self._fits(request, e) and e.spec.name not in kept]
            free = [endpoint for endpoint in could if self.has_room(endpoint, request, now)]
            if free or not self._gives_way(group, request, now if since_s is None else since_s, now):
                return free
        return []

    def reach(self, request: Request, since_s: float, now: float) -> list[ModelEndpoint]:
        """Return the endpoints that `request`, arrived at `since_s`, may wait for: those of the open groups."""
        reached: list[ModelEndpoint] = []
        for group in self._groups():
            reached += [e for e in self.endpoints if e.spec.group == group and self.able(e, request)]
            if not self._gives_way(group, request, since_s, now):
                break
        return reached

    def has_room(self, endpoint: ModelEndpoint, request: Request, now: float) -> bool:
        """Return whether the quota of `endpoint` has room for `request`."""
        name, quota = self.quota(endpoint.spec)
        if quota is None:
            return True
        inside = [charge for charge in self.charges.get(name, ()) if charge.until_s > now]
        calls, tokens = sum(charge.calls for charge in inside), sum(charge.tokens for charge in inside)
        enough = quota.tokens_per_min is None or tokens + _estimate(request, quota) <= quota.tokens_per_min
        return enough and (quota.requests_per_min is None or calls + 1 <= quota.requests_per_min)

    def able(self, endpoint: ModelEndpoint, request: Request) -> bool:
        """Return whether it may serve `request`, now or later, also by the size of its quota."""
        _, quota = self.quota(endpoint.spec)
        enough = quota is None or quota.tokens_per_min is None or _estimate(request, quota) <= quota.tokens_per_min
        return enough and endpoint.serves(request)

    def quota(self, spec: Endpoint) -> tuple[str, QuotaSettings | None]:
        """Return the key of the quota that calls of an endpoint count for, and the quota."""
        return (spec.quota, self.rules.quotas[spec.quota]) if spec.quota is not None else ("", None)

    def observe(self, now: float, kept: Collection[str]) -> None:
        """Record which endpoints have no free slot, and since when. Those `kept` have none for any waiter."""
        several = len(self._groups()) > 1
        for endpoint in self.endpoints:
            full = endpoint.in_flight >= self.limit(endpoint) or endpoint.spec.name in kept
            fit = endpoint.state == "active" and self.ceiling(endpoint) and endpoint.fit
            if not (several and full and fit):
                endpoint.full_since_s = inf
            elif endpoint.full_since_s == inf:
                endpoint.full_since_s = now

    def instants(self, now: float) -> list[float]:
        """Return the instants after now, in order, at which time alone may admit a waiter."""
        charges = [charge.until_s for charges in self.charges.values() for charge in charges]
        spill_s = inf if self.rules.spill_after_s is None else self.rules.spill_after_s
        sinces = [*(e.full_since_s for e in self.endpoints), *(waiter.since_s for waiter in self.waiters)]
        return sorted({at_s for at_s in (*charges, *(since_s + spill_s for since_s in sinces)) if now < at_s < inf})

    def together(self, endpoint: ModelEndpoint) -> list[ModelEndpoint]:
        """Return the endpoints that share the cap of its host; only itself if there is no cap."""
        if self._cap(endpoint) is None:
            return [endpoint]
        return [other for other in self.endpoints if _host(other) == _host(endpoint)]

    def ceiling(self, endpoint: ModelEndpoint) -> int:
        """Return how many of its slots may be out at once."""
        if endpoint.state != "active":
            return 0
        cap, most = self._cap(endpoint), endpoint.standing.most(endpoint.spec.capacity)
        return most if cap is None else min(most, cap)

    def limit(self, endpoint: ModelEndpoint) -> int:
        """Return its slots in force, with the present use of its host."""
        ceiling, cap = self.ceiling(endpoint), self._cap(endpoint)
        if cap is None or endpoint.state != "active":
            return ceiling
        on_host = sum(other.in_flight for other in self.together(endpoint))
        return min(ceiling, endpoint.in_flight + max(0, cap - on_host))

    @property
    def ejected(self) -> tuple[int, int]:
        """How many endpoints are ejected or half open, and of how many in service."""
        active = [endpoint for endpoint in self.endpoints if endpoint.state == "active"]
        return sum(endpoint.standing.health in OUT for endpoint in active), len(active)

    def takes(self, request: Request, endpoint: ModelEndpoint) -> int:
        """Return how many of its slots `request` takes: those it asks for, or all there are."""
        return min(request.slots, self.ceiling(endpoint))

    def hopeless(self, request: Request) -> bool:
        """Return whether no endpoint in service could ever serve `request`."""
        return not any(self.able(endpoint, request) for endpoint in self.endpoints)

    def full(self, now: float, deadline_s: float) -> bool:
        """Return whether the queue is full; never for a request that will not wait."""
        return self.max_waiters is not None and len(self.waiters) >= self.max_waiters and deadline_s > now

    def in_order(self) -> list[ModelWaiter]:
        """Return the waiters, oldest claim first."""
        return sorted(self.waiters, key=lambda waiter: waiter.claim)

    # -- fair shares -------------------------------------------------------------------------------

    def holder(self, name: str) -> ModelHolder:
        """Return the holder of this name."""
        rules = self.rules.holders or {}
        return self.shares.setdefault(name, ModelHolder(rules.get(name, rules.get("*", HolderSettings()))))

    def out_of(self, name: str) -> list[tuple[float, int]]:
        """Return the leases that a holder has out: since when, and how many slots."""
        held = (item for endpoint in self.endpoints for item in endpoint.held.items())
        return [facts for lease_id, facts in held if self.holders[lease_id] == name]

    def waits_of(self, name: str) -> int:
        """Return how many calls of a holder wait."""
        return sum(_holder_of(waiter.request) == name for waiter in self.waiters)

    def is_full(self, request: Request) -> bool:
        """Return whether the holder of `request` has as many leases out as it may."""
        if self.rules.holders is None:
            return False
        name = _holder_of(request)
        most = self.holder(name).settings.max_leases
        return most is not None and len(self.out_of(name)) >= most

    def busy_of(self, name: str, now: float) -> float:
        """Return the slot-seconds of a holder."""
        return self.holder(name).ended_s + sum((now - since_s) * slots for since_s, slots in self.out_of(name))

    def service_of(self, name: str, now: float) -> float:
        """Return the service of a holder."""
        holder = self.holder(name)
        return holder.lead_s + self.busy_of(name, now) / holder.settings.weight

    def turn_of(self, name: str, now: float) -> float:
        """Return the place of a holder in the order: its service, with one mean lease ahead for each slot."""
        slots = sum(slots for _, slots in self.out_of(name))
        return self.service_of(name, now) + slots * self._mean_s / self.holder(name).settings.weight

    def is_before(self, one: ModelWaiter, other: ModelWaiter, now: float) -> bool:
        """Return whether `one` is certainly to be served before `other`; with fair shares not if rounding decides."""
        names = _holder_of(one.request), _holder_of(other.request)
        if self.rules.holders is None or names[0] == names[1]:
            return one.claim < other.claim
        first, second = (self.turn_of(name, now) for name in names)
        return first < second - _ROUNDING * max(1.0, abs(second))

    def _arrive(self, request: Request, now: float) -> None:
        """Let a holder that does not wait begin at the service of those that are served."""
        name = _holder_of(request)
        if not self.waits_of(name):
            self.holder(name).lead_s += max(0.0, self._served_s - self.service_of(name, now))

    def _count_start(self, request: Request, now: float) -> None:
        name = _holder_of(request)
        self._arrive(request, now)
        self._served_s = max(self._served_s, self.service_of(name, now))
        self.holder(name).leases += 1

    def _count_end(self, name: str, outcome: Outcome, held_s: float, slots: int) -> None:
        holder = self.holder(name)
        holder.ended_s += held_s * slots
        holder.calls += outcome is not Outcome.IGNORED
        self._ends = min(self._ends + 1, _MEAN_OF)
        self._mean_s += (held_s - self._mean_s) / self._ends

    # -- moves -------------------------------------------------------------------------------------

    def grant(self, lease_id: int, url: str, request: Request, now: float) -> None:
        """Record an observed grant; AssertionError if it was not allowed."""
        endpoint = self.find(url)
        assert endpoint is not None, f"lease {lease_id} is for {url}, which is not in the pool"
        assert endpoint.state == "active", f"lease {lease_id} is for {url}, which is {endpoint.state}"
        assert endpoint.serves(request), f"lease {lease_id} is for {url}, which may not serve {request}"
        assert self._fits(request, endpoint), f"lease {lease_id} is for {url}, which is full"
        rest_s = endpoint.standing.rest_until_s - now
        assert rest_s <= 0, f"lease {lease_id} is for {url}, which asked for a rest of {rest_s:g} s more"
        assert lease_id > self.last_id, f"lease id {lease_id} does not grow; the last was {self.last_id}"
        assert self.has_room(endpoint, request, now), f"lease {lease_id} is for {url}, whose quota has no room for it"
        name, quota = self.quota(endpoint.spec)
        if quota is not None:
            tokens = _estimate(request, quota)
            charge = ModelCharge(now + _WINDOW_S, 1, tokens, tokens, most=quota.tokens_per_min or inf)
            self.charges.setdefault(name, []).append(charge)
            self.charge_of[lease_id] = name, charge
        assert not self.is_full(request), f"lease {lease_id} is for {_holder_of(request)!r}, which has all that it may"
        if self.rules.holders is not None:
            self._count_start(request, now)
        endpoint.held[lease_id] = now, self.takes(request, endpoint)
        endpoint.leases += 1
        self.holders[lease_id] = _holder_of(request)
        if request.terms and request.terms.ttl_s < inf:
            self.over_s[lease_id] = now + request.terms.ttl_s
        self.last_id = lease_id
        self.acquired += 1

    def release(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """End a lease that is out."""
        endpoint = next(e for e in self.endpoints if lease.id in e.held)
        if endpoint.state == "active":
            used, capacity = endpoint.in_flight, endpoint.spec.capacity
            endpoint.standing.ended(lease, outcome, now, self.rules, used=used, capacity=capacity)
        since_s, slots = endpoint.held.pop(lease.id)
        self.over_s.pop(lease.id, None)
        name = self.holders.pop(lease.id)
        self._count_end(name, outcome, now - since_s, slots)
        endpoint.ended_s += (now - since_s) * slots
        self.ends[outcome] += 1
        endpoint.failures += outcome is Outcome.FAILURE
        endpoint.overloads += outcome is Outcome.OVERLOAD
        endpoint.successes += outcome is Outcome.SUCCESS
        endpoint.ignored += outcome is Outcome.IGNORED
        self._forget_retired()

    def used(self, lease: Lease, tokens: int, now: float) -> None:
        """Record how many tokens a call has used so far."""
        if tokens > self.said.get(lease.id, 0):
            self.holder(self.holders[lease.id]).tokens += tokens - self.said.get(lease.id, 0)
            self.said[lease.id] = tokens
        if lease.id in self.charge_of:
            name, charge = self.charge_of[lease.id]
            if tokens > charge.most:
                return  # not believed
            charge.tokens = min(tokens, charge.estimate)
            beyond = max(0, tokens - charge.estimate - charge.beyond)
            charge.beyond += beyond
            self.charges[name].append(ModelCharge(now + _WINDOW_S, 0, beyond))

    def expire(self, lease: Lease, now: float) -> None:
        """End a lease that ended by itself: its time must be over. It counts as no endpoint's failure."""
        assert self.over_s.get(lease.id, inf) <= now, f"{lease} ended before its time was over"
        self.release(lease, Outcome.IGNORED, now)

    def over(self, now: float) -> list[int]:
        """Return the ids of the leases that are out although their time is over."""
        return [lease_id for lease_id, at_s in self.over_s.items() if at_s <= now]

    def table(self, now: float) -> list[tuple[int, str, str, float, int]]:
        """Return id, endpoint, holder, age and slots of each lease that is out, oldest first."""
        rows = [
            (lease_id, e.spec.name, self.holders[lease_id], now - since_s, slots)
            for e in self.endpoints
            for lease_id, (since_s, slots) in e.held.items()
        ]
        return sorted(rows)

    def wait(self, request: Request, now: float, deadline_s: float, priority: int) -> ModelWaiter:
        """Queue a waiter."""
        self._arrive(request, now)
        self._numbers += 1
        waiter = ModelWaiter(request, now, deadline_s, priority, self._numbers)
        self.waiters.append(waiter)
        return waiter

    def amend(self, waiter: ModelWaiter, request: Request) -> None:
        """Change the request of a waiter; its claim stays."""
        waiter.request = request

    def serve(self, waiter: ModelWaiter, lease_id: int, url: str, now: float) -> None:
        """Record an observed hand-off."""
        in_time = now < waiter.deadline_s or now == waiter.since_s
        assert in_time, f"lease {lease_id} went to a waiter {now - waiter.deadline_s:g} s too late"
        self.grant(lease_id, url, waiter.request, now)
        self.waited_s += now - waiter.since_s
        self.holder(_holder_of(waiter.request)).waited_s += now - waiter.since_s
        self.longest_wait_s = max(self.longest_wait_s, now - waiter.since_s)
        self.waiters.remove(waiter)

    def time_out(self, waiter: ModelWaiter) -> None:
        """Record a time-out."""
        self.timed_out += 1
        self.waiters.remove(waiter)

    def give_up(self, waiter: ModelWaiter, *, cancelled: bool) -> None:
        """Record a cancellation, or any other end without a lease."""
        self.cancelled += cancelled
        self.waiters.remove(waiter)

    def add(self, spec: Endpoint) -> None:
        """Take an endpoint into service, or back into it. Of its earlier health only the ejections are kept."""
        endpoint = self.find(spec.name)
        if endpoint is None:
            endpoint = ModelEndpoint(spec)
            self.endpoints.append(endpoint)
        limits = self.rules.limits
        adapts = limits is not None and limits.kind == "aimd"
        exact = min(limits.initial, spec.capacity) if limits and adapts else inf
        endpoint.spec, endpoint.state, endpoint.standing = (
            spec,
            "active",
            ModelHealth(exact=exact, ejections=endpoint.standing.ejections),
        )

    def update(self, spec: Endpoint) -> None:
        """Replace a spec."""
        endpoint = self.find(spec.name)
        assert endpoint is not None, "the caller looked it up"
        if _kind(endpoint.spec) != _kind(spec):
            endpoint.full_since_s = inf  # it is another one now
        endpoint.spec = spec
        if endpoint.standing.exact < inf:
            endpoint.standing.exact = min(endpoint.standing.exact, spec.capacity)

    def see(self, healths: Mapping[str, str], now: float) -> None:
        """Take over the health of each endpoint from the core, by name."""
        for endpoint in self.endpoints:
            health = healths[endpoint.spec.name]
            if endpoint.standing.see(health, now):
                self.ejections += health == "ejected"
                self.seen.add(health)
        for endpoint in self.endpoints:
            out = endpoint.state == "active" and not self.ceiling(endpoint)
            if out and endpoint.out_since_s is None:
                endpoint.out_since_s = now
            elif not out and endpoint.out_since_s is not None:
                endpoint.out_s, endpoint.out_since_s = endpoint.idle_s(now), None

    def stop(self, url: str, state: str) -> None:
        """Drain or retire an endpoint; a retiring one cannot be drained instead."""
        endpoint = self.find(url)
        assert endpoint is not None, "the caller looked it up"
        if endpoint.state != "retiring":
            endpoint.state = state
        self._forget_retired()

    def _fits(self, request: Request, endpoint: ModelEndpoint) -> bool:
        return 0 < self.takes(request, endpoint) <= self.limit(endpoint) - endpoint.in_flight

    def _groups(self) -> list[int]:
        return sorted({endpoint.spec.group for endpoint in self.endpoints if endpoint.state == "active"})

    def _gives_way(self, group: int, request: Request, since_s: float, now: float) -> bool:
        """Return whether `group`, which cannot serve `request` now, has been unable to for long enough."""
        spill_s = inf if self.rules.spill_after_s is None else self.rules.spill_after_s
        able = [
            e for e in self.endpoints if e.spec.group == group and self.able(e, request) and self.ceiling(e) and e.fit
        ]
        return all(min(endpoint.full_since_s, since_s) + spill_s <= now for endpoint in able)

    def _cap(self, endpoint: ModelEndpoint) -> int | None:
        return self.rules.host_caps.get(_host(endpoint), self.rules.host_caps.get("*"))

    def _forget_retired(self) -> None:
        self.endpoints = [e for e in self.endpoints if e.state != "retiring" or e.held]


def _estimate(request: Request, quota: QuotaSettings) -> int:
    return quota.estimate if request.tokens is None else request.tokens


def _kind(spec: Endpoint) -> tuple[object, ...]:
    return spec.labels, spec.capacity, spec.group, spec.quota


def _holder_of(request: Request) -> str:
    return request.terms.holder if request.terms else ""


def _host(endpoint: ModelEndpoint) -> str:
    return endpoint.spec.host or endpoint.spec.name
