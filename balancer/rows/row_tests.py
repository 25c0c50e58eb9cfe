"""Tests of a row: inputs with outputs, of programs that read input, or of a function that is called.

Decides how a call is written as an input and an output: a line of JSON for each argument, and for each right value.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.judging.calls import has_other_keys, lines_of
from balancer.judging.cases import CallCase
from balancer.rows.columns import KINDS, RowTest, text
from balancer.rows.test_forms import cases_of_tests, named_function

__all__ = ["called", "function_in", "function_of", "listed_tests"]


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
            given, wanted = (text({where: each}, where, needed=False) for each in (case.input, case.output))
            yield RowTest(given, wanted, kind, case)


def function_in(row: Mapping[str, Any]) -> str:
    """Return the function that a row or its metadata names; "" if neither names one. Raises PackageError."""
    try:
        return named_function("metadata", {key: row.get(key) for key in ("fn_name", "func_name", "metadata")}) or ""
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
    return RowTest(given, wanted, kind, case)


def function_of(tests: Iterable[RowTest]) -> str:
    """Return the function that all tests call; "" if they are of programs that read input. Raises PackageError."""
    names = {test.function for test in tests}
    if len(names) > 1:
        found = ", ".join(sorted(ascii(name) if name else "no function" for name in names))[:120]
        raise PackageError(f"its tests call different functions ({found}); they must be of one")
    return names.pop() if names else ""
