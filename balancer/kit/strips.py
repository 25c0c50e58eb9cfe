"""Weighted random choice of a node, in O(1) expected whatever the weights are.

By composition and rejection (Slepoy, Thompson, Plimpton, J. Chem. Phys. 128, 205101, 2008): a node owns a
strip as long as its weight, rounded up to a power of two, of which its weight counts. A dart is thrown at all
strips, and again if it hits what does not count, which is less than half. So a draw is exact whatever the
weights are, and no sum of weights is kept that could drift or contradict the rest.

It must not know what a weight follows from: it is told, with `settle`.
"""

import random
from collections.abc import Iterator
from math import frexp, ldexp
from typing import Final

from balancer.kit.places import NOWHERE, Place, Places
from balancer.strategy import Node, Request

__all__ = ["Strip", "Strips"]

# Darts before looking at every candidate. A retry excludes one endpoint or two, so a dart nearly always
# succeeds in a large pool; keeping only those that fit leaves each of them its chance by weight.
_DARTS: Final = 8
_HEAVIEST: Final = 2.0**1000  # more counts as this, so that the sum over 2**23 endpoints is still a finite double
_LIGHTEST: Final = 5e-324  # less counts as this, the least double there is, so that a strip has a length


class Strip(Place):
    """Where a node stands: in a `bucket`, with those whose strips are as long as its own; `weight` of it counts."""

    __slots__ = ("bucket", "weight")

    bucket: Places
    weight: float


class Strips:
    """Nodes with a free slot, and their weights. The note of every node is its `Strip`.

    Args:
        rng: what draws are made with.
    """

    __slots__ = ("_buckets", "_random", "_rng")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._random = rng.random
        # By the length of a strip. An empty bucket stays: there is at most one for each power of two that a
        # weight was rounded to, and equal weights need one.
        self._buckets: dict[float, Places] = {}

    def settle(self, node: Node, weight: float, in_flight: int) -> None:
        """Let `node` in with this weight if `in_flight` leaves it a free slot, else take it out; O(1)."""
        strip: Strip = node.note
        if strip.index != NOWHERE:
            strip.bucket.drop(node)
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
        """Return a node that `request` fits, with a chance by its weight, or None.

        O(1) expected for an open request, O(log(most / least weight)) where weights differ.
        """
        length = 0.0  # of all strips, one after another
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
        """Return the bucket of the strips as long as the least power of two that is not below `weight`."""
        mantissa, exponent = frexp(weight)  # 0.5 <= mantissa < 1
        length = ldexp(1.0, exponent - (mantissa == 0.5))
        bucket = self._buckets.get(length)
        if bucket is None:
            bucket = self._buckets[length] = Places(self._rng)
        return bucket

    def _dart(self, length: float) -> Node | None:
        """Return whose weight a dart hits that is thrown at all strips, or None if it hits none."""
        at = self._random() * length
        for strip, bucket in self._buckets.items():
            of_bucket = strip * len(bucket.nodes)
            if at < of_bucket:
                index = int(at / strip)
                node = bucket.nodes[index]
                return node if at - index * strip < node.note.weight else None
            at -= of_bucket
        return None  # rounding may leave nothing of the last strip
