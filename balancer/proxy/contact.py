"""Contact of a proxy with the server of its pool, and the requests that end when it is lost.

A server that is soon back loses no request: they wait. After `_PATIENCE_S` without contact those that wait end, and
later ones end at once, so that their clients may go elsewhere.
"""

import asyncio
import logging
from typing import Final

from balancer.errors import NotConnected
from balancer.opening.connected import ConnectedPool
from balancer.proxy.exchange import ProxyExchange

__all__ = ["PoolContact"]

_log = logging.getLogger("balancer.proxy")

_PATIENCE_S: Final = 10.0
_LOOKS_S: Final = 0.5


class PoolContact:
    """Whether the pool's server can be reached, and the requests that end when it cannot.

    Args:
        pool: the pool.
        patience_s: how long requests wait without contact.
    """

    def __init__(self, pool: ConnectedPool, patience_s: float = _PATIENCE_S) -> None:
        self._pool = pool
        self._patience_s = patience_s
        self._waiting: dict[ProxyExchange, asyncio.Timeout] = {}
        self._lost_s: float | None = None  # when there was no contact for the first time
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """Why there is no contact now; "": there is."""
        return "" if self._pool.connected else self._pool.trouble

    def watch(self) -> None:
        """Begin to look, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._look())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        while True:
            self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(_LOOKS_S)

    def look(self, now: float) -> None:
        """Look whether there is contact, and end what waits if there was none for too long."""
        trouble = self.trouble
        if not trouble:
            if self._lost_s is not None:
                _log.warning("the server of the pool is back")
            self._lost_s = None
            return
        if self._lost_s is None:
            _log.warning("the server of the pool is lost: %s", trouble)
            self._lost_s = now
        if now >= self._lost_s + self._patience_s:
            for exchange, limit in self._waiting.items():
                if exchange.waits:
                    limit.reschedule(now)

    def check(self) -> None:
        """Raise NotConnected if there was no contact for too long."""
        lost_s = self._lost_s
        if lost_s is not None and asyncio.get_running_loop().time() >= lost_s + self._patience_s:
            raise self._error()

    async def pass_on(self, exchange: ProxyExchange) -> None:
        """Carry out a request, as `ProxyExchange.pass_on`. Raises NotConnected if it waits without contact."""
        self.check()
        try:
            async with asyncio.timeout(None) as limit:
                self._waiting[exchange] = limit
                await exchange.pass_on()
        except TimeoutError:
            if limit.expired():
                raise self._error() from None
            raise
        finally:
            del self._waiting[exchange]

    def _error(self) -> NotConnected:
        return NotConnected("the server of the pool", self._pool.trouble)
