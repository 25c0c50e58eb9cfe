"""The time left that a run tells, beside what came, at each tenth of its time: the table of docs/measurements.md.

    python -m tests.benchmarks.show_time_left                     # make run, make loop, and a run with a budget
    python -m tests.benchmarks.show_time_left --python .venv/bin/python ../other/.venv/bin/python
    python -m tests.benchmarks.show_time_left --short             # the loop only

Each run is `balancer run` of an example as a process, whose lines are read as they come. At a tenth, what counts is the
last line before it, less the time since. "+30%" is a figure that is 30% too long, "(+30%)" one without an interval,
">" a lower end and "<" an upper one that holds, ">!" and "<!" one that does not, and "-" no figure. Several Pythons
take turns, each with its own balancer. A busy machine makes runs longer and less even, so its load is shown.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.harness import ROOT, Row, options, stream

RUNS = {
    "loop": ("examples/loop.toml", 0.0),
    "run": ("examples/quickstart.toml", 0.0),
    "budget": ("examples/quickstart.toml", 15.0),
}
TENTHS = range(1, 10)
_TIME = r"((?:[\d.]+ (?:h|min|s|ms) ?)+)"
_UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class Told:
    """What a line says of the time left, in seconds since the run began and from then on."""

    at_s: float
    about_s: float | None
    low_s: float | None
    high_s: float | None

    def cell(self, tenth_s: float, end_s: float) -> str:
        """Return how far it is off, at a time after the line."""
        truth_s, since_s = end_s - tenth_s, tenth_s - self.at_s
        if self.about_s is not None:
            off = f"{max(0.0, self.about_s - since_s) / truth_s - 1:+.0%}"
            return f"{off}{'' if self.holds(tenth_s, end_s) else ' !'}" if self.high_s is not None else f"({off})"
        if self.high_s is not None:
            return "<" if truth_s <= self.high_s - since_s else "<!"
        if self.low_s is None:
            return "-"
        return ">" if self.low_s - since_s <= truth_s else ">!"

    def holds(self, tenth_s: float, end_s: float) -> bool:
        """Return whether the interval holds what came."""
        truth_s, since_s = end_s - tenth_s, tenth_s - self.at_s
        return (
            self.low_s is not None
            and self.high_s is not None
            and self.low_s - since_s <= truth_s <= self.high_s - since_s
        )


def told_in(line: str, at_s: float) -> Told | None:
    """Return what a line says of the time left; None if it is no line of the progress."""
    if found := re.search(rf"about {_TIME}left \({_TIME}to {_TIME}\)", line):
        return Told(at_s, *map(_seconds, found.groups()))
    if found := re.search(rf"predicted {_TIME}to {_TIME}left", line):
        low_s, high_s = map(_seconds, found.groups())
        return Told(at_s, (low_s + high_s) / 2, low_s, high_s)
    if found := re.search(rf"about {_TIME}left", line):
        return Told(at_s, _seconds(found[1]), None, None)
    if found := re.search(rf"up to {_TIME}left", line):
        return Told(at_s, None, None, _seconds(found[1]))
    if found := re.search(rf"at least {_TIME}left", line):
        return Told(at_s, None, _seconds(found[1]), None)
    if "nearly done" in line:
        return Told(at_s, 0.0, None, None)
    return Told(at_s, None, None, None) if "time left not known" in line else None


def _seconds(words: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s|ms)", words))


@dataclass(frozen=True)
class Measured:
    """A run: its length, what it told, and the longest time without a line."""

    lasted_s: float
    told: Sequence[Told]
    silent_s: float

    def cells(self) -> list[str]:
        """Return a cell for each tenth."""
        found = []
        for tenth in TENTHS:
            at_s = self.lasted_s * tenth / 10
            before = [each for each in self.told if each.at_s <= at_s]
            found.append(before[-1].cell(at_s, self.lasted_s) if before else "-")
        return found


def measured(python: str, config: str, budget_s: float, log: Path) -> Measured:
    """Run an example, and return what it told until all problems were judged. Raises SystemExit if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        text = (ROOT / config).read_text()
        results = tomllib.loads(text)["pipeline"]["results"]
        text = text.replace(f'"{results}"', f'"{folder}/results"\n{f"budget_s = {budget_s}" if budget_s else ""}')
        path = Path(folder, "config.toml")
        path.write_text(text)
        began_s = time.monotonic()
        command = [python, "-c", "from balancer.commands.app import main; main()", "run", str(path)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
        ) as process:  # fmt: skip
            assert process.stdout is not None
            lines = [(time.monotonic() - began_s, line) for line in process.stdout]
        log.write_text("".join(f"{at_s:.1f} {line}" for at_s, line in lines))
        if process.returncode:
            sys.exit(f"the run ended with {process.returncode}: {log}")
    over_s = next(at_s for at_s, line in lines if re.match(r"\d+ (problems|rows), ", line))
    told = [each for at_s, line in lines if at_s < over_s and (each := told_in(line, at_s)) is not None]
    at = [0.0, *(at_s for at_s, _ in lines if at_s < over_s), over_s]
    return Measured(over_s, told, max(after - before for before, after in pairwise(at)))


def main() -> None:
    """Measure, and print the table."""
    chosen = options(
        __doc__, "the loop only", python=([str], "Pythons, each with a balancer; default: this one"),
        logs=(tempfile.gettempdir(), "folder for what the runs print"),
    )  # fmt: skip
    pythons = [os.path.abspath(each) for each in chosen.python or [sys.executable]]

    def rows() -> Iterator[Row]:
        for name, (config, budget_s) in list(RUNS.items())[: 1 if chosen.short else None]:
            for number, python in enumerate(pythons, 1):
                load = os.getloadavg()[0]
                log = Path(chosen.logs, f"time-left-{name}-{number}.log")
                found = measured(python, config, budget_s, log)
                loads = f"{load:.0f} to {os.getloadavg()[0]:.0f}"
                yield name, number, f"{found.lasted_s:.0f}", *found.cells(), f"{found.silent_s:.0f}", loads

    heads = " | ".join(f"{10 * tenth}%" for tenth in TENTHS)
    stream(f"run | Python | s | {heads} | longest without a line, s | load", rows())


if __name__ == "__main__":
    main()
