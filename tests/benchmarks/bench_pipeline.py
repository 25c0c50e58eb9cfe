"""How near the pipeline comes to the bound on 2 fast, 1 slow and 1 flapping HTTP endpoint, and what a verdict costs.

    python -m tests.benchmarks.bench_pipeline [--short] [--verdicts N] [--servers]

First, strategies beside the bound. The endpoints are real HTTP servers on loopback. What a program does is found out
once, in a quiet run over one sound server; after that each server answers from memory, after as long as its speed says.
So a busy machine changes little, and the verdicts of every run can be held against those of the quiet one.

The bound is the work of the calls that succeeded by the speed of all slots, the flapping one counted for the share of
the time that it is up: no scheduler can be faster on average.

Then a run of many programs that answer at once, in memory: CPU time and memory, as verdicts come. With `--servers` they
are sent to two servers, in processes of their own, whose CPU time does not count. With `--verdicts` only this is done.
"""

import json
import os
import resource
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import uvicorn
from rich.console import Console
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.report import write_report
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.server.answer import StoppableExecutor
from balancer.sandbox.server.app import build_app
from balancer.sandbox.server.handler import ServerSettings
from balancer.settings.config import parse_config
from tests.benchmarks.harness import ROOT, Row, beside, options, show
from tests.instant import instant_server

CALL_S = 0.3  # at speed 1
SLOW = 1 / 3  # speed of the slow one
UP_S, DOWN_S = 4.0, 2.0  # of the flapping one
WORKERS = 12  # threads of a stage, so that there is always a call for a free slot
RIGHT, WRONG, TESTS = 3, 8, 20  # of a row of the second part; one wrong submission survives
A_ROW = (RIGHT + WRONG) * TESTS
VERDICTS, FEW = 22_000, 5000
EMPTY: Mapping[str, float] = MappingProxyType({})
# Made for this endpoint, which is back within seconds: it is tried again soon, however often it has failed.
SOON = {"cooldown_s": 0.5, "max_cooldown_s": 1.0, "slow_start_s": 0.0}


@dataclass
class Memory:
    """What each program did, by all that it was given."""

    executor: LocalExecutor
    known: dict[Any, Execution] = field(default_factory=dict)

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        key = (program, stdin, limits, tuple(sorted(files.items())))
        if key not in self.known:
            self.known[key] = self.executor.run(program, stdin, limits, files)
        return self.known[key]


@dataclass(frozen=True)
class Paced:
    """An executor that takes as long as its speed says, and answers from memory. Speed None: as fast as it can."""

    memory: Memory
    speed: float | None

    @property
    def languages(self) -> frozenset[str]:
        return self.memory.executor.languages

    def run(
        self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes], **named: Any
    ) -> Execution:
        execution = self.memory.run(program, stdin, limits, files)
        if self.speed is not None:
            time.sleep(CALL_S / self.speed)
        return execution


def flapping(app: ASGIApp) -> ASGIApp:
    """Return `app`, answering 503 at once whenever it is down; up and down take turns."""
    began_s = time.monotonic()

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        down = (time.monotonic() - began_s) % (UP_S + DOWN_S) >= UP_S
        await (PlainTextResponse("down", 503) if down else app)(scope, receive, send)

    return either


@contextmanager
def serving(executor: StoppableExecutor, *, flaps: bool = False, workers: int = 1) -> Iterator[str]:
    """Serve on loopback, in a thread; yields the URL."""
    app: ASGIApp = build_app(executor, ServerSettings(workers=workers))
    server = uvicorn.Server(
        uvicorn.Config(flapping(app) if flaps else app, port=0, log_level="critical", access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


def remembering(stack: ExitStack, names: Sequence[str]) -> tuple[Memory, Path]:
    """Return an empty memory, and a copy of problems with their Python programs only: a compiler would take time."""
    executor = LocalExecutor("local://bench", ExecutorOptions())
    stack.callback(executor.close)
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="balancer-bench-")))
    for name in names:
        shutil.copytree(ROOT / "examples/problems" / name, folder / name, ignore=shutil.ignore_patterns("*.cpp"))
    return Memory(executor), folder


def run(
    urls: Sequence[str],
    strategy: str,
    problems: Path,
    inputs: int,
    health: Mapping[str, float] = EMPTY,
    *,
    at_once: int = 8,
) -> RunResult:
    """Judge the problems over these endpoints."""
    with TemporaryDirectory(prefix="balancer-bench-") as results:
        raw = {
            "pool": {"strategy": strategy, "seed": 1},
            "endpoints": [{"url": url} for url in urls],
            "health": dict(health),
            "pipeline": {
                "problems": str(problems),
                "results": results,
                "sample_level_workers": at_once,
                "output_generation_workers": WORKERS,
                "solution_validation_workers": WORKERS,
                "generators": ["data", "mutate"],  # what others find depends on how fast the servers are
                "max_inputs": inputs,
                "attempts": 20,
            },
        }
        config = parse_config(raw, file="bench", environ={})
        return run_pipeline(config, default_registry(), Console(file=StringIO()))


def verdicts_of(found: RunResult) -> object:
    """Return what was found, times and places left out."""
    return [
        (
            problem.id,
            [(case.id, case.state) for case in problem.cases],
            [(s.name, sorted(s.verdicts.items())) for s in problem.submissions],
        )
        for problem in found.problems
    ]


def _failed(found: RunResult) -> int:
    return found.pool.failures + found.pool.overloads


def bound_s(found: RunResult) -> float:
    """Return the least makespan that the calls which succeeded can take on average."""
    calls = found.work.leases - _failed(found)
    return calls * CALL_S / (2 + SLOW + UP_S / (UP_S + DOWN_S))


def cells(strategy: str, words: str, found: RunResult, quiet: RunResult) -> Row:
    """Return what came of a run; its makespan is from the first call to the end of the last."""
    failed, took_s = _failed(found), found.makespan_s
    least_s = bound_s(found)
    same = "as when quiet" if verdicts_of(found) == verdicts_of(quiet) else "OTHERS"
    ratio = f"{took_s / least_s:.2f} (<= 1.10)"
    return strategy, words, found.work.leases, failed, f"{took_s:.1f} s", f"{least_s:.1f} s", ratio, same


def report_bound(short: bool) -> None:
    """Print how near each strategy comes to the bound."""
    names = ["exact-change", "meeting-room"] if short else ["exact-change", "meeting-room", "spread", "undo-log"]
    runs = [("least_in_flight", "as by default", EMPTY)]
    if not short:
        runs.append(("least_in_flight", "cooldowns of 0.25 to 1 s", SOON))
        runs += [(strategy, "as by default", EMPTY) for strategy in ("fifo", "peak_ewma")]
    with ExitStack() as stack:
        memory, problems = remembering(stack, names)
        inputs = 4 if short else 16
        quiet_url = stack.enter_context(serving(Paced(memory, None)))
        quiet = run([quiet_url], "fifo", problems, inputs)
        urls = [stack.enter_context(serving(Paced(memory, speed))) for speed in (1.0, 1.0, SLOW)]
        urls.append(stack.enter_context(serving(Paced(memory, 1.0), flaps=True)))
        show(
            "strategy | health | calls | failed | makespan | bound | makespan / bound | verdicts",
            [cells(name, words, run(urls, name, problems, inputs, health), quiet) for name, words, health in runs],
            "2 fast, 1 slow (a third), 1 flapping endpoint (4 s up, 2 s down)",
        )


# -- many verdicts ----------------------------------------------------------------------------------


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


def with_instant() -> Registry:
    """Return the plugins, with the executor in memory."""
    registry = Registry()
    registry.executors["instant"] = Registered(ExecutorPlugin(("instant",), lambda url, _: Instant(), ""), "here")
    return registry


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
    cpu_s: float = field(default_factory=time.process_time)
    seen: list[Row] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Look until it is over."""
        while not self.over.wait(0.1):
            if (self.folder / "run.sqlite").exists():
                verdicts = self.verdicts()
                if verdicts * 10 >= self.wanted * (len(self.seen) + 1):
                    self.look(verdicts)

    def verdicts(self) -> int:
        """Return how many leases have been recorded: the rows of a table, as another process sees it."""
        with closing(sqlite3.connect(f"file:{self.folder / 'run.sqlite'}?mode=ro", uri=True)) as db:
            try:
                return int(db.execute("SELECT COUNT(*) FROM spans").fetchone()[0])
            except sqlite3.OperationalError:  # there is no table yet
                return 0

    def look(self, verdicts: int) -> None:
        """Remember what there is."""
        size = sum(each.stat().st_size for each in self.folder.glob("run.sqlite*"))
        each_us = (time.process_time() - self.cpu_s) / verdicts * 1e6
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.seen.append((verdicts, f"{each_us:.0f} us", f"{memory / 2**20:.0f} MB", f"{size / 2**20:.0f} MB"))


def report_verdicts(verdicts: int, servers: bool) -> None:
    """Judge about so many programs, and print what that took."""
    rows = max(1, verdicts // A_ROW)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="balancer-bench-")))
        urls = [stack.enter_context(instant_server()) if servers else f"instant://{n}/" for n in (1, 2)]
        write_rows(folder / "rows.jsonl", rows)
        results = folder / "results"
        raw = {
            "endpoints": [{"url": url, "capacity": 4} for url in urls],
            "pipeline": {"problems": str(folder / "rows.jsonl"), "results": str(results), "generators": ["data"]},
        }
        registry, watch = with_instant(), Watch(results, rows * A_ROW)
        config = parse_config(raw, file="bench", environ={})
        began_s = time.process_time()
        with beside([watch.go_on], watch.over):
            found = run_pipeline(config, registry, Console(file=StringIO()))
        run_s, leases, before_mb = time.process_time() - began_s, found.work.leases, _peak_mb()
        assert found.complete, "the run is not complete"
        assert found.totals.counts["wrong_killed"] == rows * (WRONG - 1), found.totals
        write_report(found, results)
        report_s = time.process_time() - began_s - run_s
    show("verdicts | CPU time of each | memory | database", watch.seen, "Programs that answer at once", words=0)
    print(f"{leases:,} programs, {leases / found.makespan_s:,.0f} a second; {run_s / leases * 1e6:.0f} us of CPU each")
    print(
        f"the report: {report_s:.2f} s of CPU; most memory {before_mb:.0f} MB before it, {_peak_mb():.0f} MB after it"
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        "half a minute instead of some; a short run ends unevenly",
        verdicts=(int, f"only a run of about so many programs; default {VERDICTS}"),
        servers=(False, "two servers, each a process, instead of programs that answer in memory"),
    )
    if asked.verdicts is None:
        report_bound(asked.short)
    report_verdicts(asked.verdicts or (FEW if asked.short else VERDICTS), asked.servers)


if __name__ == "__main__":
    main()
