"""What a lease costs that a server grants: 4 and 32 processes on 64 slots, beside Valkey, Ray and a local pool.

    python -m tests.benchmarks.bench_cluster [--short] [--restarts N]

The contenders take turns. Each process leases and gives back, and does nothing in between, with one thread or with 16
tasks; the leases a second are those of all processes together, the quantiles those of all acquires of all turns.
"Server us" is CPU time of the server's process for a lease: a million over it is what one server can grant. The pool
of one's own is one process's. Valkey needs `valkey-server` (apt) and `valkey` (PyPI), Ray the package `ray`; where
one is missing the last line says so. Before that come the rounds of `cluster_rounds`; with --short only those.

At the end the server is killed by signal 9, twenty times, and started again after a second, as systemd does
(`RestartSec=1`). Six processes of two threads lease eight slots meanwhile, and check that nobody else uses the slot
that they leased (`tests.cluster.worker`). Calls of one process last a third of a TTL; those of the others 10 ms, whose
ends tell the gap. With `--restarts N` only this is done, N times.
"""

import multiprocessing
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from balancer import AcquireTimeout, Pool
from tests.benchmarks.cluster_clients import (
    BLOCKS,
    CAPACITY,
    ENDPOINTS,
    LOCAL,
    SINGLY,
    TASKS,
    VALKEY,
    Servers,
    client,
    in_a_thread,
    in_tasks,
)
from tests.benchmarks.cluster_rounds import print_rounds
from tests.benchmarks.harness import options, show
from tests.cluster import worker
from tests.cluster.serving import Command

__all__ = ["CAPACITY", "CREWS", "ENDPOINTS", "PROCESSES", "in_a_thread", "in_tasks"]

PROCESSES = 4
COUNTS = (PROCESSES, 32)
CREWS = (1, TASKS)
TTL_S = 3.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Found:
    """What one contender did in all its turns: us of each acquire, leases/s and the server's CPU of each turn."""

    took: "array[float]" = field(default_factory=lambda: array("f"))
    rates: list[float] = field(default_factory=list)
    server_s: float = 0.0

    def add(self, took: Iterable[float], for_s: float) -> None:
        """Add a turn of so many seconds."""
        before = len(self.took)
        self.took.extend(took)
        self.rates.append((len(self.took) - before) / for_s)

    def figures(self) -> tuple[float, float, float]:
        """Return leases/s, p50 and p99 of an acquire in ms."""
        cuts = statistics.quantiles(self.took, n=100)
        return statistics.median(self.rates), cuts[49] / 1000, cuts[98] / 1000


# -- servers ----------------------------------------------------------------------------------------


def without_valkey() -> str:
    """Return why Valkey cannot be measured here; "": it can."""
    missing = [] if shutil.which("valkey-server") else ["valkey-server"]
    missing += [] if find_spec("valkey") else ["the Python package valkey"]
    return f"{' and '.join(missing)} not found" if missing else ""


@contextmanager
def valkey() -> Iterator[tuple[int, int]]:
    """Run a Valkey of one's own; yield its port and its process, (0, 0) where there is none."""
    if without_valkey():
        yield 0, 0
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["valkey-server", "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.02)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_s(pid: int) -> float:
    """Return how many seconds of CPU a process has had; 0 where it cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


# -- the measurement -------------------------------------------------------------------------------


class Clients:
    """The processes, as many as are needed at most; a turn may be of fewer."""

    def __init__(self, count: int, servers: Servers) -> None:
        context = multiprocessing.get_context("forkserver")  # each would need a third of a second to import
        context.set_forkserver_preload(["tests.benchmarks.cluster_clients"])
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(count):
            mine, its = context.Pipe()
            process = context.Process(target=client, args=(its, servers), daemon=True)
            process.start()
            its.close()
            self._pipes.append(mine)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()

    def turn(self, name: str, count: int, crew: int, for_s: float) -> "array[float]":
        """Return how long each acquire took, in us, of so many processes together."""
        pipes = self._pipes[: 1 if name == LOCAL else count]
        self._all(pipes, "open", name)
        for pipe in pipes:
            pipe.send(("go", crew, for_s))
        took = array("f")
        for pipe in pipes:
            took.frombytes(pipe.recv_bytes())
        self._all(pipes, "close")
        return took

    @staticmethod
    def _all(pipes: list[Connection], *what: object) -> None:
        for pipe in pipes:
            pipe.send(what)
        for pipe in pipes:
            pipe.recv()

    def end(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(60)


def measured(turns: int, for_s: float) -> dict[tuple[str, int, int], Found]:
    """Return what was found, by contender, processes and crew."""
    found: dict[tuple[str, int, int], Found] = {}
    with tempfile.TemporaryDirectory(prefix="balancer-cluster-") as folder, valkey() as (port, valkey_pid):
        config = Path(folder) / "pool.toml"
        config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.{{1..{ENDPOINTS}}}/"\ncapacity = {CAPACITY}\n')
        server = Command(config, ttl_s=TTL_S)
        clients = Clients(max(COUNTS), Servers(server.url, port))
        with Pool.connect(server.url, within_s=60.0) as pool:
            pool.acquire(timeout=60.0).release()  # the grace of a server without a record is over
        pids = {SINGLY: server.process.pid, BLOCKS: server.process.pid, VALKEY: valkey_pid, LOCAL: 0}
        names = [name for name in pids if name != VALKEY or port]
        try:
            for _ in range(turns):
                for count in COUNTS:
                    for crew in CREWS:
                        for name in names:
                            if name == LOCAL and count != PROCESSES:
                                continue
                            before_s = cpu_s(pids[name])
                            took = clients.turn(name, count, crew, for_s)
                            each = found.setdefault((name, count, crew), Found())
                            each.add(took, for_s)
                            each.server_s += cpu_s(pids[name]) - before_s
        finally:
            clients.end()
            server.kill()
    return found


# -- restarts --------------------------------------------------------------------------------------

_RESTART_S = 1.0
_HOSTS, _WORKERS = 4, 6


def _done_at(folder: Path, pids: Iterable[int]) -> list[float]:
    """Return when calls of these processes have ended, in order."""
    files = [file for pid in pids for file in folder.glob(f"done.{pid}.*")]
    return sorted(float(line.split()[0]) for file in files for line in file.read_text().splitlines())


def _gap_of_restart(folder: Path, server: Command, begun: Callable[[int], Command], pids: list[int]) -> float:
    """Kill the server, start it again, and return the longest time without an end of a short call around that."""
    killed_s = time.monotonic()
    server.kill()
    time.sleep(_RESTART_S)
    begun(server.port)
    back_s = time.monotonic()
    while (at_s := _done_at(folder, pids))[-1] < back_s:
        time.sleep(0.05)
    return max(b - a for a, b in pairwise(at_s) if b >= killed_s)


def _free_slots(url: str, slots: int, within_s: float) -> int:
    """Return how many of the slots can be had at once."""
    leases = []
    with Pool.connect(url, within_s=60.0) as pool:
        try:
            for _ in range(slots):
                leases.append(pool.acquire(within_s))
        except AcquireTimeout:
            pass
        for lease in leases:
            lease.release()
    return len(leases)


def print_restarts(times: int, ttl_s: float) -> None:
    """Kill a server under load again and again, and print what came of it."""
    slots, rng, servers = _HOSTS * worker.CAPACITY, random.Random(1), list[Command]()
    with tempfile.TemporaryDirectory(prefix="balancer-restarts-") as name:
        folder = Path(name)
        config = folder / "pool.toml"
        config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.{{1..{_HOSTS}}}/"\ncapacity = {worker.CAPACITY}\n')

        def begun(port: int) -> Command:
            servers.append(Command(config, ttl_s=ttl_s, port=port, log=folder / "log"))
            return servers[-1]

        begun(0)
        command = [sys.executable, "-m", "tests.cluster.worker", servers[0].url, name]
        calls_s = [ttl_s / 3, *[0.01] * (_WORKERS - 1)]
        workers = [subprocess.Popen([*command, str(each)], stdin=subprocess.PIPE) for each in calls_s]
        pids = [each.pid for each in workers[1:]]
        try:
            while len({file.name for file in folder.glob("done.*") if file.stat().st_size}) < 2 * _WORKERS:
                time.sleep(0.1)
            gaps = []
            for _ in range(times):
                time.sleep(rng.uniform(1.0, 1.0 + ttl_s / 3))
                gaps.append(_gap_of_restart(folder, servers[-1], begun, pids))
            load = os.getloadavg()[0]
            for each in workers:
                each.communicate()
            lost = slots - _free_slots(servers[-1].url, slots, 2 * ttl_s)
            leases = len(_done_at(folder, (each.pid for each in workers)))
            over = len(list(folder.glob("too-many.*")))
        finally:
            for process in (*workers, servers[-1]):
                process.kill()
    row = (times, leases, over, lost, f"{statistics.median(gaps):.2f} s", f"{max(gaps):.2f} s")
    title = (
        f"kill -9 of the server, started again after {_RESTART_S:g} s; {slots} slots, TTL {ttl_s:g} s, load {load:.0f}"
    )
    show("kills | leases | over-issued | slots lost | median gap | longest gap", [row], title)


def of_ray(turns: int, for_s: float) -> tuple[dict[tuple[str, int, int], tuple[float, float, float]], str]:
    """Return the same figures of Ray, and why there are none."""
    from tests.benchmarks import cluster_ray

    if why := cluster_ray.available():
        return {}, why
    each = {count: cluster_ray.measured(count, turns, for_s) for count in COUNTS}
    return {(name, count, crew): it for count, found in each.items() for (name, crew), it in found.items()}, ""


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        "only the four rounds, for a second each",
        restarts=(0, "only kill a server so many times"),
        ttl=(10.0, "of that server"),
    )
    if asked.restarts:
        print_restarts(asked.restarts, asked.ttl)
        return
    short, turns, for_s = asked.short, 5, 1.0
    load = os.getloadavg()[0]
    with valkey() as (port, valkey_pid):
        print_rounds(1.0 if short else 5.0, port, valkey_pid)
    if short:
        if why := without_valkey():
            print(f"Valkey: not measured: {why}")
        return
    found = measured(turns, for_s)
    rows = {key: (*each.figures(), 1e6 * each.server_s / len(each.took)) for key, each in found.items()}
    ray, why = of_ray(turns, for_s)
    rows |= {key: (*figures, 0.0) for key, figures in ray.items()}
    cells = [
        (
            "1" if name == LOCAL else count,
            "1 thread" if crew == 1 else f"{crew} tasks",
            name,
            *(f"{rate:,.0f}", f"{rate / rows[SINGLY, count, crew][0]:.2f}"),
            *(f"{p50:.3f}", f"{p99:.2f}", f"{us:.0f}" if us else "-"),
        )
        for (name, count, crew), (rate, p50, p99, us) in sorted(rows.items(), key=lambda row: row[0][1:])
    ]
    head = "processes | each | leases | leases/s | by one by one | p50 ms | p99 ms | server us"
    title = f"{ENDPOINTS * CAPACITY} slots, {turns} turns of {for_s:g} s, load {load:.0f} at the start"
    show(head, cells, title, words=3)
    for what, reason in (("Valkey", without_valkey()), ("Ray", why)):
        if reason:
            print(f"{what}: not measured: {reason}")
    print_restarts(20, asked.ttl)


if __name__ == "__main__":
    main()
