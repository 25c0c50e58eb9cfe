"""CodeContests+: submissions with languages by name, and tests in one list.

Columns: https://huggingface.co/datasets/ByteDance-Seed/Code-Contests-Plus. Only its configurations with tests (`1x` to
`5x`) have `test_cases`. `time_limit` is in milliseconds, `memory_limit` in megabytes. Checker, validator and generator
are in C++, with testlib.h; `generator_cmd` has a command a line.
"""

from collections.abc import Mapping
from typing import Any

from balancer.rows.columns import RowProblem, RowSchema, mebibytes, name_in, program_in, seconds, solutions, text, whole
from balancer.rows.row_tests import column_tests

__all__ = ["SCHEMA"]

_LANGUAGES = {"py2": "python2", "py3": "python", "cpp": "cpp", "java": "java"}


def _read(row: Mapping[str, Any]) -> RowProblem:
    return RowProblem(
        id=name_in(row, "id", "title"),
        statement=text(row, "description", needed=False),
        time_limit_s=seconds({"nanos": whole(row, "time_limit") * 10**6}),
        memory_bytes=mebibytes(row.get("memory_limit")),
        tests=tuple(column_tests(row, "test_cases", "private")),
        checker=program_in(row, "checker", "cpp"),
        validator=program_in(row, "validator", "cpp"),
        generator=program_in(row, "generator", "cpp"),
        commands=tuple(line for line in text(row, "generator_cmd", needed=False).splitlines() if line.strip()),
        right=tuple(solutions(row, "correct_submissions", source="code", languages=_LANGUAGES)),
        wrong=tuple(solutions(row, "incorrect_submissions", source="code", languages=_LANGUAGES)),
    )


SCHEMA = RowSchema(
    frozenset({"correct_submissions"}),
    "CodeContests+'s (id, description, test_cases, correct_submissions, incorrect_submissions)",
    _read,
    _LANGUAGES,
)
