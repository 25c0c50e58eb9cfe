"""`balancer demo`: a pool at work in its live page. Its servers are played by this process; one dies and comes back."""

import asyncio
import logging
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
_MEANS_S: Final = {"server-1": 0.08, "server-2": 0.1, "server-3": 0.12, "server-4": 0.15, "server-5": 0.2}
"""How long a call takes on each server."""
_DYING: Final = "server-3"
_DIES_AT, _BACK_AT = 0.2, 0.5  # parts of the time


def run_demo(seconds: float, port: int) -> None:
    """Serve the page at `port` and show a pool at work for so many seconds. Raises CommandStopped after a signal."""
    logging.getLogger("balancer").addHandler(logging.NullHandler())  # the demo has lines of its own
    stopped = asyncio.run(_Demo(seconds).run(port))
    if stopped is not None:
        raise CommandStopped(128 + stopped)


class _Demo:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began_s = 0.0
        self._done = self._lost = 0
        self._dead = False
        self._out: set[str] = set()  # a failed trial call is an ejection as well, and gets no line

    async def run(self, port: int) -> int | None:
        """Return the number of the signal that stopped it; None if the time is over."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_future() if sys.platform == "win32" else told_to_stop()
        endpoints = [Endpoint(f"http://{name}/", name=name, capacity=_CAPACITY) for name in _MEANS_S]
        health = HealthSettings(cooldown_s=self._seconds / 60, max_cooldown_s=self._seconds / 20)
        with Pool(endpoints, health=health) as pool:
            page = pool.serve_page(port)
            slots = _CAPACITY * len(endpoints)
            print(f"a pool of {len(endpoints)} servers with {slots} slots, and {_CALLERS} callers: {self._seconds:g} s")
            print(f"page at {page.url} (or, in another terminal: balancer top {page.url})", flush=True)
            self._began_s = loop.time()
            pool.observe(self._tell, {Ejected, Restored})
            tasks = [loop.create_task(self._calls(pool, number)) for number in range(_CALLERS)]
            tasks.append(loop.create_task(self._fate()))
            await asyncio.wait({stopped}, timeout=self._seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            stats = pool.stats()
        again = f"{stats.failures} failures, {stats.retries} calls made again on another server"
        print(f"{self._done} calls answered, {self._lost} lost; {again}")
        return stopped.result() if stopped.done() else None

    async def _calls(self, pool: Pool, number: int) -> None:
        while True:
            try:
                await pool.aio.call(self._ask, attempts=4, holder=f"caller-{number}")
                self._done += 1
            except BalancerError:
                self._lost += 1
            await asyncio.sleep(random.expovariate(20.0))

    async def _ask(self, lease: Lease) -> None:
        """Play a call of a server. Raises EndpointError if it is dead, or dies meanwhile."""
        name = lease.endpoint.name
        if not (self._dead and name == _DYING):
            await asyncio.sleep(random.lognormvariate(0.0, 0.4) * _MEANS_S[name])
        if self._dead and name == _DYING:
            raise EndpointError("refuses connections")

    async def _fate(self) -> None:
        await asyncio.sleep(_DIES_AT * self._seconds)
        self._dead = True
        self._say(f"{_DYING} dies: it refuses all connections")
        await asyncio.sleep((_BACK_AT - _DIES_AT) * self._seconds)
        self._dead = False
        self._say(f"{_DYING} is up again; the pool does not know yet")

    def _tell(self, event: Event, /) -> None:
        if isinstance(event, Ejected) and event.endpoint not in self._out:
            self._out.add(event.endpoint)
            self._say(f"the pool ejects {event.endpoint}: {event.why}")
        elif isinstance(event, Restored):
            self._out.discard(event.endpoint)
            self._say(f"the pool restores {event.endpoint}: a trial call went well")

    def _say(self, words: str) -> None:
        print(f"{asyncio.get_running_loop().time() - self._began_s:5.1f} s  {words}", flush=True)
