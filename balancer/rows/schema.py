"""Row schemas: from a row to a problem, by the schema whose columns the row has.

Decides how a row's schema is recognised, and which columns are named because they hold programs that are not used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from reprlib import Repr
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import RowProblem, RowSchema
from balancer.rows.schemas import SCHEMAS
from balancer.rows.solutions import with_solutions

__all__ = ["problem_of", "schema_of"]

_NAMED = re.compile(r"solution|submission|code|checker|validator|generator|response$|^(results|trials)$")
_CODE = re.compile(r"(?:^|\n|\\n|['\"])(?:```|#include|import |from \S+ import|def |class |int main).*?(?:\n|\\n)")
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 2000


class _Watched(dict[str, Any]):
    """A row that knows which of its columns were read."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self.used: set[str] = set()

    def get(self, column: str, default: Any = None) -> Any:
        self.used.add(column)
        return super().get(column, default)


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
    if schema is None:
        known = "; ".join(dict.fromkeys(schema.words for schema in SCHEMAS))
        columns = ascii(", ".join(sorted(map(str, row))))[1:-1]
        raise PackageError(f"it has the columns {columns[:160]}; known are {known}")
    watched = _Watched(row)
    read = with_solutions(watched, schema.read(watched))
    unused = ", ".join(_unused(watched))
    return replace(read, notes=(f"not used: {unused}", *read.notes)) if unused else read


def _unused(row: _Watched) -> Iterator[str]:
    """Yield the columns that were not read, and have the name or the look of programs."""
    for column, found in row.items():
        if column not in row.used and found and not isinstance(found, bool | int | float):
            words = found[:2000] if isinstance(found, str) else _SHORT.repr(found)
            if _NAMED.search(str(column)) or _CODE.search(words):
                yield ascii(column)[1:-1]
