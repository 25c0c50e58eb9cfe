"""A trace as a Parquet file: written whole, for a file of columns has to be closed before it can be read.

Decides the columns: `row`, those of an attempt, those of an event, and `facts` with the JSON of the rows that begin and
end a run. What a kind of row does not have is null.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final

from balancer.errors import ConfigError
from balancer.plugins.extras import require
from balancer.traces.rows import ATTEMPT_FIELDS, EVENT_FIELDS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["MAGIC", "column_rows", "write_columns"]

MAGIC: Final = b"PAR1"
"""What such a file begins with."""

_WHOLE: Final = ("attempt", "slots", "priority", "in_flight", "host_in_flight")
_NUMBERS: Final = ("asked_s", "granted_s", "ended_s", "size", "retry_after_s", "server_s", "at_s", "value")
_NAMES: Final = ("row", *dict.fromkeys((*ATTEMPT_FIELDS, *EVENT_FIELDS)), "facts")
_OF: Final = {"attempt": ("row", *ATTEMPT_FIELDS), "event": ("row", *EVENT_FIELDS)}
_FACTS: Final = ("run", "end")
_BATCH: Final = 50_000  # rows that are made into objects of Python at once


def write_columns(path: str | PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows, as plain data, to `path`.

    Raises:
        ConfigError: it cannot be written.
        MissingExtra: pyarrow is not installed.
    """
    pa = _arrow()
    from pyarrow.parquet import write_table

    schema = pa.schema([(name, _kind(pa, name)) for name in _NAMES])
    whole = [_wide(row) for row in rows]
    table = pa.table({name: [row.get(name) for row in whole] for name in _NAMES}, schema=schema)
    try:
        write_table(table, fspath(path))
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be written: {_said(error)}; choose another path") from None


def column_rows(path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the file at `path`, as plain data.

    Raises:
        ConfigError: it cannot be read, or is no trace.
        MissingExtra: pyarrow is not installed.
    """
    pa = _arrow()
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(fspath(path)) as file:
            if "row" not in file.schema_arrow.names:
                raise ConfigError(
                    f"{path}: has no column 'row', so it is no trace; found {_some(file.schema_arrow.names)}"
                )
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from map(_narrow, batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be read: {_said(error)}") from None


def _wide(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if row["row"] in _FACTS:
        return {"row": row["row"], "run": row["run"], "facts": json.dumps(row)}
    return row


def _narrow(row: dict[str, Any]) -> dict[str, Any]:
    if row["row"] in _FACTS:
        facts: dict[str, Any] = json.loads(row["facts"])
        return facts
    return {name: row[name] for name in _OF.get(row["row"], ("row",)) if name in row}


def _kind(pa: Any, name: str) -> "pyarrow.DataType":
    if name in _WHOLE:
        return pa.int64()
    return pa.float64() if name in _NUMBERS else pa.bool_() if name == "open" else pa.string()


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        require("rows", "a trace in Parquet")
        raise
    return pyarrow


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]


def _some(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:8]) or "none"
