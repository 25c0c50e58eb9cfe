"""Trace importers: logs of other programs, and tables with named columns, as traces.

A format is an entry of `FORMATS`, with one reader. It is found by the content of a log, or named. A line that cannot be
read is counted and named; it does not stop the others.
"""

import csv
import gzip
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import chain, islice
from os import PathLike, fspath
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.files import Trace
from balancer.observing.traces.haproxy import HAPROXY
from balancer.observing.traces.log_lines import (
    NOWHERE,
    RUN,
    LeftOut,
    LogFormat,
    LogOptions,
    Row,
    shown_line,
)
from balancer.observing.traces.model_servers import MODEL_SERVERS
from balancer.observing.traces.nginx import NGINX, NGINX_FORMAT
from balancer.observing.traces.proxies import PROXIES
from balancer.observing.traces.rows import VERSION, Attempt, Happening, mistake_in
from balancer.observing.traces.spans import OTLP

__all__ = [
    "FORMATS",
    "NGINX_FORMAT",
    "ImportedLog",
    "LogOptions",
    "from_csv",
    "from_haproxy",
    "from_nginx",
    "import_logs",
    "lines_in",
]

FORMATS: Final = {each.name: each for each in (HAPROXY, NGINX, *PROXIES, *MODEL_SERVERS, OTLP)}
"""The formats of logs, by name. Tables of calls ("csv") are read by `from_csv`."""

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
    """Read the log in `paths` as a trace: one file, or the files of a rotated log, in any order. Each may be gzipped.

    Args:
        paths: the files.
        source: the name of the format; None: it is found by the content.
        options: how to read it.

    Returns:
        The trace; None if no format was named, and none fits.

    Raises:
        ConfigError: a file cannot be read, or has no line of the format.
    """
    options = options or LogOptions()
    if source is None:
        found = _format_of(paths)
        if found is None:
            return None
    else:
        found = FORMATS[source]
        text = [name for name in (f"{source}-json", f"{source}-csv") if name in FORMATS]
        others = [FORMATS[name] for name in text]
        found = _likeliest(paths, [found, *others]) or found
    ordered = sorted(paths, key=lambda path: _begins_s(path, found, options)) if len(paths) > 1 else paths
    items = chain.from_iterable(_items_of(path, found.shape) for path in ordered)
    return _imported(items, found, options)


def _imported(items: Iterable[tuple[str, Any]], form: LogFormat, options: LogOptions) -> ImportedLog:
    log = ImportedLog(form.name)
    rows = [*_rows(items, form, options, log)]
    attempts = sorted((each for each in rows if isinstance(each, Attempt)), key=lambda each: each.granted_s)
    if not rows and log.unread:
        raise ConfigError(log.first_unread[0])
    log.trace.attempts = [replace(each, attempt=number) for number, each in enumerate(attempts)]
    log.trace.events = sorted((each for each in rows if isinstance(each, Happening)), key=lambda each: each.at_s)
    log.trace.ended = {RUN} if rows else set()
    if attempts:
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
            _count(log, f"{where}: {item.why} of {form.expects}")
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
            _count(log, f"{where}: {said}")
    yield from (row for row in reader.rest() if mistake_in(row) is None)
    log.notes.update(+reader.notes)


def _count(log: ImportedLog, said: str) -> None:
    log.unread += 1
    if len(log.first_unread) < _FIRST:
        log.first_unread.append(said)


# -- files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Unread:
    """What stands in a file in place of a line that has no object."""

    why: str


def lines_in(path: str | PathLike[str]) -> Iterator[str]:
    """Yield the lines of a file, which may be gzipped, without their ends. A cut gzip file ends where it was cut.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        mode = os.stat(path).st_mode
        if not S_ISREG(mode) and not S_ISDIR(mode):
            raise ConfigError(f"{fspath(path)}: is a pipe or a device; save the log as a file first")
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        opened: Any = gzip.open if packed else open
        with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
            yield from (
                line.removeprefix("\ufeff").rstrip("\r\n") for line in iter(lambda: file.readline(_LONGEST), "")
            )
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise ConfigError(f"{fspath(path)}: cannot be read: {error.strerror or error}") from None


def _items_of(path: str | PathLike[str], shape: str) -> Iterator[tuple[str, Any]]:
    """Yield what readers get, each with its place: lines, objects of JSON, or rows of a table."""
    name, lines = fspath(path), lines_in(path)
    if shape == "lines":
        yield from ((f"{name}:{place}", line) for place, line in enumerate(lines, start=1) if line.strip())
    elif shape == "csv":
        yield from _table_items(lines, name)
    else:
        yield from _json_items(lines, name)


def _table_items(lines: Iterator[str], name: str) -> Iterator[tuple[str, Any]]:
    table = csv.DictReader(f"{line}\n" for line in lines)
    while True:
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"{name}:{table.line_num}", _Unread(f"found a row that is no CSV: {error}")
            continue
        yield f"{name}:{table.line_num}", {key: value for key, value in row.items() if key is not None}


def _json_items(lines: Iterator[str], name: str) -> Iterator[tuple[str, Any]]:
    """Yield the objects of lines of JSON, each perhaps after other text, or of one document over several lines."""
    place, first = next(((place, line) for place, line in enumerate(lines, start=1) if line.strip()), (1, ""))
    if first.lstrip()[:1] in ("[", "{") and _object_in(first) is None:
        kept = [first, *lines]
        whole = _parsed("\n".join(kept))
        if isinstance(whole, list | dict):
            elements = whole if isinstance(whole, list) else [whole]
            yield from ((f"{name}:{number}", _as_object(each)) for number, each in enumerate(elements, start=1))
            return
        lines = iter(kept[1:])
    for number, line in enumerate(chain([first], lines), start=place):
        if line.strip():
            found = _object_in(line)
            yield f"{name}:{number}", _as_object(found, line)


def _as_object(found: object, line: str = "") -> Any:
    if isinstance(found, dict):
        return found
    return _Unread(f"found {shown_line(line or found)!r}, which is no object of JSON")


def _object_in(line: str) -> object:
    """Return the object of JSON with which a line ends, or None."""
    begin = line.find("{")
    found = _parsed(line[begin:]) if begin >= 0 else None
    return found if isinstance(found, dict) else None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# -- detection -----------------------------------------------------------------------------------------


def _format_of(paths: Sequence[str | PathLike[str]]) -> LogFormat | None:
    return _likeliest(paths, list(FORMATS.values()))


def _likeliest(paths: Sequence[str | PathLike[str]], among: Sequence[LogFormat]) -> LogFormat | None:
    """Return the format that most of the first lines look like; None if none does."""
    counts: Counter[str] = Counter()
    for path in paths:
        for shape in dict.fromkeys(each.shape for each in among):
            for _, item in islice(_items_of(path, shape), _SAMPLE):
                counts.update(each.name for each in among if each.shape == shape and _looks(each, item))
    best = counts.most_common(1)
    return FORMATS[best[0][0]] if best else None


def _looks(form: LogFormat, item: Any) -> bool:
    try:
        return not isinstance(item, _Unread) and form.looks(item)
    except _UNREADABLE:
        return False


def _begins_s(path: str | PathLike[str], form: LogFormat, options: LogOptions) -> float:
    """Return the time of the first row of a file; infinity if it has none."""
    rows = _rows(_items_of(path, form.shape), form, options, ImportedLog(form.name))
    first = next(rows, None)
    return math.inf if first is None else first.asked_s if isinstance(first, Attempt) else first.at_s


# -- lines that somebody has read ----------------------------------------------------------------------


def from_nginx(
    lines: Iterable[str],
    log_format: str = NGINX_FORMAT,
    *,
    name: str = "nginx log",
    left_out: list[int] | None = None,
) -> Iterator[Attempt]:
    """Yield an attempt for each upstream that each request was sent to.

    A request ended at `$msec` or `$time_iso8601`. Its attempts follow each other, and the last ends with it. There are
    no waits, because nginx has no queue. Requests without an upstream are left out.

    Args:
        lines: of the log.
        log_format: the format of the log.
        name: of the log, for error texts.
        left_out: the numbers of lines without an upstream are appended to it.

    Raises:
        ConfigError: the format lacks a name, or a line has another format.
    """
    return _attempts(lines, NGINX, LogOptions(log_format=log_format), name, left_out)


def from_haproxy(
    lines: Iterable[str], *, name: str = "haproxy log", left_out: list[int] | None = None
) -> Iterator[Attempt]:
    """Yield an attempt for each request of a log of HAProxy that reached a server. Its notices give none.

    A request asked when it had arrived (TR after the date), waited for Tw, and ended Ta after the date. A time of -1
    did not happen. Requests without a server (`<NOSRV>`) are left out.

    Args:
        lines: of the log.
        name: of the log, for error texts.
        left_out: the numbers of lines without a server are appended to it.

    Raises:
        ConfigError: a line has another format.
    """
    return _attempts(lines, HAPROXY, LogOptions(), name, left_out)


def _attempts(
    lines: Iterable[str], form: LogFormat, options: LogOptions, name: str, left_out: list[int] | None
) -> Iterator[Attempt]:
    reader, number = form.reader(options), 0
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows = [row for row in reader.read(line.rstrip("\r\n")) if isinstance(row, Attempt)]
        except LeftOut as kind:
            if left_out is not None and str(kind) == NOWHERE:
                left_out.append(place)
            continue
        except ConfigError:
            raise
        except _UNREADABLE as error:
            raise ConfigError(f"{name}:{place}: {error}") from None
        for row in rows:
            yield replace(row, attempt=number, task=f"line {place}")
            number += 1


# -- tables --------------------------------------------------------------------------------------------

_TEXTS: Final = ("run", "task", "kind", "endpoint", "host", "key", "outcome")
_WHOLE: Final = ("attempt", "slots", "priority", "in_flight", "host_in_flight")
_NAMES: Final = tuple(field.name for field in fields(Attempt))


def from_csv(lines: Iterable[str], columns: Mapping[str, str], *, name: str = "csv") -> Iterator[Attempt]:
    """Yield an attempt for each row of a table with a heading.

    Args:
        lines: of the table.
        columns: the column of each field of an attempt. A field that is not given is read from the column of its own
            name, if there is one. Needed are `endpoint`, `ended_s`, and `granted_s` or `asked_s`.
        name: of the table, for error texts.

    Raises:
        ConfigError: there is no such field or column, or a value is not a number.
    """
    table = csv.DictReader(lines)
    there = list(table.fieldnames or ())
    if strangers := [field for field in columns if field not in _NAMES]:
        raise ConfigError(f"--column: there is no field {strangers[0]!r}; fields are {', '.join(_NAMES)}")
    if missing := [column for column in columns.values() if column not in there]:
        raise ConfigError(f"{name}: there is no column {missing[0]!r}; found {', '.join(there) or 'no heading'}")
    of = {field: columns.get(field, field) for field in _NAMES if columns.get(field, field) in there}
    for needed in (("endpoint",), ("ended_s",), ("granted_s", "asked_s")):
        if not any(field in of for field in needed):
            raise ConfigError(f"{name}: no column is {' or '.join(needed)}; name one with --column {needed[0]}=NAME")
    for number, row in enumerate(table):
        where = f"{name}:{number + 2}"
        given = {field: _value(field, row[column] or "", where) for field, column in of.items()}
        known: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
        known.setdefault("granted_s", known.get("asked_s"))
        known.setdefault("asked_s", known["granted_s"])
        if known["granted_s"] is None or "ended_s" not in known or "endpoint" not in known:
            raise ConfigError(f"{where}: endpoint, ended_s, and granted_s or asked_s must not be empty")
        attempt = Attempt(**{"run": RUN, "attempt": number, **known})
        if mistake := mistake_in(attempt):
            raise ConfigError(f"{where}: {mistake}")
        yield attempt


def _value(field: str, text: str, where: str) -> Any:
    if not text.strip():
        return None
    if field in _TEXTS:
        return text.strip()
    if field == "open":
        return text.strip().lower() in ("1", "true", "yes")
    read: Callable[[str], float] = int if field in _WHOLE else float
    try:
        return read(text)
    except ValueError:
        raise ConfigError(f"{where}: {field}: found {text[:40]!r}; it must be a number") from None
