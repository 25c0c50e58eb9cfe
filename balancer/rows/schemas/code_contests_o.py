"""CodeContests-O: tests that a model improved. Solutions and other tests are those of CodeContests, if joined to it.

Columns: https://huggingface.co/datasets/caijanfeng/CodeContests-O.
"""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import (
    RowProblem,
    RowSchema,
    lists,
    mapping,
    name_in,
    program_in,
    seconds,
    solutions,
    text,
    whole,
)
from balancer.rows.row_tests import row_test
from balancer.rows.schemas import code_contests

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    tests = list(code_contests.tests(row))
    for number, entry in enumerate(lists(row, "corner_cases")):
        where = f"corner_cases[{number}]"
        case = mapping(where, entry)
        given, wanted = (mapping(f"{where}.{part}", case.get(part)) for part in ("input", "output"))
        tests.append(row_test(where, given.get("stdin"), wanted.get("stdout"), "private"))
    return RowProblem(
        id=name_in(row, "name"),
        statement=text(row, "description", needed=False),
        time_limit_s=seconds(row.get("time_limit")),
        memory_bytes=whole(row, "memory_limit_bytes") or None,
        tests=tuple(tests),
        checker=program_in(row, "checker", "cpp"),
        generator=program_in(row, "generator", "cpp"),
        commands=tuple(each for each in lists(row, "commands") if isinstance(each, str)) if row.get("commands") else (),
        right=tuple(solutions(row, "solutions", languages=code_contests.SCHEMA.languages)),
        wrong=tuple(solutions(row, "incorrect_solutions", languages=code_contests.SCHEMA.languages)),
    )


SCHEMA = RowSchema(
    frozenset({"corner_cases"}),
    "CodeContests-O's (name, description, corner_cases)",
    _read,
    ignored=("results",),
)
