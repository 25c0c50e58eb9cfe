"""Client libraries over a pool, each in an environment of its own: what its faces lose while one of three servers dies,
one limits (429, Retry-After) and one drips.

    python -m tests.benchmarks.show_clients [--only NAME] [--write]    or: make clients CLIENTS="--only NAME"

It needs a package index; uv is used where it is. Each library is installed in its newest version, and some in a low one
as well. With `--write` every row goes into clients.json beside this file, and the tables into docs/clients.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

from tests.benchmarks.client_faces import LIBRARIES, Library
from tests.benchmarks.harness import END, ROOT, begin_of, json_of_rows, markdown, options, write_between

__all__ = ["BEGIN", "END", "PAGE", "environment", "output_of", "read", "versions", "written"]

PAGE = ROOT / "docs" / "clients.md"
BEGIN = begin_of("show_clients")
_RECORD = ROOT / "tests" / "benchmarks" / "clients.json"
_HEAD = "library | version | over | lost | does not work"
_LONGEST_S = 600
# The version of a library, and of the HTTP libraries that came with it.
_TELL = """
import importlib.metadata as told, json, sys
def version(name):
    try: return told.version(name)
    except told.PackageNotFoundError: return ""
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""
_BENEATH = ("openai", "httpx2", "httpx", "requests", "aiohttp", "urllib3-future", "urllib3", "grpcio")


def environment(folder: Path, install: Sequence[str]) -> Path:
    """Return the Python of a new environment with these packages and balancer."""
    python = folder / "bin" / "python"
    if which("uv"):
        make, fetch = (
            ["uv", "venv", "-q", "--python", sys.executable],
            ["uv", "pip", "install", "--python", str(python)],
        )
    else:
        make, fetch = [sys.executable, "-m", "venv"], [str(python), "-m", "pip", "install"]
    subprocess.run([*make, str(folder)], check=True)
    for each in (["-e", str(ROOT)], install):  # one after the other: what they want of a third may exclude each other
        subprocess.run([*fetch, "-q", *each], check=True)
    return python


def _run(name: str, library: Library, version: str) -> Iterator[list[Any]]:
    """Yield a row for each face of a library: version, what is beneath, face, lost, of, slots left, what is wrong."""
    first, *others = library.install
    exact = [f"{first}=={version}" if version else first, *others]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        try:
            python = environment(Path(folder), exact)
        except subprocess.CalledProcessError:
            yield [version, "", "", 0, 0, 0, "cannot be installed"]
            return
        took_s = time.monotonic() - began
        own = first.partition("[")[0].partition(">")[0]
        told = versions(python, own, *_BENEATH)
        print(f"{name} {told[own]}: installed in {took_s:.0f} s", file=sys.stderr, flush=True)
        over = ", ".join(f"{each} {told[each]}" for each in _BENEATH if told[each] and each != own)
        for line in output_of(python, "-m", "tests.benchmarks.client_faces", name).splitlines():
            came = json.loads(line)
            face = f"{came['face']}{', async' if came['async'] else ''}"
            wrong = came.get("broken") or "".join(came["error"])
            made, lost = came.get("made", 0), came.get("lost", 0)
            if version and lost == made and wrong.startswith("AttributeError"):
                made, lost, wrong = 0, 0, "not in this version"
            yield [told[own], over, face, lost, made, came.get("left", 0), wrong]


def versions(python: Path, *names: str) -> dict[str, str]:
    """Return the versions of packages in an environment; "" for one that is not there."""
    told: dict[str, str] = json.loads(output_of(python, "-c", _TELL, *names))
    return told


def output_of(python: Path, *command: str) -> str:
    """Return what a Python prints, without keys of this machine in its environment."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
    ran = subprocess.run(
        [str(python), *command], capture_output=True, text=True, timeout=_LONGEST_S, cwd=ROOT, env=plain, check=True
    )
    return ran.stdout


def _rows(record: Mapping[str, Sequence[Any]]) -> Iterator[list[str]]:
    """Yield a row for each version of a library: what all of its faces lost, and which ones do not work. Each face by
    itself is in the record."""
    for name, table in record.items():
        for version in dict.fromkeys(row[0] for row in table):
            of = [row for row in table if row[0] == version]
            over = ", ".join(each for each in of[0][1].split(", ") if each.startswith(("openai", "httpx")))
            lost = f"{sum(row[3] for row in of)} of {sum(row[4] for row in of)}"
            broken: dict[str, list[str]] = {}
            for face, wrong, left in ((row[2], row[6], row[5]) for row in of):
                if why := wrong.replace("|", "/") or (f"{left} slots left" if left else ""):
                    broken.setdefault(why, []).append(face)
            yield [name, version, over, lost, "; ".join(f"{', '.join(faces)}: {why}" for why, faces in broken.items())]


def written(record: Mapping[str, Any]) -> str:
    """Return what stands in the page between the marks, of what the record has."""
    (date,) = record["date"]
    lines = [f"Run on {date[0]} or later, on Python {date[1]}.", "", *markdown(_HEAD, _rows(record["libraries"]))]
    for name, library in LIBRARIES.items():
        lines += ["", f"### {name}", "", *([library.note, ""] if library.note else [])]
        lines += ["<!-- no-run: needs the library -->", "```python"]
        both = library.how if library.how == library.ahow else "\n".join(filter(None, (library.how, library.ahow)))
        lines += [*both.splitlines(), "```", "", f"Its own retries: {library.own_retries}."]
    return "\n".join(lines)


def read() -> dict[str, Any]:
    """Return the record."""
    found: dict[str, Any] = json.loads(_RECORD.read_text(encoding="utf-8"))
    return {"date": found.pop("date"), "libraries": found}


def main() -> None:
    """Run them, and print every row."""
    asked = options(
        __doc__,
        only=("", "the library of this name"),
        write=(False, f"into {PAGE.relative_to(ROOT)} and {_RECORD.name}"),
    )
    if asked.only and asked.only not in LIBRARIES:
        sys.exit(f"--only is {asked.only!r}; it takes one of {', '.join(LIBRARIES)}")
    today = [datetime.now(UTC).strftime("%Y-%m-%d"), ".".join(map(str, sys.version_info[:2]))]
    record: dict[str, list[Any]] = {"date": [today]}
    if asked.only and asked.write:  # the others stay as they are
        record = json.loads(_RECORD.read_text(encoding="utf-8"))
    for name, library in LIBRARIES.items():
        if asked.only in ("", name):
            record[name] = []
            for version in ("", library.lowest) if library.lowest else ("",):
                for row in _run(name, library, version):
                    record[name].append(row)
                    print(name, *row, sep=" | ", flush=True)
    if asked.write:
        ordered = {name: record[name] for name in ("date", *LIBRARIES) if name in record}
        _RECORD.write_text(json_of_rows(ordered), encoding="utf-8")
        write_between(PAGE, BEGIN, written(read()))


if __name__ == "__main__":
    main()
