"""DeepCoder: tests as JSON in a text, in the forms of its sources, without ids.

Columns: https://huggingface.co/datasets/agentica-org/DeepCoder-Preview-Dataset.
"""

from collections.abc import Mapping
from typing import Any

from balancer.pipeline.rows.columns import RowProblem, RowSchema, parsed, text
from balancer.pipeline.rows.row_tests import listed_tests, refuse_calls

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    refuse_calls("metadata", {"metadata": parsed(row, "metadata")})
    return RowProblem(
        id="",
        statement=text(row, "problem", needed=False),
        time_limit_s=None,
        memory_bytes=None,
        tests=tuple(listed_tests("tests", parsed(row, "tests"), "private")),
        right=(),
        wrong=(),
    )


SCHEMA = RowSchema(
    frozenset({"problem", "tests"}), "DeepCoder's (problem, tests)", _read, ignored=("solutions", "starter_code")
)
