"""Test formats of data sets: the forms in which tests are handed to trainers.

Decides which forms are known, and what each says. Pure. A form that is not known raises, for a reward of 0 would blame
the model for it. Known are, as JSON or as what that reads to:

- `{"inputs": [...], "outputs": [...]}`: standard input and output (APPS, TACO, CodeContests as verl has it); an input
  or output that is a list is its lines. With `"fn_name": "f"`: calls. An input is then a list of arguments, or a text
  with one argument in JSON a line; an output is the value, that value in a list of one, or its JSON.
- `[{"input": ..., "output": ...}, ...]`: the same, one table a case (LiveCodeBench, open-r1), with `"fn_name"` in the
  tables, or beside them.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from balancer.judge.cases import CallCase, StdinCase

__all__ = ["cases_of"]

_KNOWN = 'known are {"inputs": [...], "outputs": [...]} and [{"input": ..., "output": ...}]'


def cases_of(tests: Any, function: str | None = None) -> list[StdinCase | CallCase]:
    """Return the cases that `tests` of a data set stand for.

    Args:
        tests: in one of the forms above.
        function: what is called, where the tests do not say.

    Raises:
        ValueError: the form is not known.
    """
    if isinstance(tests, str | bytes):
        try:
            tests = json.loads(tests)
        except ValueError:
            raise ValueError(f"the tests are no JSON: {str(tests)[:60]!r}; {_KNOWN}") from None
    if isinstance(tests, Mapping):
        if tests.get("assert_case"):
            raise ValueError(f"the tests are statements to be run (assert_case), which a program can answer; {_KNOWN}")
        if "test_cases" in tests:
            return cases_of(tests["test_cases"], function or _name(tests))
        inputs, outputs = tests.get("inputs"), tests.get("outputs")
        if not isinstance(inputs, Iterable) or not isinstance(outputs, Iterable) or isinstance(inputs, str | bytes):
            raise ValueError(f"the tests have the keys {sorted(map(str, tests))[:8]}; {_KNOWN}")
        inputs, outputs = list(inputs), list(outputs)
        if len(inputs) != len(outputs):
            raise ValueError(f"the tests have {len(inputs)} inputs and {len(outputs)} outputs; each input needs one")
        name = _name(tests) or function
        return [_case(each, output, name) for each, output in zip(inputs, outputs, strict=True)]
    if isinstance(tests, Iterable):
        found = []
        for each in tests:
            if not isinstance(each, Mapping) or "input" not in each or "output" not in each:
                raise ValueError(f"a test is {str(each)[:60]!r}; {_KNOWN}")
            found.append(_case(each["input"], each["output"], _name(each) or function))
        return found
    raise ValueError(f"the tests are of type {type(tests).__name__}; {_KNOWN}")


def _name(table: Mapping[str, Any]) -> str | None:
    if str(table.get("type") or table.get("testtype") or "").startswith("std"):
        return None
    name = table.get("fn_name") or table.get("func_name")
    return None if name is None else str(name)


def _case(given: Any, wanted: Any, function: str | None) -> StdinCase | CallCase:
    if function is None:
        return StdinCase(_text(given), _text(wanted))
    args = [_read(line) for line in given.splitlines() if line.strip()] if isinstance(given, str) else given
    if not isinstance(args, list | tuple):
        args = [args]
    expected = _read(wanted) if isinstance(wanted, str) else wanted
    others = [wanted] if isinstance(wanted, str) and expected != wanted else []
    if isinstance(expected, list) and len(expected) == 1:  # TACO puts the value into a list
        others += expected
    return CallCase(function, tuple(args), expected, or_else=tuple(others))


def _text(given: Any) -> str | bytes:
    if isinstance(given, str | bytes):
        return given
    if isinstance(given, list | tuple):
        return "\n".join(str(_text(each)) for each in given)
    return str(given)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
