"""The plain schema: id, statement, tests, and right and wrong solutions with their languages by name."""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import KINDS, RowProblem, RowSchema, lists, mapping, seconds, solutions, text, whole
from balancer.rows.row_tests import row_test

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    tests = []
    for number, entry in enumerate(lists(row, "tests")):
        where = f"tests[{number}]"
        test = mapping(where, entry)
        given, wanted = text(test, "input"), text(test, "output")
        tests.append(row_test(where, given, wanted, str(test.get("kind") or KINDS[0])))
    limit = row.get("time_limit_s")
    return RowProblem(
        id=text(row, "id"),
        statement=text(row, "statement", needed=False),
        time_limit_s=seconds(limit) if isinstance(limit, int | float) else None,
        memory_bytes=whole(row, "memory_bytes") or None,
        tests=tuple(sorted(tests, key=lambda test: KINDS.index(test.kind) if test.kind in KINDS else len(KINDS))),
        right=tuple(solutions(row, "right", source="source")),
        wrong=tuple(solutions(row, "wrong", source="source")),
    )


SCHEMA = RowSchema(
    frozenset({"id", "tests", "right"}),
    "id, statement, tests: [{input, output}], right: [{language, source}], wrong: [{language, source}]",
    _read,
    ignored=("checker", "generator", "validator"),
)
