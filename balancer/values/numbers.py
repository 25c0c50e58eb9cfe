"""Rules for numbers, in Python, in configs and in scenarios.

A rule returns its value, or raises ValueError with what is allowed. `checked` adds the name of the value.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

__all__ = ["checked", "finite_seconds", "positive", "seconds", "whole"]

T = TypeVar("T")


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


def seconds(value: Any) -> float:
    """Return `value` if it is a number of seconds, `inf` included."""
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0:  # also refuses NaN
        raise ValueError(f"it must be a number of seconds >= 0, or None{_unquoted(value)}")
    return float(value)


def finite_seconds(value: Any) -> float:
    """Return `value` if it is a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ValueError(f"it must be a finite number of seconds >= 0{_unquoted(value)}")
    return float(value)


def _unquoted(value: object) -> str:
    """Return advice about a number in quotes."""
    return "; leave out the quotes" if isinstance(value, str) else ""
