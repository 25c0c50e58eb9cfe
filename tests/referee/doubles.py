"""Test doubles of a reference check: a recording strategy, and another pool whose leases must be refused."""

import random

from balancer.core import Core
from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Node, Request, Strategy
from balancer.testing.doubles import FakeLender
from tests.unit.ruled import Scan

__all__ = ["RecordingStrategy", "other_pool"]


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


def other_pool() -> Core:
    """Return a pool with one endpoint and one slot, which is not under test."""
    return Core([Endpoint("other")], Scan(None, random.Random(0)), lender=FakeLender(), now=0.0)
