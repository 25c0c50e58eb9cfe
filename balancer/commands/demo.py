"""`balancer demo`: a pool at work in its live page.

Servers and callers are in this process. One of the servers dies and comes back.
"""

import asyncio
import errno
import logging
import os
import random
import sys
from typing import Final

from balancer.commands.stopping import told_to_stop
from balancer.core.events import Ejected, Event, Restored
from balancer.endpoint import Endpoint, Lease
from balancer.errors import BalancerError, CommandStopped, EndpointError
from balancer.opening.pool import Pool
from balancer.settings.rules import HealthSettings

__all__ = ["run_demo"]

_CALLERS: Final = 20
_CAPACITY: Final = 4
_MEANS_S: Final = (0.08, 0.1, 0.12, 0.15, 0.2)  # how long a call takes on each server
_DIES_AT: Final = 0.2  # parts of the time
_BACK_AT: Final = 0.5
_ANSWER: Final = b"HTTP/1.0 200 OK\r\n\r\nok"


def run_demo(seconds: float, port: int) -> None:
    """Serve the page at `port` and show a pool at work for so many seconds. Raises CommandStopped after a signal."""
    logging.getLogger("balancer").addHandler(logging.NullHandler())  # the demo has lines of its own
    stopped = asyncio.run(_Demo(seconds).run(port))
    if stopped is not None:
        raise CommandStopped(128 + stopped)


class _Server:
    """A server that answers each request after a while."""

    def __init__(self, mean_s: float) -> None:
        self._mean_s = mean_s
        self._open: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self.port = 0

    async def up(self) -> None:
        """Listen, on the same port as before."""
        self._listening = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Refuse connections, and drop those that there are."""
        assert self._listening is not None
        self._listening.close()
        for each in self._open:
            each.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        await asyncio.sleep(random.lognormvariate(0.0, 0.4) * self._mean_s)
        writer.write(_ANSWER)
        writer.close()
        self._open.discard(writer)


class _Demo:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._servers = [_Server(mean_s) for mean_s in _MEANS_S]
        self._began_s = 0.0
        self._done = self._lost = 0
        self._out: set[str] = set()  # a failed trial call is an ejection as well, and gets no line

    async def run(self, port: int) -> int | None:
        """Return the number of the signal that stopped it; None if the time is over."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_future() if sys.platform == "win32" else told_to_stop()
        for server in self._servers:
            await server.up()
        endpoints = [
            Endpoint(f"http://127.0.0.1:{server.port}/", name=f"server-{number}", capacity=_CAPACITY)
            for number, server in enumerate(self._servers, 1)
        ]
        health = HealthSettings(cooldown_s=self._seconds / 60, max_cooldown_s=self._seconds / 20)
        with Pool(endpoints, health=health) as pool:
            page = pool.serve_page(port)
            slots = _CAPACITY * len(endpoints)
            print(f"a pool of {len(endpoints)} servers with {slots} slots, and {_CALLERS} callers: {self._seconds:g} s")
            print(f"page at {page.url} (or, in another terminal: balancer top {page.url})", flush=True)
            self._began_s = loop.time()
            pool.observe(self._tell, {Ejected, Restored})
            tasks = [loop.create_task(self._calls(pool, number)) for number in range(_CALLERS)]
            tasks.append(loop.create_task(self._fate(self._servers[2], "server-3")))
            await asyncio.wait({stopped}, timeout=self._seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._sum_up(pool)
        for server in self._servers:
            server.down()
        return stopped.result() if stopped.done() else None

    async def _calls(self, pool: Pool, number: int) -> None:
        while True:
            try:
                await pool.aio.call(_ask, attempts=4, holder=f"caller-{number}")
                self._done += 1
            except BalancerError:
                self._lost += 1
            await asyncio.sleep(random.expovariate(20.0))

    async def _fate(self, server: _Server, name: str) -> None:
        await asyncio.sleep(_DIES_AT * self._seconds)
        server.down()
        self._say(f"{name} dies: it refuses all connections")
        await asyncio.sleep((_BACK_AT - _DIES_AT) * self._seconds)
        await server.up()
        self._say(f"{name} is up again; the pool does not know yet")

    def _tell(self, event: Event, /) -> None:
        if isinstance(event, Ejected) and event.endpoint not in self._out:
            self._out.add(event.endpoint)
            self._say(f"the pool ejects {event.endpoint}: {event.why}")
        elif isinstance(event, Restored):
            self._out.discard(event.endpoint)
            self._say(f"the pool restores {event.endpoint}: a trial call went well")

    def _say(self, words: str) -> None:
        print(f"{asyncio.get_running_loop().time() - self._began_s:5.1f} s  {words}", flush=True)

    def _sum_up(self, pool: Pool) -> None:
        stats = pool.stats()
        again = f"{stats.failures} failures, {stats.retries} calls made again on another server"
        print(f"{self._done} calls answered, {self._lost} lost; {again}")


async def _ask(lease: Lease) -> None:
    """Make one request. Raises EndpointError if there is no answer."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(lease.endpoint.url.rpartition(":")[2].strip("/"))
        )
        try:
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
    except OSError as error:
        raise EndpointError(os.strerror(error.errno or errno.ECONNRESET)) from None
    if answer != _ANSWER:
        raise EndpointError("the connection was lost")
