"""`rendezvous`: requests with one key go to the same endpoint, and few keys move when endpoints come and go.

Load metric: none. Selection rule: the highest random weight. Key and name are hashed to h in (0, 1). Of the endpoints
that the request fits, the one with the highest score -weight / ln(h) is next (Thaler, Ravishankar, "Using Name-Based
Mappings to Increase Hit Rates", IEEE/ACM ToN 6(1), 1998; weights: Schindelhauer, Schomaker, "Weighted Distributed Hash
Tables", SPAA 2005). So keys are shared by weight, and all processes agree on them. If the endpoint of a key is full,
its second choice serves. A request without a key goes where a random key would.

Some keys are asked for more often, so the endpoint of a popular key has more than its share. With `bound`, no endpoint
gets more than so many times the mean of the slots in use, by weight and rounded up, over the endpoints that the request
may use. One that would get more is skipped for the key's next choice (Mirrokni, Thorup, Zadimoghaddam, "Consistent
Hashing with Bounded Loads", SODA 2018). If only such endpoints have a free slot, the key's first choice among them
serves, so that no slot idles.

With a key, a lease costs O(endpoints with a free slot), or O(endpoints) with a bound. Without a key it costs O(1).
"""

import random
from collections.abc import Iterable
from hashlib import blake2b
from math import log

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.affinity import Affinity
from balancer.kit.strips import Strip
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Rendezvous"]

_64_BITS = 2**64 - 1


class _Seat(Strip):
    """The place of a node, and the hash of its name."""

    __slots__ = ("hash",)

    hash: int


class Rendezvous(Affinity):
    """The endpoint that a request's key prefers, by weight; without a key a random one, by weight."""

    name = "rendezvous"
    note = _Seat

    class Options(StrategyOptions):
        """How uneven the load may be."""

        bound: float | None = Field(
            None, ge=1, le=1000, description="an endpoint with more than this many times the mean load is skipped"
        )

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng)
        self._bound = options.bound

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        super().join(node, now)
        node.note.hash = _hash(node.endpoint.name)

    def preferred(self, request: Request, key: str) -> Node | None:
        """Return the node with the highest score within the bound, else of all that fit; O(N)."""
        of_key = _hash(key)
        best = _highest(of_key, self.strips.nodes() if request.open else filter(request.fits, self.strips.nodes()))
        if self._bound is None or best is None:
            return best
        return _highest(of_key, self.within(request, self._bound)) or best


def _highest(of_key: int, nodes: Iterable[Node]) -> Node | None:
    best, highest = None, -1.0
    for node in nodes:
        score = -node.weight / log(_to_unit(of_key ^ node.note.hash))
        if score > highest:
            best, highest = node, score
    return best


def _hash(text: str) -> int:
    """Return a 64-bit hash that is the same in every process, unlike `hash`."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _to_unit(x: int) -> float:
    """Map 64 bits to a number in (0, 1), with the mixer of splitmix64: each bit depends on every other.

    (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.) A half plus a whole number of
    52 bits is exact as a double, so the result is never 0 or 1.
    """
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _64_BITS
    return ((x ^ x >> 31) >> 12) * 2.0**-52 + 2.0**-53


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Rendezvous]
