"""Connections of clients: aiohttp reads their requests, one after the other; here their time and number are limited.

A connection is closed if its request does not come in time, if its client does not read, and, with one connection too
many, if it waits for longest (see `cluster.tcp.connection_limit`). If a client goes away, the task of its request is
cancelled.
"""

import asyncio
import logging
import math
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from multidict import CIMultiDict, CIMultiDictProxy

from balancer.cluster.tcp.connection_limit import ConnectionLimit, network_of, probe_peer
from balancer.proxy.client_body import ClientBody, KeptBytes, too_large
from balancer.proxy.heads import RequestHead, answer_head, chunk, dated, request_head
from balancer.proxy.refusals import Header, Refusal, refusal_for

__all__ = ["ClientConnections", "ClientRequest", "ConnectionLimits"]

_log = logging.getLogger("balancer.proxy")

_LINGER_S: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)
_END: Final = b"\r\n\r\n"
_NO_BODY: Final = (204, 304)
_UNREAD: Final = RequestHead("", "", CIMultiDictProxy(CIMultiDict()), "", "1.1", "", None, keeps=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections. Sizes in bytes, times in seconds.

    Attributes:
        connections: of clients, at once.
        body_bytes: the largest body of a request.
        head_bytes: the largest head of a request, and of an answer.
        kept_bytes: of all bodies that are kept. Beyond it, bodies are kept up to 64 KiB only.
        head_s: for the head of a request, from its first byte.
        body_s: for the body of a request, and one second more for each KiB of it.
        unread_s: the longest time in which a client may read none of its answer.
        keep_alive_s: after which an idle connection is closed.
        connect_s: until a server must have accepted a connection.
    """

    connections: float = math.inf
    body_bytes: int = 2**30
    head_bytes: int = 2**16
    kept_bytes: int = 2**28
    head_s: float = 10.0
    body_s: float = 30.0
    unread_s: float = 120.0
    keep_alive_s: float = 60.0
    connect_s: float = 5.0


class ClientConnections:
    """All connections of clients.

    Args:
        limits: of each, and of all.
        kept: counts the bodies that are kept.
        handle: answers a request.
        answers: counts the answers, by status.

    Attributes:
        stopping: True once no connection is kept open for a further request.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        kept: KeptBytes,
        handle: Callable[["ClientRequest"], Coroutine[Any, Any, None]],
        answers: Counter[int],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.answers = answers
        self.stopping = False
        self.limit: ConnectionLimit[ClientConnection] = ConnectionLimit(limits.connections)
        self.server = web.Server(self._serve, handler_cancellation=True)  # type: ignore[arg-type]  # see `ClientRequest.prepare`
        self._kept = kept
        self._handle = handle

    def __len__(self) -> int:
        return len(self.limit)

    def __call__(self) -> "ClientConnection":
        """Return the protocol of a new connection."""
        return ClientConnection(self)

    def enter(self, who: "ClientConnection") -> None:
        """Take in a new connection. One that waits is closed if there are too many now: at worst the new one."""
        self.limit.wait(who, "head", who.network)
        while (surplus := self.limit.surplus()) is not None:
            self.limit.leave(surplus)
            surplus.abort()

    async def stop(self, grace_s: float) -> None:
        """Close what is idle, wait for the requests under way, and close the rest."""
        self.stopping = True
        for each in self.limit:
            if not each.serves:
                each.force_close()
        until_s = self.loop.time() + grace_s
        while len(self.limit) and self.loop.time() < until_s:
            await asyncio.sleep(0.02)
        for each in self.limit:
            each.abort()

    async def _serve(self, came: web.BaseRequest) -> "ClientRequest":
        """Answer a request."""
        connection, limits = came.protocol, self.limits
        assert isinstance(connection, ClientConnection)
        connection.begin()
        request = ClientRequest(connection)
        body = ClientBody(self._kept, came.content, limits.body_bytes, limits.body_s)
        try:
            head = request_head(came, limits.head_bytes)
            if head.length is not None and head.length > limits.body_bytes:
                raise too_large(limits.body_bytes)
            request.head, request.keeps, request.body = head, head.keeps, body
            await self._handle(request)
        except Exception as error:
            refusal = refusal_for(error)
            if not request.begun:
                request.refuse(refusal)
        finally:
            body.close()
            if request.begun:
                self.answers[request.status] += 1
        return connection.finish(request)


class ClientConnection(web.RequestHandler):
    """One connection of a client.

    Args:
        every: all of them.

    Attributes:
        serves: whether a request is under way.
        reads_on: is done when the client has read most of what was sent; None: it has.
    """

    def __init__(self, every: ClientConnections) -> None:
        limits = every.limits
        super().__init__(
            every.server,
            loop=every.loop,
            keepalive_timeout=limits.keep_alive_s,
            tcp_keepalive=False,  # see `probe_peer`
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say none
            max_line_size=limits.head_bytes,
            max_field_size=limits.head_bytes,
            lingering_time=0,  # see `linger`
            auto_decompress=False,
        )
        self.peer = self.network = ""
        self.secure = self.serves = False
        self.every = every
        self._deaf = self._headed = False
        self._size, self._last = 0, b""  # of a head that has not ended: its bytes so far; the last that came at all
        self._below: asyncio.Transport | None = None  # aiohttp's own reference is gone as soon as it closes
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes of answers that wait for the client
        self.reads_on: asyncio.Future[None] | None = None

    # -- asked by a request ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.transport is not None:
            self.transport.write(data)

    def abort(self) -> None:
        """Close at once, also what aiohttp has closed already, and whose client does not read the rest."""
        if self._below is not None:
            self._below.abort()

    def begin(self) -> None:
        """Note that a request has come."""
        self.serves = True
        self._close_after(None)
        self.every.limit.serve(self)

    def finish(self, request: "ClientRequest") -> "ClientRequest":
        """Go on after a request."""
        self.serves = self._headed = False
        self._size = 0
        if request.keep_alive:
            self.every.limit.wait(self, "head", self.network)
        if not request.ended and self.transport is not None:  # a client must not take a part of an answer for all of it
            if request.framed:
                self.transport.close()
            else:
                with suppress(OSError):
                    self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.abort()
        return request

    async def linger(self) -> None:
        """Read what the client still sends, for a while: else it might lose its answer."""
        self._deaf = True
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()
            self.transport.resume_reading()
            await asyncio.sleep(_LINGER_S)

    # -- told by the loop --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self.network = network_of(peer)
        self.secure = transport.get_extra_info("sslcontext") is not None
        probe_peer(transport.get_extra_info("socket"))
        self._below = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        super().connection_made(transport)
        self._close_after(self.every.limits.keep_alive_s, self.abort)
        self.every.enter(self)

    def data_received(self, data: bytes) -> None:
        """Handle a part of a request."""
        if self._deaf:
            return
        before, self._last = self._last, (self._last + data)[-3:]
        if not self.serves and data:
            if not self._size:
                self.keep_alive(True)  # it is not idle any more
                self._close_after(self.every.limits.head_s, self._late)
            self._size += len(data)
            if not self._headed:
                self._headed = _END in before + data
                if not self._headed and self._size > self.every.limits.head_bytes:
                    self._end(_too_long(self.every.limits))
                    return
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self.every.limit.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self.reads_on = self.every.loop.create_future()
        self._watch()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        reads_on, self.reads_on = self.reads_on, None
        if reads_on is not None and not reads_on.done():
            reads_on.set_result(None)
        if self._unread_timer is not None:
            self._unread_timer.cancel()

    # -- told by aiohttp ---------------------------------------------------------------------------

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> Any:
        """Answer what is no request."""
        why = str(message or "").partition("\n")[0].strip().rstrip(":")
        too_long = isinstance(exc, LineTooLong)
        wrong = Refusal(400, f"the request is no valid HTTP/1.1: {why}")
        return self._refuse(_too_long(self.every.limits) if too_long else wrong)

    # -- inside ------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> "ClientRequest":
        """Answer what is no request that can be served."""
        self.begin()
        self.every.answers[refusal.status] += 1
        request = ClientRequest(self)
        request.refuse(refusal)
        return request

    def _end(self, refusal: Refusal) -> None:
        """Answer a head, of which nothing more is read, with an error."""
        lingering = self._refuse(refusal).write_eof()
        self.every.loop.create_task(lingering).add_done_callback(lambda _: self.abort())

    def _close_after(self, after_s: float | None, act: Callable[[], None] | None = None) -> None:
        """Do `act`, which closes the connection, after so many seconds. None: let it be open."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = None if after_s is None or act is None else self.every.loop.call_later(after_s, act)

    def _late(self) -> None:
        self._end(Refusal(408, "the head of the request did not come in time"))

    def _watch(self) -> None:
        """Close the connection if its client does not read anything for too long."""
        self._unread = self._unread_now()
        self._unread_timer = self.every.loop.call_later(self.every.limits.unread_s, self._look)

    def _look(self) -> None:
        if self._unread_now() < self._unread:
            self._watch()  # it reads, if slowly
        else:
            self.abort()

    def _unread_now(self) -> int:
        return 0 if self._below is None else self._below.get_write_buffer_size()


class ClientRequest:
    """One request of a client, and the answer that it gets, which is sent byte by byte as it comes.

    Attributes:
        connection: on which it came.
        head: its head; `_UNREAD` of what is no request that can be served, which has no body either.
        body: its body.
        holder: the name of the client's tenant; "" at first.
        status: of its answer.
        begun: whether an answer was begun.
        ended: whether the whole answer was sent.
        keeps: whether the connection may serve a further request.
        framed: whether a client sees that the answer is not whole, if the connection ends before its end.
    """

    body: ClientBody

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.head = _UNREAD
        self.holder = ""
        self.status = 0
        self.begun = self.ended = self.framed = self.keeps = False
        self._chunked = self._bodiless = False

    async def read_body(self) -> None:
        """Wait until the body is kept, or as much of it as may be. Raises BodyGone."""
        if self.body.complete:
            return
        if self.head.version == "1.1" and self.head.headers.get("Expect", "").lower() == "100-continue":
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        limit, connection = self.connection.every.limit, self.connection
        limit.wait(connection, "body", connection.network)
        await self.body.begun()
        limit.serve(connection)

    def begin(
        self, status: int, reason: bytes, headers: Sequence[Header], length: int | None, content: bytes = b""
    ) -> None:
        """Send the head of the answer, and the beginning of its body.

        Args:
            status, reason, headers: of the answer, without those that frame it.
            length: how long the body is; None: unknown.
            content: its beginning.
        """
        self.begun = True
        self.status = status
        self._bodiless = status in _NO_BODY or self.head.method == "HEAD"
        framing: list[Header] = []
        if length is not None:
            if status != 204:
                framing.append((b"Content-Length", b"%d" % length))
        elif not self._bodiless:
            if self.head.version == "1.1":
                self._chunked = True
                framing.append((b"Transfer-Encoding", b"chunked"))
            else:
                self.keeps = False
        self.framed = self._chunked or length is not None
        self.keeps = self.keeps and self.body.complete and not self.connection.every.stopping
        if not self.keeps:
            framing.append((b"Connection", b"close"))
        told = answer_head(status, reason, headers, framing)
        if content and not self._bodiless:
            told += chunk(content) if self._chunked else content
        self.connection.write(told)

    def take(self, piece: bytes) -> "asyncio.Future[None] | None":
        """Send the next piece of the body. Return what is done once the client has read most of it; None: it has."""
        if not self._bodiless:
            self.connection.write(chunk(piece) if self._chunked else piece)
        return self.connection.reads_on

    def end(self) -> None:
        """End the answer: all of it was sent."""
        if self._chunked:
            self.connection.write(b"0\r\n\r\n")
        self.ended = True

    def answer(self, status: int, content: bytes, headers: Sequence[Header] = ()) -> None:
        """Send a whole answer of the proxy's own."""
        self.begin(status, b"", [*headers, dated()], len(content), content)
        self.end()

    def refuse(self, refusal: Refusal) -> None:
        """Send the proxy's own words."""
        self.answer(refusal.status, refusal.content, refusal.headers)

    def upgrade(self, headers: Sequence[Header]) -> None:
        """Accept the upgrade to another protocol."""
        self.begun = self.ended = True
        self.keeps = False
        self.status = 101
        accepted = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
        self.connection.write(answer_head(101, b"", headers, accepted))

    # -- asked by aiohttp, once it was sent --------------------------------------------------------

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve a further request."""
        return self.ended and self.keeps and not self.connection.every.stopping

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self) -> None:
        """Let the client read the answer."""
        if self.ended and not self.keep_alive and (self.head is _UNREAD or not self.body.complete):
            await self.connection.linger()


def _too_long(limits: ConnectionLimits) -> Refusal:
    return Refusal(431, f"the head of the request has more than {limits.head_bytes} bytes")
