"""A strategy told what a ledger would tell it, about nodes that a test can change at will: no core, no pool.

So a limit of 0, a weight that ramps up, a slot kept for somebody and a lease that was never picked can be had in one
line, and what the strategy was told is all that has happened.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Any

from balancer.endpoint import Endpoint, Outcome
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Node, Request
from balancer.testing.doubles import WritableNode

__all__ = ["Driven", "Told"]


class Told:
    """One strategy and its nodes.

    Attributes:
        nodes: by URL, in the order they joined.
        now: the instant; move it by hand.
    """

    def __init__(
        self, strategy: str, specs: Iterable[Endpoint], *, options: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        self.strategy = default_registry().strategy(strategy, options, random.Random(seed))
        self.nodes: dict[str, Node] = {}
        self.now = 1000.0
        for spec in specs:
            self.join(spec)

    def join(self, spec: Endpoint, *, in_flight: int = 0) -> None:
        node = self.nodes[spec.url] = WritableNode(spec)
        node.in_flight = in_flight
        self.strategy.join(node, self.now)

    def leave(self, url: str) -> None:
        self.strategy.leave(self.nodes.pop(url), self.now)

    def change(self, url: str, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.nodes[url], name, value)
        self.strategy.change(self.nodes[url], self.now)


class Driven(Told):
    """What is out is known by its URL."""

    def take(self, request: Request = ANY) -> str | None:
        """Return who was picked; nobody, only if the request fits nobody."""
        node = self.strategy.pick(request, self.now)
        if node is None:
            assert not any(map(request.fits, self.nodes.values()))
            return None
        assert self.nodes[node.endpoint.url] is node
        assert request.fits(node)
        node.in_flight += request.takes(node)
        return node.endpoint.url

    def give(self, url: str, took_s: float = 0.0, outcome: Outcome = Outcome.SUCCESS, *, slots: int = 1) -> None:
        """End a lease that began `took_s` seconds ago."""
        node = self.nodes[url]
        node.in_flight -= slots
        self.strategy.finish(node, outcome, took_s, self.now)

    def calls(
        self,
        count: int,
        *,
        callers: int = 1,
        took_s: Callable[[str], float] = lambda url: 0.1,
        outcome: Callable[[str], Outcome] = lambda url: Outcome.SUCCESS,
    ) -> list[str]:
        """Let `callers` call without a pause, `count` calls in all; return where to, in the order they began."""
        urls: list[str] = []
        under_way: list[tuple[float, int, str, float]] = []
        while len(urls) < count or under_way:
            if len(urls) < count and len(under_way) < callers:
                url = self.take()
                assert url is not None, "there are no more callers than slots"
                urls.append(url)
                heappush(under_way, (self.now + took_s(url), len(urls), url, self.now))
            else:
                self.now, _, url, began_s = heappop(under_way)
                self.give(url, self.now - began_s, outcome(url))
        return urls
