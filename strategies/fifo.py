"""`fifo`: one global queue of free slots.

Load metric: none. Selection rule: the slot that has been free longest. With equal calls that is round
robin. It knows nothing of speed or health: an endpoint that fails fast is back first and is fed most.
"""

import random
from collections import deque

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Fifo"]


class Fifo(Strategy):
    """The slot that has been free longest is next: one global queue."""

    name = "fifo"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._queue: deque[Node] = deque()  # one entry a free slot, the one freed longest ago first
        # A node joins with one entry; each time one of its entries is taken the next of its unused
        # slots is queued. So the first round goes over all endpoints, not over the slots of the first.
        self._unused: dict[Node, int] = {}

    def join(self, node: Node, now: float) -> None:
        """Queue the free slots of `node`; O(1)."""
        if node.free:
            self._queue.append(node)
        if node.free > 1:
            self._unused[node] = node.free - 1

    def leave(self, node: Node, now: float) -> None:
        """Drop the slots of `node`; O(free slots)."""
        self._unused.pop(node, None)
        self._queue = deque(queued for queued in self._queue if queued is not node)

    def change(self, node: Node, now: float) -> None:
        """Queue the free slots of `node` anew, behind the others; O(free slots)."""
        self.leave(node, now)
        self.join(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) for an open request, else O(free slots)."""
        if not self._queue:
            return None
        node = self._queue.popleft() if request.open else self._take_admitted(request)
        if self._unused and node is not None:
            self._queue_unused(node)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if node.in_flight < node.limit:
            self._queue.append(node)

    def _take_admitted(self, request: Request) -> Node | None:
        for position, node in enumerate(self._queue):
            if request.admits(node.endpoint):
                del self._queue[position]
                return node
        return None

    def _queue_unused(self, node: Node) -> None:
        left = self._unused.pop(node, 0)
        if left:
            self._queue.append(node)
        if left > 1:
            self._unused[node] = left - 1


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Fifo]
