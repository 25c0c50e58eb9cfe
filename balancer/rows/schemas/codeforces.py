"""Problems of Codeforces by Open R1: examples and official tests, without solutions.

Columns: https://huggingface.co/datasets/open-r1/codeforces.
"""

from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import RowProblem, RowSchema, mebibytes, name_in, program_in, seconds, text
from balancer.rows.row_tests import column_tests

__all__ = ["SCHEMA"]

_PARTS = {"": "description", "Input": "input_format", "Output": "output_format", "Note": "note"}  # of the statement


def _read(row: Mapping[str, Any]) -> RowProblem:
    if text(row, "interaction_format", needed=False):
        raise PackageError("it is interactive (interaction_format); such problems are not judged")
    if text(row, "input_mode", needed=False) not in ("", "stdio"):
        raise PackageError("its programs read a file (input_mode); the pipeline runs only programs that read input")
    parts = ((heading, text(row, column, needed=False)) for heading, column in _PARTS.items())
    examples, official = ("examples", "public"), ("official_tests", "private")
    return RowProblem(
        id=name_in(row, "id"),
        statement="\n\n".join(f"{heading}\n\n{part}".strip() for heading, part in parts if part),
        time_limit_s=seconds(row.get("time_limit")),
        memory_bytes=mebibytes(row.get("memory_limit")),
        tests=tuple(test for column, kind in (examples, official) for test in column_tests(row, column, kind)),
        checker=program_in(row, "generated_checker", "python"),
        right=(),
        wrong=(),
    )


SCHEMA = RowSchema(
    frozenset({"official_tests"}),
    "Codeforces' of Open R1 (id, description, examples, official_tests)",
    _read,
)
