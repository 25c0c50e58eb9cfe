"""`random`: any endpoint with a free slot, with a chance by its weight.

Load metric: none. Selection rule: a weighted draw, each one independent of those before it. It keeps no
memory and so has no rhythm that many pools could fall into; its shares are right in the long run only.

The draw is by composition and rejection (Slepoy, Thompson, Plimpton, J. Chem. Phys. 128, 205101, 2008): an
endpoint owns a strip as long as its weight, rounded up to a power of two, of which its weight counts. A dart
is thrown at all strips, and again if it hits what does not count, which is less than half. So a draw is exact
whatever the weights are, and no sum of weights is kept that could drift or contradict the rest.
"""

import random
from math import frexp, ldexp

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Random"]

# Darts before looking at every candidate. A retry excludes one endpoint or two, so a dart nearly always
# succeeds in a large pool; keeping only admitted ones leaves each admitted node its chance by weight.
_DARTS = 8
_HEAVIEST = 2.0**1000  # more counts as this, so that the sum over 2**23 endpoints is still a finite double


_NOWHERE = -1


class _Place:
    """Where a node stands: `bucket[index]`; its index is `_NOWHERE` while it has no free slot."""

    __slots__ = ("bucket", "index")

    def __init__(self, bucket: list[Node]) -> None:
        self.bucket = bucket
        self.index = _NOWHERE


class Random(Strategy):
    """Any endpoint with a free slot, with a chance by its weight."""

    name = "random"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._rng = rng
        self._random = rng.random
        # Nodes with a free slot, by the length of their strip. An empty bucket stays: there is at most one
        # for each power of two that a weight was rounded to, and equal weights need one.
        self._buckets: dict[float, list[Node]] = {}

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = _Place(self._buckets.setdefault(_strip(_weight(node)), []))
        if node.free:
            self._put(node)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        if node.note.index != _NOWHERE:
            self._drop(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self.leave(node, now)
        self.join(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight)) where weights differ."""
        node = self._any() if request.open else self._any_admitted(request)
        if node is not None and node.in_flight + 1 >= node.limit:
            self._drop(node)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if node.note.index == _NOWHERE and node.in_flight < node.limit:
            self._put(node)

    def _any(self) -> Node | None:
        length = self._length()
        while length:
            node = self._dart(length)
            if node is not None:
                return node
        return None

    def _any_admitted(self, request: Request) -> Node | None:
        length = self._length()
        for _ in range(_DARTS if length else 0):
            node = self._dart(length)
            if node is not None and request.admits(node.endpoint):
                return node
        admitted = [node for nodes in self._buckets.values() for node in nodes if request.admits(node.endpoint)]
        return self._rng.choices(admitted, list(map(_weight, admitted)))[0] if admitted else None

    def _length(self) -> float:
        """Return the length of all strips, one after another."""
        length = 0.0
        for strip, nodes in self._buckets.items():
            length += strip * len(nodes)
        return length

    def _dart(self, length: float) -> Node | None:
        """Return whose weight a dart hits that is thrown at all strips, or None if it hits none."""
        at = self._random() * length
        for strip, nodes in self._buckets.items():
            of_bucket = strip * len(nodes)
            if at < of_bucket:
                index = int(at / strip)
                node = nodes[index]
                return node if at - index * strip < node.endpoint.weight else None
            at -= of_bucket
        return None  # rounding may leave nothing of the last strip

    def _put(self, node: Node) -> None:
        place: _Place = node.note
        place.index = len(place.bucket)
        place.bucket.append(node)

    def _drop(self, node: Node) -> None:
        """Take `node` out of its bucket; the last of the bucket moves to its place.

        Nothing is called here: Python looks for signals after a call, and a Ctrl-C half-way would leave buckets
        that contradict the places, and with them a pool that can do nothing more.
        """
        place: _Place = node.note
        bucket, index = place.bucket, place.index
        place.index = _NOWHERE
        last = bucket[-1]
        del bucket[-1]
        if last is not node:
            bucket[index] = last
            last.note.index = index


def _weight(node: Node) -> float:
    return min(node.endpoint.weight, _HEAVIEST)


def _strip(weight: float) -> float:
    """Return the least power of two that is not below `weight`."""
    mantissa, exponent = frexp(weight)  # 0.5 <= mantissa < 1
    return ldexp(1.0, exponent - (mantissa == 0.5))


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Random]
