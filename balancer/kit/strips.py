"""Weighted random choice of a node, in O(1) expected for any weights.

By composition and rejection (Slepoy, Thompson, Plimpton, J. Chem. Phys. 128, 205101, 2008). A node has a strip whose
length is its weight, rounded up to a power of two. A dart is thrown at all strips. If it hits a strip beyond the node's
weight, which is less than half of it, the throw is repeated. So draws are exact for any weights, and no running sum of
weights can drift.
"""

import random
from collections.abc import Iterator
from math import frexp, ldexp
from typing import ClassVar, Final

from balancer.endpoint import Outcome
from balancer.kit.places import NOWHERE, Place, Places
from balancer.strategy import Node, Request, Strategy

__all__ = ["ByWeight", "Strip", "Strips"]

# Darts before every candidate is looked at. A retry excludes one or two endpoints, so in a large pool a dart nearly
# always hits. Repeating a miss keeps the chances by weight.
_DARTS: Final = 8
_HEAVIEST: Final = 2.0**1000  # larger weights count as this, so that the sum over 2**23 endpoints is finite
_LIGHTEST: Final = 5e-324  # smaller weights count as this, the least double, so that every strip has a length


class Strip(Place):
    """The place of a node: in a `bucket`, with strips of the same length; `weight` is the part that counts."""

    __slots__ = ("bucket", "weight")

    bucket: Places
    weight: float


class Strips:
    """Nodes with a free slot, and their weights. The note of every node is its `Strip`.

    Args:
        rng: the random numbers for draws.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._random = rng.random
        # By the length of a strip. An empty bucket stays: there is at most one for each power of two, and equal weights
        # share one.
        self._buckets: dict[float, Places] = {}

    def settle(self, node: Node, weight: float, in_flight: int) -> None:
        """Put `node` in with this weight if `in_flight` leaves it a free slot, else take it out; O(1)."""
        self.leave(node)
        strip: Strip = node.note
        strip.weight = min(max(weight, _LIGHTEST), _HEAVIEST)
        strip.bucket = self._bucket(strip.weight)
        if in_flight < node.limit:
            strip.bucket.put(node)

    def leave(self, node: Node) -> None:
        """Take `node` out, if it is in; O(1)."""
        strip: Strip = node.note
        if strip.index != NOWHERE:
            strip.bucket.drop(node)

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes with a free slot, in no order."""
        for bucket in self._buckets.values():
            yield from bucket.nodes

    def any_that_fits(self, request: Request) -> Node | None:
        """Return a random node that `request` fits, with chances by weight, or None.

        O(1) expected for an open request, O(log(most / least weight)) if weights differ.
        """
        length = 0.0  # of all strips together
        for strip, bucket in self._buckets.items():
            length += strip * len(bucket.nodes)
        if request.open:
            while length:
                node = self._dart(length)
                if node is not None:
                    return node
            return None
        for _ in range(_DARTS if length else 0):
            node = self._dart(length)
            if node is not None and request.fits(node):
                return node
        fitting = [node for node in self.nodes() if request.fits(node)]
        return self._rng.choices(fitting, [node.note.weight for node in fitting])[0] if fitting else None

    def _bucket(self, weight: float) -> Places:
        """Return the bucket of strips as long as the least power of two >= `weight`."""
        mantissa, exponent = frexp(weight)  # 0.5 <= mantissa < 1
        length = ldexp(1.0, exponent - (mantissa == 0.5))
        bucket = self._buckets.get(length)
        if bucket is None:
            bucket = self._buckets[length] = Places(self._rng)
        return bucket

    def _dart(self, length: float) -> Node | None:
        """Throw a dart at all strips. Return the node whose weight it hits, or None."""
        at = self._random() * length
        for strip, bucket in self._buckets.items():
            of_bucket = strip * len(bucket.nodes)
            if at < of_bucket:
                index = int(at / strip)
                node = bucket.nodes[index]
                return node if at - index * strip < node.note.weight else None
            at -= of_bucket
        return None  # because of rounding the last strip may have no room left


class ByWeight(Strategy):
    """Base class: a random node with a free slot, with chances by weight.

    Args:
        rng: the random numbers for draws.

    Attributes:
        strips: the nodes with a free slot.

    Class attributes:
        note: the class of a node's note: `Strip`, or a subclass with further data.
    """

    note: ClassVar[type[Strip]] = Strip

    def __init__(self, rng: random.Random) -> None:
        self.strips = Strips(rng)

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = self.note()
        self.change(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self.strips.leave(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self.strips.settle(node, node.weight, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight)) if weights differ."""
        node = self.strips.any_that_fits(request)
        if node is not None:
            self.count(node, node.in_flight + request.takes(node))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        self.count(node, node.in_flight)

    def count(self, node: Node, in_flight: int) -> None:
        """Put the node in, or take it out, as `in_flight` leaves it a free slot or not; O(1)."""
        node.note.bucket.settle(node, in_flight)
