"""A process that leases as fast as it can, one contender at a time: what `bench_cluster` measures.

It is told over a pipe: `("open", contender)`, `("go", crew, seconds)`, `("close",)`; to a "go" it answers how long each
acquire took, in us. Beside a pool of one's own and a cluster there is what people write who have a Valkey (or a Redis):
a script that counts, whose leases end by themselves, and callers who ask again when all slots are in use.
"""

import asyncio
import os
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from balancer import Endpoint, Pool

with suppress(ImportError):
    import valkey
    import valkey.asyncio

ENDPOINTS, CAPACITY, TASKS = 8, 8, 16
SINGLY, BLOCKS, VALKEY, LOCAL = "one by one", "in blocks", "a Valkey script", "a pool of one's own"
_TTL_MS = 10_000
_AGAIN_S = 0.001  # a caller who got no slot of Valkey's asks again: nobody tells it

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
