"""Function calls: programs that call one function of a solution and print its return value as JSON.

Decides how the function is found, how its value is written, and when two JSON values are equal. Pure.

- The solution is imported as a module, so its script part does not run. Its own output goes to standard error.
- The program does not hold the expected value. So a solution cannot find it, and one that ends early returns nothing.
- The value is compared here, not in the program. So a solution cannot pass with an `==` of its own.
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

LANGUAGES = ("python", "pypy")  # languages in which a function can be called
_SHOWN = 80  # characters of a value in an error
_TOLERANCE = 1e-6  # relative or absolute, unless the checker sets another


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


def _read(value):
    if isinstance(value, dict):
        return {key: _read(each) for key, each in value["pairs"]}
    return [_read(each) for each in value] if isinstance(value, list) else value


if _fed.get("in_pairs"):
    _fed = _read(_fed["in_pairs"])
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

# Imports that such solutions usually expect.
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
    """Return the program that calls `function` of `solution`, with the arguments that `fed` writes to standard input.

    Args:
        solution: in one of `LANGUAGES`.
        function: a function, a method of the class `Solution`, or both: "Solution.f".

    Raises:
        ValueError: the language is not in `LANGUAGES`, or the name is not valid.
    """
    if solution.language not in LANGUAGES:
        raise ValueError(
            f"functions of programs in {solution.language!r} cannot be called; allowed are {' and '.join(LANGUAGES)}"
        )
    if not all(part.isidentifier() for part in function.split(".")):
        raise ValueError(f"function is {function!r}; it must be a name, e.g. 'f' or 'Solution.f'")
    known = f"_SOURCE = {solution.source!r}\n_PRELUDE = {_PRELUDE!r}\n_NAME = {function!r}\n"
    return replace(solution, source=known + _FRONT)


def fed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return the standard input with the arguments of the call. Raises ValueError for values that are not JSON.

    Keys of objects may be numbers, too. JSON would make texts of them, and a right solution would not find them.
    """
    written = b'{"args": %b, "kwargs": %b}' % (as_json("args", list(args)), as_json("kwargs", dict(kwargs)))
    if not _has_other_keys([*args, *kwargs.values()]):
        return written
    return b'{"in_pairs": %b}' % as_json("args", _paired({"args": list(args), "kwargs": dict(kwargs)}))


def as_json(name: str, value: Any) -> bytes:
    """Return `value` as JSON. Numbers and arrays of NumPy become plain numbers and lists.

    Args:
        name: names the value in the error.
        value: to write.

    Raises:
        ValueError: the value is not JSON, is nested too deeply, or has an integer with too many digits.
    """
    try:
        return json.dumps(value, default=_held).encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{name} is {shortened(_safe_repr(value))}; it must have values of JSON only: {why}") from None


def _has_other_keys(args: Sequence[Any]) -> bool:
    """Return whether an object in `args` has a key that is no text."""
    left = list(args)
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                return True
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
    return False


def _paired(value: Any) -> Any:
    """Return `value` with each object written as `{"pairs": [[key, value], ...]}`."""
    if isinstance(value, Mapping):
        return {"pairs": [[key, _paired(each)] for key, each in value.items()]}
    return [_paired(each) for each in value] if isinstance(value, list | tuple) else value


def shortened(text: str) -> str:
    """Return `text`, cut if it is long."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _held(value: Any) -> Any:
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"found a {type(value).__name__}")


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer with too many digits, or too deep nesting
        return f"a {type(value).__name__}"


def judge_value(checker: Checker, output: bytes, answers: bytes) -> Judgement:
    """Return whether a returned value is right, as a judgement.

    Lists must agree in length and order, and objects in their keys. Two integers must be equal. Other numbers must
    agree within the tolerance. Everything else must be the same.

    Args:
        checker: its flags may set the tolerance, e.g. `("float_tolerance", "1e-9")`.
        output: the value, as JSON.
        answers: a list of the right values, as JSON.
    """
    if not output.strip():
        return Judgement(Verdict.WRONG_ANSWER, "nothing was returned: the program ended inside the function")
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return Judgement(Verdict.WRONG_ANSWER, f"the returned value cannot be read: {_shown(output)}")
    flags = parse_flags(checker.flags)
    relative, absolute = (
        (_TOLERANCE, _TOLERANCE) if not flags.numeric else map(_number, (flags.relative, flags.absolute))
    )
    right: list[Any] = json.loads(answers)
    if any(_same(found, each, relative, absolute) for each in right):
        return Judgement(Verdict.ACCEPTED)
    bare = next((each for each in right[1:] if right[0] == [each]), right[0]) if right else None  # APPS wraps a value
    wanted = _shown(json.dumps(bare).encode()) if right else "nothing"
    return Judgement(Verdict.WRONG_ANSWER, f"expected {wanted}, found {_shown(output)}")


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
