"""DeepCoder: tests as JSON in a text, in the forms of its sources, without ids.

Columns: https://huggingface.co/datasets/agentica-org/DeepCoder-Preview-Dataset.
"""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import RowProblem, RowSchema, text, with_starter
from balancer.rows.row_tests import function_in, listed_tests

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    return RowProblem(
        id="",
        statement=with_starter(text(row, "problem", needed=False), row),
        time_limit_s=None,
        memory_bytes=None,
        tests=tuple(listed_tests("tests", row.get("tests"), "private", function_in(row))),
        right=(),
        wrong=(),
    )


SCHEMA = RowSchema(frozenset({"problem", "tests"}), "DeepCoder's (problem, tests)", _read, ignored=("solutions",))
