"""Trace files: lines, or the database of a run; read whole or cut short, and written.

After a kill, the last line may be incomplete, and calls that were running are there as open ones, or not at all. The
type of a file is read from its first bytes.

A running pool writes lines to a sink, each at once, so that a kill leaves at most one incomplete line at the end.
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
from balancer.observing.traces import tables
from balancer.observing.traces.log_lines import shown_line
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

__all__ = [
    "LineFile",
    "Sink",
    "Trace",
    "begins_a_trace",
    "cannot_be_written",
    "of_another_program",
    "read_trace",
    "write_trace",
]

_DATABASE: Final = "run.sqlite"  # the name in balancer.pipeline.results.log, which this package does not import
_LONGEST: Final = 2**25  # characters of a line; the first line of 10 000 endpoints has about two million


@dataclass(slots=True)
class Trace:
    """The content of a trace file.

    Attributes:
        runs: the first line of each run, as it was written.
        attempts: one for each call, in the order of the grants within a run. A call that was written as open and again
            at its end is here once, as it ended.
        events: in the order in which they were written.
        lost: how many calls and events were not written, because the writer was too slow.
        cut: True if the last line is incomplete.
        ended: runs that have ended. Others were killed, or still run.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    lost: int = 0
    cut: bool = False
    ended: set[str] = field(default_factory=set)


def read_trace(path: str | PathLike[str]) -> Trace:
    """Read the trace at `path`: a file of lines, or the database of a run of the pipeline.

    For a results folder, its database is read.

    Raises:
        ConfigError: it cannot be read, or a line, other than an incomplete last one, is not a line of a trace.
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
                    f"{where}: found version {data['version']} of the format; this balancer reads up to {VERSION}; "
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
    """Return the database of a run if `path` is its results folder, else `path`."""
    if not os.path.isdir(path):
        return path
    database = os.path.join(path, _DATABASE)
    if not os.path.exists(database):
        raise ConfigError(f"{os.fspath(path)}: is a folder without the {_DATABASE} of a run; give the file of a trace")
    return database


def _rows_in(path: str | PathLike[str], found: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
    if not _beginning(path).startswith(tables.MAGIC):
        yield from _lines(path, found)
        return
    for number, data in enumerate(tables.table_rows(path), start=1):
        yield f"{path}: row {number}", data


def begins_a_trace(path: str | PathLike[str]) -> bool:
    """Return whether a file looks like a trace. Raises OSError, or ValueError for a path with a NUL."""
    with open(path, "rb") as file:
        return file.read(16).startswith((b'{"row"', tables.MAGIC))


def _beginning(path: str | PathLike[str]) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if not S_ISREG(mode) and not S_ISDIR(mode):
            raise ConfigError(f"{path}: is a pipe or a device; save the trace as a file first")
        with open(path, "rb") as file:
            return file.read(16)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise _unreadable(path, error) from None


def _unreadable(path: str | PathLike[str], error: Exception) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def _lines(path: str | PathLike[str], found: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(iter(partial(file.readline, _LONGEST), ""), start=1):
                if len(line) == _LONGEST:
                    raise ConfigError(
                        f"{path}:{number}: is longer than {_LONGEST} characters, unlike a line of a trace"
                    )
                if not line.strip():
                    continue
                try:
                    data = json.loads(line)
                    if (
                        "\\ud" in line or "\\uD" in line
                    ):  # perhaps half of a character (a surrogate), which no file can hold
                        data = json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
                except RecursionError:
                    raise ConfigError(f"{path}:{number}: is nested too deep to be a line of a trace") from None
                except ValueError:
                    # An incomplete line: the last one of a killed run. The next run began a new line.
                    found.cut = True
                    if not line.startswith('{"row"'):
                        raise of_another_program(path, number, line) from None
                    continue
                if not isinstance(data, dict):
                    raise ConfigError(f"{path}:{number}: found {line[:40]!r}; a line of a trace is a JSON object")
                if "row" not in data:
                    raise of_another_program(path, number, line, f"; its keys are {', '.join(map(str, data))}"[:400])
                yield f"{path}:{number}", data
    except OSError as error:
        raise _unreadable(path, error) from None


def of_another_program(path: str | PathLike[str], number: int, line: str, keys: str = "") -> ConfigError:
    """Return the error for a line that no trace and no known log has: what it is, and how to name its columns."""
    table = "jsonl" if line.startswith(("{", "[")) else "csv"
    return ConfigError(
        f"{path}:{number}: found {shown_line(line.rstrip())!r}, which is no line of a trace, of HAProxy or of nginx; "
        f"if each row is a call, name its columns: balancer fit {fspath(path)} --from {table} --column endpoint=NAME "
        f"--column asked_s=NAME --column ended_s=NAME{keys}; docs/prediction.md makes such rows of other logs"
    )


def write_trace(trace: Trace, path: str | PathLike[str]) -> None:
    """Write `trace` to `path` as lines, replacing a file there.

    Raises:
        ConfigError: it cannot be written.
    """
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
    """The target of rows. `write` and `close` are called by one thread at a time, never under the lock of a pool."""

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store these rows, each as plain data. After an exception they count as lost."""
        ...

    def close(self) -> None:
        """Finish: there are no more rows."""
        ...


class LineFile:
    """A file of lines, made or appended to.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file = _opened(Path(path))
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL
            raise cannot_be_written(path, error) from None
        self._is_torn = False  # True if the last line may be incomplete, as after a full disk

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a line for each row. Raises OSError, e.g. if the disk is full; then some may be there."""
        data = memoryview(b"\n" * self._is_torn + "".join(map(line, rows)).encode())  # ends an incomplete line
        self._is_torn = True
        while data:
            data = data[os.write(self._file, data) :]
        self._is_torn = False

    def close(self) -> None:
        os.close(self._file)


def cannot_be_written(path: object, error: Exception) -> ConfigError:
    """Return the error for a trace that cannot be written to `path`."""
    said = getattr(error, "strerror", None) or error
    return ConfigError(f"trace: {path}: cannot be written: {said}; choose another path")


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    if os.fstat(file).st_size:
        os.lseek(file, -1, os.SEEK_END)
        if os.read(file, 1) != b"\n":  # the previous run was killed in the middle of a line
            os.write(file, b"\n")
    return file
