"""What a number may be, wherever one is given: in Python, in a config, in a scenario.

A rule returns its value or raises ValueError with what is allowed; where the value stands is for the caller to say, by
`checked` where no file is read. It must not know what a number is for.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

__all__ = ["checked", "finite_seconds", "positive", "seconds", "whole"]

T = TypeVar("T")


def checked(name: str, value: Any, rule: Callable[[Any], T]) -> T:
    """Return what `rule` returns for `value`, or raise ValueError with one line: its name, what was found, the rule."""
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
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0:  # also catches NaN
        raise ValueError(f"it must be a number of seconds >= 0, or None{_unquoted(value)}")
    return float(value)


def finite_seconds(value: Any) -> float:
    """Return `value` if it is a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ValueError(f"it must be a finite number of seconds >= 0{_unquoted(value)}")
    return float(value)


def _unquoted(value: object) -> str:
    """Return what to do about a number in quotes."""
    return "; leave out the quotes" if isinstance(value, str) else ""
