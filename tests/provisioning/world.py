"""A world in virtual time: a core, a fleet, a provider with limits of its own, and callers. A shell without threads.

The provider counts what exists and when it was asked to make something, so a test can hold both against the limits.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from balancer.core import Core, Waiter
from balancer.core.core import EndedWaiters
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint, Outcome
from balancer.plugins.registry import default_registry
from balancer.provisioning.fleet import AccountFleet, FleetLimits, Usage
from balancer.strategy import ANY
from balancer.testing.doubles import FakeLender

__all__ = ["Faults", "World"]

_NAME = "box"


@dataclass
class Faults:
    """How often something goes wrong, as shares of the attempts.

    Attributes:
        refused: a creation fails, and nothing is made.
        lost: it is made, and the answer is lost.
        unready: it is made, and never gets ready.
        undestroyed: an instance is not destroyed when it should be.
        unlisted: the provider does not list what there is.
        dead: a lease ends with a failure.
    """

    refused: float = 0.0
    lost: float = 0.0
    unready: float = 0.0
    undestroyed: float = 0.0
    unlisted: float = 0.0
    dead: float = 0.0


@dataclass
class World:
    """One account. `run` lets time pass.

    Attributes:
        asked: when the provider was asked to make something.
        exists: the keys of what exists at the provider, by id.
        most: the most that existed at once.
        waits: how long each call waited for its lease.
    """

    limits: FleetLimits
    create_s: Callable[[random.Random], float] = lambda rng: 1.0
    destroy_s: float = 0.2
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    now: float = 1000.0
    exists: dict[str, str] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    most: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.numbers = count(1)
        self.takes_s: dict[Waiter, float] = {}
        self.events: list[tuple[float, int, Callable[[], object]]] = []
        strategy = default_registry().strategy("least_in_flight", {}, random.Random(0))
        self.core = Core([], strategy, lender=FakeLender(), now=self.now)
        self.begin()

    def begin(self) -> None:
        """Begin with a new owner, which knows nothing."""
        self.fleet = AccountFleet(self.limits, (f"k{n}" for n in self.numbers), random.Random(self.seed), self.now)
        self.decide()

    def kill_owner(self) -> None:
        """End the owner and its pool, with everything under way."""
        self.events.clear()
        strategy = default_registry().strategy("least_in_flight", {}, random.Random(0))
        self.core = Core([], strategy, lender=FakeLender(), now=self.now)
        self.begin()

    # -- time --------------------------------------------------------------------------------------

    def later(self, after_s: float, do: Callable[[], object]) -> None:
        heappush(self.events, (self.now + after_s, next(self.numbers), do))

    def settle(self, holds: Callable[[], bool]) -> None:
        """Let time pass until something holds."""
        for _ in range(100):
            if holds():
                return
            self.run(40.0)
        raise AssertionError("it does not come to hold")

    def run(self, for_s: float) -> None:
        until_s = self.now + for_s
        while self.events and self.events[0][0] <= until_s:
            self.now, _, do = heappop(self.events)
            do()
        self.now = until_s

    # -- the owner ---------------------------------------------------------------------------------

    def decide(self) -> None:
        accounts = {each.endpoint.name.partition("/")[2]: each for each in self.core.ledger.accounts()}
        pool = {
            id: Usage(each.in_flight, each.leases, active=each.state is MembershipState.ACTIVE)
            for id, each in accounts.items()
        }
        orders = self.fleet.decide(pool, self.core.wanted_of(self.fleet), self.now)
        hopes = self.fleet.may_make(self.now)
        expected = Endpoint(f"{_NAME}/", capacity=self.limits.slots) if hopes else None
        self.served(self.core.expect(self.fleet, expected, self.fleet.coming, self.now))
        for id in orders.remove:
            self.served(self.core.remove(f"{_NAME}/{id}", self.now))
        for key in orders.create:
            self.create(key)
        for id in orders.destroy:
            self.later(self.destroy_s, partial(self.destroy, self.fleet, id))
        if orders.find:
            self.later(0.05, partial(self.find, self.fleet, self.fleet.serving))
        if orders.due_s < float("inf"):
            # As the keeper does, which is not called again before a hundredth of a second.
            self.turn = next(self.numbers)
            self.later(max(0.01, orders.due_s - self.now), partial(self.due, self.turn))

    def due(self, turn: int) -> None:
        if turn == self.turn:  # else another decision has come in between
            self.decide()

    def create(self, key: str) -> None:
        self.asked.append(self.now)
        takes_s = self.create_s(self.rng)
        if self.happens(self.faults.refused):
            self.later(0.1, partial(self.failed, key))
            return
        id = f"i{next(self.numbers)}"
        self.exists[id] = key
        self.most = max(self.most, len(self.exists))
        if self.happens(self.faults.lost):
            self.later(takes_s, partial(self.failed, key))
            return
        unready = self.happens(self.faults.unready)
        self.later(takes_s / 2, partial(self.fleet.created, key, id))
        self.later(takes_s, partial(self.failed, key) if unready else partial(self.ready, key, id))

    def failed(self, key: str) -> None:
        self.fleet.failed(key, self.now)
        self.decide()

    def ready(self, key: str, id: str) -> None:
        if self.fleet.ready(key, float("inf"), self.now):
            self.served(self.core.add(Endpoint(f"{_NAME}/{id}", capacity=self.limits.slots), self.now))
        self.decide()

    def destroy(self, fleet: AccountFleet, id: str) -> None:
        if self.happens(self.faults.undestroyed):
            fleet.not_destroyed(id, self.now)
        else:
            self.exists.pop(id, None)
            fleet.destroyed(id)
        self.decide()

    def find(self, fleet: AccountFleet, serving: frozenset[str]) -> None:
        if self.happens(self.faults.unlisted):
            fleet.not_found(self.now)
        else:
            fleet.found(dict(self.exists), serving, self.now)
        self.decide()

    def happens(self, share: float) -> bool:
        return self.rng.random() < share

    def close(self) -> None:
        """End the owner in order."""
        self.fleet.close()
        self.decide()

    # -- callers -----------------------------------------------------------------------------------

    def call(self, takes_s: float) -> None:
        """Make a call that holds its lease for so long."""
        self.calls += 1
        lease = self.core.acquire(ANY, self.now)
        if lease is not None:
            self.waits.append(0.0)
            self.later(takes_s, partial(self.end, self.core, lease))
            return
        waiter = self.core.wait(ANY, self.now, float("inf"), 0, lambda: None)
        self.takes_s[waiter] = takes_s
        self.decide()

    def served(self, ended: EndedWaiters) -> None:
        for waiter in ended:
            self.granted(waiter)

    def granted(self, waiter: Waiter) -> None:
        assert waiter.lease is not None, waiter.error
        self.waits.append(self.now - waiter.since_s)
        self.later(self.takes_s.pop(waiter), partial(self.end, self.core, waiter.lease))

    def end(self, core: Core, lease: Any) -> None:
        if core is self.core:
            self.served(core.release(lease, Outcome.SUCCESS, self.now))
