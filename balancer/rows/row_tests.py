"""Tests of a row: inputs with outputs, of programs that read input, or of a function that is called.

Decides how a call is written as an input and an output: a line of JSON for each argument, and for each right value.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.judging.calls import has_other_keys, lines_of
from balancer.judging.cases import CallCase, StdinCase
from balancer.rows.columns import KINDS, RowTest, pairs, short
from balancer.rows.test_forms import cases_of_tests, named_function

__all__ = ["called", "cases_in_row", "column_tests", "function_in", "function_of", "listed_tests", "row_test"]


def row_test(where: str, given: object, wanted: object, kind: str) -> RowTest:
    """Return a test; input and output are texts, or lists of texts: their lines. Raises PackageError."""
    return RowTest(_text(f"{where}: the input", given), _text(f"{where}: the output", wanted), kind)


def column_tests(row: Mapping[str, Any], column: str, kind: str) -> Iterator[RowTest]:
    """Yield the tests of a column of `input` and `output`. Raises PackageError."""
    for number, (given, wanted) in enumerate(pairs(row, column, "input", "output", "inputs for {} outputs")):
        yield row_test(f"{column}[{number}]", given, wanted, kind)


def listed_tests(column: str, found: object, kind: str, function: str = "") -> Iterator[RowTest]:
    """Yield tests in one of the forms of `balancer.rows.test_forms`. Raises PackageError.

    Args:
        column: names them in an error.
        found: the tests. None: no tests.
        kind: one of `KINDS`.
        function: the function that they call, if they do not name one.
    """
    assert kind in KINDS
    try:
        empty = not found or (isinstance(found, str) and not found.strip())
        cases = [] if empty else cases_of_tests(found, function or None)
    except (ValueError, TypeError, RecursionError) as error:
        raise PackageError(f"{column}: {ascii(str(error))[1:-1][:300]}") from None
    for number, case in enumerate(cases):
        where = f"{column}: tests[{number}]"
        if isinstance(case, CallCase):
            yield called(where, case, kind)
        else:
            yield row_test(where, case.input, case.output, kind)


def function_in(row: Mapping[str, Any], column: str = "metadata") -> str:
    """Return the function that a column of metadata names, as a table or as JSON; "" if it names none."""
    try:
        return named_function(column, {"metadata": row.get(column)}) or ""
    except ValueError as error:
        raise PackageError(str(error)) from None


def called(where: str, case: CallCase, kind: str) -> RowTest:
    """Return the test that a call is. Raises PackageError."""
    if has_other_keys(case.args):
        raise PackageError(f"{where}: an argument has keys that are numbers, which lines of JSON cannot hold")
    try:
        given, wanted = lines_of(case.args), lines_of([case.expected, *case.or_else])
    except ValueError as error:
        raise PackageError(f"{where}: {ascii(str(error))[1:-1]}") from None
    return RowTest(given, wanted, kind, case.function)


def function_of(tests: Iterable[RowTest]) -> str:
    """Return the function that all tests call; "" if they are of programs that read input. Raises PackageError."""
    names = {test.function for test in tests}
    if len(names) > 1:
        found = ", ".join(sorted(ascii(name) if name else "no function" for name in names))[:120]
        raise PackageError(f"its tests call different functions ({found}); they must be of one")
    return names.pop() if names else ""


def cases_in_row(tests: Iterable[RowTest]) -> list[StdinCase | CallCase]:
    """Return the tests as cases of a judge."""
    return [_case(test) for test in tests]


def _case(test: RowTest) -> StdinCase | CallCase:
    if not test.function:
        return StdinCase(test.input, test.output)
    args, (expected, *others) = _values(test.input), _values(test.output)
    return CallCase(test.function, args, expected, or_else=tuple(others))


def _values(lines: str) -> list[Any]:
    return [json.loads(line) for line in lines.split("\n") if line]


def _text(where: str, found: object) -> str:
    lines = found if isinstance(found, list) else None
    if lines and all(isinstance(line, str) for line in lines):
        found = "\n".join(lines) + "\n"
    if not isinstance(found, str):
        raise PackageError(f"{where} is {short(found)}: a test is not text; inputs and outputs must be texts")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise PackageError(f"{where} has half of a surrogate pair, which is no text; remove it") from None
    return found
