"""Trace files: lines, columns, or the database of a run; read whole or cut short, and written.

Decides what becomes of a file whose writer was killed: its last line may be half a line, and calls that were under way
are there as open ones, or not at all. What a file is it says itself, by how it begins.

A finished trace is written as lines or as columns, by the name of the file. A pool that works writes lines, for it may
be killed: they go to a sink, whole and at once, so that a kill leaves at most half a line at the end of the file.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final, Protocol, runtime_checkable

from balancer.errors import ConfigError
from balancer.observing.traces import columns, tables
from balancer.observing.traces.columns import write_columns
from balancer.observing.traces.rows import (
    VERSION,
    Attempt,
    Happening,
    data_of,
    line,
    mistake_in,
    mistake_in_facts,
    row_of,
)

__all__ = ["LineFile", "Sink", "Trace", "Unwritten", "cannot_be_written", "read_trace", "write_trace"]

_DATABASE: Final = "run.sqlite"  # as balancer.pipeline.results.database names it, which this room does not know
_LONGEST: Final = 2**25  # characters of a line; the first one of 10 000 endpoints takes some two million


@dataclass(slots=True)
class Trace:
    """What is in a file.

    Attributes:
        runs: the first line of each run, as it was written.
        attempts: one for each call, in the order in which they were granted within a run; one that was written when it
            was open and again when it ended is there once, as it ended.
        events: in the order in which they were written.
        lost: calls and events that were not written because the writer did not keep up.
        cut: whether the last line is half a line.
        ended: runs that have come to their end; others were killed, or go on.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    lost: int = 0
    cut: bool = False
    ended: set[str] = field(default_factory=set)


def read_trace(path: str | PathLike[str]) -> Trace:
    """Read the trace at `path`: a file of lines, a Parquet file, or the database of a run of the pipeline.

    Of a results folder the database is read.

    Raises:
        ConfigError: it cannot be read, or a line, other than half of a last one, is no line of a trace.
        MissingExtra: it is a Parquet file, and pyarrow is not installed.
    """
    path = _of_folder(path)
    found = Trace()
    attempts: dict[tuple[str, int], Attempt] = {}
    for where, data in _rows_in(path, found):
        if data.get("row") in ("run", "end") and (mistake := mistake_in_facts(data)):
            raise ConfigError(f"{where}: {mistake}")
        if data.get("row") == "run":
            if data.get("version", VERSION) > VERSION:
                raise ConfigError(
                    f"{where}: found version {data['version']} of the format, and this reads up to {VERSION}; "
                    "use a later balancer"
                )
            found.runs.append(data)
        elif data.get("row") == "end":
            found.ended.add(str(data.get("run")))
            found.lost += data.get("lost", 0)
        else:
            try:
                row = row_of(data)
            except TypeError as error:
                raise ConfigError(f"{where}: the row of an {data['row']} {error}") from None
            if row is not None and (mistake := mistake_in(row)):
                raise ConfigError(f"{where}: {mistake}")
            if isinstance(row, Attempt):
                known = attempts.get((row.run, row.attempt))
                if known is None or known.open:
                    attempts[row.run, row.attempt] = row
            elif row is not None:
                found.events.append(row)
    begun = (str(run.get("run")) for run in found.runs)
    order = {run: place for place, run in enumerate(dict.fromkeys([*begun, *(run for run, _ in attempts)]))}
    found.attempts = sorted(attempts.values(), key=lambda each: (order[each.run], each.granted_s, each.attempt))
    return found


def _of_folder(path: str | PathLike[str]) -> str | PathLike[str]:
    """Return the database of a run, where `path` is its results folder."""
    if not os.path.isdir(path):
        return path
    database = os.path.join(path, _DATABASE)
    if not os.path.exists(database):
        raise ConfigError(
            f"{os.fspath(path)}: is a folder without a {_DATABASE}, as a run has it; give the file of a trace"
        )
    return database


def _rows_in(path: str | PathLike[str], found: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
    begins = _beginning(path)
    if begins.startswith(columns.MAGIC):
        rows = columns.column_rows(path)
    elif begins.startswith(tables.MAGIC):
        rows = tables.table_rows(path)
    else:
        yield from _lines(path, found)
        return
    for number, data in enumerate(rows, start=1):
        yield f"{path}: row {number}", data


def _beginning(path: str | PathLike[str]) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if not S_ISREG(mode) and not S_ISDIR(mode):
            raise ConfigError(f"{path}: is a pipe or a device, and a trace is read from a file; save it as one first")
        with open(path, "rb") as file:
            return file.read(16)
    except (OSError, ValueError) as error:  # of a path with a NUL in it: ValueError
        raise _unreadable(path, error) from None


def _unreadable(path: str | PathLike[str], error: Exception) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def _lines(path: str | PathLike[str], found: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(iter(partial(file.readline, _LONGEST), ""), start=1):
                if len(line) == _LONGEST:
                    raise ConfigError(f"{path}:{number}: is longer than {_LONGEST} characters, so no line of a trace")
                if not line.strip():
                    continue
                try:
                    data = json.loads(line)
                    if (
                        "\\ud" in line or "\\uD" in line
                    ):  # perhaps half a character (a surrogate), which no file can hold
                        data = json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
                except RecursionError:
                    raise ConfigError(f"{path}:{number}: is nested too deep to be a line of a trace") from None
                except ValueError:
                    # Half a line: the last one of a killed run, after which the next run began a line of its own.
                    found.cut = True
                    if not line.startswith('{"row"'):
                        raise ConfigError(
                            f"{path}:{number}: found {line[:40]!r}, which is no line of a trace; is it an access log? "
                            "then say what wrote it, with --from"
                        ) from None
                    continue
                if not isinstance(data, dict):
                    raise ConfigError(f"{path}:{number}: found {line[:40]!r}; a line of a trace is a JSON object")
                yield f"{path}:{number}", data
    except OSError as error:
        raise _unreadable(path, error) from None


def write_trace(trace: Trace, path: str | PathLike[str]) -> None:
    """Write `trace` to `path`, over what is there: as Parquet if its name ends with ".parquet", else as lines.

    Raises:
        ConfigError: it cannot be written.
        MissingExtra: it is to be Parquet, and pyarrow is not installed.
    """
    if fspath(path).endswith(".parquet"):
        write_columns(path, _rows_of(trace))
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(map(line, _rows_of(trace)))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; choose another path") from None


def _rows_of(trace: Trace) -> Iterator[dict[str, Any]]:
    yield from trace.runs
    yield from map(data_of, trace.attempts)
    yield from map(data_of, trace.events)
    for number, run in enumerate(sorted(trace.ended)):
        yield {"row": "end", "run": run, "lost": 0 if number else trace.lost}


@runtime_checkable
class Sink(Protocol):
    """Where rows go. `write` and `close` are called by one thread at a time, and never under the lock of a pool."""

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep these rows, each as plain data, for good. An error: it could not, and they count as lost."""
        ...

    def close(self) -> None:
        """Be done: there are no more."""
        ...


class Unwritten(OSError):
    """Not all rows could be written; the first `written` of them were."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.written = written


class LineFile:
    """A file, appended to, and made if need be.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file = _opened(Path(path))
        except (OSError, ValueError) as error:  # of a path with a NUL in it: ValueError
            raise cannot_be_written(path, error) from None
        self._is_torn = False  # the last line may be half a line: a disk was full

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a line for each row. Unwritten: the disk is full, or the like."""
        lines = "".join(map(line, rows)).encode()
        if self._is_torn:  # an end for the half line
            lines = b"\n" + lines
        data, was_torn, self._is_torn = memoryview(lines), self._is_torn, True
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise Unwritten(error, max(lines[: len(lines) - len(data)].count(b"\n") - was_torn, 0)) from None
        self._is_torn = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def cannot_be_written(path: object, error: Exception) -> ConfigError:
    """Return the error of a trace at `path` that cannot be begun."""
    said = getattr(error, "strerror", None) or error
    return ConfigError(f"trace: {path}: cannot be written: {said}; choose another path")


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":  # the run before was killed in the middle of a line
        os.write(file, b"\n")
    return file
