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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice
from os import PathLike, fspath
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.files import Trace
from balancer.observing.traces.haproxy import HAPROXY
from balancer.observing.traces.log_lines import (
    RUN,
    LeftOut,
    LogFormat,
    LogOptions,
    Row,
    shown_line,
)
from balancer.observing.traces.named_columns import TABLES
from balancer.observing.traces.nginx import NGINX, NGINX_FORMAT
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

FORMATS: Final = {each.name: each for each in (HAPROXY, NGINX, *TABLES)}
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
    ordered = sorted(paths, key=lambda path: _begins_s(path, found, options)) if len(paths) > 1 else paths
    items = chain.from_iterable(_items_of(path, found.shape) for path in ordered)
    return _imported(items, found, options, fspath(paths[0]))


def _imported(items: Iterable[tuple[str, Any]], form: LogFormat, options: LogOptions, name: str) -> ImportedLog:
    log = ImportedLog(form.name)
    rows = [*_rows(items, form, options, log)]
    attempts = sorted((each for each in rows if isinstance(each, Attempt)), key=lambda each: each.granted_s)
    if not rows:
        kinds = log.left_out.items()
        left_out = ", ".join(f"{count} {'line' if count == 1 else 'lines'} {kind}" for kind, count in kinds)
        said = f"{name}: has no call and no event: {left_out or 'it is empty'}"
        raise ConfigError(log.first_unread[0] if log.unread else said)
    log.trace.attempts = [replace(each, attempt=number) for number, each in enumerate(attempts)]
    log.trace.events = sorted((each for each in rows if isinstance(each, Happening)), key=lambda each: each.at_s)
    log.trace.ended = {each.run for each in rows}
    if attempts and form.shape == "lines":  # the times of a table may be of any clock
        log.trace.runs = [_run(log.trace, form)]
    return log


def _run(trace: Trace, form: LogFormat) -> dict[str, Any]:
    """Return the first row of the run. A log does not say the strategy, nor capacities."""
    begun_s = min(each.asked_s for each in trace.attempts)
    hosts = {each.endpoint: each.host for each in trace.attempts}
    endpoints: list[dict[str, Any]] = [
        {"name": name, "host": hosts[name], "capacity": None, "weight": None, "labels": []} for name in sorted(hosts)
    ]
    return {
        "row": "run", "version": VERSION, "run": RUN, "began": datetime.fromtimestamp(begun_s, UTC).isoformat(),
        "clock_s": begun_s, "strategy": None, "source": form.name, "endpoints": endpoints,
    }  # fmt: skip


def _rows(items: Iterable[tuple[str, Any]], form: LogFormat, options: LogOptions, log: ImportedLog) -> Iterator[Row]:
    reader = form.reader(options)
    for where, item in items:
        if isinstance(item, _Unread):
            _count(log, f"{where}: {item.why}", form)
            continue
        task = f"line {where.rpartition(':')[2]}"
        try:
            for row in reader.read(item):
                if mistake := mistake_in(row):
                    raise ValueError(mistake)
                yield replace(row, task=task) if isinstance(row, Attempt) and row.task is None else row
        except LeftOut as kind:
            log.left_out[str(kind)] += 1
        except _UNREADABLE as error:
            said = (
                str(error)
                if type(error) is ValueError and str(error).startswith("found")
                else (f"found {shown_line(item)!r}, which is no line of {form.expects}")
            )
            _count(log, f"{where}: {said}", form)
    log.notes.update(+reader.notes)


def _count(log: ImportedLog, said: str, form: LogFormat) -> None:
    if form.shape != "lines":
        raise ConfigError(said)
    log.unread += 1
    if len(log.first_unread) < _FIRST:
        log.first_unread.append(said)


# -- files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Unread:
    """What stands in a file in place of a line that has no object."""

    why: str


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
        yield from _csv_items(lines, name)
        return
    for place, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}:{place}", line if shape == "lines" else _object_of(line)


def _csv_items(lines: Iterator[str], name: str) -> Iterator[tuple[str, Any]]:
    table = csv.DictReader(f"{line}\n" for line in lines)
    try:
        for row in table:
            yield f"{name}:{table.line_num}", {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        yield f"{name}:{table.line_num + 1}", _Unread(f"found a row that is no CSV: {error}")


def _object_of(line: str) -> Any:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else _Unread(f"found {shown_line(line)!r}, which is no object of JSON")


# -- detection -----------------------------------------------------------------------------------------


def _likeliest(paths: Sequence[str | PathLike[str]]) -> LogFormat | None:
    """Return the format that most of the first lines look like; None if none does."""
    counts: Counter[str] = Counter()
    for path in paths:
        for _, line in islice(_items_of(path, "lines"), _SAMPLE):
            counts.update(each.name for each in FORMATS.values() if _looks(each, line))
    best = counts.most_common(1)
    return FORMATS[best[0][0]] if best else None


def _looks(form: LogFormat, item: str) -> bool:
    try:
        return form.looks(item)
    except _UNREADABLE:
        return False


def _begins_s(path: str | PathLike[str], form: LogFormat, options: LogOptions) -> float:
    """Return the time of the first row of a file; infinity if it has none."""
    rows = _rows(_items_of(path, form.shape), form, options, ImportedLog(form.name))
    first = next(rows, None)
    return math.inf if first is None else first.asked_s if isinstance(first, Attempt) else first.at_s
