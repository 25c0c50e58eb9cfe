"""Write a finished trace to a file, as lines or as columns.

Decides which by the name of the file. A pool that works writes lines, for it may be killed.
"""

from collections.abc import Iterator
from os import PathLike, fspath
from typing import Any

from balancer.errors import ConfigError
from balancer.observing.traces.columns import write_columns
from balancer.observing.traces.reading import Trace
from balancer.observing.traces.rows import data_of, line

__all__ = ["write_trace"]


def write_trace(trace: Trace, path: str | PathLike[str]) -> None:
    """Write `trace` to `path`, over what is there: as Parquet if its name ends with ".parquet", else as lines.

    Raises:
        ConfigError: it cannot be written.
        MissingExtra: it is to be Parquet, and pyarrow is not installed.
    """
    if fspath(path).endswith(".parquet"):
        write_columns(path, _rows(trace))
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(map(line, _rows(trace)))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; choose another path") from None


def _rows(trace: Trace) -> Iterator[dict[str, Any]]:
    yield from trace.runs
    yield from map(data_of, trace.attempts)
    yield from map(data_of, trace.events)
    for number, run in enumerate(sorted(trace.ended)):
        yield {"row": "end", "run": run, "lost": 0 if number else trace.lost}
