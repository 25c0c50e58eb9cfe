"""Test doubles of a reference check: a recording strategy, a lender, and another pool whose leases must be refused."""

import random
from collections.abc import Callable

from balancer.core import Core
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.load import Load
from balancer.strategy import Node, Request, Strategy

__all__ = ["FakeLender", "RecordingStrategy", "StrategyFactory", "other_pool"]

StrategyFactory = Callable[[random.Random], Strategy]
"""Makes a fresh strategy."""


class RecordingStrategy(Strategy):
    """A strategy that records what the core tells it, around the one under test.

    Attributes:
        told: ceiling, limit and weight of each node in service.
    """

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner
        self.name = self._inner.name
        self.told: dict[Node, tuple[int, int, float]] = {}

    def join(self, node: Node, now: float) -> None:
        """Record a node that joins."""
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.join(node, now)

    def leave(self, node: Node, now: float) -> None:
        """Forget a node."""
        del self.told[node]
        self._inner.leave(node, now)

    def change(self, node: Node, now: float) -> None:
        """Record the new state of a node."""
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.change(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """Choose as the inner strategy does."""
        return self._inner.pick(request, now)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Pass the end of a call to the inner strategy."""
        self._inner.finish(node, outcome, elapsed_s, now)


class FakeLender:
    """Stands for a shell, of which a lease only needs a reference."""

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Refuse: the reference check returns leases to the core directly."""
        raise AssertionError("the reference check releases leases by itself")

    def used(self, lease: Lease, tokens: int) -> None:
        """Refuse, as `release`."""
        raise AssertionError("the reference check reports to the core by itself")

    def told(self, lease: Lease, load: Load) -> None:
        """Refuse, as `release`."""
        raise AssertionError("the reference check reports to the core by itself")


class _Only(Strategy):
    """Chooses the only endpoint of another pool, which is not under test."""

    name = "only"

    def __init__(self) -> None:
        self._node: Node | None = None

    def join(self, node: Node, now: float) -> None:
        self._node = node

    def leave(self, node: Node, now: float) -> None:
        self._node = None

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        return self._node if self._node is not None and request.fits(self._node) else None

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        pass


def other_pool() -> Core:
    """Return a pool with one endpoint and one slot, which is not under test."""
    return Core([Endpoint("other")], _Only(), lender=FakeLender(), now=0.0)
