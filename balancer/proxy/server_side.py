"""Connections to servers: they are kept open for the next request, and pass an answer on as it comes.

A piece of an answer goes from the one socket to the other without a task in between. If the client does not read, the
server's connection is not read either.
"""

import asyncio
import math
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

import httptools

from balancer.errors import EndpointError
from balancer.proxy.client_request import ByteSink, Feeder
from balancer.proxy.heads import Header, ServerPlace, first_of, tokens_of

__all__ = ["ClosedEarly", "ServerAnswer", "ServerConnection", "ServerConnections"]

_MUCH: Final = 2**16  # bytes of an answer that are held while nothing may be passed on
_TAIL: Final = 64
_MESSAGE: Final = 64  # bytes that each head counts for, as a server may send any number before the one that is wanted
_SWEEP_S: Final = 5.0


class ClosedEarly(EndpointError):
    """The server closed the connection before an answer."""

    def __init__(self) -> None:
        super().__init__("closed the connection without an answer")


class ServerAnswer:
    """The answer to one request, as it comes.

    Attributes:
        status, reason, headers: its head; status 0: not there yet.
        trailers: those after its body.
        length: how long its body will be; None: unknown.
        complete: all of it has come.
        held: the beginning of the body, until it is passed on.
        begun: whether any byte of the body has come.
        tail: the last bytes of the body that were passed on.
    """

    def __init__(self, connection: "ServerConnection", *, bodiless: bool) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[Header] = []
        self.trailers: list[Header] = []
        self.length: int | None = None
        self.complete = False
        self.held = bytearray()
        self.tail = b""
        self.bodiless = bodiless
        self._connection = connection
        self._sink: ByteSink | None = None
        self._error: EndpointError | None = None
        self._least = 1.0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether a byte of the body has come, or its end."""
        return self.complete or bool(self.held)

    async def holding(self, least: float = 1, within_s: float = math.inf) -> None:
        """Wait until so many bytes of the body are held, or all of it. Raises EndpointError.

        Args:
            least: how many; 0: only the head must be there.
            within_s: once the head is there, wait no longer than that.
        """
        self._least = least
        self._connection.resume()
        while not self._is_there():
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            if self.status and within_s < math.inf:
                done, _ = await asyncio.wait([self._waiter], timeout=within_s)
                if not done:
                    return
            else:
                await self._waiter

    def flow(self, sink: ByteSink) -> None:
        """Pass the rest of the body on, from now on."""
        self._sink = sink
        self._least = math.inf
        self._connection.resume()

    async def end(self) -> None:
        """Wait for the end of the body. Raises EndpointError."""
        self._least = math.inf
        while not self.complete:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    @property
    def connection(self) -> "ServerConnection":
        """Where it comes from."""
        return self._connection

    def pause(self) -> None:
        """Read nothing more of it for now: the client does not read."""
        self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        self._connection.resume()

    def leave(self) -> None:
        """Nobody wants the rest of it. Its connection is closed unless all of it has come."""
        if not self.complete:
            self._connection.abort()

    # -- told by the connection --------------------------------------------------------------------

    def arrive(self, status: int, reason: bytes, headers: list[Header], length: int | None) -> None:
        """The head has come."""
        self.status, self.reason, self.headers, self.length = status, reason, headers, length
        self._look()

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come."""
        if self._sink is not None:
            self._sink.take(piece)
            self.tail = piece[-_TAIL:] if len(piece) >= _TAIL else (self.tail + piece)[-_TAIL:]
            return
        self.held += piece
        self._look()
        if len(self.held) > max(_MUCH, self._least):
            self._connection.pause()

    def finish(self) -> None:
        """All of it has come."""
        self.complete = True
        self._look()

    def fail(self, error: EndpointError) -> None:
        """It will not come to its end."""
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def _is_there(self) -> bool:
        return self.complete or (self.status > 0 and len(self.held) >= self._least)

    def _look(self) -> None:
        if self._is_there() or (self.status and self._waiter is not None):
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ServerConnection(asyncio.Protocol):
    """One connection to a server. It serves one request at a time.

    Args:
        every: all connections.
        place: where it goes.
    """

    def __init__(self, every: "ServerConnections", place: ServerPlace) -> None:
        self.place = place
        self.used = False  # True once a request was sent
        self.closed = False
        self.idle_since_s = 0.0
        self.tunnel: ByteSink | None = None
        self.feeder: Feeder | None = None
        self._every = every
        self._loop = every.loop
        self._parser = httptools.HttpResponseParser(self)
        self._answer: ServerAnswer | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._sent = True
        self._writable: asyncio.Future[None] | None = None
        self._clear()

    def _clear(self) -> None:
        self._reason = b""
        self._headers: list[Header] = []
        self._size = 0
        self._interim = self._arrived = self._complete = self._until_close = self._stray = False
        self._why = ""  # the parser stopped
        self._keeps = True

    # -- asked by an exchange ----------------------------------------------------------------------

    def ask(self, head: bytes, *, bodiless: bool, whole: bool = True) -> ServerAnswer:
        """Send the head of a request, perhaps with its body, and return its answer.

        Args:
            head: what to send.
            bodiless: the answer has no body (HEAD).
            whole: False: more of the request follows, until `sent_whole` is called.
        """
        assert self._transport is not None
        self._clear()
        self.used = True
        self._sent = whole
        self._answer = answer = ServerAnswer(self, bodiless=bodiless)
        self._every.watch(self)
        if self.closed:
            answer.fail(ClosedEarly())
        else:
            self._transport.write(head)
        return answer

    def write(self, data: bytes) -> None:
        """Send more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def sent_whole(self) -> None:
        """Note that all of the request was sent."""
        self._sent = True

    def close(self) -> None:
        """Close it, once all was sent."""
        if self._transport is not None:
            self._transport.close()

    async def drained(self) -> None:
        """Wait until the server has read most of what was sent."""
        if self._writable is not None and not self.closed:
            await asyncio.shield(self._writable)

    def pause(self) -> None:
        """Read nothing more for now."""
        if not self._paused and not self.closed and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self.closed and self._transport is not None:
            self._paused = False
            self._every.watch(self)
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it at once."""
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def silent(self) -> None:
        """The server has sent nothing for too long."""
        if self._answer is not None and not self._paused and self.tunnel is None:
            self._fail(EndpointError(f"sent nothing for {self._every.silent_s:g} s"))

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer that it reads."""
        return self._answer is not None and not self._paused and not self.closed and self.tunnel is None

    # -- told by the loop --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as TCP gives it
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Handle a part of an answer."""
        self._every.watch(self)
        if self.tunnel is not None:
            self.tunnel.take(data)
            return
        if self._answer is None:  # nobody asked: what follows would be taken for the next answer
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._complete and self._answer.status == 101:
                self._answer.held += data[upgrade.args[0] :]
            self._keeps = False
        except httptools.HttpParserError as error:
            self._keeps = False
            if not self._complete:
                self._fail(EndpointError(f"sent no valid HTTP: {self._why or error}"))
                return
        if self._complete:
            self._over()

    def eof_received(self) -> None:
        """End."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.closed = True
        self._every.forget(self)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        answer, self._answer = self._answer, None
        if self.tunnel is not None:
            self.tunnel.take(b"")
        elif answer is not None:
            if self._until_close and exc is None:
                answer.finish()
            else:
                answer.fail(_lost(answer))

    def pause_writing(self) -> None:
        """Note that the server does not read."""
        self._writable = self._loop.create_future()
        if self.feeder is not None:
            self.feeder.pause()

    def resume_writing(self) -> None:
        """Note that the server reads."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        if self.feeder is not None:
            self.feeder.resume()

    # -- told by the parser ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self._complete:
            self._stray = True
        self._size += _MESSAGE
        self._headers = []
        self._interim = False

    def _stop_at(self, why: str) -> NoReturn:
        """Stop the parser, whose own error does not say why."""
        self._why = why
        raise httptools.HttpParserError(why)

    def on_status(self, reason: bytes) -> None:
        """Take the reason."""
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._size += len(name) + len(value)
        if self._size > self._every.head_bytes:
            self._stop_at(f"a head of more than {self._every.head_bytes} bytes")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle the end of a head."""
        answer = self._answer
        if answer is None or self._stray:
            return
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if status < 200 and status != 101:
            self._interim = True
            return
        coding = first_of(headers, b"transfer-encoding")
        told = first_of(headers, b"content-length")
        if status > 999 or (coding is not None and coding.strip().lower() != b"chunked"):
            self._stop_at(f"status {status}, transfer coding {coding!r}")
        connection = tokens_of(headers)
        self._keeps = self._parser.get_http_version() == "1.1" and b"close" not in connection
        none = answer.bodiless or status in (204, 304, 101)
        self._until_close = not none and coding is None and told is None
        self._keeps &= not self._until_close
        self._arrived = True
        answer.arrive(status, self._reason, headers, int(told) if told is not None else None)
        if answer.bodiless:
            self._complete = True
            self._parser = httptools.HttpResponseParser(self)  # the old one expects the body

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if self._answer is not None and not self._complete:
            self._answer.feed(piece)
        else:
            self._stray = True

    def on_message_complete(self) -> None:
        """Handle the end of the answer."""
        if not self._interim and self._arrived:
            self._complete = True

    # -- inside ------------------------------------------------------------------------------------

    def _over(self) -> None:
        answer = self._answer
        assert answer is not None
        if answer.status == 101:
            answer.finish()
            return
        self._answer = None
        answer.trailers = self._headers
        if self._keeps and self._sent and not self._stray:
            self._every.keep(self)
        elif self._transport is not None:
            self._transport.close()
        answer.finish()

    def _fail(self, error: EndpointError) -> None:
        answer = self._answer
        self.abort()
        if answer is not None:
            answer.fail(error)


def _lost(answer: ServerAnswer) -> EndpointError:
    if not answer.status:
        return ClosedEarly()
    return EndpointError("closed the connection in the middle of its answer")


class ServerConnections:
    """All connections to servers. Those that wait for a request are kept for a while.

    Args:
        loop: the event loop.
        tls: the context for servers of https://, made when it is needed.
        connect_s, silent_s, keep_s: limits in seconds: until a connection is there; for an answer to send nothing; for
            a connection to be idle.
        head_bytes: limit of the head of an answer.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tls: Callable[[], ssl.SSLContext],
        *,
        connect_s: float,
        silent_s: float,
        keep_s: float,
        head_bytes: int,
    ) -> None:
        self.loop = loop
        self.silent_s = silent_s
        self.head_bytes = head_bytes
        self._tls = tls
        self._connect_s = connect_s
        self._keep_s = keep_s
        self._idle: dict[ServerPlace, list[ServerConnection]] = {}
        self._heard: dict[ServerConnection, float] = {}  # busy ones, the longest silent first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    async def get(self, place: ServerPlace, *, fresh: bool = False) -> ServerConnection:
        """Return a connection. `fresh`: a new one. Raises EndpointError, TimeoutError."""
        idle = self._idle.get(place)
        while idle and not fresh:
            found = idle.pop()
            if not found.closed:
                return found
        tls = self._tls() if place.tls else None
        try:
            async with asyncio.timeout(self._connect_s):
                _, made = await self.loop.create_connection(
                    lambda: ServerConnection(self, place), place.host, place.port, ssl=tls
                )
        except TimeoutError:
            raise TimeoutError(f"no connection within {self._connect_s:g} s") from None
        except OSError as error:  # also of TLS and of DNS
            raise EndpointError(f"cannot connect: {error.strerror or error}") from None
        return made

    def keep(self, connection: ServerConnection) -> None:
        """Keep a connection for the next request."""
        self._heard.pop(connection, None)
        connection.idle_since_s = self.loop.time()
        self._idle.setdefault(connection.place, []).append(connection)
        self._set_timer()

    def forget(self, connection: ServerConnection) -> None:
        """Forget a connection that is closed."""
        self._heard.pop(connection, None)
        idle = self._idle.get(connection.place)
        if idle is not None:
            with suppress(ValueError):
                idle.remove(connection)

    def watch(self, connection: ServerConnection) -> None:
        """Note that a server had something to say."""
        self._heard.pop(connection, None)
        if not connection.closed:
            self._heard[connection] = self.loop.time()
            self._set_timer()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for connection in [*self._heard, *(each for idle in self._idle.values() for each in idle)]:
            connection.abort()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(min(_SWEEP_S, self.silent_s), self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self.loop.time()
        for connection, heard_s in [*self._heard.items()]:
            if now - heard_s < self.silent_s:
                break
            connection.silent()
            self._heard.pop(connection, None)
        for place, idle in [*self._idle.items()]:
            for connection in [each for each in idle if now - each.idle_since_s >= self._keep_s]:
                connection.abort()
            if not idle:
                del self._idle[place]
        if self._heard or self._idle:
            self._set_timer()
