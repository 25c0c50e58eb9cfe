"""`fifo`: one global queue of free slots.

Load metric: none. Selection rule: the slot that has been free longest. With equal calls that is round robin. It ignores
speed and health: an endpoint that fails fast comes back first and gets most calls.
"""

import random
from collections import deque

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy

__all__ = ["Fifo"]


class _Slots:
    """The free slots of one node: those with an entry in the queue, and those without one yet.

    Attributes:
        free: how many free slots there are.
        unused: how many of these have no entry. A node starts with one entry; each time one is taken, the next of its
            unused slots is queued. So the first round goes over all endpoints, not over the slots of the first.
    """

    __slots__ = ("free", "node", "unused")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.free = 0
        self.unused = 0


class Fifo(Strategy):
    """The slot that has been free longest is next: one global queue."""

    name = "fifo"

    def __init__(self, options: object, rng: random.Random) -> None:
        # One entry for each free slot, the longest free first. A slot is counted before its entry is added, so that an
        # interrupt in between leaves no entry without a free slot.
        self._queue: deque[_Slots] = deque()

    def join(self, node: Node, now: float) -> None:
        """Queue the free slots of `node`; O(1)."""
        node.note = _Slots(node)
        self._let_in(node.note, node.free)

    def leave(self, node: Node, now: float) -> None:
        """Remove the slots of `node`; O(free slots)."""
        slots: _Slots = node.note
        slots.free = slots.unused = 0
        self._queue = deque(queued for queued in self._queue if queued is not slots)

    def change(self, node: Node, now: float) -> None:
        """Queue slots that are newly free, behind the others; O(1). Remove slots that are not free any more; O(free
        slots).
        """
        slots: _Slots = node.note
        if node.free > slots.free:
            self._let_in(slots, node.free - slots.free)
        elif not node.free:
            self.leave(node, now)
        else:
            self._cut(slots, slots.free - node.free)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) for an open request, else O(free slots)."""
        queue = self._queue
        if not queue:
            return None
        if not request.open:
            return self._first_that_fits(request)
        slots = queue.popleft()
        slots.free -= 1
        if slots.unused:
            self._queue_unused(slots)
        return slots.node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1) for each slot that came back."""
        slots: _Slots = node.note
        back = node.limit - node.in_flight - slots.free
        if back == 1:  # nearly always, and a loop would look twice
            slots.free += 1
            self._queue.append(slots)
        elif back > 1:
            slots.free += back
            self._queue.extend([slots] * back)

    def _first_that_fits(self, request: Request) -> Node | None:
        for slots in self._queue:
            if request.fits(slots.node):
                for _ in range(request.takes(slots.node)):
                    slots.free -= 1
                    self._queue.remove(slots)  # the first of its entries
                    if slots.unused:
                        self._queue_unused(slots)
                return slots.node
        return None

    def _let_in(self, slots: _Slots, count: int) -> None:
        has_entry = slots.free > slots.unused
        slots.free += count
        slots.unused += count
        if slots.unused and not has_entry:
            self._queue_unused(slots)

    def _queue_unused(self, slots: _Slots) -> None:
        slots.unused -= 1
        self._queue.append(slots)

    def _cut(self, slots: _Slots, count: int) -> None:
        unused = min(count, slots.unused)
        slots.unused -= unused
        slots.free -= unused
        for _ in range(count - unused):
            slots.free -= 1
            self._queue.remove(slots)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Fifo]
