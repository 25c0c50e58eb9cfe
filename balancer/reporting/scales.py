"""Scales of drawings: linear or logarithmic, with marks at round numbers. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from balancer.reporting.style import width_of

__all__ = ["Scale", "ends_of"]

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)  # between marks, times a power of ten
_DECADES: Final = 9  # marks of a logarithmic scale
_APART: Final = 8.0  # units between the words of two marks
_MARGIN: Final = 0.04  # of a scale, so that nothing is cut
_LEAST: Final = 1e-100  # no figure of ours is smaller: ratios of such numbers overflow, and no scale can show them
_CLOSE: Final = 1e-9  # numbers are at one place on a scale if they differ by a smaller part


@dataclass(slots=True)
class Scale:
    """A scale of a drawing, which has light lines at its marks.

    Attributes:
        ends: first and last value: at the left and right, or at the bottom and top.
        label: its words; "" for none.
        log: whether equal ratios are equally far apart.
        most: marks at most, of a linear scale.
        whole: whether only whole numbers are marked.
        named: the marks and their words, if they are not round numbers.
        grid: whether there are lines.
    """

    ends: tuple[float, float] = (0.0, 1.0)
    label: str = ""
    log: bool = False
    most: int = 6
    whole: bool = False
    named: Sequence[tuple[float, str]] | None = None
    grid: bool = True

    def part(self, value: float) -> float:
        """Return where a value is, 0 at the first end, 1 at the last; NaN if it has no place."""
        first, last = self.ends
        if not math.isfinite(value) or (self.log and value <= 0):
            return math.nan
        if self.log:
            return (math.log(value) - math.log(first)) / (math.log(last) - math.log(first))
        return (value - first) / (last - first)

    def marks(self, length: float = math.inf) -> list[tuple[float, str]]:
        """Return places and words of the marks, as many as have room side by side on `length` units."""
        if self.named is not None:
            return list(self.named)
        found: list[tuple[float, str]] = []
        for most in range(_DECADES if self._by_decades else self.most, 0, -1):
            values = _decades(*self.ends, most) if self._by_decades else _round(*self.ends, most, whole=self.whole)
            found = [(value, f"{value:g}") for value in values]
            if self._has_room(found, length):
                break
        return found

    @property
    def _by_decades(self) -> bool:
        return self.log and self.ends[1] >= 10 * self.ends[0]

    def _has_room(self, marks: Sequence[tuple[float, str]], length: float) -> bool:
        places = [(length * self.part(value), width_of(words) / 2) for value, words in marks]
        return math.isinf(length) or all(x + half + _APART <= y - other for (x, half), (y, other) in pairwise(places))


def ends_of(values: Iterable[float], *, log: bool) -> tuple[float, float]:
    """Return ends of a scale that shows all values, except those that it cannot show.

    A linear scale begins at 0, unless all values would then be in its far half.
    """
    shown = [value for value in values if math.isfinite(value) and (value > _LEAST or not log)]
    low, high = min(shown, default=1.0), max(shown, default=1.0)
    if log:
        room = (high / low) ** _MARGIN if high / low > 1 + _CLOSE else 2.0
        return low / room, high * room
    if 0 < low < high / 2:
        low = 0.0
    apart = high - low if high - low > _CLOSE * abs(high) else 0.0
    room = next((each for each in (_MARGIN * apart, abs(high) / 10) if each > _LEAST), 1.0)
    return low - room, high + room


def _round(first: float, last: float, most: int, *, whole: bool) -> list[float]:
    """Return the multiples of a round step between two ends, at most one more than `most`."""
    low, high = min(first, last), max(first, last)
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [power * step for step in _STEPS]
    if whole:
        steps = [step for step in steps if step.is_integer()] or [1.0]
    step = next((step for step in steps if (high - low) / step <= most), steps[-1])
    return [n * step for n in range(math.ceil(low / step - _CLOSE), math.floor(high / step + _CLOSE) + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    """Return the powers of ten between two ends, or each second, third, ...; with 2 and 5 if there are few."""
    powers = range(math.ceil(math.log10(low) - _CLOSE), math.floor(math.log10(high) + _CLOSE) + 1)
    if high < 1000 * low:
        closer = [10.0**power * part for power in range(powers.start - 1, powers.stop + 1) for part in (1, 2, 5)]
        if len(found := [value for value in closer if low <= value <= high]) <= most:
            return found
    return [10.0**power for power in powers[:: -(-len(powers) // most)]]
