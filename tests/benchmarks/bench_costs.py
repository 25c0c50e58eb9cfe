"""What things cost, in one table, beside the figures that are kept in `costs.json`.

    python -m tests.benchmarks.bench_costs [--short] [--write]

Each cost is a ratio to something else that takes turns with it, in CPU time, so that it carries over to another
machine. Lower is better. A cost that is a tenth worse than the kept one of the same Python is marked; repeat it on a
quiet machine before you believe it. `--write` keeps the costs of this run.
"""

import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from balancer.judge import Judge
from balancer.pool.pool import Pool
from balancer.settings.rules import HealthSettings
from tests.benchmarks.bench_executors import clients, executors, judges, many, runs
from tests.benchmarks.bench_pool import acquire_run, call_run, pool_of, queue_of, queue_run, task_call_run
from tests.benchmarks.bench_simulator import ours, simulated, textbook, without_health
from tests.benchmarks.harness import Row, in_turns, options, show, timed
from tests.instant import instant_server

KEPT = Path(__file__).parent / "costs.json"
WORSE = 1.1
_PAIRS = 2000
_SERVERS = "10 endpoints", "10 000 endpoints"


class Cost(NamedTuple):
    """A cost: what is measured, beside what, and the ratio aimed at."""

    what: str
    beside: str
    aim: float


Group = tuple[Mapping[str, Callable[[], float]], tuple[Cost, ...]]
"""Contenders that take turns, and their costs."""


def leases() -> Group:
    """Return the costs of a lease and of a call of a pool, health on."""
    pool = pool_of("fifo", 4, HealthSettings())
    many_of_them = pool_of("fifo", 10_000, HealthSettings())
    acquire_run(many_of_them, 20_000)  # each has been leased
    contenders = {
        "queue.Queue": partial(queue_run, queue_of(4)),
        "a lease, fifo": partial(acquire_run, pool),
        "a lease, least_in_flight": partial(acquire_run, pool_of("least_in_flight", 4, HealthSettings())),
        "a lease, weighted_health": partial(acquire_run, pool_of("weighted_health", 4, HealthSettings())),
        "a lease of 10 000 endpoints, fifo": partial(acquire_run, many_of_them),
        "pool.call": partial(call_run, pool),
        "pool.aio.call": partial(task_call_run, pool),
    }
    costs = (
        Cost("a lease, fifo", "queue.Queue", 1.1),
        Cost("a lease, least_in_flight", "queue.Queue", 1.45),
        Cost("a lease, weighted_health", "queue.Queue", 1.75),
        Cost("a lease of 10 000 endpoints, fifo", "a lease, fifo", 1.35),
        Cost("pool.call", "a lease, fifo", 3.0),
        Cost("pool.aio.call", "a lease, fifo", 3.0),
    )
    return {name: partial(timed, partial(run, _PAIRS)) for name, run in contenders.items()}, costs


def requests(customers: int) -> Group:
    """Return the costs of a simulated request."""
    contenders: dict[str, Callable[[], object]] = {
        "textbook SimPy": partial(textbook, customers, 1),
        "a simulated request": partial(ours, customers, 1),
        "a simulated request, health off": partial(without_health, customers, 1),
        **{f"a simulated request, {name}": simulated(customers, int(name[:-10].replace(" ", ""))) for name in _SERVERS},
    }
    few, most = (f"a simulated request, {name}" for name in _SERVERS)
    costs = (
        Cost("a simulated request", "textbook SimPy", 0.62),
        Cost("a simulated request, health off", "textbook SimPy", 0.64),
        Cost(most, few, 1.5),
    )
    return {name: partial(timed, act) for name, act in contenders.items()}, costs


def programs(stack: ExitStack, count: int) -> Group:
    """Return the costs of a program that is sent to a server which answers at once."""
    url = stack.enter_context(instant_server())
    acts = dict(stack.enter_context(clients(url)))
    for name, executor in executors(url).items():
        stack.callback(executor.close)
        acts[f"a program to {name}"] = partial(runs, executor)
    acts["Judge.run, one case"] = partial(judges, stack.enter_context(Judge(Pool([url]))))
    for act in acts.values():
        act()  # it asks what the server is
    costs = (
        *(Cost(name, "a socket", 9.1) for name in acts if name.startswith("a program to")),
        Cost("Judge.run, one case", "a socket", 9.1),
    )
    return {name: partial(many, act, count) for name, act in acts.items()}, costs


def starts() -> Group:
    """Return the costs of the start of a process."""

    def started(code: str) -> float:
        began_s = _children_s()
        subprocess.run([sys.executable, "-c", code], check=True)
        return _children_s() - began_s

    contenders = {"import asyncio": "import asyncio", "from balancer import Pool": "from balancer import Pool"}
    costs = (Cost("from balancer import Pool", "import asyncio", 1.5),)
    return {name: partial(started, code) for name, code in contenders.items()}, costs


def _children_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


def measured(short: bool) -> Iterator[tuple[Cost, float]]:
    """Yield each cost and its ratio."""
    turns = 6 if short else 30
    with ExitStack() as stack:
        groups = (
            (leases(), turns),
            (requests(30_000), turns // 2),
            (programs(stack, 50), turns),
            (starts(), turns),
        )
        for (contenders, costs), count in groups:
            gc.collect()
            found = in_turns(contenders, count)
            for cost in costs:
                yield cost, found.ratio(cost.what, cost.beside)


def main() -> None:
    """Measure, print the table, and keep it if asked to."""
    given = options(__doc__, "some seconds instead of minutes; rougher", write=(False, "keep the costs"))
    version = ".".join(platform.python_version_tuple()[:2])
    every: dict[str, dict[str, float]] = json.loads(KEPT.read_text())
    kept = every.get(version, {})
    began_s = time.monotonic()
    found = [*measured(given.short)]

    def cells(cost: Cost, ratio: float) -> Row:
        before = kept.get(cost.what)
        worse = before is not None and ratio > WORSE * before
        return cost.what, cost.beside, f"{ratio:.2f}", f"<= {cost.aim:g}", before or "", "worse" if worse else ""

    show(
        "what | beside | ratio | aim | kept |  ",
        (cells(cost, ratio) for cost, ratio in found),
        f"Python {platform.python_version()}, CPU time, {time.monotonic() - began_s:.0f} s",
        words=2,
    )
    if given.write:
        every[version] = {cost.what: round(ratio, 2) for cost, ratio in found}
        KEPT.write_text(f"{json.dumps(every, indent=2, sort_keys=True)}\n")


if __name__ == "__main__":
    main()
