"""What a shared pool costs, in four rounds: free slots one by one, in blocks, slots that all wait for, and `stats`.

Slots that all wait for: 6, held for 10 ms by 12 processes, so 600 leases/s at best. Beside it is a semaphore on Valkey
whose callers wait by a blocking pop: a script takes a slot and notes until when, and another gives it back.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from balancer import Endpoint, Pool
from tests.benchmarks.harness import show
from tests.cluster.serving import Command

with suppress(ImportError):
    import valkey

__all__ = ["PROCESSES", "print_rounds"]

PROCESSES, SLOTS, HELD_S = 12, 6, 0.01
_TTL_MS, _BLOCK, _ENDPOINTS = 10_000, 8, 10_000
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

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


def _client(pipe: Connection, place: str | int, block: int, held_s: float, for_s: float) -> None:
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


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _round(place: str | int, pid: int, processes: int, block: int, held_s: float, for_s: float) -> tuple[str, ...]:
    """Return leases/s, p50 and p99 of an acquire in ms, and us of CPU of server and processes for a lease."""
    context = multiprocessing.get_context("forkserver")
    pipes, crew = [], []
    for _ in range(processes):
        mine, its = context.Pipe()
        crew.append(context.Process(target=_client, args=(its, place, block, held_s, for_s), daemon=True))
        crew[-1].start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    before_s = _cpu_s(pid)
    for pipe in pipes:
        pipe.send("go")
    took, member_s = array("f"), 0.0
    for pipe in pipes:
        data, used_s = pipe.recv()
        took.frombytes(data)
        member_s += used_s
    server_s = _cpu_s(pid) - before_s
    for process in crew:
        process.join(60)
    cuts = statistics.quantiles(took, n=100)
    us = (f"{1e6 * used_s / len(took):.0f}" for used_s in (server_s, member_s))
    return (f"{len(took) / for_s:,.0f}", f"{cuts[49]:.2f}", f"{cuts[98]:.1f}", *us)


def _stats_ms() -> float:
    """Return how many ms of CPU `stats()` takes with as many leases as endpoints."""
    with Pool([Endpoint(f"http://e{number}/", capacity=2) for number in range(_ENDPOINTS)]) as pool:
        leases = [pool.acquire() for _ in range(_ENDPOINTS)]
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
        for slots, rounds in ((64, ((1, 1), (PROCESSES, 1), (1, _BLOCK))), (SLOTS, ((PROCESSES, 1),))):
            config = Path(folder) / f"{slots}.toml"
            config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.1/"\ncapacity = {slots}\n')
            server = Command(config, ttl_s=10.0, token="a token of the benchmark")
            os.environ["BALANCER_SERVE_TOKEN"] = "a token of the benchmark"
            try:
                with Pool.connect(server.url, within_s=60.0) as pool:
                    pool.acquire(timeout=60.0).release()  # the grace of a server without a record is over
                for processes, block in rounds:
                    held_s = HELD_S if slots == SLOTS else 0.0
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
    print(f"stats() of {_ENDPOINTS:,} endpoints with as many leases: {_stats_ms():.0f} ms of CPU")
