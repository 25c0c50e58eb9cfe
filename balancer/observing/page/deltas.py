"""Differences between two versions of tables: how the page's data travels.

Decides the form in which tables travel: column by column, and only what is new, for a table of 64 rows in which three
columns change is a few hundred bytes so. Pure; it must not know what the tables are of. The page's script and
`balancer top` read the same form.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["Tables", "apply", "changes"]

Tables = dict[str, dict[str, dict[str, Any]]]
"""Rows by table and id, in the order they came; a row is its values by column. All is ready for JSON."""


def changes(before: Tables, after: Tables) -> dict[str, Any]:
    """Return what makes `after` of `before`: of each table `set`, by column [row, value, ...], and the rows `gone`.

    A table or row that has not changed is not in it. A row has the columns it came with, for good.
    """
    found = {}
    for table in {**before, **after}:
        old, new = before.get(table, {}), after.get(table, {})
        columns: dict[str, list[Any]] = {}
        for row, values in new.items():
            known = old.get(row, {})
            for column, value in values.items():
                if column not in known or known[column] != value:
                    columns.setdefault(column, []).extend((row, value))
        told: dict[str, Any] = {"set": columns} if columns else {}
        if gone := [row for row in old if row not in new]:
            told["gone"] = gone
        if told:
            found[table] = told
    return found


def apply(tables: Tables, told: Mapping[str, Any]) -> None:
    """Bring `tables` up to date by what `changes` has found."""
    for table, news in told.items():
        rows = tables.setdefault(table, {})
        for column, pairs in news.get("set", {}).items():
            for row, value in zip(pairs[::2], pairs[1::2], strict=True):
                rows.setdefault(row, {})[column] = value
        for row in news.get("gone", ()):
            rows.pop(row, None)
