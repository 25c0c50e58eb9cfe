"""Connections to one HTTP server by aiohttp: each exchange has a deadline for all of it, and a limit on the answer.

No client for threads bounds a whole call: its timeout starts anew with every byte, so a server that answers in drips
holds its caller for ever. A task of an event loop can be stopped at any time. So a thread has a loop for the server,
from the first request on until the end, and each exchange is a task there.

There are no proxies, redirects or retries of a POST, and nothing is unpacked.
"""

import asyncio
import contextlib
import io
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextvars import ContextVar
from typing import Any

import aiohttp
from yarl import URL

from balancer.sandbox.http.client import NoAnswer, WireAnswer, WireRequest

__all__ = ["Connections"]

# uvicorn, which serves most sandboxes, closes idle connections after 5 s. They are dropped before that, or a
# request would now and then meet a closing connection.
_IDLE_S = 3.0
_CLOSE_S = 5.0
_TURNS = 5  # of the loop, in which a connection ends
_HEAD_BYTES, _HEADERS = 2**16, 128
_BROKEN = "RemoteProtocolError: the server closed the connection before the end of its answer"

_MADE: ContextVar[list[socket.socket]] = ContextVar("made")  # the sockets of an exchange


class _Connector(aiohttp.TCPConnector):
    """Drops a kept connection on which something came while it was idle: it would be taken for the next answer."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._used = weakref.WeakSet[asyncio.Protocol]()

    async def connect(self, *args: Any, **more: Any) -> aiohttp.connector.Connection:
        """Return a new connection, or a kept one on which nothing has come."""
        while True:
            made = await super().connect(*args, **more)
            protocol = made.protocol
            assert protocol is not None  # it has not been released
            if protocol not in self._used or not protocol.should_close:
                self._used.add(protocol)
                return made
            made.close()


class Connections:
    """Sends requests to one server, each on a connection of its own while it lasts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[int, _Line] = {}  # by process: a fork has no thread of its parent
        self._closed = False
        weakref.finalize(self, _close, self._lines)  # at its end, where nobody closes it

    def exchange(self, request: WireRequest) -> WireAnswer:
        """Send `request` and return the answer. Raises as `Exchange`."""
        until_s = time.monotonic() + request.within_s  # the clock of the loop
        with self._lock:
            if self._closed:
                raise NoAnswer("the executor is closed")
            line = self._lines.get(os.getpid()) or self._lines.setdefault(os.getpid(), _Line())
            answer = asyncio.run_coroutine_threadsafe(line.exchange(request, until_s), line.loop)
        try:
            return answer.result()
        except CancelledError:
            raise NoAnswer("the executor is closed") from None
        except BaseException:
            answer.cancel()
            raise

    def close(self) -> None:
        """Close all connections. May be called twice."""
        with self._lock:
            self._closed = True
        _close(self._lines)


class _Line:
    """The connections that one process has, with the loop and the thread they live in."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="balancer-http", daemon=True)
        self._thread.start()
        self._session: aiohttp.ClientSession | None = None
        self._sockets = weakref.WeakSet[socket.socket]()

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        _MADE.get().append(made)
        return made

    def _work(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    async def exchange(self, request: WireRequest, until_s: float) -> WireAnswer:
        """Send `request` and return the answer that is complete at `until_s`. Raises TimeoutError, NoAnswer."""
        made = list[socket.socket]()
        _MADE.set(made)
        try:
            return await self._answer(request, until_s)
        except BaseException:
            _shut(made)  # else one stays open until its server reads what is left to be sent
            raise

    async def _answer(self, request: WireRequest, until_s: float) -> WireAnswer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=0,
                    keepalive_timeout=_IDLE_S,
                    use_dns_cache=False,
                    ssl=ssl.create_default_context(),  # trusts the certificates that the system trusts
                    socket_factory=self._socket,
                ),
                timeout=aiohttp.ClientTimeout(),  # none: see above
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Content-Type"),
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES // _HEADERS,
                max_headers=_HEADERS,
            )
        sent = io.BytesIO(request.content) if request.content else None  # in pieces: others go on meanwhile
        url = URL(request.url, encoded=True)
        try:
            async with (
                asyncio.timeout_at(until_s),
                self._session.request(
                    request.method, url, headers=request.headers, data=sent, allow_redirects=False
                ) as response,
            ):
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NoAnswer("sent a compressed answer, which was not requested")
                pieces, size = [], 0
                async for piece in response.content.iter_any():
                    pieces.append(piece)
                    size += len(piece)
                    if size > request.at_most:
                        raise NoAnswer(f"answered with more than {request.at_most} bytes")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return WireAnswer(response.status, headers, b"".join(pieces))
        except TimeoutError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            raise NoAnswer(_BROKEN) from None
        except aiohttp.ClientConnectorError as error:
            raise NoAnswer(f"ConnectError: {error.os_error}") from None
        except aiohttp.ClientResponseError as error:
            raise NoAnswer(f"RemoteProtocolError: {error.message}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"RemoteProtocolError: {error}") from None

    def close(self) -> None:
        """End all exchanges, and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        if threading.current_thread() is not self._thread:  # it would wait for itself
            self._thread.join(_CLOSE_S)

    async def _end(self) -> None:
        try:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            if self._session is not None:
                await self._session.close()
            _shut(self._sockets)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        finally:
            self.loop.stop()


def _shut(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _close(lines: dict[int, _Line]) -> None:
    if (line := lines.pop(os.getpid(), None)) is not None:
        line.close()
