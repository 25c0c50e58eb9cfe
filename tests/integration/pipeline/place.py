"""A folder to judge problems in, with the real command in a process of its own, and servers to judge them on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from balancer.pipeline.results.problem_result import result_of
from balancer.pipeline.results.store import Store
from tests.patience import PATIENCE_S

__all__ = ["ROOT", "Place", "alive", "children_of", "known_in", "make_place", "new_place", "until"]

ROOT = Path(__file__).resolve().parents[3]
_COMMAND = [sys.executable, "-W", "error", "-c", "from balancer.commands.app import main; main()"]
_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with problems, where `balancer run c.toml` is called, and one for its temporary files."""

    folder: Path
    scratch: Path

    def write(self, urls: Sequence[str], *, capacity: int = 1, more: str = "") -> None:
        """Write the config."""
        endpoints = "".join(f'[[endpoints]]\nurl = "{url}"\ncapacity = {capacity}\n' for url in urls)
        text = f"""{endpoints}
[verify]  # off, as leases are counted
share = 0.0
first = 0
[pipeline]
problems = "problems"
results = "results"
sample_level_workers = 2
output_generation_workers = 3
solution_validation_workers = 3
max_inputs = 2
generators = ["data", "mutate"]
{more}"""
        (self.folder / "c.toml").write_text(text)

    @contextmanager
    def running(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Have `balancer run c.toml` run in a process group of its own, as a shell does; killed in the end."""
        with subprocess.Popen(
            [*_COMMAND, "run", "c.toml", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.scratch), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *args: str, code: int = 0) -> str:
        """Run it to its end, which must have this exit code; return what it printed."""
        with self.running(*args) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, err
        return out

    def kill_when(self, condition: Callable[[], bool]) -> None:
        """Run it, and kill it as soon as `condition` holds."""
        with self.running() as process:
            until(condition, process)
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL

    def has_leases(self, least: int) -> bool:
        """Return whether so many leases have ended."""
        return self.leases() >= least

    def leases(self) -> int:
        """Return how many leases have ended so far, over all sessions."""
        return int(self.rows("SELECT count(*) FROM spans")[0][0]) if self.has("spans") else 0

    def end(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what is known in the end; times are not part of it."""
        return known_in(self.folder / "results")

    def summary(self) -> dict[str, Any]:
        """Return the summary."""
        summary: dict[str, Any] = json.loads((self.folder / "results/summary.json").read_text())
        return summary

    def left_behind(self) -> list[str]:
        """Return what lies in the folder for temporary files."""
        return sorted(entry.name for entry in self.scratch.iterdir())

    def has(self, table: str) -> bool:
        """Return whether the database has this table."""
        if not (self.folder / "results/run.sqlite").exists():
            return False
        return bool(self.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query finds in what is known, sorted."""
        with closing(sqlite3.connect(self.folder / "results/run.sqlite", timeout=10)) as db:
            return sorted(db.execute(sql).fetchall(), key=repr)


def known_in(results: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a results folder knows of its problems; times are not part of it."""
    with Store(results) as store:
        problems = list(store.problems.met())
        logs = [store.of(problem.id) for problem in problems]
        found = [result_of(log, problem) for log, problem in zip(logs, problems, strict=True)]
    facts: dict[str, list[tuple[Any, ...]]] = {
        "cases": [
            (log.problem, c.id, c.data, c.answer, c.origin, c.sample, c.state.value)
            for log in logs
            for c in log.cases()
        ],
        "verdicts": [(log.problem, *at, each.verdict.value) for log in logs for at, each in log.verdicts().items()],
        "left out": [(log.problem, name) for log in logs for name in log.left_out],
        "kills": [(problem.id, each.name) for problem in found for each in problem.killed],
    }
    return {name: sorted(some, key=repr) for name, some in facts.items()}


@contextmanager
def new_place(folder: Path) -> Iterator[Place]:
    """Return a folder as a place."""
    with TemporaryDirectory(prefix="balancer-tests-") as scratch:  # pytest's folders are closed to other users
        Path(scratch).chmod(0o711)
        yield Place(folder, Path(scratch))


@contextmanager
def make_place(folder: Path) -> Iterator[Place]:
    """Fill a folder with two light problems, one with an output validator of its own; Python only."""
    for name in ("exact-change", "meeting-room"):
        home = folder / "problems" / name
        shutil.copytree(ROOT / "examples/problems" / name, home)
        for file in home.rglob("*.cpp"):
            file.unlink()
        accepted = next((home / "submissions/accepted").glob("*.py"))
        shutil.copy(accepted, accepted.with_name("again.py"))
    with new_place(folder) as place:
        yield place


def until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until `condition` holds; fail if that takes too long, or if `process` ends meanwhile."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it took too long"
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended too soon: {process.communicate()}")
        time.sleep(_LOOK_S)


def children_of(pid: int) -> set[tuple[int, int]]:
    """Return the processes below `pid`, each as its id and the tick it began at."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _parent(int(entry.name))):
            parents[int(entry.name)] = found
    below = {pid}
    while more := {child for child, (parent, _) in parents.items() if parent in below} - below:
        below |= more
    return {(child, parents[child][1]) for child in below - {pid}}


def alive(process: tuple[int, int]) -> bool:
    """Return whether a process that `children_of` found still runs.

    A bubblewrap whose first half was killed while it set up the namespaces waits for ever for a word from that half. It
    has not begun the program and never will, so it is counted as dead; nobody who is dead himself can clear it away.
    """
    pid, began = process
    found = _parent(pid)
    return (
        found is not None
        and found[1] == began
        and not (_name(pid) == "bwrap" and found[0] == 1 and not children_of(pid))
    )


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> tuple[int, int] | None:
    """Return the parent of `pid` and the tick it began at; None if it is gone, or dead and not yet waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))
