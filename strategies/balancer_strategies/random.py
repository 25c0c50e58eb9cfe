"""`random`: a random endpoint with a free slot, with chances by weight.

Load metric: none. Selection rule: a weighted draw, independent of earlier ones. So many pools cannot fall into step,
but shares are right only in the long run.

`balancer.kit.strips` draws in O(1) for any weights.
"""

import random

from balancer.hookspecs import hookimpl
from balancer.kit.strips import ByWeight
from balancer.strategy import Strategy

__all__ = ["Random"]


class Random(ByWeight):
    """A random endpoint with a free slot, with chances by weight."""

    name = "random"

    def __init__(self, options: object, rng: random.Random) -> None:
        super().__init__(rng)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Random]
