"""Traces as Parquet files. A file is written as a whole, as Parquet can only be read after it is closed.

The columns: `row`, those of an attempt, those of an event, and `facts` with the JSON of the rows that begin and end a
run. Missing values are null.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.rows import ATTEMPT_FIELDS, EVENT_FIELDS, facts_of
from balancer.plugins.extras import require

if TYPE_CHECKING:
    import pyarrow

__all__ = ["MAGIC", "column_rows", "write_columns"]

MAGIC: Final = b"PAR1"
"""The first bytes of such a file."""

_WHOLE: Final = ("attempt", "slots", "priority", "in_flight", "host_in_flight")
_NUMBERS: Final = ("asked_s", "granted_s", "ended_s", "size", "retry_after_s", "server_s", "at_s", "value")
_NAMES: Final = ("row", *dict.fromkeys((*ATTEMPT_FIELDS, *EVENT_FIELDS)), "facts")
_OF: Final = {"attempt": ("row", *ATTEMPT_FIELDS), "event": ("row", *EVENT_FIELDS)}
_FACTS: Final = ("run", "end")
_TEXTS: Final = [name for name in _NAMES if name not in (*_WHOLE, *_NUMBERS, "open")]
_BATCH: Final = 2000  # rows that become Python objects at once
_MOST_TEXT: Final = 2**28  # the most bytes of text in so many rows: a small file may unpack to any size
_MOST_GROUP: Final = 2**32  # the most bytes of a row group, unpacked


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
    try:
        table = pa.table({name: [row.get(name) for row in whole] for name in _NAMES}, schema=schema)
        write_table(table, fspath(path))
    except (OSError, pa.ArrowException, ValueError, TypeError, OverflowError) as error:  # rows of the user's own
        raise ConfigError(f"{path}: cannot be written: {_said(error)}; choose another path") from None


def column_rows(path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the file at `path`, as plain data.

    Raises:
        ConfigError: it cannot be read, or is not a trace.
        MissingExtra: pyarrow is not installed.
    """
    pa = _arrow()
    from pyarrow.parquet import ParquetFile, read_schema

    try:
        schema = read_schema(fspath(path))
        if "row" not in schema.names:
            raise ConfigError(f"{path}: is not a trace: it has no column 'row'; found {_some(schema.names)}")
        texts = [name for name in dict.fromkeys(schema.names) if name in _TEXTS and _is_text(pa, schema, name, path)]
        with ParquetFile(fspath(path), read_dictionary=texts) as file:
            yield from _checked(pa, file, path)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be read: {_said(error)}") from None


def _checked(pa: Any, file: Any, path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows. Texts are converted only after their size is known."""
    names = [name for name in file.schema_arrow.names if name in _NAMES]
    for name in names:
        _is_text(pa, file.schema_arrow, name, path)
    for number in range(file.num_row_groups):
        if (size := file.metadata.row_group(number).total_byte_size) > _MOST_GROUP:
            raise ConfigError(
                f"{path}: row group {number} unpacks to {size} bytes; a trace's has {_MOST_GROUP} at most"
            )
    at = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=names):
        size = sum(_text_bytes(pa, column) for column in batch.columns)
        if size > _MOST_TEXT:
            rows = f"rows {at + 1} to {at + len(batch)}"
            raise ConfigError(
                f"{path}: {rows} hold {size} bytes of text; at most {_MOST_TEXT} are allowed for so many rows"
            )
        for row in batch.to_pylist():
            at += 1
            narrow = _narrow(row)
            if narrow is None:
                raise ConfigError(f"{path}: row {at}: found facts {row.get('facts')!r:.60}; it must be a JSON object")
            yield narrow


def _is_text(pa: Any, schema: Any, name: str, path: str | PathLike[str]) -> bool:
    """Return whether a column holds texts. Raises ConfigError for a type that is not allowed."""
    if len(schema.get_all_field_indices(name)) > 1:
        raise ConfigError(f"{path}: has several columns {name!r}; a trace has one")
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if pa.types.is_nested(kind) or (name in _TEXTS and not is_text and not pa.types.is_null(kind)):
        raise ConfigError(f"{path}: column {name!r} holds {kind}; it must hold {_kind(pa, name)}")
    return is_text


def _text_bytes(pa: Any, column: Any) -> int:
    from pyarrow import compute

    kind = column.type
    if pa.types.is_dictionary(kind):
        return compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return compute.sum(compute.binary_length(column)).as_py() or 0
    return 0


def _wide(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if row["row"] in _FACTS:
        return {"row": row["row"], "run": row["run"], "facts": json.dumps(row)}
    return row


def _narrow(row: dict[str, Any]) -> dict[str, Any] | None:
    if row["row"] in _FACTS:
        return facts_of(row.get("facts"))
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
