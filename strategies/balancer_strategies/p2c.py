"""`p2c`: the power of two choices, the less loaded of two endpoints drawn at random.

Load metric: (in-flight + 1) / weight, the load *with* the new lease. Selection rule: the least load of `choices`
distinct endpoints that the request fits, each equally likely to be drawn. Of equal loads the one drawn first wins,
which may be any of them.

Two draws remove most of the queueing that one draw leaves (Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", IEEE TPDS 12(10), 2001; the rule of gRFC A48 and of Envoy). Those draw with replacement, so the most loaded
endpoint is chosen if it is drawn twice. Here it never is, unless `replacement` is set. Of three endpoints with 0, 0 and
10 in flight, Envoy gives the last one ninth of the calls, and this rule none.

`weights` says where weights count. In the load, or in the draw: then an endpoint of twice the weight is drawn twice as
often, and loads have no weight.
"""

import random
from collections.abc import Sequence
from math import inf
from typing import Literal

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["P2c"]


class P2c(LeastLoaded):
    """The least loaded of a few endpoints drawn at random."""

    name = "p2c"

    class Options(StrategyOptions):
        """How many endpoints are compared, and how they are drawn."""

        choices: int = Field(2, ge=1, description="how many endpoints are drawn; 1: any one, weights have no effect")
        replacement: bool = Field(False, description="an endpoint may be drawn more than once, as Envoy and gRPC do")
        weights: Literal["load", "draw"] = Field(
            "load", description="where weights count: in the load, or in the chance to be drawn"
        )

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._rng = rng
        self._replaces = options.replacement
        self._by_weight = options.weights == "draw"
        self._is_plain = not (self._replaces or self._by_weight)

    def load(self, node: Node, now: float) -> float:
        """Return (in-flight + 1) / weight; without the weight if weights count in the draw."""
        return node.in_flight + 1.0 if self._by_weight else (node.in_flight + 1) / node.weight

    def change(self, node: Node, now: float) -> None:
        """O(1). Moves the node to the end of the list, so that a seed gives the same choices in each version."""
        self.leave(node, now)
        self.join(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(choices) for an open request. The shared rule, with the load inlined: a call would take 70 ns of 450."""
        if not self._is_plain:
            return self._pick_otherwise(request, now)
        places, is_open = self._places, request.open
        least, least_load, left = None, inf, self._choices
        for position in range(len(places.nodes)):
            node = places.draw(position)
            if is_open or request.fits(node):
                load = (node.in_flight + 1) / node.weight
                if least is None or load < least_load:
                    least, least_load = node, load
                left -= 1
                if not left:
                    break
        if least is not None and least.in_flight + (1 if is_open else request.takes(least)) >= least.limit:
            places.drop(least)
        return least

    def _pick_otherwise(self, request: Request, now: float) -> Node | None:
        """O(choices) with replacement for an open request; O(choices x N) by weight, or if not all nodes fit."""
        places, is_open = self._places, request.open
        nodes = places.nodes if is_open else [node for node in places.nodes if request.fits(node)]
        if not nodes:
            return None
        least: Node | None = None
        least_load, left = inf, nodes
        for _ in range(self._choices):
            node = self._drawn(left)
            if self.load(node, now) < least_load:
                least, least_load = node, self.load(node, now)
            if not self._replaces:
                left = [other for other in left if other is not node]
                if not left:
                    break
        if least is not None and least.in_flight + (1 if is_open else request.takes(least)) >= least.limit:
            places.drop(least)
        return least

    def _drawn(self, nodes: Sequence[Node]) -> Node:
        """Return a random one of `nodes`, equally likely, or by weight."""
        if self._by_weight:
            return self._rng.choices(nodes, [node.weight for node in nodes])[0]
        return nodes[int(self._rng.random() * len(nodes))]


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [P2c]
