"""Connections of urllib3, and so of requests, that keep the time bound of a thread and note what was sent."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from balancer.transports.resend import sending_of_thread
from balancer.transports.time_bound import bound_of_thread, bounded, parts

__all__ = ["POOLS"]


class _BoundReader(io.RawIOBase):
    """Reads from a socket. Each read gets the time that is left."""

    def __init__(self, sock: Any, inner: io.RawIOBase) -> None:
        self._sock = sock
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with _lowered(self._sock):
            found: int | None = self._inner.readinto(buffer)
        return found

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()
        super().close()


class _BoundResponse(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_BoundReader(sock, self.fp.detach()))


class _BoundSteps:
    """The steps of a connection: connect, send, read. Each operation of the socket gets the time that is left."""

    response_class = _BoundResponse
    sock: Any
    timeout: Any
    host: str
    port: int | None

    def connect(self) -> None:
        """Connect. What is sent to a proxy for that counts as sent."""
        sending_of_thread().heard = True
        own = self.timeout
        try:
            with bounded(own, host=self.host, port=self.port) as self.timeout:
                super().connect()  # type: ignore[misc]
        finally:
            self.timeout = own

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a whole request."""
        sending = sending_of_thread()
        sending.heard = True
        super().request(*args, **kwargs)  # type: ignore[misc]
        sending.whole = True

    def send(self, data: Any) -> None:
        """Send a piece of a request."""
        if self.sock is None:
            self.connect()
        sending_of_thread().begun = True
        if bound_of_thread() is None:
            super().send(data)  # type: ignore[misc]
            return
        for part in parts(data):
            with _lowered(self.sock):
                super().send(part)  # type: ignore[misc]


def _bound(pool: Any) -> Any:
    connection = type("BoundConnection", (_BoundSteps, pool.ConnectionCls), {})
    return type("BoundPool", (pool,), {"ConnectionCls": connection})


POOLS = {"http": _bound(HTTPConnectionPool), "https": _bound(HTTPSConnectionPool)}
"""The connection pools of urllib3 with such connections, by scheme."""


@contextmanager
def _lowered(sock: Any) -> Iterator[None]:
    """Lower the timeout of `sock` to the time that is left, for one operation."""
    own_s = sock.gettimeout()
    with bounded(own_s) as timeout_s:
        sock.settimeout(timeout_s)
        try:
            yield
        finally:
            sock.settimeout(own_s)
