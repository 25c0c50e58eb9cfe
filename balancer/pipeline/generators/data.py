"""Generator `data`: the problem's own data as proposals, unchanged."""

import random
from collections.abc import Iterable
from itertools import islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.problem import Problem, Proposal

__all__ = ["DataGenerator", "balancer_generators"]


class DataGenerator:
    """Propose the known inputs of a problem, in their order, samples first."""

    name: ClassVar[str] = "data"

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` known inputs; `rng` is not used."""
        return islice(problem.data, max(budget, 0))


@hookimpl
def balancer_generators() -> list[Generator]:
    """Return the generator of this module."""
    return [DataGenerator()]
