"""Random walk over all calls on a pool, compared with the naive model at every step.

It needs only the standard library, and is fast enough for 100 000 steps. For a short counterexample use
`balancer.testing.conformance`, which shrinks.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balancer.endpoint import Outcome
from balancer.testing.draws import HOST_CAPS, PAUSES_S, TIMEOUTS_S, Draws, urls_of
from balancer.testing.model_health import RulesInForce
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import ReferenceCheck, StrategyFactory

__all__ = ["FULL_HOSTS", "Walk", "random_walk"]

_MAX_WAITERS = 12
FULL_HOSTS = RulesInForce(host_caps=HOST_CAPS)


@dataclass(frozen=True, slots=True)
class Walk:
    """Result of a walk.

    Attributes:
        moves: how often each move was made.
        grants: the name of every endpoint that was leased, in order.
        ends: how many waits ended in which way, by the name of the error or "lease".
        seen: states of health, and "panic".
        most_kept: the most endpoints kept at once.
    """

    moves: Counter[str]
    grants: tuple[str, ...]
    ends: Counter[str]
    seen: frozenset[str]
    most_kept: int

    @property
    def handed_off(self) -> int:
        """How many leases went to waiters."""
        return self.ends["lease"]

    @property
    def timed_out(self) -> int:
        """How many waits ended by their deadline."""
        return self.ends["AcquireTimeout"]


def random_walk(
    make: StrategyFactory,
    steps: int,
    *,
    seed: int,
    endpoints: int = 6,
    rules: RulesInForce = FULL_HOSTS,
    others: Sequence[StrategyFactory] = (),
    law: GrantRule | None = None,
    thorough_every: int = 1,
) -> Walk:
    """Take `steps` random steps with the strategy that `make` makes.

    Args:
        make: makes the strategy under test.
        steps: number of calls.
        seed: of the walk and of the strategy; the same seed makes the same walk.
        endpoints: number of URLs; nearly all of them are in service nearly always.
        rules: in force; by default two hosts that are full with two leases, and no health.
        others: strategies that take over for a while, to test a live change.
        law: a further rule for each grant, see `GrantRule`.
        thorough_every: compare all counters each time after this many steps; the waiters are checked at every step.

    Raises:
        AssertionError: core and model disagree; the message says how, and the seed.
    """
    walker = _Walker(make, seed, endpoints, rules, others, law)
    ways = {**_MOVES, "used": (80, _Walker.used)} if rules.quotas else _MOVES
    names, weights = zip(*ways.items(), strict=True)
    moves: Counter[str] = Counter()
    try:
        for step, name in enumerate(walker.random.choices(names, [often for often, _ in weights], k=steps)):
            ways[name][1](walker)
            moves[name] += 1
            if step % thorough_every == 0:
                walker.reference.check()
        walker.reference.finish()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {endpoints} endpoints: {error}") from error
    reference = walker.reference
    return Walk(moves, tuple(reference.grants), reference.ends(), frozenset(reference.model.seen), reference.most_kept)


class _Walker:
    """One method for each move, which draws its own arguments."""

    def __init__(
        self,
        make: StrategyFactory,
        seed: int,
        endpoints: int,
        rules: RulesInForce,
        others: Sequence[StrategyFactory],
        law: GrantRule | None,
    ) -> None:
        self.random = random.Random(seed)
        self._makers = (make, *others)
        urls = urls_of(endpoints)
        self._draws = Draws(self.random, urls, rules)
        specs = [self._draws.spec(url) for url in urls]
        self.reference = ReferenceCheck(make, specs, max_waiters=_MAX_WAITERS, rules=rules, seed=seed, law=law)

    def acquire(self) -> None:
        timeout_s, priority = self.random.choice(TIMEOUTS_S), self.random.choice((0, 0, 0, 1, -2, 3))
        self.reference.acquire(self._draws.request(), timeout_s=timeout_s, priority=priority)

    def release(self) -> None:
        if self.reference.out:
            lease = self.random.choice(self.reference.out)
            self.reference.release(lease, *self._draws.ending(lease.endpoint.url))

    def release_by_id(self) -> None:
        if self.reference.out:
            self.reference.release_by_id(self.random.choice(self.reference.out), self.random.choice(list(Outcome)))

    def release_wrongly(self) -> None:
        self.reference.release_foreign()
        if self.reference.ended:
            self.reference.release_again(self.random.choice(self.reference.ended[-50:]))

    def amend(self) -> None:
        if self.reference.waiting:
            self.reference.amend(self.random.choice(self.reference.waiting), self._draws.request())

    def cancel(self) -> None:
        if self.reference.waiting:
            self.reference.cancel(self.random.choice(self.reference.waiting))

    def pass_time(self) -> None:
        self.reference.pass_time(self.random.choice(PAUSES_S), late=self.random.random() < 0.3)

    def time_out(self) -> None:
        self.reference.time_out()

    def used(self) -> None:
        if self.reference.out:
            self.reference.used(self.random.choice(self.reference.out), self._draws.tokens())

    def ping(self) -> None:
        ok, conclusive = self.random.random() < 0.6, self.random.random() < 0.3
        self.reference.ping(self._draws.url(), ok, conclusive=conclusive)

    def add(self) -> None:
        self.reference.add(self._draws.spec(self._draws.url()))

    def update(self) -> None:
        url = self._draws.url()
        field = self.random.choice(("capacity", "capacity", "weight", "labels", "host"))
        known = self.reference.model.find(url)
        if field != "host" or (known and known.state == "active"):  # out of service, one moves when it comes back
            self.reference.update(url, **{field: getattr(self._draws.spec(url), field)})

    def drain(self) -> None:
        self.reference.drain(self._draws.url())

    def remove(self) -> None:
        self.reference.remove(self._draws.url())

    def set_strategy(self) -> None:
        self.reference.set_strategy(self.random.choice(self._makers))


# Weight of each move. There are slightly more acquires than releases, so that
# there is nearly always a waiter. Most additions are refused, as the endpoint is there, so they must
# come more often than removals.
_MOVES: dict[str, tuple[int, Callable[[_Walker], None]]] = {
    "acquire": (400, _Walker.acquire),
    "release": (320, _Walker.release),
    "release_by_id": (20, _Walker.release_by_id),
    "release_wrongly": (20, _Walker.release_wrongly),
    "amend": (30, _Walker.amend),
    "cancel": (20, _Walker.cancel),
    "pass_time": (110, _Walker.pass_time),
    "time_out": (60, _Walker.time_out),
    "ping": (20, _Walker.ping),
    "add": (80, _Walker.add),
    "update": (40, _Walker.update),
    "drain": (12, _Walker.drain),
    "remove": (12, _Walker.remove),
    "set_strategy": (2, _Walker.set_strategy),
}
