"""The plainest ledger there is, to hold a strategy against what it must be told: limits, weights, slots that are kept.

It keeps the contract of `balancer.strategy` and checks every choice: that the request fits, and that somebody is chosen
if anybody could be. A pool has rules for what happens to a limit; here a test just sets it.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from balancer.endpoint import Endpoint, Outcome
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Node, Request
from balancer.testing.nodes import WritableNode

__all__ = ["Books", "Taken"]


@dataclass(eq=False, slots=True)
class Taken:
    """Slots that are out, since when, and whether the node has left meanwhile."""

    node: Node
    slots: int
    since_s: float

    @property
    def url(self) -> str:
        return self.node.endpoint.url


class Books:
    """One strategy and the nodes it chooses from, by URL, in the order of joining; `out` is what is leased."""

    def __init__(
        self, strategy: str, specs: Iterable[Endpoint], *, options: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        self.strategy = default_registry().strategy(strategy, options, random.Random(seed))
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.out: list[Taken] = []
        for spec in specs:
            self.join(spec)

    # -- leases ------------------------------------------------------------------------------------

    def try_take(self, request: Request = ANY) -> Taken | None:
        """Lease the strategy's choice, if anybody can serve; and see that it is one that can."""
        fitting = [node for node in self.nodes.values() if request.fits(node)]
        node = self.strategy.pick(request, self.now)
        if node is None:
            assert not fitting, f"nobody was picked for {request}, though {fitting} could serve"
            return None
        assert node in fitting, f"{node} was picked for {request}; {fitting} could serve"
        return self._lease(node, request.takes(node))

    def take(self, request: Request = ANY) -> Taken:
        """Lease the strategy's choice."""
        taken = self.try_take(request)
        assert taken is not None, "a test never asks for more than there is"
        return taken

    def give(self, taken: Taken, outcome: Outcome = Outcome.SUCCESS) -> None:
        """End a lease."""
        self.out.remove(taken)
        taken.node.in_flight -= taken.slots
        if self.nodes.get(taken.url) is taken.node:
            self.strategy.finish(taken.node, outcome, self.now - taken.since_s, self.now)

    def calls(self, count: int, *, request: Request = ANY, took_s: float = 0.05) -> list[str]:
        """Make `count` calls, one after another; return where they went."""
        urls = []
        for _ in range(count):
            taken = self.take(request)
            self.now += took_s
            self.give(taken)
            urls.append(taken.url)
        return urls

    # -- what a strategy is told -------------------------------------------------------------------

    def join(self, spec: Endpoint) -> None:
        """Take an endpoint into service; its node is a new one."""
        node = self.nodes[spec.url] = WritableNode(spec)
        self.strategy.join(node, self.now)

    def leave(self, url: str) -> None:
        """Take an endpoint out of service; what is out may come back later."""
        node = self.nodes.pop(url)
        node.limit = node.ceiling = 0
        self.strategy.leave(node, self.now)

    def set(self, url: str, *, limit: int | None = None, weight: float | None = None) -> None:
        """Put another limit or weight in force. The ceiling stays, but where nothing may be leased it is 0."""
        node = self.nodes[url]
        if limit is not None:
            node.limit, node.ceiling = limit, node.endpoint.capacity if limit else 0
        node.weight = node.weight if weight is None else weight
        self.strategy.change(node, self.now)

    def respec(self, url: str, **fields: Any) -> None:
        """Give an endpoint a new spec."""
        node = self.nodes[url]
        node.endpoint = replace(node.endpoint, **fields)
        node.limit = node.ceiling = node.endpoint.capacity
        node.weight = node.endpoint.weight
        self.strategy.change(node, self.now)

    def reserve(self, url: str, slots: int) -> Taken | None:
        """Lease slots that were kept for one who waited, which the strategy has not picked."""
        node = self.nodes[url]
        if node.free < slots:
            return None
        taken = self._lease(node, slots)
        self.strategy.change(node, self.now)
        return taken

    def _lease(self, node: Node, slots: int) -> Taken:
        node.in_flight += slots
        self.out.append(Taken(node, slots, self.now))
        return self.out[-1]
