"""Row schemas: from a row to a problem, by the schema whose columns the row has.

Decides how a row's schema is recognised, and what is said of columns that are not used.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.rows.columns import RowProblem, RowSchema, without_repetition
from balancer.pipeline.rows.schemas import code_contests, plain

__all__ = ["LANGUAGES", "SCHEMAS", "problem_of"]

SCHEMAS: tuple[RowSchema, ...] = (code_contests.SCHEMA, plain.SCHEMA)
"""A row is of the first schema of which it has all marks."""

LANGUAGES = frozenset(language for schema in SCHEMAS for language in schema.languages.values())
"""Languages that the solutions of rows may have, as far as a schema tells."""


def problem_of(row: Mapping[str, Any]) -> RowProblem:
    """Return the content of `row`.

    Raises:
        PackageError: something is missing, or has another form; one line.
    """
    if "input_output" in row:  # it has `solutions`, too, but they are others than CodeContests'
        raise PackageError(
            "it is a row of APPS or TACO (input_output), which only the judge reads; docs/loop.md has a converter"
        )
    for schema in SCHEMAS:
        if schema.marks <= row.keys():
            return _with_notes(schema, row, schema.read(row))
    known = "; ".join(schema.words for schema in SCHEMAS)
    raise PackageError(f"it has the columns {', '.join(sorted(map(str, row)))[:160]}; known are {known}")


def _with_notes(schema: RowSchema, row: Mapping[str, Any], read: RowProblem) -> RowProblem:
    ignored = [column for column in schema.ignored if row.get(column)]
    notes = (f"the row's columns {', '.join(ignored)} are not used",) if ignored else ()
    return without_repetition(replace(read, notes=(*read.notes, *notes)))
