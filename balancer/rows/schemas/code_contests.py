"""CodeContests: https://github.com/google-deepmind/code_contests; its `contest_problem.proto` names the columns."""

from collections.abc import Iterator, Mapping
from typing import Any

from balancer.rows.columns import KINDS, RowProblem, RowSchema, RowTest, seconds, solutions, text, whole
from balancer.rows.row_tests import column_tests

__all__ = ["SCHEMA", "tests"]

_LANGUAGES = {1: "python2", 2: "cpp", 3: "python", 4: "java"}  # 0 is unknown


def tests(row: Mapping[str, Any]) -> Iterator[RowTest]:
    """Yield the tests of a row: public, private, generated. Raises PackageError."""
    for kind in KINDS:
        yield from column_tests(row, f"{kind}_tests", kind)


def _read(row: Mapping[str, Any]) -> RowProblem:
    return RowProblem(
        id=text(row, "name"),
        statement=text(row, "description", needed=False),
        time_limit_s=seconds(row.get("time_limit")),
        memory_bytes=whole(row, "memory_limit_bytes") or None,
        tests=tuple(tests(row)),
        right=tuple(solutions(row, "solutions", languages=_LANGUAGES)),
        wrong=tuple(solutions(row, "incorrect_solutions", languages=_LANGUAGES)),
    )


SCHEMA = RowSchema(
    frozenset({"solutions"}),
    "CodeContests' (name, description, solutions, ...)",
    _read,
    _LANGUAGES,
    ignored=("checker", "generator", "validator"),
)
