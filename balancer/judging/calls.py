"""Function calls: programs that call one function of a solution and print its return value as JSON.

Decides how the function is found, and how its arguments and its value are written. Pure.

- The solution is imported as a module, so its script part does not run. Its own output goes to standard error.
- The program does not hold the expected value. So a solution cannot find it, and one that ends early returns nothing.
- The value is compared by `values`, not in the program. So a solution cannot pass with an `==` of its own.
"""

import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from balancer.program import Program

__all__ = ["LANGUAGES", "as_json", "called_source", "calling", "fed", "has_other_keys", "lines_of", "shortened"]

LANGUAGES = ("python", "pypy")  # languages in which a function can be called
_SHOWN = 80  # characters of a value in an error


_BEGINS = "_SOURCE = "
_FRONT = """\
import json, os, sys, types
_out = os.dup(1)
os.dup2(2, 1)
sys.stdout = sys.stderr
_text = sys.stdin.buffer.read()
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


if _LINES:
    _fed = {"args": [json.loads(line) for line in _text.splitlines() if line.strip()], "kwargs": {}}
else:
    _fed = json.loads(_text)
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


def calling(solution: Program, function: str, *, lines: bool = False) -> Program:
    """Return the program that calls `function` of `solution`, with the arguments that it reads from standard input.

    Args:
        solution: in one of `LANGUAGES`.
        function: a function, a method of the class `Solution`, or both: "Solution.f".
        lines: True: each line of the input is an argument, as `lines_of` writes them. False: they are as `fed` writes
            them.

    Raises:
        ValueError: the language is not in `LANGUAGES`, or the name is not valid.
    """
    if solution.language not in LANGUAGES:
        raise ValueError(
            f"functions of programs in {solution.language!r} cannot be called; allowed are {' and '.join(LANGUAGES)}"
        )
    if not all(part.isidentifier() for part in function.split(".")):
        raise ValueError(f"function is {function!r}; it must be a name, e.g. 'f' or 'Solution.f'")
    known = f"{_BEGINS}{solution.source!r}\n_PRELUDE = {_PRELUDE!r}\n_NAME = {function!r}\n_LINES = {lines}\n"
    return replace(solution, source=known + _FRONT)


def called_source(program: Program) -> str:
    """Return the source of the solution in a program that `calling` has made; the source of any other program."""
    if not (program.source.startswith(_BEGINS) and program.source.endswith(_FRONT)):
        return program.source
    return str(literal_eval(program.source[len(_BEGINS) :].partition("\n")[0]))


def lines_of(values: Sequence[Any]) -> str:
    """Return JSON values, one a line. Raises ValueError for values that are not JSON."""
    return "".join(as_json("a value", each).decode() + "\n" for each in values)


def fed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return the standard input with the arguments of the call. Raises ValueError for values that are not JSON.

    Keys of objects may be numbers, too. JSON would make texts of them, and a right solution would not find them.
    """
    written = b'{"args": %b, "kwargs": %b}' % (as_json("args", list(args)), as_json("kwargs", dict(kwargs)))
    if not has_other_keys([*args, *kwargs.values()]):
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


def has_other_keys(args: Sequence[Any]) -> bool:
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
