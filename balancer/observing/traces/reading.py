"""Trace reader: a file of lines, of columns, or the database of a run, whole or cut short.

Decides what becomes of a file whose writer was killed: its last line may be half a line, and calls that were under way
are there as open ones, or not at all. What a file is it says itself, by how it begins.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces import columns, tables
from balancer.observing.traces.rows import VERSION, Attempt, Happening, mistake_in, mistake_in_facts, row_of

__all__ = ["Trace", "read_trace"]

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
    for where, data in _rows(path, found):
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


def _rows(path: str | PathLike[str], found: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
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
