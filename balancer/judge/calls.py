"""Function calls: a program that calls one function of a solution and prints what it returned.

Decides how the function is found, and how its value is written down. Pure. The solution is run as a module of its own,
so that what it does as a script is not done; what it prints goes to standard error; the value alone goes to standard
output, as JSON. It does not hold the value that is right: a solution that looks for it finds nothing, and one that ends
early has returned nothing.

Comparison of returned values: what a function returned, and the values that are right. Decides when two values of JSON
are the same. Pure. What a program says it returned is a stranger's text: it is read as JSON and as nothing else, here,
where the program is not, so there is no `==` of its own that could say yes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import isinf, isnan
from typing import Any

from balancer.judging.compare import parse_flags
from balancer.judging.verdict import Judgement
from balancer.problem import Checker, Verdict
from balancer.program import Program

__all__ = ["LANGUAGES", "as_json", "calling", "fed", "judge_value", "shortened"]

LANGUAGES = ("python", "pypy")  # those that a function can be called in
_SHOWN = 80  # characters of a value in an error
_TOLERANCE = 1e-6  # relative or absolute, unless the checker says otherwise


_FRONT = """\
import json, os, sys, types
_out = os.dup(1)
os.dup2(2, 1)
sys.stdout = sys.stderr
_fed = json.loads(sys.stdin.buffer.read())
sys.setrecursionlimit(200_000)
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


def _plain(value):
    if isinstance(value, (set, frozenset)):
        try:
            return sorted(value)
        except TypeError:
            return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__iter__"):
        return list(value)
    return {"not a value": str(type(value))}


def _keys(value):
    if isinstance(value, dict):
        return {key if isinstance(key, str) else _key(key): _keys(each) for key, each in value.items()}
    return [_keys(each) for each in value] if isinstance(value, (list, tuple)) else value


def _key(key):
    return json.dumps(key) if isinstance(key, (int, float, bool, type(None))) else str(key)


_module = types.ModuleType("solution")
sys.modules["solution"] = _module
exec(_PRELUDE, _module.__dict__)
_known = dict(_module.__dict__)
exec(compile(_SOURCE, "solution.py", "exec"), _module.__dict__)
_own = {name: each for name, each in vars(_module).items() if each is not _known.get(name)}
_first, *_rest = _NAME.split(".")
if _first not in _own and "Solution" in _own:
    _first, _rest = "Solution", [_first, *_rest]
if _first not in _own:
    sys.exit(f"the solution defines no {_NAME}")
_called = _own[_first]
for _part in _rest:
    if isinstance(_called, type):
        _called = _called()
    _called = getattr(_called, _part)
_value = _called(*_fed["args"], **_fed["kwargs"])
_said = json.dumps(_keys(_value), default=_plain).encode()
sys.stderr.flush()
while _said:
    _said = _said[os.write(_out, _said):]
"""

# What people who write such solutions take for granted.
_PRELUDE = """\
import bisect, collections, copy, functools, heapq, itertools, math, operator, re, string, sys, typing
from bisect import *
from collections import *
from copy import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from string import *
from typing import *
from builtins import *
"""


def calling(solution: Program, function: str) -> Program:
    """Return the program that calls `function` of `solution`, with what `fed` gives it on standard input.

    Args:
        solution: in one of `LANGUAGES`.
        function: its name, or that of a method of its class `Solution`; or both, as in "Solution.f".

    Raises:
        ValueError: the language is another one, or the name is none.
    """
    if solution.language not in LANGUAGES:
        raise ValueError(
            f"a function of a program in {solution.language!r} cannot be called; {' and '.join(LANGUAGES)} are possible"
        )
    if not all(part.isidentifier() for part in function.split(".")):
        raise ValueError(f"function is {function!r}; it must be a name, e.g. 'f' or 'Solution.f'")
    known = f"_SOURCE = {solution.source!r}\n_PRELUDE = {_PRELUDE!r}\n_NAME = {function!r}\n"
    return replace(solution, source=known + _FRONT)


def fed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return what the function is called with. Raises ValueError for what is no JSON."""
    return b'{"args": %b, "kwargs": %b}' % (as_json("args", list(args)), as_json("kwargs", dict(kwargs)))


def as_json(name: str, value: Any) -> bytes:
    """Return `value` as JSON; numbers and arrays of NumPy are what they hold.

    Args:
        name: what it is, for the error.
        value: what is written.

    Raises:
        ValueError: it is none of JSON's, is nested too deeply, or has a whole number of too many digits.
    """
    try:
        return json.dumps(value, default=_held).encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{name} is {shortened(_safe_repr(value))}; it must be values of JSON: {why}") from None


def shortened(text: str) -> str:
    """Return `text`, or its beginning if it is long."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _held(value: Any) -> Any:
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is none")


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # it has a number of too many digits, or is nested too deeply
        return f"a {type(value).__name__}"


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
