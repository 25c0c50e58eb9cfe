"""Counts held against chances, by chi-square at p = 0.001.

With a fixed seed a right strategy fails one seed in a thousand, always the same one, and a wrong one nearly always.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping

from scipy.stats import chi2

__all__ = ["assert_follows", "by_weight", "evenly"]


def assert_follows(found: Iterable[Hashable], expected: Mapping[str, float]) -> None:
    """Check that what was found has these chances. Each expected count should be 5 or more."""
    counts = Counter(found)
    means = {cell: counts.total() * chance for cell, chance in expected.items()}
    assert set(counts) <= set(means), f"{set(counts) - set(means)} had no chance"
    statistic = sum((counts[cell] - mean) ** 2 / mean for cell, mean in means.items())
    critical = float(chi2.isf(0.001, len(means) - 1))
    assert statistic < critical, f"chi-square {statistic:.1f}, not below {critical:.1f}: {counts} for {means}"


def by_weight(weights: Mapping[str, float]) -> dict[str, float]:
    """Return chances in proportion."""
    return {url: weight / sum(weights.values()) for url, weight in weights.items()}


def evenly(urls: Iterable[str]) -> dict[str, float]:
    """Return equal chances."""
    return by_weight(dict.fromkeys(urls, 1.0))
