"""Counts held against chances, with a fixed seed.

At p = 0.001 a right strategy fails one seed in a thousand, always the same one, and a wrong one nearly always.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from scipy.stats import chi2

from balancer.endpoint import Lease
from balancer.strategy import Request
from tests.properties.sequence import Sequence

__all__ = [
    "Counting",
    "Excess",
    "assert_follows",
    "assert_holds_however_they_come_and_go",
    "by_weight",
    "evenly",
    "only",
]


def assert_follows(found: Iterable[Hashable], expected: Mapping[Any, float]) -> None:
    """Check by chi-square that what was found has these chances. Each expected count should be 5 or more."""
    counts = Counter(found)
    means = {cell: counts.total() * chance for cell, chance in expected.items() if chance}
    assert set(counts) <= set(means), f"{set(counts) - set(means)} had no chance"
    if len(means) > 1:
        statistic = sum((counts[cell] - mean) ** 2 / mean for cell, mean in means.items())
        critical = float(chi2.isf(0.001, len(means) - 1))
        assert statistic < critical, f"chi-square {statistic:.1f}, not below {critical:.1f}: {counts} for {means}"


class Excess:
    """Choices less their chances: they sum up to a martingale, whose variance is the sum of p (1 - p).

    So it is whatever happens in between: the sum by its root is normal. Within 3.9 for 5 endpoints is p > 0.0005.
    """

    def __init__(self) -> None:
        self._sums = defaultdict[str, float](float)
        self._variances = defaultdict[str, float](float)

    def add(self, chosen: str, chances: Mapping[str, float]) -> None:
        """Count a choice."""
        for url, chance in chances.items():
            self._sums[url] += (url == chosen) - chance
            self._variances[url] += chance * (1 - chance)

    def check(self, urls: int) -> None:
        """Check that so many have been chosen as often as they should."""
        assert len(self._variances) == urls
        assert min(self._variances.values()) > 50
        scores = {url: self._sums[url] / math.sqrt(variance) for url, variance in self._variances.items()}
        assert max(map(abs, scores.values())) < 3.9, scores


def assert_holds_however_they_come_and_go(
    calls: Sequence,
    chances: Callable[[Mapping[str, int]], Mapping[str, float]],
    *,
    capacities: Mapping[str, int],
    exclude: str,
    steps: int,
) -> None:
    """Check the chances of each choice, told how many are out at each endpoint that has a slot free.

    Ends of calls and their order depend on what was chosen; the next choice must depend on what is free alone.
    """
    rng, request = random.Random(4), Request(exclude=frozenset(exclude))
    out: list[Lease] = []
    excess = Excess()
    for _ in range(steps):
        busy = Counter(lease.endpoint.url for lease in out)
        free = {url: busy[url] for url in capacities if busy[url] < capacities[url] and url not in exclude}
        if free and (not out or rng.random() < 0.55):
            out.append(calls.take(request))
            excess.add(out[-1].endpoint.url, chances(free))
        else:  # the first or the last to come, so that slots come back in an order of its own
            calls.give(out.pop(rng.choice((0, -1))))
    excess.check(len(capacities) - len(exclude))


class Counting(random.Random):
    """Counts its numbers: the darts that are thrown."""

    drawn = 0

    def random(self) -> float:
        self.drawn += 1
        return super().random()


def by_weight(weights: Mapping[str, float]) -> dict[str, float]:
    """Return chances in proportion."""
    return {url: weight / sum(weights.values()) for url, weight in weights.items()}


def evenly(urls: Iterable[str]) -> dict[str, float]:
    """Return equal chances."""
    return by_weight(dict.fromkeys(urls, 1.0))


def only(urls: Iterable[str], among: Iterable[str]) -> Request:
    """Return a request that goes to these and to no other."""
    return Request(exclude=frozenset(among) - frozenset(urls))
