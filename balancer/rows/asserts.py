"""Tests that are code with asserts, as in KodCode and HumanEval: those that compare a call with a value are read.

The code is parsed, and not run.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from balancer.errors import PackageError
from balancer.judging.cases import CallCase
from balancer.rows.columns import NO_PYTHON, RowTest
from balancer.rows.row_tests import called

__all__ = ["asserted"]


def asserted(column: str, code: str, solution: str, candidate: str) -> tuple[tuple[RowTest, ...], tuple[str, ...]]:
    """Return the tests of the function that most asserts call, and what of them is not used, for people.

    Args:
        column: names them in an error.
        code: the asserts, and any other code.
        solution: a right one; it says in which order arguments with names stand.
        candidate: the function that asserts call `candidate`.

    Raises:
        PackageError: it is not Python, or no assert compares a call with a value.
    """
    asserts = _asserts(column, code)
    cases = [case for each in asserts if (case := _case(each, solution, candidate)) is not None]
    names = Counter(case.function for case in cases)
    if not names:
        raise PackageError(f"{column}: no assert compares a call of a function with a value, such as assert f(1) == 2")
    function = names.most_common(1)[0][0]
    used = [case for case in cases if case.function == function]
    tests = tuple(called(f"{column}: assert {number}", case, "private") for number, case in enumerate(used, 1))
    left = len(asserts) - len(used)
    notes = (f"not used: {column} ({left} of its {len(asserts)} asserts: no calls with plain values)",) * (left > 0)
    return tests, notes


def _asserts(column: str, code: str) -> list[ast.Assert]:
    try:
        return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
    except NO_PYTHON as error:
        raise PackageError(f"{column}: is not Python: {ascii(str(error))[1:-1][:120]}") from None


def _case(node: ast.Assert, solution: str, candidate: str) -> CallCase | None:
    """Return the call that an assert compares; None if it is another one."""
    for call, value in _compared(node.test):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            name = candidate if candidate and call.func.id == "candidate" else call.func.id
            if call.keywords and (call.args or [each.arg for each in call.keywords] != _parameters(solution, name)):
                return None
            try:
                args = [_plain(ast.literal_eval(arg)) for arg in (*call.args, *(each.value for each in call.keywords))]
                return CallCase(name, args, _plain(ast.literal_eval(value)))
            except NO_PYTHON:
                return None
    return None


@lru_cache(maxsize=1)
def _parameters(solution: str, function: str) -> list[str]:
    """Return the names of a function's parameters; empty if they are not found."""
    with suppress(*NO_PYTHON):
        for node in ast.walk(ast.parse(solution)):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return [each.arg for each in node.args.args if each.arg != "self"]
    return []


def _compared(test: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the sides of an equation, in both orders."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        yield test.left, test.comparators[0]
        yield test.comparators[0], test.left


def _plain(value: object) -> object:
    """Return a value with lists for tuples. Raises ValueError for values that are not JSON."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError
        return {key: _plain(each) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError
