"""KodCode: tests are code that calls functions, so its rows are named and left out.

Columns: https://huggingface.co/datasets/KodCode/KodCode-V1 (`test`, in some versions `test_code`).
"""

from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.rows.columns import RowProblem, RowSchema

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    raise PackageError(
        "it is a row of KodCode, whose tests are code with asserts; the pipeline needs inputs and outputs"
    )


SCHEMA = RowSchema(frozenset({"gpt_pass_sequence", "solution"}), "", _read)
