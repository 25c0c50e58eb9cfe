"""Connections to servers, and their answers as they come: aiohttp's client, with its errors in our words."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from balancer.errors import EndpointError
from balancer.proxy.client_side import ConnectionLimits
from balancer.settings.proxy import ProxySettings
from balancer.transports.resend import Sending

__all__ = ["ServerAnswer", "Servers"]

_OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # aiohttp would add them


class ServerAnswer:
    """The answer to one request.

    Attributes:
        response: aiohttp's own.
        status: of HTTP.
        length: how long its body is; None: unknown.
        held: the beginning of its body, until it is passed on.
    """

    def __init__(self, response: aiohttp.ClientResponse, silent_s: float) -> None:
        self.response = response
        self.status = response.status
        told = response.headers.get("Content-Length")
        self.length = int(told) if told is not None else None
        self.held = b""
        self._silent_s = silent_s
        unframed = told is None and "Transfer-Encoding" not in response.headers
        self._end = response.connection.protocol if unframed and response.connection is not None else None

    @property
    def complete(self) -> bool:
        """Whether all of it was read."""
        return self.response.content.at_eof()

    async def piece(self) -> bytes:
        """Return the next piece of the body; b"": it has ended. Raises EndpointError."""
        try:
            piece = await self.response.content.readany()
            if self.complete and self._end is not None and isinstance(error := self._end.exception(), OSError):
                raise error  # aiohttp takes a reset for the end
            return piece
        except aiohttp.SocketTimeoutError:
            raise _silent(self._silent_s) from None
        except (aiohttp.ClientError, OSError):
            raise EndpointError("closed the connection in the middle of its answer") from None

    async def hold(self, least: int, within_s: float | None = None) -> None:
        """Read until so many bytes of the body are held, or all of it, or the time is over. Raises EndpointError."""
        try:
            async with asyncio.timeout(within_s) as limit:
                while len(self.held) < least and not self.complete:
                    self.held += await self.piece()
        except TimeoutError:
            if not limit.expired():
                raise

    def leave(self) -> None:
        """Nobody wants the rest of it. Its connection is closed unless all of it has come."""
        self.response.close()


class Servers:
    """All servers, and the connections that are kept for the next request.

    Args:
        tls: the context for servers of https://; None: that of the system.
        settings: of `[proxy]`, for the time until an answer begins, and for an answer to send nothing.
        limits: of connections.
    """

    def __init__(self, tls: ssl.SSLContext | None, settings: ProxySettings, limits: ConnectionLimits) -> None:
        self._connect_s = limits.connect_s
        self._first_byte_s = settings.first_byte_s
        self._silent_s = settings.silent_s
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=limits.keep_alive_s, ssl=tls or True),
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_s, sock_read=settings.silent_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OURS,
            auto_decompress=False,
            max_line_size=limits.head_bytes,
            max_field_size=limits.head_bytes,
            middlewares=(_again_if_idle,),
        )

    async def ask(
        self,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
        sending: Sending,
        *,
        again: bool,
    ) -> ServerAnswer:
        """Send a request, and return its answer once its head is there. Raises EndpointError, TimeoutError.

        Args:
            method, url, headers, body: of the request.
            sending: is told what was sent.
            again: whether the server may get the request twice, if it has just closed a connection that was idle.
        """
        whole = not isinstance(body, AsyncIterator)
        _ATTEMPT.set(_Attempt(sending, whole, again and whole))
        try:
            async with asyncio.timeout(self._first_byte_s) as limit:
                data = _paced(body, limit, self._first_byte_s) if isinstance(body, AsyncIterator) else body
                response = await self._session.request(method, url, headers=headers, data=data, allow_redirects=False)
        except aiohttp.ConnectionTimeoutError:
            raise TimeoutError(f"no connection within {self._connect_s:g} s") from None
        except aiohttp.SocketTimeoutError:
            raise _silent(self._silent_s) from None
        except TimeoutError:
            if limit.expired():
                raise _silent(self._first_byte_s) from None
            raise
        except aiohttp.ClientConnectorError as error:  # also of TLS and of DNS
            raise EndpointError(f"cannot connect: {error.os_error.strerror or error.os_error}") from None
        except aiohttp.ClientResponseError as error:
            raise EndpointError(f"sent no valid HTTP: {error.message.partition(chr(10))[0]}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EndpointError(f"could not be asked: {type(error).__name__}") from None
        coding = response.headers.get("Transfer-Encoding", "chunked").strip().lower()
        if coding != "chunked" or response.status < 100:
            response.close()
            raise EndpointError(f"sent no valid HTTP: status {response.status}, transfer coding {coding!r}")
        return ServerAnswer(response, self._silent_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


@dataclass(slots=True)
class _Attempt:
    """What is known of an attempt.

    Attributes:
        sending: what was sent.
        whole: whether all of the request is sent at once.
        again: whether it may be sent again.
        idle: whether its connection had been idle.
    """

    sending: Sending
    whole: bool
    again: bool
    idle: bool = False


_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class _Connector(aiohttp.TCPConnector):
    """Connections to servers. One on which bytes came that nobody asked for is not used again."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._used: WeakSet[object] = WeakSet()

    async def connect(self, *args: Any, **given: Any) -> aiohttp.connector.Connection:
        while True:
            found = await super().connect(*args, **given)
            protocol = found.protocol
            if protocol is not None and not protocol.should_close:
                break
            found.close()
        attempt = _ATTEMPT.get()
        attempt.idle = protocol in self._used
        self._used.add(protocol)
        attempt.sending.begun, attempt.sending.whole = True, attempt.whole
        return found


async def _again_if_idle(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request again if its connection had been idle. Without this aiohttp would do so once, and always."""
    while True:
        try:
            return await handler(request)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # An idle connection that its server has just closed says nothing about the server.
            attempt = _ATTEMPT.get()
            if not (attempt.idle and attempt.again):
                raise EndpointError("closed the connection without an answer") from None


async def _paced(body: AsyncIterator[bytes], limit: asyncio.Timeout, within_s: float) -> AsyncIterator[bytes]:
    """Yield `body`. The server's time, `limit`, stands still while the client sends, and then begins anew."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(RuntimeError):  # the answer has begun
            limit.reschedule(None)
        piece = await anext(body, None)
        with suppress(RuntimeError):
            limit.reschedule(loop.time() + within_s)
        if piece is None:
            return
        yield piece


def _silent(seconds: float) -> EndpointError:
    return EndpointError(f"sent nothing for {seconds:g} s")
