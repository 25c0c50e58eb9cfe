"""Tests of data sets as cases: a row of a known schema, or tests in one of the forms of data sets.

Decides with which checker of a row outputs are compared: one in Python, which needs nothing else.
"""

from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.judging.cases import CallCase, StdinCase
from balancer.program import Program
from balancer.rows.row_programs import checker_in
from balancer.rows.schemas import problem_of, schema_of
from balancer.rows.test_forms import cases_of_tests

__all__ = ["cases_and_checker", "cases_of"]

_FORMS = frozenset({"input_output", "inputs"})  # tables with one of these are read as they are, like rows of APPS


def cases_of(tests: Any, function: str | None = None) -> list[StdinCase | CallCase]:
    """Return the cases of `tests` from a data set.

    Args:
        tests: in one of the forms of `balancer.rows.test_forms`, or a whole row of a schema of `balancer.rows.schemas`.
        function: the function to call, if the tests do not name one. Tests that say that they are of standard input
            and output do not use it.

    Raises:
        ValueError: the form is not known, or it is not certain what a test means.
    """
    return cases_and_checker(tests, function)[0]


def cases_and_checker(tests: Any, function: str | None = None) -> tuple[list[StdinCase | CallCase], Program | None]:
    """Return the cases, as `cases_of`, and the checker of the row, if it has one that needs no testlib.h."""
    if isinstance(tests, Mapping) and ("entry_point" in tests or not _FORMS & tests.keys()) and schema_of(tests):
        try:
            row = problem_of(tests)
            return [test.case for test in row.tests], checker_in(row, None)
        except PackageError as error:
            raise ValueError(str(error)) from None
    return cases_of_tests(tests, function), None
