"""Row selection: which rows, and which of a row's solutions, are used.

Decides by number, by name and by share; and draws solutions with a seed, spread over their languages. It must not know
what a solution does.
"""

import random
import zlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from balancer.pipeline.rows.columns import Solution

__all__ = ["ALL", "Shard", "drawn", "parse_shard"]


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of the rows that one of several machines takes: those whose number is `index` modulo `of`."""

    index: int = 0
    of: int = 1

    def takes(self, number: int) -> bool:
        """Return whether row `number` is in it."""
        return number % self.of == self.index


ALL = Shard()


def parse_shard(text: str) -> Shard:
    """Return the share that "i/n" names, i counted from 1.

    Raises:
        ValueError: it is none.
    """
    index, slash, of = text.partition("/")
    if slash and index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of):
        return Shard(int(index) - 1, int(of))
    raise ValueError(f"{text!r} is no share; write i/n with 1 <= i <= n, e.g. 2/8 for the second of eight machines")


def drawn(
    solutions: Sequence[Solution], most: int | Literal["all"], languages: Collection[str], seed: str
) -> tuple[Solution, ...]:
    """Return at most `most` of the solutions in one of `languages`, as they stand in the row.

    One of each language is drawn in turn, so that no language is forgotten because another has more. The same seed
    draws the same ones; with a higher `most`, the same ones and more.
    """
    by_language: dict[str, list[Solution]] = defaultdict(list)
    for solution in solutions:
        if solution.language in languages:
            by_language[solution.language].append(solution)
    if most == "all":
        chosen = [solution for group in by_language.values() for solution in group]
    else:
        rng = random.Random(zlib.crc32(seed.encode()))
        for group in by_language.values():
            rng.shuffle(group)
        turns = max(map(len, by_language.values()), default=0)
        in_turn = [group[turn] for turn in range(turns) for group in by_language.values() if turn < len(group)]
        chosen = in_turn[:most]
    return tuple(sorted(chosen, key=lambda solution: solution.number))
