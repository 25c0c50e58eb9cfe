"""Changes of a served pool from other threads: each is a step of the server, so that all members hear of it."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, PoolClosed
from balancer.opening.pool import Pool

__all__ = ["ServedChanges"]

_PATIENCE_S: Final = 10.0


class ServedChanges:
    """Changes a served pool, from any thread but that of the server. Make it in the server's loop.

    Args:
        server: of the pool.
        pool: whose core is served.
    """

    def __init__(self, server: PoolServer, pool: Pool) -> None:
        self._server = server
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    def change(self, act: Callable[[Core, float], Sequence[Waiter]], *, kept: bool = False) -> None:
        """Do something to the core, in a step of the server. `kept`: the next server must know of it.

        Raises:
            PoolClosed, BalancerError: the server has ended; or it is done, but could not be written down.
            TimeoutError: the loop of the server is busy. What `act` raises.
        """
        if self._loop.is_closed():
            raise PoolClosed

        async def step() -> None:
            coordinator, core = self._server.coordinator, self._pool.engine.core
            if not self._server.act(lambda: coordinator.change([partial(act, core, clock())], clock())):
                raise BalancerError(f"nothing is changed: {self._server.why_not()}")
            if kept and (why := self._server.unstored):
                raise BalancerError(f"it is done, but the next server would not know of it yet: {why}")

        asyncio.run_coroutine_threadsafe(step(), self._loop).result(_PATIENCE_S)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining."""
        return self._pool.endpoints()

    def add(self, endpoint: Endpoint | str) -> None:
        """Take an endpoint into service. Raises DuplicateEndpoint."""
        spec = Endpoint.of(endpoint)
        self.change(lambda core, now: core.add(spec, now), kept=True)

    def drain(self, url: str) -> None:
        """Grant no new leases of an endpoint. Raises UnknownEndpoint."""
        self.change(lambda core, now: core.drain(url, now), kept=True)
