"""Many rows through the whole loop, with servers that answer at once: how many a second, and how much memory.

    python -m tests.benchmarks.bench_rows [--short] [--rows N] [--no-model] [--profile]

Rows are made up on the fly. Programs run in memory, by their names; the model is a server in a process of its own,
asked by the real client. So what is measured is the loop itself: reading rows, leases, verdicts, rounds, questions, and
what is written at the end. Libraries are imported beforehand, so that memory grows by what the run keeps alone.
"""

import cProfile
import json
import multiprocessing
import pstats
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.report import write_report
from balancer.pipeline.results import collect
from balancer.pipeline.running import run as running
from balancer.pipeline.running import turns
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.program import Execution, Limits, Program, Status
from balancer.settings.config import parse_config
from tests.benchmarks.harness import options, show

DIVISORS = (2, 3, 5, 7, 11, 13)  # a wrong program is wrong on multiples of one of them
INPUTS = ((4, 9, 16), (25, 49, 8), (121, 64, 81))  # what the model proposes, round by round; nothing kills 13
EARLY = 1000  # rows after which memory is looked at first
_ROUND = re.compile(r"\(round (\d+)\)")


class Instant:
    """An executor in memory. A program is called by what it does: "double", or "double unless 7"."""

    languages = frozenset({"python"})

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Answer at once."""
        number, divisor = int(stdin), program.source.partition("#")[0].rpartition(" unless ")[2].strip()
        wrong = divisor.isdecimal() and number % int(divisor) == 0
        return Execution(Status.FINISHED, stdout=b"%d\n" % (2 * number + wrong), exit_code=0, time_s=0.001)

    def ping(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def write_made_up(path: Path, rows: int) -> None:
    """Write so many rows, in the plain schema."""
    with path.open("w") as file:
        for n in range(rows):
            row = {
                "id": f"row-{n}",
                "statement": f"Print the double of a number. This is the text of row {n}. " * 4,
                "tests": [{"input": "1\n", "output": "2\n"}, {"input": "17\n", "output": "34\n"}],
                "right": [{"language": "python", "source": f"double #{n}.{k}"} for k in range(2)],
                "wrong": [{"language": "python", "source": f"double unless {d} #{n}"} for d in DIVISORS],
            }
            file.write(json.dumps(row) + "\n")


async def _complete(request: Request) -> JSONResponse:
    question = json.loads(await request.body())["messages"][1]["content"]
    found = _ROUND.search(question)
    inputs = INPUTS[min(int(found[1]) if found else 0, len(INPUTS) - 1)]
    text = json.dumps({"inputs": [f"{n}\n" for n in inputs]})
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": len(question) // 4, "completion_tokens": len(text) // 4, "total_tokens": 0}
    return JSONResponse(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "instant", "choices": [choice], "usage": usage}
    )


def _serve(listening: socket.socket) -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", _complete, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")).run([listening])


@contextmanager
def model() -> Iterator[str]:
    """Serve a model that answers at once, in a process of its own; yields the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(listening,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/"
        finally:
            process.terminate()
            process.join()


@dataclass
class Watch:
    """Looks at the clock and at the memory as rows are finished."""

    began_s: float = field(default_factory=time.monotonic)
    rows: int = 0
    early: float = 0.0
    late: float = 0.0
    lock: Any = field(default_factory=threading.Lock)

    def finished(self, *what: Any) -> None:
        """Count a row."""
        collect.settle(*what)
        with self.lock:
            self.rows += 1
            self.late = peak_mb()
            if self.rows <= EARLY:
                self.early = self.late


def peak_mb() -> float:
    """Return the most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench(folder: Path, rows: int, url: str | None) -> Sequence[tuple[str, str]]:
    """Take so many rows through the loop, and return what was measured."""
    write_made_up(folder / "rows.jsonl", rows)
    base = default_registry()
    registry = Registry(group=None)
    registry.strategies.update(base.strategies)
    registry.generators.update(base.generators)
    registry.executors["instant"] = Registered(ExecutorPlugin(("instant",), lambda url, _: Instant(), ""), "here")
    config = parse_config(
        {
            "endpoints": [{"url": "instant://{1..4}/", "capacity": 2}],
            "pipeline": {
                "problems": str(folder / "rows.jsonl"),
                "results": str(folder / "results"),
                "generators": ["data", "llm"] if url else ["data", "mutate"],
                "output_generation_workers": 2,
                "solution_validation_workers": 2,
                "max_inputs": 6,
                "max_proposals": 12,
            },
            **({"llm": {"model": "instant", "endpoints": [{"url": url, "capacity": 4}]}} if url else {}),
        },
        file="bench",
        environ={},
    )
    watch = Watch()
    turns.settle = watch.finished  # type: ignore[assignment]
    found = running.run_pipeline(config, registry, Console(file=StringIO()))
    judged_s, judged_mb = time.monotonic() - watch.began_s, peak_mb()
    report = write_report(found, folder / "results")
    assert found.complete, "the run is not complete"
    assert found.totals.problems == rows, f"{found.totals.problems} of {rows} rows were judged"
    killed = found.totals.wrong_killed / found.totals.wrong
    leases = found.work.leases
    took_s = found.makespan_s
    return [
        ("rows", f"{rows}, {rows / took_s:.1f} a second"),
        ("programs", f"{leases}, {leases / took_s:.0f} a second, {leases / rows:.0f} a row"),
        ("questions", str(sum(each.spent.questions for each in found.scores))),
        ("wrong killed", f"{killed:.1%}" + " (5 of 6 programs can be, by what the model proposes)" * bool(url)),
        ("judging", f"{took_s:.1f} s; with what is written at the end {judged_s:.1f} s"),
        ("peak memory", f"{watch.early:.0f} MB after {min(EARLY, rows)} rows, {watch.late:.0f} MB after the last one"),
        ("late / early", f"{watch.late / watch.early:.3f} (<= 1.10)"),
        ("with rows.jsonl, rows.parquet", f"{judged_mb:.0f} MB"),
        ("and the report", f"{peak_mb():.0f} MB, a page of {report.stat().st_size / 1e6:.1f} MB"),
    ]


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        "300 rows: it takes some seconds, and shows no memory",
        rows=(10_000, "how many"),
        no_model=(False, "mutate proposes, and no server is asked"),
        keep=(Path, "a folder for the results, to look at them"),
        profile=(False, "what takes the time; everything is slower then"),
    )
    for module in ("openai", "pandas", "pyarrow.parquet", "balancer.pipeline.report.charts"):
        import_module(module)
    profile = cProfile.Profile()
    rows = 300 if asked.short else asked.rows
    with (
        TemporaryDirectory(prefix="balancer-bench-") as folder,
        model() as url,
        profile if asked.profile else nullcontext(),
    ):
        measured = bench(asked.keep or Path(folder), rows, None if asked.no_model else url)
    show("what | measured", measured, "Rows through the loop, servers that answer at once", words=2)
    if asked.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
