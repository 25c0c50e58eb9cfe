"""Connections of clients: they read requests, and time and memory are limited.

Requests of one connection are served one after the other. A connection is closed if its request does not come in time,
if its client does not read, and, with one connection too many, if it waits for longest (see
`cluster.tcp.connection_limit`). If a client goes away, the task of its request is cancelled.
"""

import asyncio
import logging
import math
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import httptools

from balancer.cluster.tcp.connection_limit import ConnectionLimit, network_of
from balancer.proxy.client_body import BodyGone, ClientBody, KeptBytes
from balancer.proxy.client_request import ByteSink, ClientRequest, Feeder
from balancer.proxy.heads import BadRequest, Header, request_head

__all__ = ["ClientConnection", "ClientConnections", "ConnectionLimits"]

_log = logging.getLogger("balancer.proxy")

_AHEAD: Final = 64  # requests of one connection that may wait for the one that is served
_RATE: Final = 1024  # bytes a second of a body, beyond which it may take as long as it wants
_LINGER_S: Final = 2.0
_PROBE_S, _PROBES = 10, 3  # until a client whose machine has vanished counts as gone
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections. Sizes in bytes, times in seconds.

    Attributes:
        connections: of clients, at once.
        body_bytes: the largest body of a request.
        head_bytes: the largest head of a request, and of an answer.
        kept_bytes: of all bodies that are kept. Beyond it, bodies are kept up to 64 KiB only.
        head_s: for the head of a request.
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
        loop: the event loop.
        limits: of each, and of all.
        kept: counts the bodies that are kept.
        handle: answers a request.

    Attributes:
        stopping: True once no connection is kept open for a further request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        kept: KeptBytes,
        handle: Callable[[ClientRequest], Coroutine[Any, Any, None]],
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.kept = kept
        self.handle = handle
        self.stopping = False
        self.limit: ConnectionLimit[ClientConnection] = ConnectionLimit(limits.connections)

    def __len__(self) -> int:
        return len(self.limit)

    def enter(self, who: "ClientConnection", network: str) -> None:
        """Take in a new connection. One that waits is closed if there are too many now: at worst the new one."""
        self.limit.wait(who, "head", network)
        while (surplus := self.limit.surplus()) is not None:
            self.limit.leave(surplus)
            surplus.abort()

    async def stop(self, grace_s: float) -> None:
        """Close what is idle, wait for the requests under way, and close the rest."""
        self.stopping = True
        for each in self.limit:
            each.close_if_idle()
        until_s = self.loop.time() + grace_s
        while len(self.limit) and self.loop.time() < until_s:
            await asyncio.sleep(0.02)
        for each in self.limit:
            each.abort()


class ClientConnection(asyncio.Protocol):
    """One connection of a client.

    Args:
        every: all of them.
    """

    def __init__(self, every: ClientConnections) -> None:
        self.peer = ""
        self.secure = False
        self._every = every
        self._loop = every.loop
        self._limits = every.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._network = ""
        self._target = b""
        self._headers: list[Header] = []
        self._size = 0  # of what was read of the head
        self._raw = 0  # of what came of it
        self._in_head = self._replayed = self._deaf = self._upgrades = False
        self._early = bytearray()  # what came after a request for an upgrade
        self._refusal: BadRequest | None = None  # why the parser stopped
        self._unread = 0  # bytes of answers that wait for the client
        self._filled: ClientRequest | None = None  # whose body is read
        self._body_size = self._body_paid = 0  # what came of a body, and what of that has given it time
        self._served: ClientRequest | None = None
        self._next: deque[ClientRequest] = deque()
        self._task: asyncio.Task[None] | None = None
        self._feeder: Feeder | None = None
        self._tunnel: ByteSink | None = None
        self._holds: set[str] = set()  # why nothing is read
        self._due: dict[str, float] = {}  # when the connection is closed, and why
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = math.inf

    @property
    def stopping(self) -> bool:
        """Whether no further request is served."""
        return self._every.stopping

    # -- asked by a request ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def feed_from(self, feeder: Feeder | None) -> None:
        """Let `feeder` wait while the client does not read."""
        self._feeder = feeder
        if feeder is not None and "unread" in self._due:
            feeder.pause()

    def hold(self, why: str, *, on: bool) -> None:
        """Read nothing while there is a reason for that."""
        held = bool(self._holds)
        (self._holds.add if on else self._holds.discard)(why)
        if held != bool(self._holds) and self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if held else self._transport.pause_reading)()

    def tunnel_to(self, sink: ByteSink) -> None:
        """Pass on all that comes from now on, and what came before."""
        self._tunnel, self._upgrades = sink, False
        if self._early:
            sink.take(bytes(self._early))

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Close, unless a request is under way."""
        if self._served is None and self._transport is not None:
            self._transport.close()

    # -- told by the loop --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as TCP gives it
        """Begin."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self._network = network_of(peer)
        self.secure = transport.get_extra_info("sslcontext") is not None
        _probe(transport.get_extra_info("socket"))
        self._within("head", self._limits.head_s)
        self._every.enter(self, self._network)

    def data_received(self, data: bytes) -> None:
        """Handle a part of a request."""
        if self._tunnel is not None:
            self._tunnel.take(data)
            return
        if self._upgrades:  # whether this is a request or not is known when the upgrade is answered
            self._early += data
            if len(self._early) > self._limits.head_bytes:
                self.abort()
            return
        if self._deaf:
            return
        began_before = self._in_head
        if self._served is None and not began_before:
            self._within("head", self._limits.head_s)
        self._feed(data)
        if self._in_head and began_before and not self._deaf:  # e.g. one long header, which the parser keeps to itself
            self._raw += len(data)
            if self._raw > self._limits.head_bytes:
                self._refuse(_too_long(self._limits))
        self._go_on()

    def eof_received(self) -> None:
        """End: the client has gone, or wants no answer."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self._every.limit.leave(self)
        if self._filled is not None:
            self._filled.body.fail("the client has gone")
        for each in self._next:
            each.body.close()
        self._next.clear()
        if self._tunnel is not None:
            self._tunnel.take(b"")
        elif self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._within("unread", self._limits.unread_s)
        self._unread = self._unread_now()
        if self._feeder is not None:
            self._feeder.pause()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._due.pop("unread", None)
        if self._feeder is not None:
            self._feeder.resume()

    # -- told by the parser ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        if not self._replayed:
            self._target, self._headers, self._size, self._raw = b"", [], 0, 0
            self._in_head = True

    def on_url(self, part: bytes) -> None:
        """Take the target."""
        if not self._replayed:
            self._target += part
            self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        if not self._replayed:
            self._headers.append((name, value))
            self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Handle the end of a head."""
        if self._replayed:
            self._replayed = False
            return
        self._in_head = False
        parser, limits = self._parser, self._limits
        headers, self._headers, self._size = self._headers, [], 0
        if len(self._next) >= _AHEAD:
            self._stop_at(BadRequest(f"more than {_AHEAD} requests came before the first was answered"))
        keeps = parser.should_keep_alive()
        try:
            head = request_head(parser.get_method(), self._target, headers, parser.get_http_version(), keeps=keeps)
        except BadRequest as refusal:
            self._stop_at(refusal)
        if head.length is not None and head.length > limits.body_bytes:
            self._stop_at(_too_large(limits))
        body = ClientBody(self._every.kept, head.length, self._want)
        self._body_size = self._body_paid = 0
        if not body.complete:
            self._within("body", limits.body_s)
        self._filled = request = ClientRequest(self, head, body)
        self._next.append(request)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of a body."""
        filled = self._filled
        if filled is None:
            return
        self._body_size += len(piece)
        if self._body_size > self._limits.body_bytes:
            self._stop_at(_too_large(self._limits))
        filled.body.feed(piece)

    def on_message_complete(self) -> None:
        """Handle the end of a request."""
        filled = self._filled
        if filled is not None:
            filled.body.trailers, self._headers, self._size = self._headers, [], 0
            filled.body.end()
            self._due.pop("body", None)
            self._filled = None
            if filled is self._served:
                self._every.limit.serve(self)

    # -- inside: reading ---------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self._refusal is not None:
                self._refuse(self._refusal)
            elif not self._deaf and (self._in_head or self._filled is not None or "close" not in str(error)):
                self._refuse(BadRequest(f"the request is no valid HTTP/1.1: {error}"))
            self._deaf = True

    def _after_upgrade(self, rest: bytes) -> None:
        """Go on after a head that asks for another protocol, at which the parser stops.

        An upgrade to a protocol that is not passed on is ignored (RFC 9110, 7.8), as Java's and other clients ask for
        one in every first request, with a body or without. A new parser then reads the body: it gets a head that has
        the same framing.
        """
        request = self._next[-1] if self._next else None
        if self._deaf or request is None or request.head is None:
            self._deaf = True
            return
        if request.head.upgrade:
            self._upgrades = True
            self._early += rest
            return
        length = request.head.length
        framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        self._filled = request
        if length != 0:
            request.body.complete = False
            self._within("body", self._limits.body_s)
        self._parser = httptools.HttpRequestParser(self)
        self._replayed = True
        self._feed(b"POST / HTTP/1.1\r\nHost: -\r\n%b\r\n\r\n" % framing + rest)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.head_bytes:
            self._stop_at(_too_long(self._limits))

    def _stop_at(self, refusal: BadRequest) -> NoReturn:
        """Refuse a request from within the parser.

        Its own error does not tell the refusal: not if the event loop runs while another error is handled.
        """
        self._refusal = refusal
        raise refusal

    def _want(self, more: bool) -> None:
        """Read more of a body, or stop that for now. Time in which nothing is read does not count."""
        if more == ("body" in self._holds):
            if more:
                self._within("body", self._limits.body_s)
            else:
                self._due.pop("body", None)
        self.hold("body", on=not more)

    def _refuse(self, bad: BadRequest) -> None:
        """Answer a request, of which nothing more is read, with an error."""
        if self._filled is not None:
            self._filled.bad = self._filled.bad or bad
        else:
            body = ClientBody(self._every.kept, None, self._want)
            self._next.append(ClientRequest(self, None, body, bad))
        self._in_head = False
        self._deafen(bad.why)

    def _deafen(self, why: str) -> None:
        self._deaf = True
        self._due.pop("body", None)
        if self._filled is not None:
            self._filled.body.fail(why)

    # -- inside: serving ---------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Serve the next request, if there is one and none is served."""
        if self._served is not None:
            self.hold("ahead", on=bool(self._next))
            return
        if not self._next:
            return
        self._served = self._next.popleft()
        self._due.pop("head", None)
        if self._served.body.complete or self._served.bad is not None:
            self._every.limit.serve(self)
        else:
            self._every.limit.wait(self, "body", self._network)
        self._task = self._loop.create_task(self._serve(self._served))
        self.hold("ahead", on=bool(self._next))

    async def _serve(self, request: ClientRequest) -> None:
        try:
            await self._every.handle(request)
        except (asyncio.CancelledError, BodyGone):
            pass  # the client has gone
        except Exception:
            _log.exception("a request could not be served")
            if not request.begun:
                request.keeps = False
                request.answer(500, b"the proxy could not serve this request; its log says more\n")
        finally:
            request.body.close()
            self._feeder = None
            self._end(request)

    def _end(self, request: ClientRequest) -> None:
        """Go on after a request."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._task = self._served = None
        if not request.ended:  # a client must not take a part of an answer for all of it
            if not request.framed:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.close() if request.framed else transport.abort()
        elif request.keeps and not self._every.stopping and (self._next or not self._deaf):
            self._after_refused_upgrade()
            self._every.limit.wait(self, "head", self._network)
            self._within("head", self._limits.head_s if self._in_head else self._limits.keep_alive_s)
            self._go_on()
        else:
            self._linger()

    def _after_refused_upgrade(self) -> None:
        if self._upgrades:
            self._upgrades = False
            self._parser = httptools.HttpRequestParser(self)
            early, self._early = bytes(self._early), bytearray()
            self._feed(early)

    def _linger(self) -> None:
        """Close after an answer. What the client still sends is read for a while: else it might lose the answer."""
        assert self._transport is not None
        reads_on, self._deaf = self._deaf or self._filled is not None, True
        for each in self._next:
            each.body.close()
        self._next.clear()
        if not reads_on or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._holds.clear()
        self._transport.resume_reading()
        self._transport.write_eof()
        self._within("linger", _LINGER_S)

    # -- inside: time ------------------------------------------------------------------------------

    def _within(self, why: str, after_s: float) -> None:
        """Close the connection after so many seconds, unless the reason is gone by then."""
        due_s = self._due[why] = self._loop.time() + after_s
        if due_s < self._timer_s:
            self._set_timer(due_s)

    def _set_timer(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = at_s
        self._timer = self._loop.call_at(at_s, self._look) if at_s < math.inf else None

    def _look(self) -> None:
        self._timer = None
        self._timer_s = math.inf
        now = self._loop.time()
        if "body" in self._due:  # a body that goes on has more time
            self._due["body"] += (self._body_size - self._body_paid) / _RATE
            self._body_paid = self._body_size
        for why, due_s in [*self._due.items()]:
            if due_s <= now:
                del self._due[why]
                self._late(why)
        self._set_timer(min(self._due.values(), default=math.inf))

    def _late(self, why: str) -> None:
        if why == "body":
            self._refuse(BadRequest("the body of the request did not come in time", 408))
        elif why == "head" and self._in_head:
            self._refuse(BadRequest("the head of the request did not come in time", 408))
            self._go_on()
        elif why == "unread" and self._unread_now() < self._unread:  # it reads, if slowly
            self._unread = self._unread_now()
            self._within("unread", self._limits.unread_s)
        else:
            self.abort()

    def _unread_now(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


def _too_large(limits: ConnectionLimits) -> BadRequest:
    return BadRequest(f"the body of the request has more than {limits.body_bytes} bytes", 413)


def _too_long(limits: ConnectionLimits) -> BadRequest:
    return BadRequest(f"the head of the request has more than {limits.head_bytes} bytes", 431)


def _probe(connection: Any) -> None:
    """Let the system detect that the machine at the other end has vanished (TCP keepalive)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _PROBE_S), ("TCP_KEEPINTVL", _PROBE_S), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
