"""`least_in_flight`: the endpoint with the fewest leases out for its weight.

Load metric: (in-flight + 1) / weight, the load it would have *with* the lease, so that an idle endpoint of
weight 2 comes before an idle one of weight 1. Selection rule: the least, ties broken at random, so that
neither the first endpoint nor any other is favoured.
"""

import random
from heapq import heappop, heappush

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["LeastInFlight"]

# Random draws before looking at every candidate. A retry excludes one endpoint or two, so a draw nearly
# always succeeds in a large pool; keeping only admitted draws leaves each admitted node equally likely.
_DRAWS = 8
_FEW_BUCKETS = 64  # not worth a sweep; one for each number of leases out, where weights are equal


class _Place:
    """Where a node stands: `bucket[index]`; no bucket while it has no free slot."""

    __slots__ = ("bucket", "index")

    def __init__(self) -> None:
        self.bucket: list[Node] | None = None
        self.index = 0


class LeastInFlight(Strategy):
    """The endpoint with the fewest leases out for its weight, ties at random."""

    name = "least_in_flight"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._random = rng.random
        # Nodes with a free slot, in buckets of equal load, each a plain list: any member in O(1).
        self._buckets: dict[float, list[Node]] = {}
        self._loads: list[float] = []  # a heap of the buckets' keys; an empty bucket goes when it is on top
        self._sweep_at = _FEW_BUCKETS  # or when there are more than this

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        node.note = _Place()
        if node.free:
            self._put(node, node.in_flight)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        if node.note.bucket is not None:
            self._drop(node)

    def change(self, node: Node, now: float) -> None:
        """O(log N), amortised."""
        self.leave(node, now)
        self.join(node, now)
        if len(self._buckets) > self._sweep_at:
            self._sweep()

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1), amortised, for an open request; O(log N) where weights differ."""
        node = self._least() if request.open else self._least_admitted(request)
        if node is not None:
            self._drop(node)
            if node.in_flight + 1 < node.limit:
                self._put(node, node.in_flight + 1)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1), amortised; O(log N) where weights differ."""
        if node.note.bucket is not None:
            self._drop(node)
        if node.in_flight < node.limit:
            self._put(node, node.in_flight)

    def _least(self) -> Node | None:
        loads = self._loads
        while loads:
            bucket = self._buckets[loads[0]]
            if bucket:
                return bucket[int(self._random() * len(bucket))]
            del self._buckets[heappop(loads)]
        return None

    def _least_admitted(self, request: Request) -> Node | None:
        for load in sorted(self._loads):
            bucket = self._buckets[load]
            for _ in range(min(_DRAWS, len(bucket))):
                node = bucket[int(self._random() * len(bucket))]
                if request.admits(node.endpoint):
                    return node
            admitted = [node for node in bucket if request.admits(node.endpoint)]
            if admitted:
                return admitted[int(self._random() * len(admitted))]
        return None

    def _put(self, node: Node, in_flight: int) -> None:
        load = (in_flight + 1) / node.endpoint.weight
        bucket = self._buckets.get(load)
        if bucket is None:
            bucket = self._buckets[load] = []
            heappush(self._loads, load)
        place: _Place = node.note
        place.index = len(bucket)
        place.bucket = bucket
        bucket.append(node)

    def _sweep(self) -> None:
        """Forget the empty buckets: a weight that changes again and again leaves them behind."""
        self._buckets = {load: bucket for load, bucket in self._buckets.items() if bucket}
        self._loads = sorted(self._buckets)
        self._sweep_at = 2 * len(self._buckets) + _FEW_BUCKETS

    def _drop(self, node: Node) -> None:
        """Take `node` out of its bucket; the last of the bucket moves to its place.

        Nothing is called here: Python looks for signals after a call, and a Ctrl-C half-way would leave buckets
        that contradict the places, and with them a pool that can do nothing more.
        """
        place: _Place = node.note
        bucket = place.bucket
        assert bucket is not None, "only a node in a bucket is dropped"
        place.bucket = None
        last = bucket[-1]
        del bucket[-1]
        if last is not node:
            bucket[place.index] = last
            last.note.index = place.index


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [LeastInFlight]
