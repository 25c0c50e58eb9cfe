"""A run of many programs on servers that answer at once: CPU time of a program, and memory, as verdicts come.

    python -m tests.benchmarks.bench_run [--short] [--verdicts N] [--servers]

Programs answer in memory, so what is measured is all but the client. With `--servers` they are sent to two servers, in
processes of their own, whose CPU time does not count. A row has 3 right submissions and 8 wrong ones, one of which
survives, on 20 tests.
"""

import json
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.report import write_report
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.program import Execution, Limits, Program, Status
from balancer.settings.config import parse_config
from tests.benchmarks.harness import Row, beside, options, show
from tests.instant import instant_server

RIGHT, WRONG, TESTS = 3, 8, 20
A_ROW = (RIGHT + WRONG) * TESTS
EVERY_S = 0.1  # between two looks at the number of verdicts


class Instant:
    """An executor in memory, as quick as can be."""

    languages = frozenset({"python"})

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Answer at once."""
        printed = b"pong\n" if "pong" in program.source else b"4\n"
        return Execution(Status.FINISHED, stdout=printed, exit_code=0, time_s=0.01)

    def ping(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def write_rows(path: Path, rows: int) -> None:
    """Write so many rows, in the plain schema."""
    with path.open("w") as file:
        for n in range(rows):
            row = {
                "id": f"row-{n}",
                "statement": f"Print 4, whatever you read. This is the text of row {n}. " * 4,
                "tests": [{"input": f"{n} {k}\n", "output": "4\n"} for k in range(TESTS)],
                "right": [{"language": "python", "source": f"print(4)  # right {n}.{k}"} for k in range(RIGHT)],
                "wrong": [
                    {"language": "python", "source": f"print({'pong' if k else 4!r})  # wrong {n}.{k}"}
                    for k in range(WRONG)
                ],
            }
            file.write(json.dumps(row) + "\n")


@dataclass
class Watch:
    """Looks at CPU time, memory and the size of the database each time that a tenth of the verdicts is there."""

    folder: Path
    wanted: int
    began_s: float = field(default_factory=time.monotonic)
    cpu_s: float = field(default_factory=time.process_time)
    seen: list[Row] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Look until it is over."""
        while not self.over.wait(EVERY_S):
            if (self.folder / "run.sqlite").exists():
                verdicts = self.verdicts()
                if verdicts * 10 >= self.wanted * (len(self.seen) + 1):
                    self.look(verdicts)

    def verdicts(self) -> int:
        """Return how many leases have been recorded: the rows of a table, as another process sees it."""
        with closing(sqlite3.connect(f"file:{self.folder / 'run.sqlite'}?mode=ro", uri=True)) as db:
            try:
                return db.execute("SELECT MAX(rowid) FROM spans").fetchone()[0] or 0
            except sqlite3.OperationalError:  # there is no table yet
                return 0

    def look(self, verdicts: int) -> None:
        """Remember what there is."""
        size = sum(each.stat().st_size for each in self.folder.glob("run.sqlite*"))
        took_s, spent_s = time.monotonic() - self.began_s, time.process_time() - self.cpu_s
        a_second, each = f"{verdicts / took_s:.0f}", f"{spent_s / verdicts * 1e6:.0f} us"
        self.seen.append((verdicts, a_second, each, f"{memory_mb():.0f} MB", f"{size / 2**20:.0f} MB"))


def memory_mb() -> float:
    """Return the memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def servers(wanted: bool) -> Iterator[list[str]]:
    """Yield two URLs: of servers, or of the executor in memory."""
    with ExitStack() as stack:
        yield [stack.enter_context(instant_server()) if wanted else f"instant://{n}/" for n in (1, 2)]


def with_instant() -> Registry:
    """Return the plugins, with the executor in memory."""
    base, registry = default_registry(), Registry(group=None)
    registry.strategies.update(base.strategies)
    registry.generators.update(base.generators)
    registry.executors.update(base.executors)
    registry.executors["instant"] = Registered(ExecutorPlugin(("instant",), lambda url, _: Instant(), ""), "here")
    return registry


def bench(folder: Path, rows: int, urls: list[str]) -> tuple[list[Row], list[Row]]:
    """Judge so many rows. Return the looks at the run, and what came at its end."""
    write_rows(folder / "rows.jsonl", rows)
    results = folder / "results"
    config = parse_config(
        {
            "endpoints": [{"url": url, "capacity": 4} for url in urls],
            "pipeline": {"problems": str(folder / "rows.jsonl"), "results": str(results), "generators": ["data"]},
        },
        file="bench",
        environ={},
    )
    registry = with_instant()
    watch = Watch(results, rows * A_ROW)
    with beside([watch.go_on], watch.over):
        found = run_pipeline(config, registry, Console(file=StringIO()))
        run_s = time.process_time() - watch.cpu_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began_s = time.process_time()
    report = write_report(found, results)
    report_s = time.process_time() - began_s
    assert found.complete, "the run is not complete"
    assert found.totals.wrong_killed == rows * (WRONG - 1), found.totals
    leases = found.work.leases
    return watch.seen, [
        ("programs, by the clock", f"{leases}, {leases / found.makespan_s:.0f} a second"),
        ("CPU time of a program, with what is written at the end", f"{run_s / leases * 1e6:.0f} us"),
        ("CPU time of the report", f"{report_s:.2f} s, a page of {report.stat().st_size / 1e6:.1f} MB"),
        ("most memory, before the report and after it",
         f"{peak_mb:.0f} MB, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"),
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        "5 000 verdicts",
        verdicts=(22_000, "how many, about"),
        servers=(False, "two servers, each a process, instead of programs that answer in memory"),
    )
    rows = max(1, (5000 if asked.short else asked.verdicts) // A_ROW)
    with TemporaryDirectory(prefix="balancer-bench-") as folder, servers(asked.servers) as urls:
        looks, ends = bench(Path(folder), rows, urls)
    show("verdicts | a second | CPU time of each | memory | database", looks, "Programs that answer at once", words=0)
    show("at the end | measured", ends)


if __name__ == "__main__":
    main()
