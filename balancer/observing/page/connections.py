"""Connections of an HTTP server: uvicorn's, with limits on their number and on the time in each state.

uvicorn limits only the time between requests. Here a connection is closed if its request does not arrive in time, if
its client does not read, or if another request comes before the first one is answered. With one connection too many,
the longest silent one of the largest crowd is closed: see `cluster.tcp.connection_limit`. A connection whose request is
being served is never closed. So connections that stop, in whatever state, cannot keep a client out.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from balancer.cluster.tcp.connection_limit import ConnectionLimit, network_of, probe_peer

__all__ = ["ACCEPTED_AT_ONCE", "HttpConnections", "HttpServer", "WatchedConnection"]

ACCEPTED_AT_ONCE: Final = 32
"""Connections accepted in one turn: few, so that a new one can send something before it is the most silent one."""

_BACKLOG: Final = 4096  # connections that may wait to be accepted; of further ones the clients try again after a second


class HttpConnections:
    """Open connections of a server, with limits of time of each, in seconds.

    Args:
        most: how many there may be.
        times: from its start, or from the end of an answer, to the head of a request; from there to the end of the body
            (None: the application has its own limits); the longest time in which a client may read none of its answer.
        count: called with their number, when it changes.
        closed: called with the reason when one is closed: "room", "head", "body", "answer" or "pipelined".
    """

    def __init__(
        self,
        most: int,
        times: tuple[float, float | None, float],
        *,
        count: Callable[[int], object] = bool,
        closed: Callable[[str], object] = bool,
    ) -> None:
        self.times = dict(zip(("head", "body", "answer"), times, strict=True))
        self._limit: ConnectionLimit[WatchedConnection] = ConnectionLimit(most)
        self._count = count
        self._closed = closed

    def enter(self, who: "WatchedConnection", network: str) -> None:
        """Take in a new connection. One that waits is closed if there are too many now: at worst the new one."""
        self._limit.wait(who, "head", network)
        while (surplus := self._limit.surplus()) is not None:
            self.close(surplus, "room")
        self._count(len(self._limit))

    def note(self, who: "WatchedConnection", waits_for: str | None, network: str) -> None:
        """Note that a connection has sent something, and what the server waits for; None: it is being served."""
        if waits_for is None:
            self._limit.serve(who)
        elif who in self._limit:
            self._limit.wait(who, waits_for, network)

    def leave(self, who: "WatchedConnection") -> None:
        """Forget a connection. Idempotent."""
        self._limit.leave(who)
        self._count(len(self._limit))

    def close(self, who: "WatchedConnection", reason: str) -> None:
        """Close a connection at once."""
        self._closed(reason)
        self.leave(who)
        who.transport.abort()


class WatchedConnection(H11Protocol):
    """One connection. It is closed when it has waited for too long.

    Args:
        all: the connections of the server.
    """

    def __init__(self, all: HttpConnections, /, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_log = False  # uvicorn would write lines to whatever log the program has
        self._every = all
        self._network = ""
        self._waits_for: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin."""
        super().connection_made(transport)
        probe_peer(transport.get_extra_info("socket"))
        self._network = network_of(transport.get_extra_info("peername"))
        self._every.enter(self, self._network)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self._every.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle a part of a request."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Handle the end of an answer."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        self._look()

    def _look(self) -> None:
        """Update what this connection waits for: a head, the rest of a body, that its client reads, or the answer."""
        asked = self.cycle is not None and not self.cycle.response_complete
        sends = asked and self.cycle.more_body
        waits_for = "answer" if self.flow.write_paused else "body" if sends else None if asked else "head"
        self._every.note(self, waits_for, self._network)
        if waits_for != self._waits_for:
            self._waits_for = waits_for
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if waits_for is not None and (after_s := self._every.times[waits_for]) is not None:
                self._timer = self.loop.call_later(after_s, self._every.close, self, waits_for)
        if waits_for in (None, "answer") and self.conn.trailing_data[0]:
            # Another request before this one is answered: uvicorn would stop reading and not see a disconnect.
            self._every.close(self, "pipelined")


class HttpServer(uvicorn.Server):
    """A server that accepts few connections at once, and lets many wait for that."""

    def __init__(self, config: uvicorn.Config) -> None:
        config.backlog = ACCEPTED_AT_ONCE
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)
