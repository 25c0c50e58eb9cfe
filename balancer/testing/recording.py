"""Recording strategy: a wrapper that notes what the strategy inside was told of each node.

Decides nothing: each call goes to the strategy inside.
"""

import random
from collections.abc import Callable

from balancer.endpoint import Outcome
from balancer.strategy import Node, Request, Strategy

__all__ = ["RecordingStrategy", "StrategyFactory"]

StrategyFactory = Callable[[random.Random], Strategy]
"""Makes a fresh strategy."""


class RecordingStrategy(Strategy):
    """A strategy that keeps a record of what it is told.

    Attributes:
        told: ceiling, limit and weight of each node in service.
    """

    def __init__(self, make: StrategyFactory, rng: random.Random) -> None:
        self._inner = make(rng)
        self.name = self._inner.name
        self.told: dict[Node, tuple[int, int, float]] = {}

    def join(self, node: Node, now: float) -> None:
        """Note how a node stands that joins."""
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.join(node, now)

    def leave(self, node: Node, now: float) -> None:
        """Forget a node."""
        del self.told[node]
        self._inner.leave(node, now)

    def change(self, node: Node, now: float) -> None:
        """Note how a node stands that has changed."""
        self.told[node] = node.ceiling, node.limit, node.weight
        self._inner.change(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """Choose as the strategy inside does."""
        return self._inner.pick(request, now)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Let the strategy inside learn."""
        self._inner.finish(node, outcome, elapsed_s, now)
