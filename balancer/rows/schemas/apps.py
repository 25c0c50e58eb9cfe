"""APPS and TACO: tests and solutions are JSON in texts.

Columns: https://huggingface.co/datasets/codeparrot/apps and https://huggingface.co/datasets/BAAI/TACO.
"""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import (
    RowProblem,
    RowSchema,
    in_python,
    mebibytes,
    name_in,
    parsed,
    seconds,
    text,
    with_starter,
)
from balancer.rows.row_tests import listed_tests

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    return RowProblem(
        id=name_in(row, "problem_id", "id", "name", "url"),
        statement=with_starter(text(row, "question", needed=False), row),
        time_limit_s=seconds(row.get("time_limit")),
        memory_bytes=mebibytes(row.get("memory_limit")),
        tests=tuple(listed_tests("input_output", row.get("input_output"), "private")),
        right=tuple(in_python("solutions", parsed(row, "solutions"))),
        wrong=(),
    )


SCHEMA = RowSchema(
    frozenset({"input_output", "solutions"}), "APPS' and TACO's (question, solutions, input_output)", _read
)
