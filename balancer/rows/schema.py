"""Row schemas: from a row to a problem, by the schema whose columns the row has.

Decides how a row's schema is recognised, and what is said of columns that are not used.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import RowProblem, RowSchema, Solution, solutions, without_repetition
from balancer.rows.schemas import PLAIN, SCHEMAS

__all__ = ["LANGUAGES", "SCHEMAS", "problem_of", "schema_of"]

LANGUAGES = frozenset(language for schema in SCHEMAS for language in schema.languages.values())
"""Languages that the solutions of rows may have, as far as a schema tells."""


def schema_of(row: Mapping[str, Any]) -> RowSchema | None:
    """Return the schema of `row`; None if it is not known. The column `right` may stand for `solutions`."""
    more = frozenset({"solutions"} if "right" in row else ())
    each = (schema for marks in (row.keys(), row.keys() | more) for schema in SCHEMAS if schema.marks <= marks)
    return next(each, None)


def problem_of(row: Mapping[str, Any]) -> RowProblem:
    """Return the content of `row`.

    Raises:
        PackageError: something is missing, or has another form; one line.
    """
    schema = schema_of(row)
    if schema is not None:
        read = schema.read(row)
        return without_repetition(_with_notes(schema, row, read if schema is PLAIN else _with_more(row, read)))
    known = "; ".join(schema.words for schema in SCHEMAS if schema.words)
    columns = ascii(", ".join(sorted(map(str, row))))[1:-1]
    raise PackageError(f"it has the columns {columns[:160]}; known are {known}")


def _with_more(row: Mapping[str, Any], read: RowProblem) -> RowProblem:
    """Add the solutions of the columns `right` and `wrong`, which any row may have, as not all data sets have some."""
    right, wrong = (tuple(solutions(row, column, source="source")) for column in ("right", "wrong"))
    return replace(read, right=_joined(read.right, right), wrong=_joined(read.wrong, wrong))


def _joined(own: tuple[Solution, ...], more: tuple[Solution, ...]) -> tuple[Solution, ...]:
    start = max((solution.number for solution in own), default=-1) + 1
    return (*own, *(replace(solution, number=start + solution.number) for solution in more))


def _with_notes(schema: RowSchema, row: Mapping[str, Any], read: RowProblem) -> RowProblem:
    ignored = [column for column in schema.ignored if row.get(column)]
    return replace(read, notes=(f"not used: {', '.join(ignored)}", *read.notes)) if ignored else read
