"""Judges a core with rules from outside, by plain counting: lists, sums and scans.

Decides what must hold after every call, whatever the strategy and the rules. It sees how healthy the core says that an
endpoint is, and counts all else itself: leases, slots, limits, hosts, claims. It must not share code with the core.

- Conservation: the slots out of an endpoint are its in-flight. At a grant they are within its limit, and those of its
  host within the host's cap; a lease takes what was asked for, or all there are while they are limited.
- At most the allowed share is ejected; who is ejected or rests is granted nothing, unless there is panic, and nothing
  before the rest that it asked for is over, panic or not; who is half open has one lease at a time.
- A waiter ends once. Nobody is served before an older claim that could have used the slots.
- No slot is free that a waiter could use, unless it is kept for an older claim that needs several; and there is one
  endpoint (with those of its host) kept for each such claim.
- The strategy was told how every node stands.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.strategy import Node, Request, Strategy
from balancer.testing.shadow import Maker

__all__ = ["Judge", "Rules", "Told"]

_PRIORITY_WORTH_S = 10.0


@dataclass(frozen=True)
class Rules:
    """The rules in force; None, or empty, where there is no such rule."""

    health: HealthSettings | None
    limits: LimitSettings | None
    host_caps: dict[str, int]


class Told(Strategy):
    """Any strategy, and what it was told of each node last."""

    def __init__(self, make: Maker, rng: random.Random) -> None:
        self._inner = make(rng)
        self.name = self._inner.name  # type: ignore[misc]  # a class's in the protocol, here it is the inner one's
        self.told: dict[Node, tuple[int, int, float]] = {}

    def join(self, node: Node, now: float) -> None:
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.join(node, now)

    def leave(self, node: Node, now: float) -> None:
        del self.told[node]
        self._inner.leave(node, now)

    def change(self, node: Node, now: float) -> None:
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.change(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        return self._inner.pick(request, now)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        self._inner.finish(node, outcome, elapsed_s, now)


@dataclass
class _Server:
    """One endpoint as the judge counts it."""

    spec: Endpoint
    state: str = "active"
    out: dict[int, Lease] = field(default_factory=dict)
    exact: float = math.inf  # the limit of AIMD, with its fraction
    cut_s: float = -math.inf
    rest_until_s: float = -math.inf
    health: str = ""
    since_s: float = 0.0

    @property
    def in_flight(self) -> int:
        return sum(lease.slots for lease in self.out.values())


@dataclass
class _Claim:
    """One who waits."""

    waiter: Waiter
    request: Request
    age: tuple[float, int]  # the smaller, the older


class Judge:
    """Counts along with a core.

    Args:
        core: is looked at after every call.
        rules: those that the core has.
        specs: the endpoints from the start.
        now: the time.
    """

    def __init__(self, core: Core, rules: Rules, specs: Sequence[Endpoint], now: float) -> None:
        self._core = core
        self._rules = rules
        self.servers: dict[str, _Server] = {}
        self.claims: dict[Waiter, _Claim] = {}
        self.finished: list[tuple[Waiter, Lease | None, Any]] = []
        self.grants: list[str] = []
        self.seen: set[str] = set()  # of health; to show that a walk comes through all of it
        self.most_kept = 0
        self._arrivals = 0
        self._last_id = 0
        for spec in specs:
            self.added(spec, now)

    # -- what is done ------------------------------------------------------------------------------

    def added(self, spec: Endpoint, now: float) -> None:
        """Count an endpoint in, or back in."""
        server = self.servers.setdefault(spec.url, _Server(spec))
        server.spec, server.state, server.rest_until_s, server.since_s = spec, "active", -math.inf, now
        limits = self._rules.limits
        server.exact = min(limits.initial, spec.capacity) if limits and limits.kind == "aimd" else math.inf
        server.cut_s = -math.inf

    def updated(self, spec: Endpoint) -> None:
        """Book another spec. One out of service gets it when it comes back."""
        server = self.servers[spec.url]
        server.spec = spec
        if math.isfinite(server.exact):
            server.exact = min(server.exact, spec.capacity)

    def stopped(self, url: str, state: str) -> None:
        """Count an endpoint out."""
        server = self.servers[url]
        server.state = state if server.state != "retiring" else "retiring"
        server.rest_until_s = -math.inf
        self._forget_the_idle()

    def returned(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Book the end of a lease."""
        server = self.servers[lease.endpoint.url]
        used = server.in_flight
        del server.out[lease.id]
        hint = lease.hint
        if server.state == "active":
            late = outcome is Outcome.FAILURE and hint is not None and hint.timed_out
            if math.isfinite(server.exact):
                self._adapt(server, lease, outcome, outcome is Outcome.OVERLOAD or late, used, now)
            if self._rules.health and outcome is Outcome.OVERLOAD and hint and hint.retry_after_s:
                rest_s = min(hint.retry_after_s, self._rules.health.max_cooldown_s)
                server.rest_until_s = max(server.rest_until_s, now + rest_s)
        self._forget_the_idle()

    def waits(self, waiter: Waiter, request: Request, now: float, priority: int) -> None:
        """Book one more who waits."""
        self._arrivals += 1
        age = now - _PRIORITY_WORTH_S * priority, self._arrivals
        self.claims[waiter] = _Claim(waiter, request, age)

    def amended(self, waiter: Waiter, request: Request) -> None:
        """Book what one who waits asks for from now on; it is as old as it was."""
        self.claims[waiter].request = request

    # -- what came of it ---------------------------------------------------------------------------

    def granted(self, lease: Lease, request: Request, now: float) -> None:
        """Book a grant at once."""
        self._look(now)
        self._book(lease, request, now)
        self.check(now)

    def settle(self, ended: Sequence[Waiter], now: float) -> None:
        """Book those whose wait has ended, and check all that must hold after a call."""
        assert len(set(ended)) == len(ended), "a waiter was reported twice"
        self._look(now)
        served: list[tuple[_Claim, Lease]] = []
        for waiter in ended:
            claim = self.claims.pop(waiter)
            assert (waiter.lease is None) != (waiter.error is None), "a wait ends with a lease or an error"
            self.finished.append((waiter, waiter.lease, waiter.error))
            if waiter.lease is not None:
                assert now < waiter.deadline_s or now == waiter.since_s, "a lease for one whose time is up"
                self._book(waiter.lease, claim.request, now)
                served.append((claim, waiter.lease))
        self._check_order(served, now)
        self.check(now)

    # -- what must hold ----------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Check all that must hold between calls."""
        assert not any(waiter.ended for waiter in self.claims), "a wait ended, but nobody was told"
        stats, totals, _ = self._core.counters(now)
        assert totals["waiting"] == len(self.claims)
        assert [(s.url, s.state, s.in_flight) for s in stats] == [
            (url, server.state, server.in_flight) for url, server in self.servers.items()
        ], "what is out, and of whom"
        self._check_share()
        self._check_idle(now)
        strategy = self._core.ledger.strategy
        assert isinstance(strategy, Told)
        active = self._core.ledger.active()
        stand: dict[Node, tuple[int, int, float]] = {a: (a.ceiling, a.limit, a.weight) for a in active}
        assert strategy.told == stand, "the strategy knows better or worse how nodes stand"

    def check_time(self, now: float) -> None:
        """Check, when time has just done what was due, that nobody is out for longer than the longest cooldown."""
        health = self._rules.health
        if health:
            for url, server in self.servers.items():
                if server.state == "active" and server.health in ("ejected", "resting"):
                    last_s = max(server.since_s + health.max_cooldown_s, server.rest_until_s)
                    assert now <= last_s, f"{url} is {server.health} since {server.since_s}, now it is {now}"

    def check_ended(self) -> None:
        """Check that who has ended has stayed so."""
        for waiter, lease, error in self.finished:
            assert (waiter.lease, waiter.error) == (lease, error), "a waiter that had ended ended again"

    # -- counting ----------------------------------------------------------------------------------

    def in_service(self) -> list[_Server]:
        """Return those that take leases, if they have room."""
        return [server for server in self.servers.values() if server.state == "active"]

    def hopeless(self, request: Request) -> bool:
        """Return whether nobody in service could ever serve `request`."""
        return not any(_admits(server.spec, request) for server in self.in_service())

    @property
    def panic(self) -> bool:
        """True while too few are fit."""
        health, servers = self._rules.health, self.in_service()
        if health is None:
            return False
        fit = sum(server.health not in ("ejected", "half_open") for server in servers)
        return fit * 1000 < round(health.panic_share * 1000) * len(servers)

    def ceiling(self, server: _Server) -> int:
        """Return how many slots there are while the host does nothing else."""
        if server.state != "active":
            return 0
        most: float = min(
            server.spec.capacity, max(1, math.floor(server.exact + 1e-9)) if server.exact < math.inf else 99
        )
        if server.health == "resting":
            most = 0
        elif server.health == "ejected":
            record = self._core.ledger.account(server.spec.url).record
            most = most if self.panic and record and not record.asked else 0
        elif server.health == "half_open" and not self.panic:
            most = min(most, 1)
        cap = self._cap(server)
        return int(most if cap is None else min(most, cap))

    def free(self, server: _Server, *, less: int = 0, less_on_host: int = 0) -> int:
        """Return how many slots are free, if so many fewer were in use."""
        free = self.ceiling(server) - (server.in_flight - less)
        cap = self._cap(server)
        return free if cap is None else min(free, cap - (self._host_in_flight(server) - less_on_host))

    def fits(self, request: Request, server: _Server, **less: int) -> bool:
        """Return whether `server` has room for `request`."""
        takes = min(request.slots, self.ceiling(server))
        return takes > 0 and _admits(server.spec, request) and takes <= self.free(server, **less)

    def _cap(self, server: _Server) -> int | None:
        return self._rules.host_caps.get(str(server.spec.host), self._rules.host_caps.get("*"))

    def _together(self, server: _Server) -> list[_Server]:
        if self._cap(server) is None:
            return [server]
        return [other for other in self.servers.values() if other.spec.host == server.spec.host]

    def _host_in_flight(self, server: _Server) -> int:
        return sum(other.in_flight for other in self._together(server))

    # -- inside ------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """See how healthy the core says that each is."""
        for stats in self._core.counters(now)[0]:
            server = self.servers[stats.url]
            if stats.health != server.health:
                server.health, server.since_s = stats.health, now
                self.seen.add(stats.health)
        if self.panic:
            self.seen.add("panic")

    def _book(self, lease: Lease, request: Request, now: float) -> None:
        server = self.servers[lease.endpoint.url]
        ceiling = self.ceiling(server)
        said = f"{lease!r} of {lease.slots} slots for {request}, {server.health}"
        assert _admits(server.spec, request), said
        assert lease.slots == min(request.slots, ceiling) > 0, f"{said}: its ceiling is {ceiling}"
        assert self.free(server) >= lease.slots, f"{said}: only {self.free(server)} are free"
        assert now >= server.rest_until_s, f"{said}: it asked to be left alone for {server.rest_until_s - now:g} s more"
        assert lease.id > self._last_id, "an id is used again"
        self._last_id = lease.id
        server.out[lease.id] = lease
        self.grants.append(lease.endpoint.url)

    def _adapt(self, server: _Server, lease: Lease, outcome: Outcome, busy: bool, used: int, now: float) -> None:
        limits = self._rules.limits
        assert limits is not None
        whole = max(1, math.floor(server.exact + 1e-9))
        if busy and lease.granted_s > server.cut_s:
            server.exact, server.cut_s = max(1.0, server.exact * limits.backoff), now
        elif outcome is Outcome.SUCCESS and used >= whole:
            server.exact = min(server.spec.capacity, server.exact + lease.slots / whole)

    def _check_share(self) -> None:
        health, servers = self._rules.health, self.in_service()
        if health is None:
            return
        out = sum(server.health in ("ejected", "half_open") for server in servers)
        small = len(servers) in (2, 3) and health.max_ejected_share > 0 and out <= 1
        share_kept = out * 1000 <= round(health.max_ejected_share * 1000) * len(servers)
        assert small or share_kept, f"{out} of {len(servers)} are ejected; {health.max_ejected_share} may be"
        assert out < len(servers) or not out, "all are ejected"

    def _check_order(self, served: Sequence[tuple[_Claim, Lease]], now: float) -> None:
        for claim in self.claims.values():
            if now >= claim.waiter.deadline_s:
                continue
            younger = [lease for other, lease in served if other.age > claim.age]
            for url in {lease.endpoint.url for lease in younger}:
                server = self.servers[url]
                peers = {peer.spec.url for peer in self._together(server)}
                less = sum(lease.slots for lease in younger if lease.endpoint.url == url)
                on_host = sum(lease.slots for lease in younger if lease.endpoint.url in peers)
                could = self.fits(claim.request, server, less=less, less_on_host=on_host)
                assert not could, f"{url} went to a younger claim than {claim}"

    def _check_idle(self, now: float) -> None:
        """No slot is free that a waiter could use, but for those that are kept for an older claim."""
        keepers = self._keepers()
        for claim in self.claims.values():
            if now >= claim.waiter.deadline_s:
                continue
            for url, server in self.servers.items():
                if self.fits(claim.request, server):
                    keeper = keepers.get(url)
                    assert keeper, f"{url} has {self.free(server)} free, but {claim} waits"
                    assert keeper.age < claim.age, f"{url} is kept for {keeper}, but {claim} is older"
        for url, server in self.servers.items():  # what is free is either offered to the strategy, or kept
            offered = self._core.ledger.account(url).free
            expected = 0 if url in keepers else max(0, self.free(server))
            assert offered == expected, f"{url} offers {offered} slots, {expected} are free"

    def _keepers(self) -> dict[str, _Claim]:
        """Return for whom the slots of which URL are kept, checked."""
        heads: dict[object, _Claim] = {}
        for claim in sorted(self.claims.values(), key=lambda claim: claim.age):
            heads.setdefault(claim.waiter.group, claim)
        keepers: dict[str, _Claim] = {}
        kept = self._core.ledger.kept
        self.most_kept = max(self.most_kept, len(kept))
        for whom, account in kept.items():
            claim, server = heads[whom], self.servers[account.endpoint.url]
            assert claim.request.slots > 1, f"{server.spec.url} is kept for {claim}, who needs one"
            assert _admits(server.spec, claim.request)
            for peer in self._together(server):
                assert peer.spec.url not in keepers, f"{peer.spec.url} is kept twice"
                keepers[peer.spec.url] = claim
        for whom, claim in heads.items():  # who needs several and could have an endpoint kept has one
            if claim.request.slots > 1 and whom not in kept:
                for url, server in self.servers.items():
                    could = _admits(server.spec, claim.request) and self.ceiling(server)
                    assert not could or url in keepers, f"nothing is kept for {claim}, not even {url}"
        return keepers

    def _forget_the_idle(self) -> None:
        self.servers = {url: s for url, s in self.servers.items() if s.state != "retiring" or s.out}


def _admits(spec: Endpoint, request: Request) -> bool:
    return request.slots <= spec.capacity and request.labels <= spec.labels and spec.url not in request.exclude
