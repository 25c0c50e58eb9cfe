"""Row files: JSON lines, Parquet files, a folder saved by `datasets`, or a data set by name.

Decides how each is opened. Only one row is in memory at a time.
"""

import glob
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from balancer.errors import ConfigError
from balancer.plugins.extras import require

__all__ = ["RawRow", "are_rows", "count_rows", "look_for_rows", "raw_rows"]

_MARKS = ("dataset_info.json", "dataset_dict.json", "state.json")  # of a folder saved by `datasets`
_NAMED = "hf:"  # before the name of a data set
_MOST_COUNTED = 2**27  # bytes of JSON lines that are read to count them: less than a second
_BATCH = 8  # rows of a Parquet file decoded together


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row, or why it cannot be read.

    Args:
        number: its place in the data, from 0.
        columns: its values by column; None if it cannot be read.
        problem: why not.
    """

    number: int
    columns: Mapping[str, Any] | None
    problem: str = ""


def are_rows(place: str) -> bool:
    """Return whether `place` names rows, not a folder of problem packages.

    Rows are names that end in .jsonl or .parquet, a folder saved by `datasets`, and names that begin with "hf:":
    "hf:deepmind/code_contests", or "hf:NAME:CONFIGURATION". The prefix is required so that a missing folder is not
    searched on the network.
    """
    if place.endswith((".jsonl", ".parquet")) or place.startswith(_NAMED):
        return True
    return Path(place).is_dir() and any((Path(place) / mark).exists() for mark in _MARKS)


def look_for_rows(place: str) -> None:
    """Check that the files named `place` exist, if it names files. Raises ConfigError."""
    if place.endswith((".jsonl", ".parquet")):
        _files(place)


def raw_rows(place: str, split: str) -> Iterator[RawRow]:
    """Yield the rows of `place` in order.

    Args:
        place: see `are_rows`; file names may have shell wildcards.
        split: part of the data set, e.g. "train".

    Raises:
        ConfigError: nothing has that name, or a library to read it is missing.
    """
    if place.endswith(".jsonl"):
        return _numbered(_json_lines(place))
    return _numbered(_parquet(place) if place.endswith(".parquet") else _loaded(place, split))


def count_rows(place: str, split: str) -> int | None:
    """Return the number of rows of `place`; None if only reading them all would tell.

    Raises:
        ConfigError: as `raw_rows`.
    """
    if place.endswith(".parquet"):
        require("rows", f"{place}: reading Parquet")
        return sum(int(_parquet_file(name).metadata.num_rows) for name in _files(place))
    if place.endswith(".jsonl"):
        files = _files(place)
        if sum(Path(file).stat().st_size for file in files) > _MOST_COUNTED:
            return None
        return sum(1 for _ in chain.from_iterable(map(_lines, files)))
    if place.startswith(_NAMED):
        return None
    return len(_loaded(place, split))


def _files(place: str) -> list[str]:
    files = sorted(glob.glob(place))
    if not files:
        raise ConfigError(f"{place}: no such file; name a .jsonl or .parquet file, or several as 'part-*.parquet'")
    return files


def _numbered(rows: Iterable[Mapping[str, Any] | str]) -> Iterator[RawRow]:
    for number, row in enumerate(rows):
        yield RawRow(number, None, row) if isinstance(row, str) else RawRow(number, row)


def _json_lines(place: str) -> Iterator[Mapping[str, Any] | str]:
    """Yield each line's object, or what is wrong with the line. Empty lines are skipped."""
    for file in _files(place):
        for line in _lines(file):
            yield _object(line)


def _lines(file: str) -> Iterator[bytes]:
    with open(file, "rb") as lines:
        yield from (line for line in lines if line.strip())


def _object(line: bytes) -> Mapping[str, Any] | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # bytes that are not UTF-8 raise ValueError too
        return f"is not JSON: {str(error)[:120]}"
    return row if isinstance(row, dict) else f"is a {type(row).__name__}; it must be an object with the column names"


def _parquet_file(name: str) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(name)
    except (ArrowException, OSError) as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> ConfigError:
    return ConfigError(f"{name}: is not a Parquet file that can be read: {str(error)[:120]}")


def _parquet(place: str) -> Iterator[Mapping[str, Any]]:
    require("rows", f"{place}: reading Parquet")
    from pyarrow import ArrowException

    for name in _files(place):
        try:
            for batch in _parquet_file(name).iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()
        except (ArrowException, OSError) as error:
            raise _unreadable(name, error) from None


def _loaded(place: str, split: str) -> Any:
    """Return a split of a data set: from a folder, or streamed over the network."""
    require("rows", f"{place}: reading a data set")
    import datasets

    try:
        if place.startswith(_NAMED):
            name, _, configuration = place.removeprefix(_NAMED).partition(":")
            return datasets.load_dataset(name, configuration or None, split=split, streaming=True)
        found = datasets.load_from_disk(place)
    except Exception as error:  # any error of the library or the network
        why = f"{type(error).__name__}: {str(error)[:160]}"
        raise ConfigError(f"{place}: the library datasets cannot load its split {split!r}: {why}") from None
    if not isinstance(found, datasets.DatasetDict):
        return found
    if split not in found:
        raise ConfigError(f"{place}: has no split {split!r}; it has: {', '.join(sorted(found))}")
    return found[split]
