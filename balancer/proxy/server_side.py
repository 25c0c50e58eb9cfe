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
from balancer.transports.resend import Sending

__all__ = ["ClosedEarly", "ServerAnswer", "Servers"]

_OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # aiohttp would add them


class ClosedEarly(EndpointError):
    """The server closed the connection before an answer. Field: `idle`, whether it had been idle before."""

    def __init__(self) -> None:
        super().__init__("closed the connection without an answer")
        self.idle = False


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
        connect_s, first_byte_s, silent_s, keep_s: limits in seconds: until a connection is there; until an answer
            begins; for an answer to send nothing; for a connection to be idle.
        head_bytes: limit of a line of the head of an answer.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        *,
        connect_s: float,
        first_byte_s: float,
        silent_s: float,
        keep_s: float,
        head_bytes: int,
    ) -> None:
        self._connect_s = connect_s
        self._first_byte_s = first_byte_s
        self._silent_s = silent_s
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=keep_s, ssl=tls or True),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=silent_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OURS,
            auto_decompress=False,
            max_line_size=head_bytes,
            max_field_size=head_bytes,
            middlewares=(_once,),
        )

    async def ask(
        self,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
        sending: Sending,
    ) -> ServerAnswer:
        """Send a request, and return its answer once its head is there. `sending` is told what was sent.

        Raises EndpointError, TimeoutError. ClosedEarly of a connection that was idle says nothing about the server.
        """
        attempt = _Attempt(sending, whole=not isinstance(body, AsyncIterator))
        _ATTEMPT.set(attempt)
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
        except ClosedEarly as error:
            error.idle = attempt.idle
            raise
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
    """What is known of the current attempt: what was sent, and whether its connection had been idle."""

    sending: Sending
    whole: bool
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


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp would ask a server that closes the connection again."""
    try:
        return await handler(request)
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise ClosedEarly from None


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
