"""Backlog: holders that all wait all the time, and how far their services drift apart.

Let D be the slots, L the longest lease so far, w the smaller weight of two holders, and their calls such that any slot
serves them. Then in any interval their slot-seconds, each divided by its weight, differ by at most 2 D L / w. That is
the bound of start-time fair queueing on several servers (see `balancer.core.waiters`), which no strategy may break.
"""

import random
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import combinations
from math import inf
from typing import Final

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Outcome
from balancer.settings.rules import HolderSettings
from balancer.strategy import Request
from balancer.testing.doubles import FakeLender
from balancer.testing.watched import StrategyFactory

__all__ = ["check_shares"]

_DURATIONS: Final[Sequence[Callable[[random.Random], float]]] = (
    lambda rng: 1.0,
    lambda rng: rng.expovariate(1.0),
    lambda rng: 50.0 if rng.random() < 0.02 else 0.1,
    lambda rng: 20.0,
    lambda rng: 0.05,
)


def check_shares(make: StrategyFactory, *, ends: int = 300, seed: int = 1) -> None:
    """Check that holders which wait all the time get their shares, whatever endpoints the strategy chooses.

    Args:
        make: makes the strategy under test.
        ends: how many leases end.
        seed: of the holders, their weights and their leases.

    Raises:
        AssertionError: two holders differ by more than the bound, or a slot is idle though all wait.
    """
    rng = random.Random(seed)
    names = "abcd"[: rng.randint(2, 4)]
    weights = {name: rng.choice((0.5, 1.0, 1.0, 3.0)) for name in names}
    run = _Backlog(make, rng, weights)
    for _ in range(ends):
        run.step()
    for one, other in run.most:
        widest_s = run.most[one, other] - run.least[one, other]
        bound_s = 2 * run.slots * run.longest_s / min(weights[one], weights[other])
        assert widest_s <= bound_s * (1 + 1e-9), (
            f"the services of {one} and {other} differ by {widest_s:g} slot-seconds in some interval; at most "
            f"{bound_s:g} may be"
        )


class _Backlog:
    """A core whose holders have waiters all the time.

    Attributes:
        slots: of all endpoints.
        longest_s: the longest lease so far.
        most, least: of the difference of the services of two holders, since all of them wait.
    """

    def __init__(self, make: StrategyFactory, rng: random.Random, weights: dict[str, float]) -> None:
        specs = [Endpoint(f"http://10.0.0.{n}/", capacity=rng.randint(1, 4)) for n in range(rng.randint(1, 4))]
        holders = {name: HolderSettings(weight=weight) for name, weight in weights.items()}
        self._core = Core(specs, make(random.Random(0)), lender=FakeLender(), holders=holders, now=0.0)
        self._rng = rng
        self._weights = weights
        self._lasts = {name: rng.choice(_DURATIONS) for name in weights}
        self._asks = {name: Request(key=name, terms=LeaseTerms(name)) for name in weights}
        self._had_s = dict.fromkeys(weights, 0.0)
        self._out = dict.fromkeys(weights, 0)
        self._ends: list[tuple[float, int, Lease]] = []
        self._now = 0.0
        self.slots = sum(each.capacity for each in specs)
        self.longest_s = 0.0
        self.most = dict.fromkeys(combinations(weights, 2), 0.0)
        self.least = self.most.copy()
        first = next(iter(weights))
        for _ in range(self.slots):  # one holder has everything; then the others come
            lease = self._core.acquire(self._asks[first], 0.0)
            assert lease is not None, "a free slot could not be leased"
            self._begin(lease)
        for name in weights:
            self._ask(name)
            self._ask(name)

    def step(self) -> None:
        """Let the next lease end."""
        at_s, _, lease = heappop(self._ends)
        for name, slots in self._out.items():
            self._had_s[name] += slots * (at_s - self._now)
        self._now = at_s
        self.longest_s = max(self.longest_s, *(at_s - each.granted_s for _, _, each in (*self._ends, (0, 0, lease))))
        for one, other in self.most:
            gap_s = self._had_s[one] / self._weights[one] - self._had_s[other] / self._weights[other]
            self.most[one, other] = max(self.most[one, other], gap_s)
            self.least[one, other] = min(self.least[one, other], gap_s)
        self._out[lease.holder] -= 1
        for waiter in self._core.release(lease, Outcome.SUCCESS, at_s):
            assert waiter.lease is not None, f"a waiter ended with {waiter.error!r}"
            self._begin(waiter.lease)
            self._ask(waiter.lease.holder)
        assert sum(self._out.values()) == self.slots, "a slot is idle, although all holders wait"

    def _begin(self, lease: Lease) -> None:
        self._out[lease.holder] += 1
        heappush(self._ends, (self._now + self._lasts[lease.holder](self._rng), lease.id, lease))

    def _ask(self, name: str) -> Waiter:
        return self._core.wait(self._asks[name], self._now, inf, 0, lambda: None)
