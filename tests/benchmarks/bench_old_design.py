"""One global queue of endpoints, each kept until a sample's own tasks are done, beside the pool, on the same rows.

    python -m tests.benchmarks.bench_old_design [--short]

The old design is the one that this project replaces: a worker takes an endpoint from one global `queue.Queue`
(`get(timeout=0.1)`, sleep 0.1 s, ask again), keeps it until its sample's own queue of tasks has been empty for a
second, and puts it back. It was said to bring 25 to 30% of throughput and 90% of utilisation instead of 60 to 70%.

Four real HTTP servers on loopback have two slots each and answer after a time that belongs to the task, so that a busy
machine changes little. The rows are those of examples/rows, eight at once; each first generates its test outputs, then
validates its solutions, with four workers a stage. The designs take turns.
"""

import hashlib
import json
import math
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from balancer import AcquireTimeout, Endpoint, Pool
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.fusion.executor import FusionExecutor
from tests.benchmarks.bench_pipeline import serving
from tests.benchmarks.harness import ROOT, Row, options, show, together

SLOTS, WORKERS, CALL_S = 2, 4, 0.12
LIMITS = Limits(cpu_s=30.0, wall_s=60.0)
Task = tuple[Program, bytes]


def seconds_of(program: Program, stdin: bytes) -> float:
    """Return how long a task takes anywhere: exponential, by a hash, so that it is the same in every run."""
    digest = hashlib.sha256(program.source.encode() + stdin).digest()
    return -CALL_S * math.log1p(-int.from_bytes(digest[:4], "big") / 2**32)


class Paced:
    """A server's executor that only takes its time."""

    languages = frozenset({"python"})

    def run_and_fetch(
        self, program: Program, stdin: bytes, *rest: Any, **named: Any
    ) -> tuple[Execution, dict[str, bytes]]:
        time.sleep(seconds_of(program, stdin))
        return Execution(Status.FINISHED, b"1\n", exit_code=0), {}


def stages_of(row: Mapping[str, Mapping[str, Sequence[str]]], more: int) -> list[list[Task]]:
    """Return the tasks of `generate_test_outputs` and of `validate_solutions`: each program on each case."""
    cases = [*row["public_tests"]["input"], *row["private_tests"]["input"]]
    cases += [f"{cases[0]}{number}\n" for number in range(more)]
    programs = (row["solutions"]["solution"], row["incorrect_solutions"]["solution"])
    return [[(Program("python", p, "p"), c.encode()) for c in cases for p in dict.fromkeys(kind)] for kind in programs]


@dataclass
class Told:
    """What a design came to: when each sample was done, and how often a worker found no endpoint."""

    done_s: list[float] = field(default_factory=list)
    nothing: int = 0


def old_design(executors: Mapping[str, FusionExecutor], samples: list[list[list[Task]]]) -> Told:
    """Run all samples with one global queue of endpoints."""
    told, began_s = Told(), time.monotonic()
    endpoints: queue.Queue[str] = queue.Queue()
    for _ in range(SLOTS):
        for url in executors:
            endpoints.put(url)

    def worker(own: "queue.Queue[Task]") -> None:
        while True:
            try:
                url = endpoints.get(timeout=0.1)
                break
            except queue.Empty:
                told.nothing += 1
                if own.empty():
                    return
                time.sleep(0.1)
        try:
            while True:
                executors[url].run(*own.get(timeout=1.0), LIMITS, {})
        except queue.Empty:
            endpoints.put(url)

    return in_stages(samples, worker, told, began_s)


def pool_design(executors: Mapping[str, FusionExecutor], samples: list[list[list[Task]]]) -> Told:
    """Run all samples with a lease for each task."""
    told, began_s = Told(), time.monotonic()
    pool = Pool([Endpoint(url, capacity=SLOTS) for url in executors])

    def worker(own: "queue.Queue[Task]") -> None:
        while True:
            try:
                task = own.get_nowait()
            except queue.Empty:
                return
            try:
                with pool.lease(timeout=60.0) as lease:
                    executors[lease.endpoint.url].run(*task, LIMITS, {})
            except AcquireTimeout:
                told.nothing += 1
                own.put(task)

    return in_stages(samples, worker, told, began_s)


def in_stages(
    samples: list[list[list[Task]]], worker: Callable[["queue.Queue[Task]"], None], told: Told, began_s: float
) -> Told:
    """Run all samples at once, the stages of each one after the other, with workers of their own."""

    def sample(stages: list[list[Task]]) -> None:
        for tasks in stages:
            own: queue.Queue[Task] = queue.Queue()
            for task in tasks:
                own.put(task)
            together(WORKERS, partial(worker, own))
        told.done_s.append(time.monotonic() - began_s)

    with ThreadPoolExecutor(len(samples)) as all_at_once:
        list(all_at_once.map(sample, samples))
    return told


def main() -> None:
    """Measure and print."""
    short = options(__doc__, "fewer cases, and each design once").short
    rows = [json.loads(line) for line in (ROOT / "examples/rows/rows.jsonl").read_text(encoding="utf-8").splitlines()]
    samples = [stages_of(row, 0 if short else 9) for row in rows]
    work_s = [[sum(seconds_of(*task) for task in stage) for stage in stages] for stages in samples]
    slots = 4 * SLOTS
    total_s = sum(map(sum, work_s))
    bound_s = max(total_s / slots, max(sum(stage / WORKERS for stage in stages) for stages in work_s))

    def row(name: str, told: Told) -> Row:
        last_s, mean_s = max(told.done_s), sum(told.done_s) / len(told.done_s)
        share = f"{total_s / slots / last_s:.0%}"
        slowest = f"{last_s:.1f} s (mean {mean_s:.1f} s)"
        return name, f"{last_s:.1f} s", f"{last_s / bound_s:.2f}", share, slowest, told.nothing

    with ExitStack() as stack:
        urls = [stack.enter_context(serving(Paced(), workers=SLOTS)) for _ in range(4)]
        executors = {url: FusionExecutor(url) for url in urls}
        for executor in executors.values():
            stack.callback(executor.close)
        designs = [("one global queue", old_design), ("pool", pool_design)] * (1 if short else 3)
        show(
            "design | makespan | makespan / bound | utilisation | slowest sample | found no endpoint",
            [row(name, design(executors, samples)) for name, design in designs],
            f"{sum(len(s) for sample in samples for s in sample)} tasks, 4 servers, {slots} slots",
        )


if __name__ == "__main__":
    main()
