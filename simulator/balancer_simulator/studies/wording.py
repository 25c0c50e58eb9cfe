"""Formatting of figures with their intervals: one unit for both, significant digits.

Decides units, digits and when a part of something becomes a multiple of it. Pure; it must not know which figures
there are, nor where they are shown.

A figure has three digits, but none beyond the second digit of its interval (JCGM 100:2008, 7.2.6: an uncertainty has
at most two significant digits, and its figure the same decimals).
"""

import math
import sys
from typing import Final

from balancer_simulator.studies.figures import Unit
from balancer_simulator.studies.intervals import Interval

__all__ = ["TOO_SHORT", "worded", "worded_difference"]

TOO_SHORT: Final = "too short"
"""What stands for a figure that the runs are too short for."""

_LEAST: Final = {"number": 0.01}  # anything smaller has a power of ten
_LEAST_OTHER: Final = 0.0001
_NOISE_S: Final = 1e-9  # of times that are sums of floats
_MANY_TIMES: Final = 10.0  # from here on "x 12" is plainer than "+1100%"


def worded(interval: Interval, unit: Unit) -> str:
    """Return a figure and its interval, e.g. "1.23 s +-0.06"; only the figure if there is one replication.

    "9 ms (0 to 20)" where nothing can be below 0; "too short" if it is refused.
    """
    return TOO_SHORT if interval.is_refused else _written(interval, unit, sign=False)


def worded_difference(interval: Interval, base: float, unit: Unit) -> str:
    """Return a difference with its sign and interval, and what part of `base` it is, e.g. "+30 ms +-4 (+12%)".

    Where the part is 1000% or more, it is how many times `base` the other figure is: "(x 12)". A difference of
    nothing is only that.
    """
    if interval.is_refused:
        return TOO_SHORT
    if not _rounded_off(interval.mean, unit) and not _rounded_off(_half(interval), unit):
        return _written(interval, unit, sign=False)
    return _written(interval, unit, sign=True) + (f" ({_part(interval, base)})" if base > 0 else "")


def _written(interval: Interval, unit: Unit, *, sign: bool) -> str:
    mean, half = _rounded_off(interval.mean, unit), _rounded_off(_half(interval), unit)
    scale, suffix = _scale(max(abs(mean), half), unit)
    mean, half = mean * scale, half * scale
    size = max(abs(mean), half)
    power = math.floor(math.log10(size)) if 0 < size < _LEAST.get(unit, _LEAST_OTHER) else 0
    mean, half = mean / 10.0**power, half / 10.0**power
    decimals = _decimals(mean, half)
    figure = _digits(mean, decimals, sign=sign)
    if math.isnan(interval.half):
        return f"{figure}e{power}{suffix}" if power else f"{figure}{suffix}"
    if interval.is_cut and interval.low == 0:
        high = _digits(mean + half, decimals)
        return f"({figure}, 0 to {high})e{power}{suffix}" if power else f"{figure}{suffix} (0 to {high})"
    spread = _spread(half, decimals)
    return f"({figure} \u00b1{spread})e{power}{suffix}" if power else f"{figure}{suffix} \u00b1{spread}"


def _decimals(mean: float, half: float) -> int:
    """Return how many decimals a figure and its interval are written with."""
    found = [_decimals_of(value, digits) for value, digits in ((mean, 3), (half, 2)) if value]
    return max(0, min(found, default=0))


def _decimals_of(value: float, digits: int) -> int:
    """Return the decimals that give `value` so many significant digits; below 0 where even the units are too many."""
    return digits - 1 - math.floor(math.log10(abs(value)))


def _digits(value: float, decimals: int, *, sign: bool = False) -> str:
    worded = f"{abs(value):,.{decimals}f}".replace(",", "\u2009")
    if not worded.strip("0."):
        return worded
    return f"{'+' if value > 0 else '-'}{worded}" if sign or value < 0 else worded


def _spread(half: float, decimals: int) -> str:
    """Return half an interval; never rounded down to nothing."""
    least = 10.0**-decimals
    if half == 0:
        return "0"
    return f"<{least:.{decimals}f}" if half < least / 2 else _digits(half, decimals)


def _part(interval: Interval, base: float) -> str:
    part, half = interval.mean / base, _half(interval) / base
    if part >= _MANY_TIMES:
        return f"\u00d7 {_digits(float(f'{part + 1:.3g}'), 0)}"
    found = [_decimals_of(100 * value, digits) for value, digits in ((part, 2), (half, 1)) if value]
    worded = f"{100 * part:+.{min(max(0, min(found, default=0)), 2)}f}%"
    return worded if worded.strip("+-0.%") else "0%"


def _scale(size: float, unit: Unit) -> tuple[float, str]:
    if unit == "part":
        return 100.0, "%"
    if unit == "s":
        if 0 < size < 0.9995:
            return 1000.0, " ms"
        return (1.0, " s") if size < 9999.5 else (1 / 3600, " h")
    return 1.0, ""


def _rounded_off(value: float, unit: Unit) -> float:
    return 0.0 if abs(value) < (_NOISE_S if unit == "s" else sys.float_info.min) else value


def _half(interval: Interval) -> float:
    return 0.0 if math.isnan(interval.half) else interval.half
