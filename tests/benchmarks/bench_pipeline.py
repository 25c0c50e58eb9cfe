"""How near the pipeline comes to the bound on 2 fast, 1 slow and 1 flapping HTTP endpoint, beside other strategies.

    python -m tests.benchmarks.bench_pipeline [--short]

The endpoints are real HTTP servers on loopback. What a program does is found out once, in a quiet run over one sound
server; after that each server answers from memory, after as long as its speed says. So a busy machine changes little,
and the verdicts of every run can be held against those of the quiet one.

The bound is the work of the calls that succeeded by the speed of all slots, the flapping one counted for the share of
the time that it is up: no scheduler can be faster on average.
"""

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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

from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import default_registry
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.server.answer import FetchingExecutor
from balancer.sandbox.server.app import build_app
from balancer.sandbox.server.settings import ServerSettings
from balancer.settings.config import parse_config
from tests.benchmarks.harness import ROOT, Row, options, show

CALL_S = 0.3  # at speed 1
SLOW = 1 / 3  # speed of the slow one
UP_S, DOWN_S = 4.0, 2.0  # of the flapping one
WORKERS = 12  # threads of a stage, so that there is always a call for a free slot
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

    def run_and_fetch(
        self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes], *rest: Any, **named: Any
    ) -> tuple[Execution, Mapping[str, bytes]]:
        execution = self.memory.run(program, stdin, limits, files)
        if self.speed is not None:
            time.sleep(CALL_S / self.speed)
        return execution, {}


def flapping(app: ASGIApp) -> ASGIApp:
    """Return `app`, answering 503 at once whenever it is down; up and down take turns."""
    began_s = time.monotonic()

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        down = (time.monotonic() - began_s) % (UP_S + DOWN_S) >= UP_S
        await (PlainTextResponse("down", 503) if down else app)(scope, receive, send)

    return either


@contextmanager
def serving(executor: FetchingExecutor, *, flaps: bool = False, workers: int = 1) -> Iterator[str]:
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
                "max_proposals": 2 * inputs,
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


def bound_s(found: RunResult) -> float:
    """Return the least makespan that the calls which succeeded can take on average."""
    calls = sum(span.outcome == "success" for span in found.spans)
    return calls * CALL_S / (2 + SLOW + UP_S / (UP_S + DOWN_S))


def cells(strategy: str, words: str, found: RunResult, quiet: RunResult) -> Row:
    """Return what came of a run; its makespan is from the first call to the end of the last."""
    failed = sum(span.outcome != "success" for span in found.spans)
    took_s = max(span.ended_s for span in found.spans) - min(span.started_s for span in found.spans)
    least_s = bound_s(found)
    same = "as when quiet" if verdicts_of(found) == verdicts_of(quiet) else "OTHERS"
    ratio = f"{took_s / least_s:.2f} (<= 1.10)"
    return strategy, words, len(found.spans), failed, f"{took_s:.1f} s", f"{least_s:.1f} s", ratio, same


def main() -> None:
    """Measure and print."""
    short = options(__doc__, "half a minute instead of some; a short run ends unevenly").short
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


if __name__ == "__main__":
    main()
