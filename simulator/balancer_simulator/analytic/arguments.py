"""Argument checks of the formulas: ranges, and the line that refuses what is out of them.

One function for each kind of range, whichever formula asks. Every test is written so that NaN fails it.
"""

import math
from numbers import Integral

__all__ = ["require_not_negative", "require_positive", "require_share", "require_utilisation", "require_whole"]


def require_utilisation(name: str, value: float) -> None:
    """Raise ValueError unless `value` is a utilisation that a queue can bear: 0 <= value < 1."""
    _require(0.0 <= value < 1.0, name, value, ">= 0 and < 1, or the queue grows without end")


def require_share(name: str, value: float) -> None:
    """Raise ValueError unless 0 <= value < 1."""
    _require(0.0 <= value < 1.0, name, value, ">= 0 and < 1")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and > 0."""
    _require(0.0 < value < math.inf, name, value, "a finite number > 0")


def require_not_negative(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and >= 0."""
    _require(0.0 <= value < math.inf, name, value, "a finite number >= 0")


def require_whole(name: str, value: int, *, least: int) -> None:
    """Raise ValueError unless `value` is a whole number >= `least`."""
    _require(isinstance(value, Integral) and value >= least, name, value, f"a whole number >= {least}")


def _require(holds: bool, name: str, value: float, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}; it must be {allowed}")
