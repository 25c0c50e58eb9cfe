"""Random number streams: one for each purpose, named by seed and replication (common random numbers).

A stream depends on the scenario's seed, the replication and its purpose, never on the strategy. So every strategy gets
the same requests and the same faults.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, repeat

import numpy as np

from balancer_simulator.scenario.distributions import Floats

__all__ = ["Purpose", "Streams", "endless"]


class Purpose(IntEnum):
    """Purpose of a stream. The numbers are part of every result: never change one, nor use one again that is gone."""

    ARRIVALS = 1
    WORK = 2
    KINDS = 3
    THINK = 4
    FAULTS = 5
    STRATEGY = 6
    BATCH = 7
    NETWORK = 8
    HEALTH = 9
    RETRIES = 10
    LATE = 18
    TURNS = 19
    PROMPTS = 20


@dataclass(frozen=True)
class Streams:
    """The streams of one replication."""

    seed: int
    replication: int

    def numbers(self, purpose: Purpose, *which: int) -> np.random.Generator:
        """Return a numpy generator; `which` distinguishes several of one purpose."""
        return np.random.Generator(np.random.PCG64(self._sequence(purpose, *which)))

    def choices(self, purpose: Purpose, *which: int) -> random.Random:
        """Return a generator of the standard library, which strategies need."""
        return random.Random(int(self._sequence(purpose, *which).generate_state(1, np.uint64)[0]))

    def _sequence(self, purpose: Purpose, *which: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=(self.replication, purpose, *which))


def endless(draw: Callable[[int], Floats], block: int = 4096) -> Iterator[float]:
    """Yield numbers for ever, drawn in blocks, because single draws cost numpy ten times as much."""
    return chain.from_iterable(draw(block).tolist() for _ in repeat(None))
