"""Watched strategy: it passes each call on, and checks each pick against all nodes.

A second instance, made from the same seed, gets the same calls about nodes of its own: it must choose the same.
"""

import random
from collections.abc import Callable, Sequence

from balancer.endpoint import Outcome
from balancer.strategy import Node, Request, Strategy
from balancer.testing.doubles import WritableNode

__all__ = ["GrantRule", "StrategyFactory", "WatchedStrategy"]

StrategyFactory = Callable[[random.Random], Strategy]
"""Makes a fresh strategy."""

GrantRule = Callable[[Request, Node, Sequence[Node]], None]
"""Told a request, the node that was picked for it, and all nodes that it fits, just before the slots count as taken."""


class WatchedStrategy(Strategy):
    """A strategy under test, and its twin.

    Args:
        make: makes the strategy.
        seed: of its random choices.
        rule: a further rule for each pick.

    Attributes:
        nodes: the nodes in service, each with that of the twin.
    """

    def __init__(self, make: StrategyFactory, seed: int, rule: GrantRule) -> None:
        self._strategy, self._twin = make(random.Random(seed)), make(random.Random(seed))
        self._rule = rule
        self.name = self._strategy.name
        self.nodes: dict[Node, WritableNode] = {}

    def join(self, node: Node, now: float) -> None:
        """Take `node` into service, and another one for the twin."""
        assert node not in self.nodes, f"{node} joined twice"
        self.nodes[node] = WritableNode(node.endpoint)
        self._strategy.join(node, now)
        self._twin.join(self._same(node), now)

    def leave(self, node: Node, now: float) -> None:
        """Forget `node`."""
        self._strategy.leave(node, now)
        self._twin.leave(self._same(node), now)
        del self.nodes[node]

    def change(self, node: Node, now: float) -> None:
        """Pass a change on."""
        self._strategy.change(node, now)
        self._twin.change(self._same(node), now)

    def pick(self, request: Request, now: float) -> Node | None:
        """Return the strategy's choice: a node that fits; None only if there is none."""
        self._bring_up_to_date()
        fitting = [node for node in self.nodes if request.fits(node)]
        picked = self._strategy.pick(request, now)
        if picked is None:
            assert not fitting, f"picked nothing for {request}, although it fits {fitting[0]}"
        else:
            assert picked in fitting, f"picked {picked}, which {request} does not fit"
            self._rule(request, picked, fitting)
        again = self._twin.pick(request, now)
        assert again is (picked and self.nodes[picked]), (
            f"picked {picked} for {request}, and with the same seed after the same calls {again}; "
            "use no randomness but the rng that the strategy gets"
        )
        return picked

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Pass the end of a lease on."""
        self._strategy.finish(node, outcome, elapsed_s, now)
        self._twin.finish(self._same(node), outcome, elapsed_s, now)

    def _same(self, node: Node) -> Node:
        self._bring_up_to_date()
        return self.nodes[node]

    def _bring_up_to_date(self) -> None:
        """Make the twin's nodes equal to those of the strategy, which may look at any of them."""
        for node, twin in self.nodes.items():
            vars(twin).update({**vars(node), "note": twin.note})
