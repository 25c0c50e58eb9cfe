"""Comparison of returned values: what a function returned, and the values that are right.

Decides when two values of JSON are the same. Pure. What a program says it returned is a stranger's text: it is read as
JSON and as nothing else, here, where the program is not, so there is no `==` of its own that could say yes.
"""

import json
from decimal import Decimal
from math import isinf, isnan
from typing import Any

from balancer.judging.compare import parse_flags
from balancer.judging.verdict import Judgement
from balancer.problem import Checker, Verdict

__all__ = ["judge_value"]

_TOLERANCE = 1e-6  # relative or absolute, unless the checker says otherwise
_SHOWN = 80


def judge_value(checker: Checker, output: bytes, answers: bytes) -> Judgement:
    """Say whether a returned value is right.

    Lists must agree in length and order, and objects in their keys. Numbers agree by value, and where one of the two is
    no whole number within the tolerance. Everything else must be the same.

    Args:
        checker: its flags may set the tolerance, e.g. `("float_tolerance", "1e-9")`.
        output: the value, as JSON.
        answers: a list of the values that are right, as JSON.
    """
    if not output.strip():
        return Judgement(Verdict.WRONG_ANSWER, "nothing was returned: the program ended before the function did")
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return Judgement(Verdict.WRONG_ANSWER, f"what was returned cannot be read: {_shown(output)}")
    flags = parse_flags(checker.flags)
    relative, absolute = (
        (_TOLERANCE, _TOLERANCE) if not flags.numeric else map(_number, (flags.relative, flags.absolute))
    )
    right: list[Any] = json.loads(answers)
    if any(_same(found, each, relative, absolute) for each in right):
        return Judgement(Verdict.ACCEPTED)
    wanted = _shown(json.dumps(right[0]).encode()) if right else "nothing"
    return Judgement(Verdict.WRONG_ANSWER, f"expected {wanted}, found {_shown(output)}")


def _number(tolerance: Decimal | None) -> float:
    return 0.0 if tolerance is None else float(tolerance)


def _same(found: Any, wanted: Any, relative: float, absolute: float) -> bool:
    pairs = [(found, wanted)]  # not by recursion: how deep a call may go depends on who calls, and on the Python
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
        if isinf(found) or isinf(wanted):  # there, a relative error allows everything
            return False
        error = abs(float(found) - float(wanted))
        return error <= absolute or error <= relative * abs(wanted) or (isnan(found) and isnan(wanted))
    except OverflowError:  # a whole number beyond all doubles
        return False


def _shown(text: bytes) -> str:
    cut = " ".join(text[: 4 * _SHOWN].decode(errors="replace").split())
    return cut if len(cut) <= _SHOWN else cut[: _SHOWN - 3] + "..."
