"""Small random arguments of a call, without end. Pure.

Arguments have the shapes that `learn.value_shapes` knows, so nothing is tried that no sample and no statement shows.
"""

import random
from collections.abc import Sequence
from itertools import islice

from balancer.pipeline.generators.draw.arguments import drawn_arguments
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.problem import Problem

__all__ = ["SmallArguments"]

_AT_ONCE, _DRAWS = 250, 2000  # arguments of a batch, and draws until it is left short
_MOST_KNOWN = 300  # inputs that are changed
_KINDS = ("small", "change", "small", "middle")


class SmallArguments:
    """Small random arguments of a call, each once, and changes of known ones."""

    def __init__(self, problem: Problem, known: Sequence[bytes], near: Sequence[bytes], rng: random.Random) -> None:
        self._seen = set(known)
        self._made = drawn_arguments(problem, [*near, *known][:_MOST_KNOWN], rng, _KINDS)

    def batch(self) -> list[MadeInput]:
        """Return the next inputs."""
        found: list[MadeInput] = []
        for detail, data in islice(self._made, _DRAWS):
            if data not in self._seen:
                self._seen.add(data)
                found.append(MadeInput("arguments", detail, data))
            if len(found) == _AT_ONCE:
                break
        return found

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Nothing is learnt: a row has no validator."""

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Nothing is learnt."""
