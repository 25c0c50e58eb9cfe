"""The plain schema: id, statement, tests, and right and wrong solutions with their languages by name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from balancer.rows.columns import KINDS, RowProblem, RowSchema, lists, mapping, name_in, seconds, solutions, text, whole
from balancer.rows.row_tests import listed_tests, row_test

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    tests = []
    function = name_in(row, "fn_name", "func_name")
    for number, entry in enumerate(lists(row, "tests")):
        where = f"tests[{number}]"
        test = mapping(where, entry)
        kind = str(test.get("kind") or KINDS[0])
        if function:
            tests += [replace(each, kind=kind) for each in listed_tests(where, [test], KINDS[0], function)]
        else:
            tests.append(row_test(where, text(test, "input"), text(test, "output"), kind))
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
