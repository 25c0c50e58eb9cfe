"""`least_in_flight`: the endpoint with the fewest leases out for its weight.

Load metric: (in-flight + 1) / weight, the load *with* the new lease. So an idle endpoint of weight 2 comes before an
idle one of weight 1. Selection rule: the least, ties at random, so that no endpoint is favoured.
"""

import random
from heapq import heappop, heappush

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.places import NOWHERE
from balancer.strategy import Node, Request, Strategy

__all__ = ["LeastInFlight"]

# Random draws before every candidate is looked at. A retry excludes one or two endpoints, so in a large pool a draw
# nearly always fits. Repeating the others keeps every fitting node equally likely.
_DRAWS = 8
_FEW_BUCKETS = 64  # fewer are not worth a sweep; with equal weights there is one for each number of leases out


class _Place:
    """The place of a node: its bucket, and its index there, or `NOWHERE`."""

    __slots__ = ("bucket", "index")

    def __init__(self) -> None:
        self.bucket: list[Node] = []
        self.index = NOWHERE


class LeastInFlight(Strategy):
    """The endpoint with the fewest leases out for its weight, ties at random."""

    name = "least_in_flight"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._random = rng.random
        # Nodes with a free slot, in buckets of equal load. Here too a node's note has its index, as in `kit.places`.
        self._buckets: dict[float, list[Node]] = {}
        # A heap of the buckets' keys. An interrupt may come after any call. So a key is here before its bucket exists
        # and as long as it exists, and an empty bucket is removed when it is on top. A key may be here twice.
        self._loads: list[float] = []
        self._sweep_at = _FEW_BUCKETS  # sweeps when there are more buckets than this

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        node.note = _Place()
        self._settle(node, node.in_flight)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._settle(node, node.limit)  # a full node is in no bucket

    def change(self, node: Node, now: float) -> None:
        """O(log N), amortised."""
        self._settle(node, node.in_flight)
        if len(self._buckets) > self._sweep_at:
            self._sweep()

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1), amortised, for an open request; O(log N) where weights differ."""
        if not request.open:
            return self._pick_one_that_fits(request)
        loads = self._loads
        while loads:
            bucket = self._buckets.get(loads[0])
            if bucket:
                node = bucket[int(self._random() * len(bucket))]
                self._settle(node, node.in_flight + 1)
                return node
            self._buckets.pop(loads[0], None)
            heappop(loads)
        return None

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1), amortised; O(log N) where weights differ."""
        self._settle(node, node.in_flight)

    def _settle(self, node: Node, in_flight: int) -> None:
        """Move `node` to the bucket of its load, or out of all buckets if so many leases leave it no free slot."""
        place: _Place = node.note
        index, bucket = place.index, place.bucket
        if index != NOWHERE:  # its last node moves to its place, without a call
            place.index = NOWHERE
            last = bucket[-1]
            del bucket[-1]
            if last is not node:
                bucket[index] = last
                last.note.index = index
        if in_flight < node.limit:
            load = (in_flight + 1) / node.weight
            found = self._buckets.get(load)
            if found is None:
                heappush(self._loads, load)
                found = self._buckets[load] = []
            place.bucket = found
            place.index = len(found)
            found.append(node)

    def _pick_one_that_fits(self, request: Request) -> Node | None:
        node = self._least_that_fits(request)
        if node is not None:
            self._settle(node, node.in_flight + request.takes(node))
        return node

    def _least_that_fits(self, request: Request) -> Node | None:
        for load in sorted(self._buckets):
            nodes = self._buckets[load]
            for _ in range(min(_DRAWS, len(nodes))):
                node = nodes[int(self._random() * len(nodes))]
                if request.fits(node):
                    return node
            fitting = [node for node in nodes if request.fits(node)]
            if fitting:
                return fitting[int(self._random() * len(fitting))]
        return None

    def _sweep(self) -> None:
        """Remove the empty buckets, which a weight that changes often leaves behind."""
        kept = {load: bucket for load, bucket in self._buckets.items() if bucket}
        self._loads, self._buckets = sorted(kept), kept
        self._sweep_at = 2 * len(kept) + _FEW_BUCKETS


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [LeastInFlight]
