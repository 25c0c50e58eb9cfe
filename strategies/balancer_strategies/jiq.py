"""`jiq`: join the idle queue, an idle endpoint first.

Load metric: idle or not. Selection rule: of the endpoints with nothing in flight, the one that has been idle longest.
If there is none, a random one with a free slot (Lu et al., "Join-Idle-Queue: A Novel Load Balancing Algorithm for
Dynamically Scalable Web Services", Performance Evaluation 68(11), 2011). Weights do not count.
"""

import random
from collections import OrderedDict

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.places import NOWHERE, Place, Places
from balancer.strategy import Node, Request, Strategy

__all__ = ["Jiq"]


class Jiq(Strategy):
    """The endpoint that has been idle longest, else a random one."""

    name = "jiq"

    def __init__(self, options: object, rng: random.Random) -> None:
        # OrderedDict, not dict: a dict rescans the deleted slots at its front on every look.
        self._idle: OrderedDict[Node, None] = OrderedDict()  # the longest idle first
        self._busy = Places(rng)  # those with leases out, and a free slot

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = Place()
        self._settle(node, node.in_flight)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._idle.pop(node, None)
        if node.note.index != NOWHERE:
            self._busy.drop(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._settle(node, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) for an open request."""
        node = self._idle_longest(request) or self._busy.any_that_fits(request)
        if node is not None:
            self._settle(node, node.in_flight + request.takes(node))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        self._settle(node, node.in_flight)

    def _idle_longest(self, request: Request) -> Node | None:
        for node in self._idle:
            if request.open or request.fits(node):
                return node
        return None

    def _settle(self, node: Node, in_flight: int) -> None:
        """Move `node` to its place with `in_flight` slots out. One that is idle already keeps its place."""
        if in_flight or not node.limit:
            self._idle.pop(node, None)
            self._busy.settle(node, in_flight)
        else:
            if node.note.index != NOWHERE:
                self._busy.drop(node)
            self._idle[node] = None


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Jiq]
