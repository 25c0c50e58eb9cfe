"""What a lease costs that a server grants: 4 and 32 processes on 64 slots, beside Valkey, Ray and a local pool.

    python -m tests.benchmarks.bench_cluster [--short] [--restarts N]

The contenders take turns. Each process leases and gives back, and does nothing in between, with one thread or with 16
tasks; the leases a second are those of all processes together, the quantiles those of all acquires of all turns.
"Server us" is CPU time of the server's process for a lease: a million over it is what one server can grant. The pool
of one's own is one process's. Valkey needs `valkey-server` (apt) and `valkey` (PyPI), Ray the package `ray`; where
one is missing the last line says so. Before that come four rounds; with --short only those: free slots
one by one and in blocks, slots that all wait for (6, held for 10 ms by 12 processes, so 600 leases/s at best), and
`stats`. Beside them is a semaphore on Valkey whose callers wait by a blocking pop: a script takes a slot and notes
until when, and another gives it back.

Beside a pool of one's own and a cluster, the contenders are what people write: with a Valkey, a script that counts,
whose leases end by themselves, and callers who ask again when all slots are in use; with Ray, a semaphore actor that
counts slots, and that each acquire and each release calls.

At the end the server is killed by signal 9, twenty times, and started again after a second, as systemd does
(`RestartSec=1`). Six processes of two threads lease eight slots meanwhile, and check that nobody else uses the slot
that they leased (`tests.cluster.worker`). Calls of one process last a third of a TTL; those of the others 10 ms, whose
ends tell the gap. With `--restarts N` only this is done, N times.
"""

import asyncio
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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count, pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from balancer import AcquireTimeout, Endpoint, Pool
from balancer.settings.config import Config
from tests.benchmarks.harness import options, show
from tests.cluster import worker
from tests.cluster.serving import Command
from tests.ray.machine import cluster

with suppress(ImportError):
    import valkey.asyncio

ENDPOINTS, CAPACITY, TASKS = 8, 8, 16
SINGLY, BLOCKS, VALKEY, LOCAL = "one by one", "in blocks", "a Valkey script", "a pool of one's own"
_TTL_MS = 10_000
_AGAIN_S = 0.001  # a caller who got no slot of Valkey's asks again: nobody tells it

PROCESSES = 4
COUNTS = (PROCESSES, 32)
CREWS = (1, TASKS)
TTL_S = 3.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

# The endpoint with the fewest leases; those that are too old are none. Returns its number, or -1: all are full.
_ACQUIRE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local best, least = -1, {CAPACITY}
for number = 0, {ENDPOINTS - 1} do
  local key = 'slots:' .. number
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local count = redis.call('ZCARD', key)
  if count < least then best, least = number, count end
end
if best >= 0 then redis.call('ZADD', 'slots:' .. best, now + {_TTL_MS}, ARGV[1]) end
return best
"""


class Servers(NamedTuple):
    """Where they are: a URL, and a port of Valkey's; 0: there is none."""

    url: str
    valkey_port: int


# -- crews ------------------------------------------------------------------------------------------

Took = array  # of microseconds


def _in_a_thread(acquire: Callable[[], Any], release: Callable[[Any], object], for_s: float) -> "Took[float]":
    """Lease for so many seconds; return how long each acquire took, in us."""
    took = array("f")
    until_s = time.perf_counter() + for_s
    while (began_s := time.perf_counter()) < until_s:
        lease = acquire()
        took.append(1e6 * (time.perf_counter() - began_s))
        release(lease)
    return took


async def _in_tasks(
    acquire: Callable[[], Awaitable[Any]], release: Callable[[Any], Awaitable[object]], for_s: float
) -> "Took[float]":
    """As `_in_a_thread`, by many tasks."""
    took = array("f")
    until_s = time.perf_counter() + for_s

    async def work() -> None:
        while (began_s := time.perf_counter()) < until_s:
            lease = await acquire()
            took.append(1e6 * (time.perf_counter() - began_s))
            await release(lease)
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(TASKS)))
    return took


def in_a_thread(pool: Pool, for_s: float) -> list[float]:
    """Lease of `pool` for so many seconds; return how long each acquire took, in seconds."""
    return [each / 1e6 for each in _in_a_thread(pool.acquire, lambda lease: lease.release(), for_s)]


async def in_tasks(pool: Pool, for_s: float) -> list[float]:
    """As `in_a_thread`, by many tasks."""
    return [each / 1e6 for each in await _in_tasks(pool.aio.acquire, _given_back, for_s)]


async def _given_back(lease: Any) -> None:
    lease.release()


# -- contenders -------------------------------------------------------------------------------------


class _Leases:
    """Leases of a pool, wherever that is."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.close = pool.close

    def thread(self, for_s: float) -> "Took[float]":
        return _in_a_thread(self._pool.acquire, lambda lease: lease.release(), for_s)

    def tasks(self, for_s: float) -> "Took[float]":
        return asyncio.run(_in_tasks(self._pool.aio.acquire, _given_back, for_s))


class _Script:
    """Leases of a script that Valkey runs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tokens = (f"{os.getpid()}:{number}" for number in count())

    def thread(self, for_s: float) -> "Took[float]":
        server = valkey.Valkey(port=self._port)
        script = server.register_script(_ACQUIRE)

        def acquire() -> tuple[int, str]:
            token = next(self._tokens)
            while (number := int(script(args=[token]))) < 0:
                time.sleep(_AGAIN_S)
            return number, token

        with server:
            return _in_a_thread(acquire, lambda lease: server.zrem(f"slots:{lease[0]}", lease[1]), for_s)

    def tasks(self, for_s: float) -> "Took[float]":
        return asyncio.run(self._tasks(for_s))

    async def _tasks(self, for_s: float) -> "Took[float]":
        async with valkey.asyncio.Valkey(port=self._port) as server:
            script = server.register_script(_ACQUIRE)

            async def acquire() -> tuple[int, str]:
                token = next(self._tokens)
                while (number := int(await script(args=[token]))) < 0:
                    await asyncio.sleep(_AGAIN_S)
                return number, token

            async def release(lease: tuple[int, str]) -> None:
                await server.zrem(f"slots:{lease[0]}", lease[1])

            return await _in_tasks(acquire, release, for_s)

    def close(self) -> None:
        """Nothing is kept."""


def _opened(name: str, servers: Servers) -> _Leases | _Script:
    if name == VALKEY:
        return _Script(servers.valkey_port)
    if name == LOCAL:
        return _Leases(Pool([Endpoint(f"http://10.0.0.{i}/", capacity=CAPACITY) for i in range(ENDPOINTS)]))
    return _Leases(Pool.connect(servers.url, within_s=60.0, block=64 if name == BLOCKS else 1))


def client(pipe: Connection, servers: Servers) -> None:
    """Do what is asked for, until the other end is closed."""
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            _, name = pipe.recv()
            contender = _opened(name, servers)
            pipe.send("ready")
            _, crew, for_s = pipe.recv()
            pipe.send_bytes((contender.thread if crew == 1 else contender.tasks)(for_s).tobytes())
            pipe.recv()
            contender.close()
            pipe.send("ready")


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
def own_valkey() -> Iterator[tuple[int, int]]:
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
        context.set_forkserver_preload(["tests.benchmarks.bench_cluster"])
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
    with tempfile.TemporaryDirectory(prefix="balancer-cluster-") as folder, own_valkey() as (port, valkey_pid):
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


# -- four rounds ------------------------------------------------------------------------------------

_ROUND_PROCESSES, _SLOTS, _HELD_S = 12, 6, 0.01
_ROUND_BLOCK, _MANY = 8, 10_000

_TAKE = f"""
local slot = ARGV[1]
if slot == '' then slot = redis.call('LPOP', 'free') end
if not slot then return false end
local time = redis.call('TIME')
redis.call('ZADD', 'held', time[1] * 1000 + time[2] / 1000 + {_TTL_MS}, slot)
return slot
"""
_GIVE = "if redis.call('ZREM', 'held', ARGV[1]) == 1 then redis.call('RPUSH', 'free', ARGV[1]) end"

_Ends = tuple[Callable[[], Any], Callable[[Any], object], Callable[[], object]]


def _of_pool(url: str, block: int) -> _Ends:
    pool = Pool.connect(url, within_s=60.0, block=block)
    return pool.acquire, lambda lease: lease.release(), pool.close


def _of_valkey(port: int) -> _Ends:
    server = valkey.Valkey(port=port)
    take, give = server.register_script(_TAKE), server.register_script(_GIVE)

    def acquire() -> object:
        slot = take(args=[""])
        if slot is None:  # none is free: wait for one, in order
            popped: Any = server.blpop(["free"])
            slot = take(args=[popped[1]])
        return slot

    return acquire, lambda slot: give(args=[slot]), server.close


def _round_client(pipe: Connection, place: str | int, block: int, held_s: float, for_s: float) -> None:
    acquire, release, close = _of_pool(place, block) if isinstance(place, str) else _of_valkey(place)
    release(acquire())
    pipe.send("ready")
    pipe.recv()
    took, before_s, until_s = array("f"), time.process_time(), time.perf_counter() + for_s
    while (began_s := time.perf_counter()) < until_s:
        lease = acquire()
        took.append(1e3 * (time.perf_counter() - began_s))
        if held_s:
            time.sleep(held_s)
        release(lease)
    pipe.send((took.tobytes(), time.process_time() - before_s))
    close()


def _round(place: str | int, pid: int, processes: int, block: int, held_s: float, for_s: float) -> tuple[str, ...]:
    """Return leases/s, p50 and p99 of an acquire in ms, and us of CPU of server and processes for a lease."""
    context = multiprocessing.get_context("forkserver")
    pipes, crew = [], []
    for _ in range(processes):
        mine, its = context.Pipe()
        crew.append(context.Process(target=_round_client, args=(its, place, block, held_s, for_s), daemon=True))
        crew[-1].start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    before_s = cpu_s(pid)
    for pipe in pipes:
        pipe.send("go")
    took, member_s = array("f"), 0.0
    for pipe in pipes:
        data, used_s = pipe.recv()
        took.frombytes(data)
        member_s += used_s
    server_s = cpu_s(pid) - before_s
    for process in crew:
        process.join(60)
    cuts = statistics.quantiles(took, n=100)
    us = (f"{1e6 * used_s / len(took):.0f}" for used_s in (server_s, member_s))
    return (f"{len(took) / for_s:,.0f}", f"{cuts[49]:.2f}", f"{cuts[98]:.1f}", *us)


def _stats_ms() -> float:
    """Return how many ms of CPU `stats()` takes with as many leases as endpoints."""
    with Pool([Endpoint(f"http://e{number}/", capacity=2) for number in range(_MANY)]) as pool:
        leases = [pool.acquire() for _ in range(_MANY)]
        found = []
        for _ in range(5):
            before_s = time.process_time()
            pool.stats()
            found.append(1e3 * (time.process_time() - before_s))
        for lease in leases:
            lease.release()
    return min(found)


def print_rounds(for_s: float, port: int, valkey_pid: int) -> None:
    """Measure for so many seconds each, and print. `port` is of a Valkey of one's own; 0: there is none."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="balancer-rounds-") as folder:
        for slots, rounds in (
            (64, ((1, 1), (_ROUND_PROCESSES, 1), (1, _ROUND_BLOCK))),
            (_SLOTS, ((_ROUND_PROCESSES, 1),)),
        ):
            config = Path(folder) / f"{slots}.toml"
            config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.1/"\ncapacity = {slots}\n')
            server = Command(config, ttl_s=10.0, token="a token of the benchmark")
            os.environ["BALANCER_SERVE_TOKEN"] = "a token of the benchmark"
            try:
                with Pool.connect(server.url, within_s=60.0) as pool:
                    pool.acquire(timeout=60.0).release()  # the grace of a server without a record is over
                for processes, block in rounds:
                    held_s = _HELD_S if slots == _SLOTS else 0.0
                    how = "held 10 ms" if held_s else "one by one" if block == 1 else f"blocks of {block}"
                    found = _round(server.url, server.process.pid, processes, block, held_s, for_s)
                    rows.append((slots, how, processes, "balancer serve", *found))
                    if port and block == 1:
                        with valkey.Valkey(port=port) as store:
                            store.flushall()
                            store.rpush("free", *map(str, range(slots)))
                        found = _round(port, valkey_pid, processes, 1, held_s, for_s)
                        rows.append((slots, how, processes, "Valkey, BLPOP", *found))
            finally:
                server.kill()
    head = "slots | leases | processes | of | leases/s | p50 ms | p99 ms | server us | processes us"
    show(head, rows, f"{for_s:g} s each; us of CPU for a lease", words=4)
    print(f"stats() of {_MANY:,} endpoints with as many leases: {_stats_ms():.0f} ms of CPU")


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


# -- Ray --------------------------------------------------------------------------------------------

RAY_SINGLY, RAY_BLOCKS, SEMAPHORE = "Ray, one by one", "Ray, in blocks", "a semaphore actor of Ray"

_POOL = "bench"


def without_ray() -> str:
    """Return "" if Ray can be used here, else why not."""
    return "" if find_spec("ray") is not None else "Ray is not installed; make ray"


class _Semaphore:
    """Slots, counted."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(ENDPOINTS * CAPACITY)

    async def acquire(self) -> None:
        await self._free.acquire()

    async def release(self) -> None:
        self._free.release()


async def _counted_by_tasks(semaphore: Any, crew: int, for_s: float) -> list[float]:
    took: list[float] = []
    until_s = time.perf_counter() + for_s

    async def work() -> None:
        while (began_s := time.perf_counter()) < until_s:
            await semaphore.acquire.remote()
            took.append(time.perf_counter() - began_s)
            semaphore.release.remote()

    await asyncio.gather(*(work() for _ in range(crew)))
    return took


class _RayClient:
    """A process that leases. It has no coroutine: an actor with one has all of its methods called in an event loop."""

    def __init__(self, semaphore: Any) -> None:
        from balancer.ray import SharedPool

        self._pools = {RAY_SINGLY: SharedPool(_POOL), RAY_BLOCKS: SharedPool(_POOL, block=64)}
        self._semaphore = semaphore

    def ready(self) -> None:
        """Answer."""

    def turn(self, name: str, crew: int, for_s: float) -> list[float]:
        """Return how long each acquire took, in seconds."""
        if name == SEMAPHORE:
            return self._counted(for_s) if crew == 1 else asyncio.run(_counted_by_tasks(self._semaphore, crew, for_s))
        pool = self._pools[name]
        return in_a_thread(pool, for_s) if crew == 1 else asyncio.run(in_tasks(pool, for_s))

    def _counted(self, for_s: float) -> list[float]:
        import ray

        took: list[float] = []
        until_s = time.perf_counter() + for_s
        while (began_s := time.perf_counter()) < until_s:
            ray.get(self._semaphore.acquire.remote())
            took.append(time.perf_counter() - began_s)
            self._semaphore.release.remote()
        return took


def measured_by_ray(
    processes: int, turns: int, for_s: float, crews: Sequence[int] = CREWS
) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Return leases/s of all processes, p50 and p99 of an acquire in ms, by contender and crew."""
    import ray

    from balancer.ray import SharedPool

    found: dict[tuple[str, int], Found] = {}
    with cluster(1):
        config = Config(endpoints=[{"url": f"http://10.0.0.{{1..{ENDPOINTS}}}/", "capacity": CAPACITY}])  # type: ignore[list-item]
        with SharedPool(_POOL, config=config, detached=False):
            semaphore = ray.remote(_Semaphore).options(num_cpus=0, max_concurrency=10_000).remote()
            clients = [ray.remote(_RayClient).options(num_cpus=0).remote(semaphore) for _ in range(processes)]
            ray.get([client.ready.remote() for client in clients])
            for _ in range(turns):
                for crew in crews:
                    for name in (RAY_SINGLY, RAY_BLOCKS, SEMAPHORE):
                        turns_of = ray.get([client.turn.remote(name, crew, for_s) for client in clients])
                        each = [took_s for turn in turns_of for took_s in turn]
                        found.setdefault((name, crew), Found()).add((1e6 * took_s for took_s in each), for_s)
    return {key: each.figures() for key, each in found.items()}


def of_ray(turns: int, for_s: float) -> tuple[dict[tuple[str, int, int], tuple[float, float, float]], str]:
    """Return the same figures of Ray, and why there are none."""
    if why := without_ray():
        return {}, why
    each = {count: measured_by_ray(count, turns, for_s) for count in COUNTS}
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
    with own_valkey() as (port, valkey_pid):
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
    from tests.benchmarks import bench_cluster  # its processes find what they run by its name

    bench_cluster.main()
