"""The plainest ledger there is, to hold a strategy against what it must be told: limits, weights, slots that are kept.

It keeps the contract of `balancer.strategy` and checks every choice: that the request fits, and that somebody is chosen
if anybody could be. A pool has rules for what happens to a limit; here a test just sets it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import ANY, Node, Request
from tests.properties.driven import Told

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


class Books(Told):
    """Keeps every lease that is out."""

    def __init__(
        self, strategy: str, specs: Iterable[Endpoint], *, options: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        super().__init__(strategy, specs, options=options, seed=seed)
        self.out: list[Taken] = []

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

    def leave(self, url: str) -> None:
        """Take an endpoint out of service; what is out may come back later."""
        self.nodes[url].limit = self.nodes[url].ceiling = 0
        super().leave(url)

    def set(self, url: str, *, limit: int | None = None, weight: float | None = None) -> None:
        """Put another limit or weight in force. The ceiling stays, but where nothing may be leased it is 0."""
        node = self.nodes[url]
        if limit is not None:
            node.limit, node.ceiling = limit, node.endpoint.capacity if limit else 0
        node.weight = node.weight if weight is None else weight
        self.strategy.change(node, self.now)

    def reserve(self, url: str, slots: int) -> Taken | None:
        """Lease slots that were kept for one who waited, which the strategy has not picked."""
        node = self.nodes[url]
        if node.free < slots:
            return None
        taken = self._lease(node, slots)
        self.strategy.change(node, self.now)
        return taken

    def do(self, move: str, argument: Any) -> None:
        """Do what is said in generated data; what makes no sense now is not done."""
        url = (
            argument.url if isinstance(argument, Endpoint) else argument[0] if isinstance(argument, tuple) else argument
        )
        if move == "take":
            self.try_take(argument)
        elif move == "give":
            if self.out:
                self.give(self.out[argument[0] % len(self.out)], argument[1])
        elif move == "join":
            if url not in self.nodes:
                self.join(argument)
        elif url in self.nodes:
            if move == "limit":
                self.set(url, limit=argument[1])
            elif move == "back":
                self.set(url, limit=self.nodes[url].endpoint.capacity)
            elif move == "weight":
                self.set(url, weight=argument[1])
            else:
                assert move == "reserve"
                self.reserve(*argument)

    def _lease(self, node: Node, slots: int) -> Taken:
        node.in_flight += slots
        self.out.append(Taken(node, slots, self.now))
        return self.out[-1]
