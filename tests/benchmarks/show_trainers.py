"""Trainers and evaluations over a judge, each in an environment of its own: what they lose while a sandbox dies.

    python -m tests.benchmarks.show_trainers [--only NAME] [--write]    or: make trainers TRAINERS="--only SkyRL"

It needs a package index; uv is used where it is. With `--write` every row goes into trainers.json beside this file, and
the table into docs/trainers.md.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import ROOT, begin_of, json_of_rows, markdown, options, write_between
from tests.benchmarks.show_clients import environment, output_of, versions
from tests.benchmarks.trainer_faces import PACKAGES, PAGE, Package

__all__ = ["BEGIN", "PAGE", "read", "written"]

BEGIN = begin_of("show_trainers")
_RECORD = ROOT / "tests" / "benchmarks" / "trainers.json"
_HEAD = "package | version | called by | wrong | lost | slots left | with no sandbox left"


def _run(name: str, package: Package) -> Iterator[list[Any]]:
    """Yield a row for each face: version, face, wrong, lost, of, slots left, what unjudged becomes, what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            python = environment(Path(folder), ["-e", f"{ROOT}[judge]", package.install])
        except subprocess.CalledProcessError:
            yield ["", "", 0, 0, 0, 0, "", "cannot be installed"]
            return
        version = versions(python, package.install)[package.install]
        for line in output_of(python, "-m", "tests.benchmarks.trainer_faces", name).splitlines():
            came = json.loads(line)
            wrong = came.get("broken") or came["error"] or ("" if came["killed"] else "no sandbox was killed at work")
            counts = [came.get(each, 0) for each in ("wrong", "lost", "made", "left")]
            yield [version, came["face"], *counts, came.get("unjudged", ""), wrong]


def _rows(record: Mapping[str, Sequence[Any]]) -> Iterator[list[str]]:
    for name, table in record.items():
        for version, face, wrong, lost, made, left, unjudged, broken in table:
            yield [name, version, face, f"{wrong} of {made}", f"{lost} of {made}", str(left), broken or unjudged]


def written(record: Mapping[str, Any]) -> str:
    """Return what stands in the page between the marks, of what the record has."""
    (date,) = record["date"]
    lines = [f"Run on {date[0]} or later, on Python {date[1]}.", "", *markdown(_HEAD, _rows(record["packages"]))]
    return "\n".join(lines)


def read() -> dict[str, Any]:
    """Return the record."""
    found: dict[str, Any] = json.loads(_RECORD.read_text(encoding="utf-8"))
    return {"date": found.pop("date"), "packages": found}


def main() -> None:
    """Run them, and print every row."""
    asked = options(
        __doc__,
        only=("", "the package of this name"),
        write=(False, f"into {PAGE.relative_to(ROOT)} and {_RECORD.name}"),
    )
    if asked.only and asked.only not in PACKAGES:
        sys.exit(f"--only is {asked.only!r}; it takes one of {', '.join(PACKAGES)}")
    today = [datetime.now(UTC).strftime("%Y-%m-%d"), ".".join(map(str, sys.version_info[:2]))]
    record: dict[str, list[Any]] = {"date": [today]}
    if asked.only and asked.write:  # the others stay as they are
        record = json.loads(_RECORD.read_text(encoding="utf-8"))
    for name, package in PACKAGES.items():
        if asked.only in ("", name):
            record[name] = []
            for row in _run(name, package):
                record[name].append(row)
                print(name, *row, sep=" | ", flush=True)
    if asked.write:
        ordered = {name: record[name] for name in ("date", *PACKAGES) if name in record}
        _RECORD.write_text(json_of_rows(ordered), encoding="utf-8")
        write_between(PAGE, BEGIN, written(read()))


if __name__ == "__main__":
    main()
