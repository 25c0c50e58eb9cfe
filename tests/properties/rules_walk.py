"""A random walk over a core with random rules; see `rules_judge` for what must hold after each step.

Decides which calls come how often, and draws the rules. The same seed makes the same walk.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Hint, Lease, Outcome
from balancer.errors import NoEndpoint, TooManyWaiters
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.strategy import ANY, Request
from balancer.testing.shadow import Maker
from tests.properties.rules_judge import Judge, Rules, Told

__all__ = ["Walked", "rules_of", "walk_by_rules"]

_MAX_WAITERS = 12
_LABELS = (frozenset[str](), frozenset("a"), frozenset("b"), frozenset("ab"))
_HOSTS = ("h0", "h1", "h2")
_PAUSES_S = (0.001, 0.05, 0.3, 1.0, 5.0, 40.0)
_OUTCOMES = (*[Outcome.SUCCESS] * 5, *[Outcome.FAILURE] * 4, Outcome.OVERLOAD, Outcome.IGNORED)


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk did and saw."""

    grants: tuple[str, ...]
    ends: Counter[str]  # of waits, by error or "lease"
    seen: frozenset[str]  # states of health, and "panic"
    most_kept: int  # endpoints kept at once


class _Lender:
    def release(self, lease: Lease, outcome: Outcome) -> None:
        raise AssertionError("the walk gives leases back by itself")


def rules_of(rng: random.Random) -> Rules:
    """Return random rules; each kind of rule is missing now and then."""
    cooldown_s = rng.choice((0.1, 1.0, 5.0))
    health = HealthSettings(
        consecutive_failures=rng.choice((0, 1, 2, 3)),
        success_rate=rng.choice((0.0, 0.5, 0.9)),
        success_volume=rng.choice((2.0, 5.0)),
        decay_s=rng.choice((1.0, 30.0)),
        interval_s=rng.choice((0.5, 5.0)),
        min_hosts=rng.choice((2, 3, 5)),
        rate_volume=rng.choice((3, 10)),
        failure_volume=rng.choice((3, 10)),
        failure_share=rng.choice((0.5, 0.85)),
        cooldown_s=cooldown_s,
        max_cooldown_s=cooldown_s * rng.choice((1, 10, 60)),
        max_ejected_share=rng.choice((0.0, 0.1, 0.3, 0.5, 0.7, 1.0)),
        panic_share=rng.choice((0.0, 0.3, 0.5, 0.7, 1.0)),
        slow_start_s=rng.choice((0.0, 0.5, 10.0)),
    )
    limits = LimitSettings(kind="aimd", initial=rng.randint(1, 5), backoff=rng.choice((0.5, 0.9)))
    caps = {"h0": rng.randint(1, 5), "h1": rng.randint(1, 5), "*": rng.randint(1, 8)}
    some = rng.sample(sorted(caps), rng.randint(0, 3))
    return Rules(
        health if rng.random() < 0.85 else None,
        limits if rng.random() < 0.4 else None,
        {host: caps[host] for host in some} if rng.random() < 0.6 else {},
    )


def walk_by_rules(
    make: Maker, steps: int, *, seed: int, endpoints: int = 4, others: Sequence[Maker] = (), rules: Rules | None = None
) -> Walked:
    """Take `steps` random steps with the strategy that `make` makes.

    Args:
        make: makes the strategy under test.
        steps: how many calls to make.
        seed: of the walk, the rules and the strategy.
        endpoints: how many URLs there are; nearly all of them are in service nearly always.
        others: strategies that take over for a while.
        rules: in force; by default random ones.

    Raises:
        AssertionError: something does not hold.
    """
    walker = _Walker(make, seed, endpoints, others, rules)
    names, weights = zip(*_MOVES.items(), strict=True)
    try:
        for name in walker.random.choices(names, weights, k=steps):
            getattr(walker, name)()
        walker.finish()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {endpoints} endpoints: {error}") from error
    judge = walker.judge
    ends = Counter(type(error).__name__ if error else "lease" for _, _, error in judge.finished)
    return Walked(tuple(judge.grants), ends, frozenset(judge.seen), judge.most_kept)


class _Walker:
    """One method for each move; each draws its own arguments."""

    def __init__(self, make: Maker, seed: int, endpoints: int, others: Sequence[Maker], rules: Rules | None) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self._makers = (make, *others)
        self._urls = [f"e{number}" for number in range(endpoints)]
        rules = rules or rules_of(self.random)
        specs = [self._spec(url) for url in self._urls]
        self._core = Core(
            specs,
            Told(make, random.Random(seed)),
            lender=_Lender(),
            max_waiters=_MAX_WAITERS,
            health=rules.health,
            limits=rules.limits,
            host_caps=rules.host_caps,
            rng=random.Random(seed + 1),
            now=self.now,
        )
        self.judge = Judge(self._core, rules, specs, self.now)
        self.judge.settle((), self.now)

    # -- moves -------------------------------------------------------------------------------------

    def acquire(self) -> None:
        self._acquire(
            self._request(), self.random.choice((0.0, 0.2, 30.0, math.inf)), self.random.choice((0, 0, 0, 1, -1, 4))
        )

    def release(self) -> None:
        leases = [lease for server in self.judge.servers.values() for lease in server.out.values()]
        if leases:
            lease = self.random.choice(leases)
            # Endpoints with an odd last digit fail most calls.
            bad = lease.endpoint.url[-1] in "13579" and self.random.random() < 0.7
            self._release(lease, Outcome.FAILURE if bad else self.random.choice(_OUTCOMES))

    def amend(self) -> None:
        if self.judge.claims:
            waiter, request = self.random.choice(list(self.judge.claims)), self._request()
            hopeless = self.judge.hopeless(request) and request != waiter.request
            try:
                ended = self._core.amend(waiter, request, self.now)
            except NoEndpoint:
                assert hopeless
                self._settle([])
            else:
                assert not hopeless
                self.judge.amended(waiter, request)
                self._settle(ended)

    def cancel(self) -> None:
        if self.judge.claims:
            self._give_up(self.random.choice(list(self.judge.claims)), timed_out=False)

    def pass_time(self) -> None:
        self.now += self.random.choice(_PAUSES_S)
        if self.random.random() < 0.7:  # else whoever drives the core is late
            self.tick()
            self.time_out()

    def tick(self) -> None:
        if self.now >= self._core.due_s:
            self._settle(self._core.tick(self.now))
            assert self._core.due_s > self.now, "it is due again at once"
        if self.now < self._core.due_s:
            self.judge.check_time(self.now)

    def time_out(self) -> None:
        for waiter in list(self.judge.claims):
            if self.now >= waiter.deadline_s and not waiter.ended:
                self._give_up(waiter, timed_out=True)

    def add(self) -> None:
        url = self.random.choice(self._urls)
        server = self.judge.servers.get(url)
        if server is None or server.state != "active":
            spec = self._spec(url)
            ended = self._core.add(spec, self.now)
            self.judge.added(spec, self.now)
            self._settle(ended)

    def update(self) -> None:
        url = self.random.choice(self._urls)
        server = self.judge.servers.get(url)
        if server is not None and server.state == "active":
            fresh = self._spec(url)
            field = self.random.choice(("capacity", "capacity", "weight", "labels", "host"))
            spec = replace(server.spec, **{field: getattr(fresh, field)})
            ended = self._core.update(spec, self.now)
            self.judge.updated(spec)
            self._settle(ended)

    def drain(self) -> None:
        url = self.random.choice(self._urls)
        if url in self.judge.servers:
            ended = self._core.drain(url, self.now)
            self.judge.stopped(url, "draining")
            self._settle(ended)

    def remove(self) -> None:
        url = self.random.choice(self._urls)
        if url in self.judge.servers:
            ended = self._core.remove(url, self.now)
            self.judge.stopped(url, "retiring")
            self._settle(ended)

    def ping(self) -> None:
        ok, conclusive = self.random.random() < 0.6, self.random.random() < 0.3
        self._settle(self._core.pinged(self.random.choice(self._urls), ok, self.now, conclusive=conclusive))

    def set_strategy(self) -> None:
        chosen = Told(self.random.choice(self._makers), random.Random(self.random.random()))
        self._settle(self._core.set_strategy(chosen, self.now))

    # -- the end -----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Give everything back, let time heal, and check that nothing has drifted."""
        judge = self.judge
        self._release_all()
        for _ in range(100):  # cooldowns, probes and slow starts
            if self._core.due_s < math.inf:
                self.now = max(self.now + 10.0, self._core.due_s)
            self.tick()
            for url in self._urls:  # each by itself: a strategy, or its host, may prefer another
                self._lease(Request(exclude=frozenset(self._urls) - {url}))
                self._release_all()
            if self._core.due_s == math.inf and {server.health for server in judge.in_service()} <= {"", "healthy"}:
                break
        else:
            raise AssertionError("somebody never comes back")
        for waiter in list(judge.claims):
            self._give_up(waiter, timed_out=False)
        while self._lease(ANY):
            pass
        assert not any(judge.free(server) > 0 for server in judge.servers.values()), "a slot cannot be leased"
        self._release_all()
        assert all(stats.in_flight == 0 for stats in self._core.counters(self.now)[0])
        judge.check_ended()

    def _lease(self, request: Request) -> bool:
        lease = self._core.acquire(request, self.now)
        if lease is not None:
            self.judge.granted(lease, request, self.now)
        return lease is not None

    def _release_all(self) -> None:
        while leases := [lease for server in self.judge.servers.values() for lease in server.out.values()]:
            self._release(leases[0], Outcome.SUCCESS)

    # -- inside ------------------------------------------------------------------------------------

    def _acquire(self, request: Request, timeout_s: float, priority: int) -> None:
        judge = self.judge
        lease = self._core.acquire(request, self.now)
        if lease is not None:
            judge.granted(lease, request, self.now)
            return
        judge.settle((), self.now)
        hopeless = judge.hopeless(request)
        deadline_s = self.now + timeout_s
        try:
            waiter = self._core.wait(request, self.now, deadline_s, priority, _never)
        except NoEndpoint:
            assert hopeless
        except TooManyWaiters:
            assert len(judge.claims) == _MAX_WAITERS
        else:
            assert not hopeless
            judge.waits(waiter, request, self.now, priority)
            judge.settle([waiter] if waiter.ended else [], self.now)
            if timeout_s == 0.0 and not waiter.ended:
                self._give_up(waiter, timed_out=True)

    def _release(self, lease: Lease, outcome: Outcome) -> None:
        if outcome is Outcome.OVERLOAD:
            lease.hint = self.random.choice((None, Hint(retry_after_s=self.random.choice((0.0, 0.5, 8.0, 1e4)))))
        elif outcome is Outcome.FAILURE and self.random.random() < 0.3:
            lease.hint = Hint(timed_out=True)
        ended = self._core.release(lease, outcome, self.now)
        self.judge.returned(lease, outcome, self.now)
        self._settle(ended)

    def _give_up(self, waiter: Waiter, *, timed_out: bool) -> None:
        others = self._core.cancel(waiter, self.now, timed_out=timed_out)
        self._settle([waiter, *others])

    def _settle(self, ended: Sequence[Waiter]) -> None:
        self.judge.settle(ended, self.now)

    def _request(self) -> Request:
        if self.random.random() < 0.4:
            return ANY
        exclude = self.random.sample(self._urls, self.random.choice((0, 0, 0, min(1, len(self._urls)))))
        slots = self.random.choice((1, 1, 2, 3, 4))
        key = self.random.choice((None, "k1", "k2"))
        labels = self.random.choice((_LABELS[0], _LABELS[0], *_LABELS))
        return Request(labels, frozenset(exclude), slots, key)

    def _spec(self, url: str) -> Endpoint:
        return Endpoint(
            url,
            capacity=self.random.randint(1, 4),
            weight=self.random.choice((0.25, 1.0, 1.0, 3.0)),
            labels=self.random.choice(_LABELS),
            host=self.random.choice(_HOSTS),
        )


def _never() -> None:
    raise AssertionError("the core woke a waiter; only the shell may")


# How often each move comes.
_MOVES: dict[str, int] = {
    "acquire": 400,
    "release": 340,
    "amend": 30,
    "cancel": 20,
    "pass_time": 120,
    "add": 60,
    "update": 25,
    "drain": 8,
    "remove": 8,
    "ping": 25,
    "set_strategy": 2,
}
