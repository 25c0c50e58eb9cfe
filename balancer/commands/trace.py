"""`balancer trace`: a summary of a trace, and conversion of other programs' logs into one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.files import Trace, read_trace, write_trace
from balancer.observing.traces.importers import NGINX_FORMAT, from_csv, from_haproxy, from_nginx
from balancer.observing.traces.rows import Attempt
from balancer.observing.traces.summary import summary_lines, summary_of
from balancer.values.wording import did_you_mean

__all__ = ["trace_data", "trace_lines"]

_SOURCES: Final = ("nginx", "haproxy", "csv")


def trace_data(
    path: Path, *, source: str | None, log_format: str | None, columns: Sequence[str], out: Path | None
) -> dict[str, Any]:
    """Return the summary of the trace or log at `path`. Write it as a trace to `out`, if given.

    Raises:
        ConfigError: a file cannot be read or written, or options do not fit together.
    """
    if source is None:
        for option, given in (("--format", log_format), ("--column", columns)):
            if given:
                raise ConfigError(f"{option}: it needs --from; leave it out, or name the program that wrote {path}")
        return _written(read_trace(path), path, out)
    if source not in _SOURCES:
        raise ConfigError(
            f"--from: found {source!r}{did_you_mean(source, _SOURCES)}; allowed are {', '.join(_SOURCES)}"
        )
    if log_format and source != "nginx":
        raise ConfigError(f"--format: it needs --from nginx; leave it out for {source}")
    if columns and source != "csv":
        raise ConfigError(f"--column: it needs --from csv; leave it out for {source}")
    try:
        with path.open(encoding="utf-8", errors="replace", newline="" if source == "csv" else None) as file:
            left_out: list[int] = []
            attempts = list(_attempts(file, source, log_format or NGINX_FORMAT, _columns_of(columns), path, left_out))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    runs = dict.fromkeys(each.run for each in attempts)
    return {**_written(Trace(attempts=attempts, ended=set(runs)), path, out), "left_out": len(left_out)}


def _written(trace: Trace, path: Path, out: Path | None) -> dict[str, Any]:
    """Write `trace`, read from `path`, to `out` if given, and return its summary."""
    if out is not None:
        if out.exists() and out.samefile(path):
            raise ConfigError(f"--out: {out}: is the input file; choose another path")
        try:
            write_trace(trace, out)
        except ConfigError as error:
            raise ConfigError(f"--out: {error}") from None
    return summary_of(trace)


def trace_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the text lines of what `trace_data` returned."""
    return summary_lines(found)


def _attempts(
    file: Any, source: str, log_format: str, columns: dict[str, str], path: Path, left_out: list[int]
) -> Iterator[Attempt]:
    if source == "nginx":
        return from_nginx(file, log_format, name=str(path), left_out=left_out)
    if source == "haproxy":
        return from_haproxy(file, name=str(path), left_out=left_out)
    return from_csv(file, columns, name=str(path))


def _columns_of(given: Sequence[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := [field for field, sign, column in pairs if not (field and sign and column)]:
        raise ConfigError(f"--column: found {wrong[0]!r}; write FIELD=COLUMN, e.g. endpoint=server")
    return {field: column for field, _, column in pairs}
