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

    @property
    def trouble(self) -> str:
        """Why there is no contact now; "": there is."""
        return "" if self._pool.connected else self._pool.trouble

    async def watch(self) -> None:
        """Look again and again whether there is contact, and end what waits if there was none for too long."""
        while True:
            trouble, now = self.trouble, asyncio.get_running_loop().time()
            if trouble and self._lost_s is None:
                _log.warning("the server of the pool is lost: %s", trouble)
                self._lost_s = now
            elif not trouble and self._lost_s is not None:
                _log.warning("the server of the pool is back")
                self._lost_s = None
            for exchange, limit in self._waiting.items() if self._is_lost(now) else ():
                if exchange.waits:
                    limit.reschedule(now)
            await asyncio.sleep(_LOOKS_S)

    def check(self) -> None:
        """Raise NotConnected if there was no contact for too long."""
        if self._is_lost(asyncio.get_running_loop().time()):
            raise self._error()

    def _is_lost(self, now: float) -> bool:
        return self._lost_s is not None and now >= self._lost_s + self._patience_s

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
