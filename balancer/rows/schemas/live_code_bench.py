"""LiveCodeBench: tests are JSON in texts; private ones may be packed.

Columns: https://huggingface.co/datasets/livecodebench/code_generation_lite. The function of a call is named in
`metadata`.
"""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import RowProblem, RowSchema, name_in, text, with_starter
from balancer.rows.row_tests import function_in, listed_tests

__all__ = ["SCHEMA"]

_TESTS = {"public_test_cases": "public", "private_test_cases": "private"}


def _read(row: Mapping[str, Any]) -> RowProblem:
    function = function_in(row)
    return RowProblem(
        id=name_in(row, "question_id", "question_title"),
        statement=with_starter(text(row, "question_content", needed=False), row),
        time_limit_s=None,
        memory_bytes=None,
        tests=tuple(
            test for column, kind in _TESTS.items() for test in listed_tests(column, row.get(column), kind, function)
        ),
        right=(),
        wrong=(),
    )


SCHEMA = RowSchema(
    frozenset({"public_test_cases", "private_test_cases"}),
    "LiveCodeBench's (question_id, question_content, public_test_cases, private_test_cases)",
    _read,
)
