"""SYNTHETIC-1 and the verifiable coding problems it was made of: tests beside the language, and one right solution.

Columns: https://huggingface.co/datasets/PrimeIntellect/SYNTHETIC-1 and
https://huggingface.co/datasets/open-r1/verifiable-coding-problems-python. Tables may be texts: JSON, or
Python literals, as in the first.
"""

import json
from ast import literal_eval
from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import (
    RowProblem,
    RowSchema,
    Solution,
    mapping,
    name_in,
    seconds,
    text,
    unfenced,
    whole,
)
from balancer.rows.row_tests import listed_tests

__all__ = ["SCHEMA"]

_STATEMENTS = ("problem_statement", "problem", "prompt")


def _read(row: Mapping[str, Any]) -> RowProblem:
    info = mapping("verification_info", _literal(row, "verification_info"))
    if "test_cases" not in info:
        raise PackageError("verification_info: has no test_cases: it is no problem to write a program for")
    metadata = _literal(row, "metadata")
    limits = metadata if isinstance(metadata, Mapping) else {}
    source = unfenced(text(row, "gold_standard_solution", needed=False))
    language = text(info, "language").lower()
    return RowProblem(
        id=name_in(row, "problem_id", "in_source_id"),
        statement=next((found for name in _STATEMENTS if (found := text(row, name, needed=False))), ""),
        time_limit_s=seconds(limits.get("time_limit")),
        memory_bytes=whole(limits, "memory_limit_bytes") or None,
        tests=tuple(listed_tests("test_cases", info["test_cases"], "private")),
        right=(Solution(0, language, source),) if source.strip() else (),
        wrong=(),
    )


def _literal(row: Mapping[str, Any], column: str) -> Any:
    found = row.get(column)
    if not isinstance(found, str) or not found.strip():
        return found or None
    try:
        return json.loads(found)
    except (ValueError, RecursionError):
        pass
    try:
        return literal_eval(found)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise PackageError(f"{column}: is neither JSON nor a Python literal: {ascii(str(error))[1:-1][:120]}") from None


SCHEMA = RowSchema(
    frozenset({"verification_info", "gold_standard_solution"}),
    "SYNTHETIC-1's (problem_id, prompt, gold_standard_solution, verification_info)",
    _read,
    ignored=("llm_response",),
)
