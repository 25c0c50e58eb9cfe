"""`p2c`: the power of two choices, the less loaded of two endpoints drawn at random.

Load metric: (in-flight + 1) / weight, the load it would have *with* the lease. Selection rule: of `choices`
distinct endpoints with a free slot, each as likely to be drawn as any other, the least load; of equal loads
the one drawn first, which is any of them.

Two draws take away most of the queueing that one leaves (Mitzenmacher, "The Power of Two Choices in
Randomized Load Balancing", IEEE TPDS 12(10), 2001; the rule of gRFC A48 and of Envoy). Those draw with
replacement, so that the most loaded endpoint is chosen when it is drawn twice; here it never is.
"""

import random
from math import inf

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["P2c"]

_NOWHERE = -1


class P2c(Strategy):
    """The least loaded of a few endpoints drawn at random."""

    name = "p2c"

    class Options(StrategyOptions):
        """How many are compared."""

        choices: int = Field(2, ge=1, description="how many endpoints are drawn; 1: any, and weights do not count")

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._choices = options.choices
        self._random = rng.random
        # Nodes with a free slot, in no order; the note of a node is its index here, or `_NOWHERE`.
        self._free: list[Node] = []

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = _NOWHERE
        if node.free:
            self._put(node)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        if node.note != _NOWHERE:
            self._drop(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self.leave(node, now)
        self.join(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(choices) for an open request."""
        node = self._least_of_draws(request)
        if node is not None and node.in_flight + 1 >= node.limit:
            self._drop(node)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if node.note == _NOWHERE and node.in_flight < node.limit:
            self._put(node)

    def _least_of_draws(self, request: Request) -> Node | None:
        """Shuffle the list from the front, as far as it takes to see `choices` admitted nodes."""
        least, least_load, left = None, inf, self._choices
        for position in range(len(self._free)):
            node = self._draw(position)
            if request.open or request.admits(node.endpoint):
                load = (node.in_flight + 1) / node.endpoint.weight
                if least is None or load < least_load:
                    least, least_load = node, load
                left -= 1
                if not left:
                    break
        return least

    def _draw(self, position: int) -> Node:
        """Swap any node from `position` on to there (Fisher-Yates), and return it.

        Nothing is called once the swap has begun, see `_drop`.
        """
        free = self._free
        index = position + int(self._random() * (len(free) - position))
        node, other = free[index], free[position]
        free[index], free[position] = other, node
        other.note = index
        node.note = position
        return node

    def _put(self, node: Node) -> None:
        node.note = len(self._free)
        self._free.append(node)

    def _drop(self, node: Node) -> None:
        """Take `node` out of the list; the last one moves to its place.

        Nothing is called here: Python looks for signals after a call, and a Ctrl-C half-way would leave a list
        that contradicts the notes, and with it a pool that can do nothing more.
        """
        free, index = self._free, node.note
        node.note = _NOWHERE
        last = free[-1]
        del free[-1]
        if last is not node:
            free[index] = last
            last.note = index


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [P2c]
