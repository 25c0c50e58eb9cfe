"""Reads a trace, or makes one of another program's log, for `balancer fit`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from balancer.errors import ConfigError
from balancer.observing.traces.files import Trace, begins_a_trace, of_another_program, read_trace, write_trace
from balancer.observing.traces.importers import FORMATS, ImportedLog, LogOptions, import_logs, is_packed, lines_in
from balancer.values.wording import did_you_mean

__all__ = ["read_calls", "written"]

_WITH_COLUMNS: Final = ("csv", "jsonl")
_COMBINED: Final = re.compile(r'\S+ \S+ \S+ \[[^\]]+\] "[^"]*" \d{3} (?:\d+|-)(?: "[^"]*")*\n')
_LOOKED_AT: Final = 2**16  # characters


def read_calls(
    paths: Sequence[Path],
    *,
    source: str | None,
    log_format: str | None,
    columns: Sequence[str],
    zone: str | None,
    kind: str | None,
) -> tuple[Trace, dict[str, Any]]:
    """Return the trace at `paths`, or one of the log there, with its calls of one `kind`, and how the log was read.

    Raises:
        ConfigError: a file cannot be read, or options do not fit together.
    """
    _check(source, log_format, columns)
    path, begins = paths[0], _beginning(paths[0])
    if source is not None or begins:
        options = LogOptions(_zone_of(zone), log_format, _columns_of(columns))
        log = import_logs(paths, source, options)
        if log is not None:
            return _only(log.trace, kind), _said(log)
        if _COMBINED.match(begins):
            raise ConfigError(
                f"{path}: is an access log in the combined format, which names no upstream server; add "
                "$upstream_addr and times to the log_format, and name it with --from nginx --format"
            )
        if is_packed(path):
            raise of_another_program(path, 1, begins.partition("\n")[0])
    for option, given in (("--format", log_format), ("--column", columns), ("--zone", zone)):
        if given:
            raise ConfigError(f"{option}: it needs --from; leave it out, or name the program that wrote {path}")
    if len(paths) > 1:
        raise ConfigError(f"{paths[1]}: several files can be read of a log only; give one trace")
    trace = read_trace(path)
    if not (trace.runs or trace.attempts or trace.events):
        raise ConfigError(f"{path}: has no call and no event")
    return _only(trace, kind), {}


def written(trace: Trace, paths: Sequence[Path], out: Path) -> None:
    """Write `trace`, read from `paths`, to `out`. Raises ConfigError."""
    if out.exists() and any(path.exists() and out.samefile(path) for path in paths):
        raise ConfigError(f"--out: {out}: is the input file; choose another path")
    try:
        write_trace(trace, out)
    except ConfigError as error:
        raise ConfigError(f"--out: {error}") from None


def _check(source: str | None, log_format: str | None, columns: Sequence[str]) -> None:
    if source is None:
        return
    if source not in FORMATS:
        raise ConfigError(f"--from: found {source!r}{did_you_mean(source, FORMATS)}; allowed are {', '.join(FORMATS)}")
    if log_format and source != "nginx":
        raise ConfigError(f"--format: it needs --from nginx; leave it out for {source}")
    if columns and source not in _WITH_COLUMNS:
        raise ConfigError(f"--column: it needs --from csv or jsonl; leave it out for {source}")


def _beginning(path: Path) -> str:
    """Return the first characters of a log, or of what is packed in it; nothing of a trace, or of what is no file."""
    try:
        if not path.is_file() or begins_a_trace(path):
            return ""
        text = ""
        for line in lines_in(path):
            text += f"{line[:_LOOKED_AT]}\n"
            if len(text) > _LOOKED_AT:
                break
    except (ConfigError, OSError, ValueError):  # ValueError: a path with a NUL
        return ""
    return text


def _said(log: ImportedLog) -> dict[str, Any]:
    return {
        "format": log.format, "left_out": log.left_out.total(), "left_out_kinds": dict(sorted(log.left_out.items())),
        "notes": dict(sorted(log.notes.items())), "unread": log.unread, "first_unread": log.first_unread,
    }  # fmt: skip


def _only(trace: Trace, kind: str | None) -> Trace:
    """Return the calls of a kind, and what happened to their endpoints, and to those that nobody called."""
    if kind is None:
        return trace
    kept = [each for each in trace.attempts if each.kind == kind]
    if not kept:
        known = sorted({each.kind for each in trace.attempts if each.kind})
        raise ConfigError(f"--kind: no call is of the kind {kind!r}; the trace has {', '.join(known) or 'no kinds'}")
    of_others = {each.endpoint for each in trace.attempts} - {each.endpoint for each in kept}
    events = [each for each in trace.events if each.endpoint not in of_others]
    runs = [
        {**run, "endpoints": [each for each in run.get("endpoints") or () if each.get("name") not in of_others]}
        for run in trace.runs
    ]
    return replace(trace, runs=runs, attempts=kept, events=events)


def _zone_of(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ConfigError(f"--zone: found {name!r}; it must be a time zone, e.g. UTC or Europe/Berlin") from None


def _columns_of(given: Sequence[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := [field for field, sign, column in pairs if not (field and sign and column)]:
        raise ConfigError(f"--column: found {wrong[0]!r}; write FIELD=COLUMN, e.g. endpoint=server")
    return {field: column for field, _, column in pairs}
