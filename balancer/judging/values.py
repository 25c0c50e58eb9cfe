"""Values: whether a value that a function returned is right, as JSON. Pure.

Lists must agree in length and order, and objects in their keys. Two integers must be equal. Other numbers must agree
within the tolerance. Everything else must be the same.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from math import isinf, isnan
from typing import Any

from balancer.judging.compare import Comparison, Flags

__all__ = ["compare_values"]

_SHOWN = 80  # characters of a value in an error
_TOLERANCE = 1e-6  # relative or absolute, unless the flags set another


def compare_values(output: bytes, right: Sequence[Any], flags: Flags) -> Comparison:
    """Return whether a returned value is one of the right values.

    Args:
        output: the value, as JSON.
        right: the right values.
        flags: may set the tolerance.
    """
    if not output.strip():
        return Comparison(False, "nothing was returned: the program ended inside the function")
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return Comparison(False, f"the returned value cannot be read: {_shown(output)}")
    relative, absolute = (
        (_TOLERANCE, _TOLERANCE) if not flags.numeric else map(_number, (flags.relative, flags.absolute))
    )
    if any(_same(found, each, relative, absolute) for each in right):
        return Comparison(True)
    bare = next((each for each in right[1:] if right[0] == [each]), right[0]) if right else None  # APPS wraps a value
    wanted = _shown(json.dumps(bare).encode()) if right else "nothing"
    return Comparison(False, f"expected {wanted}, found {_shown(output)}")


def _number(tolerance: Decimal | None) -> float:
    return 0.0 if tolerance is None else float(tolerance)


def _same(found: Any, wanted: Any, relative: float, absolute: float) -> bool:
    pairs = [(found, wanted)]  # no recursion: its depth limit depends on the caller and on the Python version
    while pairs:
        one, other = pairs.pop()
        if isinstance(other, list):
            if not isinstance(one, list) or len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(other, dict):
            if not isinstance(one, dict) or one.keys() != other.keys():
                return False
            pairs += ((one[key], value) for key, value in other.items())
        elif isinstance(other, int | float) and isinstance(one, int | float):
            if not _close(one, other, relative, absolute):
                return False
        elif type(one) is not type(other) or one != other:
            return False
    return True


def _close(found: float, wanted: float, relative: float, absolute: float) -> bool:
    if found == wanted:
        return True
    if isinstance(found, int) and isinstance(wanted, int):
        return False
    try:
        if isinf(found) or isinf(wanted):  # with infinity, a relative error would allow everything
            return False
        error = abs(float(found) - float(wanted))
        return error <= absolute or error <= relative * abs(wanted) or (isnan(found) and isnan(wanted))
    except OverflowError:  # an integer beyond all doubles
        return False


def _shown(text: bytes) -> str:
    cut = " ".join(text[: 4 * _SHOWN].decode(errors="replace").split())
    return cut if len(cut) <= _SHOWN else cut[: _SHOWN - 3] + "..."
