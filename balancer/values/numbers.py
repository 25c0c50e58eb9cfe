"""Rules for numbers, in Python, in configs and in scenarios.

A rule returns its value, or raises ValueError with what is allowed. `checked` adds the name of the value.
"""

import math
import operator
import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

__all__ = ["checked", "number", "positive", "seconds", "whole"]

T = TypeVar("T")
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def checked(name: str, value: Any, rule: Callable[[Any], T]) -> T:
    """Return what `rule` returns for `value`, or raise ValueError with name, value and rule, in one line."""
    try:
        return rule(value)
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}; {error}") from None


def whole(value: Any, least: int = 1) -> int:
    """Return `value` if it is a whole number, and not less than `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"it must be a whole number >= {least}{_unquoted(value)}")
    return int(value)


def positive(value: Any) -> float:
    """Return `value` if it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"it must be a finite number > 0{_unquoted(value)}")
    return value  # type: ignore[return-value]  # as it is: 2 stays 2


def number(**bounds: float) -> Callable[[Any], float]:
    """Return a rule for finite numbers within bounds, each named as in `operator`: `number(gt=0, le=1)`."""
    words = " and ".join(f"{_SIGNS[name]} {bound:g}" for name, bound in bounds.items())
    most = sys.float_info.max  # NaN, inf and a whole number that no float can hold are not within it

    def rule(value: Any) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most
        if not fits or not all(getattr(operator, name)(value, bound) for name, bound in bounds.items()):
            raise ValueError(f"it must be a finite number {words}{_unquoted(value)}")
        return float(value)

    return rule


def seconds(value: Any) -> float:
    """Return `value` if it is a number of seconds, `inf` included."""
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0:  # also refuses NaN
        raise ValueError(f"it must be a number of seconds >= 0, or None{_unquoted(value)}")
    return float(value)


def _unquoted(value: object) -> str:
    """Return advice about a number in quotes."""
    return "; leave out the quotes" if isinstance(value, str) else ""
