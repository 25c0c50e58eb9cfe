"""`rendezvous`: requests of one key go to the same endpoint, and few of them move when endpoints come and go.

Load metric: none. Selection rule: the highest random weight. Key and name are hashed to h in (0, 1), and of the
endpoints that the request fits the one of the highest score -weight / ln(h) is next (Thaler, Ravishankar, "Using
Name-Based Mappings to Increase Hit Rates", IEEE/ACM ToN 6(1), 1998; weights: Schindelhauer, Schomaker, "Weighted
Distributed Hash Tables", SPAA 2005). So keys are shared out by weight, and all processes agree on where they go.
Where the endpoint of a key is full, its second choice serves. A request without a key goes where a random key would.

With a key a lease costs O(endpoints with a free slot), without one O(1).
"""

import random
from hashlib import blake2b
from math import log

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.places import NOWHERE
from balancer.kit.strips import Strip, Strips
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Rendezvous"]

_64_BITS = 2**64 - 1


class _Seat(Strip):
    """Where a node stands, and the hash of its name."""

    __slots__ = ("hash",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.hash = _hash(name)


class Rendezvous(Strategy):
    """The endpoint that a request's key prefers, by weight; without a key any, by weight."""

    name = "rendezvous"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._strips = Strips(rng)

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = _Seat(node.endpoint.name)
        self.change(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._strips.leave(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._strips.settle(node, node.weight, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(N) with a key, O(1) expected without one."""
        node = self._strips.any_that_fits(request) if request.key is None else self._preferred(request, request.key)
        if node is not None and node.in_flight + request.takes(node) >= node.limit:
            node.note.bucket.drop(node)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if node.note.index == NOWHERE and node.in_flight < node.limit:
            node.note.bucket.put(node)

    def _preferred(self, request: Request, key: str) -> Node | None:
        of_key = _hash(key)
        best, highest = None, -1.0
        for node in self._strips.nodes():
            if request.open or request.fits(node):
                score = -node.weight / log(_to_unit(of_key ^ node.note.hash))
                if score > highest:
                    best, highest = node, score
        return best


def _hash(text: str) -> int:
    """Return 64 bits that are the same in every process, unlike those of `hash`."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _to_unit(x: int) -> float:
    """Return a number in (0, 1) that follows from 64 bits, each bit on every other: the mixer of splitmix64.

    (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.) A half more than a whole
    number of 52 bits is exact as a double, so the number is never 0 nor 1.
    """
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _64_BITS
    return ((x ^ x >> 31) >> 12) * 2.0**-52 + 2.0**-53


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Rendezvous]
