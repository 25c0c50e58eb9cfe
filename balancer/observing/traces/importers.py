"""Trace importers: logs of HAProxy and nginx, and tables of calls with named columns, as traces.

A format is an entry of `FORMATS`, with one reader. That of a log is found by its content, or named; a table is named. A
line of a log that cannot be read is counted and named; it does not stop the others.
"""

import csv
import gzip
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice
from os import PathLike, fspath
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.files import Trace
from balancer.observing.traces.haproxy import HAProxy
from balancer.observing.traces.log_lines import (
    RUN,
    LeftOut,
    LogOptions,
    LogReader,
    Row,
    shown_line,
)
from balancer.observing.traces.named_columns import Csv, JsonLines
from balancer.observing.traces.nginx import NGINX_FORMAT, Nginx
from balancer.observing.traces.rows import VERSION, Attempt, Happening, mistake_in

__all__ = [
    "FORMATS",
    "NGINX_FORMAT",
    "ImportedLog",
    "LogOptions",
    "import_logs",
    "is_packed",
    "lines_in",
]

FORMATS: Final[dict[str, type[LogReader]]] = {each.name: each for each in (HAProxy, Nginx, Csv, JsonLines)}
"""The formats of logs and tables, by name."""

_FIRST: Final = 20  # lines that are named, of those that cannot be read
_SAMPLE: Final = 200  # lines that are looked at to find the format
_LONGEST: Final = 2**25  # characters of a line
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(slots=True)
class ImportedLog:
    """A log as a trace.

    Attributes:
        format: the name of its format.
        trace: its calls and events; times are seconds since 1970.
        left_out: how many lines of a kind are neither a call nor an event.
        notes: what else is to be said of calls, and of how many.
        unread: how many lines could not be read.
        first_unread: the first of these: where, and what was found, with what a line has to be.
    """

    format: str
    trace: Trace = field(default_factory=Trace)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    first_unread: list[str] = field(default_factory=list)


def import_logs(
    paths: Sequence[str | PathLike[str]], source: str | None = None, options: LogOptions | None = None
) -> ImportedLog | None:
    """Read the log or table in `paths` as a trace: one file, or the files of a rotated log, in any order.

    Args:
        paths: the files; each may be gzipped.
        source: the name of the format; None: it is found by the content.
        options: how to read it.

    Returns:
        The trace; None if no format was named, and none fits.

    Raises:
        ConfigError: a file cannot be read, no line of it is a call or an event, or a row of a table is wrong.
    """
    options = options or LogOptions()
    found = _likeliest(paths) if source is None else FORMATS[source]
    if found is None:
        return None
    ordered = sorted(paths, key=lambda path: _begins_s(path, found(options))) if len(paths) > 1 else paths
    log = ImportedLog(found.name)
    rows = [*_rows(chain.from_iterable(_items_of(path, found.shape) for path in ordered), found(options), log)]
    if not rows:
        kinds = log.left_out.items()
        left_out = ", ".join(f"{count} {'line' if count == 1 else 'lines'} {kind}" for kind, count in kinds)
        said = f"{fspath(paths[0])}: has no call and no event: {left_out or 'it is empty'}"
        raise ConfigError(log.first_unread[0] if log.unread else said)
    attempts = sorted((each for each in rows if isinstance(each, Attempt)), key=lambda each: each.granted_s)
    log.trace.attempts = [replace(each, attempt=number) for number, each in enumerate(attempts)]
    log.trace.events = sorted((each for each in rows if isinstance(each, Happening)), key=lambda each: each.at_s)
    log.trace.ended = {each.run for each in rows}
    if attempts and found.shape == "lines":  # the times of a table may be of any clock
        log.trace.runs = [_run(log)]
    return log


def _run(log: ImportedLog) -> dict[str, Any]:
    """Return the first row of the run. A log does not say the strategy, nor capacities."""
    begun_s = min(each.asked_s for each in log.trace.attempts)
    hosts = {each.endpoint: each.host for each in log.trace.attempts}
    endpoints: list[dict[str, Any]] = [
        {"name": name, "host": hosts[name], "capacity": None, "weight": None, "labels": []} for name in sorted(hosts)
    ]
    return {
        "row": "run", "version": VERSION, "run": RUN, "began": datetime.fromtimestamp(begun_s, UTC).isoformat(),
        "clock_s": begun_s, "strategy": None, "source": log.format, "endpoints": endpoints,
    }  # fmt: skip


def _rows(items: Iterable[tuple[str, Any]], reader: LogReader, log: ImportedLog) -> Iterator[Row]:
    """Yield the rows of a log. A row of a table that cannot be read is an error; such lines of a log are counted."""
    for where, item in items:
        task = f"line {where.rpartition(':')[2]}"
        try:
            for row in reader.read(item):
                if mistake := mistake_in(row):
                    raise ValueError(mistake)
                yield replace(row, task=task) if isinstance(row, Attempt) and row.task is None else row
        except LeftOut as kind:
            log.left_out[str(kind)] += 1
        except _UNREADABLE as error:
            own = type(error) is ValueError and str(error).startswith("found")
            why = str(error) if own else f"found {shown_line(item)!r}, which is no line of {reader.expects}"
            if reader.shape != "lines":
                raise ConfigError(f"{where}: {why}") from None
            log.unread += 1
            log.first_unread += [f"{where}: {why}"][: _FIRST - len(log.first_unread)]
    log.notes.update(+reader.notes)


# -- files ---------------------------------------------------------------------------------------------


def is_packed(path: str | PathLike[str]) -> bool:
    """Return whether a file is gzipped. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def lines_in(path: str | PathLike[str]) -> Iterator[str]:
    """Yield the lines of a file, which may be gzipped, without their ends. A cut gzip file ends where it was cut.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        mode = os.stat(path).st_mode
        if not S_ISREG(mode) and not S_ISDIR(mode):
            raise ConfigError(f"{fspath(path)}: is a pipe or a device; save the log as a file first")
        opened: Any = gzip.open if is_packed(path) else open
        with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
            yield from (
                line.removeprefix("\ufeff").rstrip("\r\n") for line in iter(lambda: file.readline(_LONGEST), "")
            )
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise ConfigError(f"{fspath(path)}: cannot be read: {error.strerror or error}") from None


def _items_of(path: str | PathLike[str], shape: str) -> Iterator[tuple[str, Any]]:
    """Yield what readers get, each with its place: lines, objects of JSON, or rows of CSV."""
    name, lines = fspath(path), lines_in(path)
    if shape == "csv":
        table = csv.DictReader(f"{line}\n" for line in lines)
        try:
            for row in table:
                yield f"{name}:{table.line_num}", {key: value for key, value in row.items() if key is not None}
        except csv.Error as error:
            raise ConfigError(f"{name}:{table.line_num + 1}: found a row that is no CSV: {error}") from None
    for place, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}:{place}", line if shape == "lines" else _object_of(line, f"{name}:{place}")


def _object_of(line: str, where: str) -> dict[str, Any]:
    found = None
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: found {shown_line(line)!r}, which is no object of JSON")
    return found


# -- detection -----------------------------------------------------------------------------------------


def _likeliest(paths: Sequence[str | PathLike[str]]) -> type[LogReader] | None:
    """Return the format that most of the first lines look like; None if none does."""
    counts: Counter[str] = Counter()
    for path in paths:
        for _, line in islice(_items_of(path, "lines"), _SAMPLE):
            counts.update(each.name for each in FORMATS.values() if each.looks(line))
    best = counts.most_common(1)
    return FORMATS[best[0][0]] if best else None


def _begins_s(path: str | PathLike[str], reader: LogReader) -> float:
    """Return the time of the first row of a file; infinity if it has none."""
    first = next(_rows(_items_of(path, reader.shape), reader, ImportedLog(reader.name)), None)
    return math.inf if first is None else first.asked_s if isinstance(first, Attempt) else first.at_s
