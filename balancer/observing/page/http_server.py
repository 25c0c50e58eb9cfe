"""HTTP server of the page: uvicorn with few connections, timeouts for silent ones, and limited log lines."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from balancer.cluster.tcp.sniffing import LogLimiter, sniff_protocol
from balancer.observing.page.connections import ConnectionTimes, HttpConnections, HttpServer, WatchedConnection

__all__ = ["serve_until"]

_log = logging.getLogger("balancer.page")

_MOST_CONNECTIONS: Final = 256  # the most files that the page takes from the process
_TIMES: Final = ConnectionTimes(head_s=10.0, body_s=10.0, answer_s=20.0)
_SELDOM_S: Final = 60.0
_STRANGE: Final = {
    "TLS": "found TLS, which the page does not have; ask for http://, or put a proxy with TLS before it",
    "cluster": "found a member (balancer://) at the port of the page; give it the port of the pool",
}


async def serve_until(
    app: Starlette, listener: socket.socket, began: Callable[[Callable[[], None]], object], ending: Callable[[], None]
) -> None:
    """Serve `app` on `listener` until it is stopped.

    Args:
        app: the application.
        listener: the socket.
        began: called with a function that stops the server from any thread.
        ending: called just before the server stops.
    """
    words = _ConnectionLog(logging.getLogger("uvicorn.error"))
    config = uvicorn.Config(
        app,
        http=partial(_Connection, HttpConnections(_MOST_CONNECTIONS, _TIMES), words),  # type: ignore[arg-type]  # called like the class
        log_config=None,  # logging belongs to the program, which may use uvicorn too
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = HttpServer(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        ending()
        server.should_exit = True

    def stop_from_elsewhere() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop)

    began(stop_from_elsewhere)
    quiet = _NoLifeLines(threading.get_ident())
    words.logger.addFilter(quiet)
    try:
        await server.serve(sockets=[listener])
    finally:
        words.logger.removeFilter(quiet)


class _NoLifeLines:
    """Leaves out uvicorn's lines that the server of this thread began and ended: the log is the program's."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        return record.levelno > logging.INFO or record.thread != self._thread


class _ConnectionLog(logging.LoggerAdapter[logging.Logger]):
    """Log lines about connections, at most one a minute for each peer and each warning.

    Otherwise a peer that does not speak HTTP would cause a line each time.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self.level = logger.getEffectiveLevel()
        self._limiter = LogLimiter(_SELDOM_S)

    def left(self, peer: str, why: str) -> None:
        """Log that a connection was closed."""
        if self._limiter.may(peer, time.monotonic()):
            _log.warning("the page closed a connection from %s: %s", peer, why)

    def warning(self, msg: object, *args: object, **terms: Any) -> None:
        """Log a warning of uvicorn."""
        if self._limiter.may(str(msg), time.monotonic()):
            super().warning(msg, *args, **terms)


class _Connection(WatchedConnection):
    """A connection that is told if it speaks another protocol."""

    def __init__(self, every: HttpConnections, words: _ConnectionLog, /, *args: Any, **options: Any) -> None:
        super().__init__(every, *args, **options)
        self.logger = words  # type: ignore[assignment]
        self._words = words
        self._begun = False

    def data_received(self, data: bytes) -> None:
        spoken = None if self._begun else sniff_protocol(data)
        self._begun = True
        if spoken in _STRANGE:
            peer = self.transport.get_extra_info("peername")
            self._words.left(peer[0] if peer else "somewhere", _STRANGE[spoken])
            self.transport.close()
        else:
            super().data_received(data)
