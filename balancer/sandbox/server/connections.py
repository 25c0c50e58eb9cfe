"""Limits on connections: how long one may be silent, and which one is closed when there are too many.

uvicorn bounds only the time between requests. Here a connection whose request is not there in time is closed, so is one
whose client does not read; and when one too many comes, the one that has been silent for longest is closed, of those
who have not asked for anything yet or of those who send a body, whichever are more: never one whose request is being
served. So no number of connections keeps anybody out. It must not know what is asked.
"""

import asyncio
import socket
from collections import OrderedDict
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from balancer.sandbox.server.load import ServerLoad
from balancer.sandbox.server.settings import ServerSettings

__all__ = ["protocol_for"]

_PROBE_S, _PROBES = 10, 3  # until a client whose machine has vanished is taken for gone


class _ConnectionLimiter:
    """Counts who is in."""

    def __init__(self, settings: ServerSettings, load: ServerLoad) -> None:
        self.settings = settings
        self._load = load
        self._all: set[_WatchedConnection] = set()
        self._quiet: OrderedDict[_WatchedConnection, None] = OrderedDict()  # have not asked; the most silent first
        self._sending: OrderedDict[_WatchedConnection, None] = OrderedDict()  # their bodies are not there yet; likewise

    def enter(self, who: "_WatchedConnection") -> None:
        self._all.add(who)
        self._quiet[who] = None
        while len(self._all) > self.settings.connections:
            crowd = max(self._quiet, self._sending, key=len)
            self.close(next(iter(crowd), who), "room")
        self._load.connections.set(len(self._all))

    def note(self, who: "_WatchedConnection", *, asked: bool, served: bool) -> None:
        """Note that somebody has just said something, and what he waits for."""
        self._quiet.pop(who, None)
        self._sending.pop(who, None)
        if not served and who in self._all:
            (self._sending if asked else self._quiet)[who] = None

    def leave(self, who: "_WatchedConnection") -> None:
        self._all.discard(who)
        self._quiet.pop(who, None)
        self._sending.pop(who, None)
        self._load.connections.set(len(self._all))

    def close(self, who: "_WatchedConnection", reason: str) -> None:
        self._load.closed.labels(reason).inc()
        self.leave(who)
        who.transport.abort()


class _WatchedConnection(H11Protocol):
    """A connection under watch."""

    door: ClassVar[_ConnectionLimiter]
    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        _probe(transport.get_extra_info("socket"))
        self.door.enter(self)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._head_timer)
        _stop(self._answer_timer)
        self.door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer_timer = self._in(self.door.settings.answer_s, "answer")

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._answer_timer)

    def _look(self) -> None:
        """See what this connection waits for: a request, a body, which has times of its own (see `handler`), or us."""
        asked = self.cycle is not None and not self.cycle.response_complete
        served = asked and not self.cycle.more_body
        self.door.note(self, asked=asked, served=served)
        if not asked:
            self._head_timer = self._head_timer or self._in(self.door.settings.head_s, "head")
            return
        _stop(self._head_timer)
        self._head_timer = None
        if served and self.conn.trailing_data[0]:
            # Another request, before this one is answered: uvicorn would stop reading, and not see that he has gone.
            self.door.close(self, "pipelined")

    def _in(self, after_s: float, reason: str) -> asyncio.TimerHandle:
        return self.loop.call_later(after_s, self.door.close, self, reason)


def protocol_for(settings: ServerSettings, load: ServerLoad) -> type[asyncio.Protocol]:
    """Return what uvicorn is to make of each connection."""

    class Protocol(_WatchedConnection):
        door = _ConnectionLimiter(settings, load)

    return Protocol


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _probe(connection: Any) -> None:
    """Have the system find out when the machine at the other end has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, _PROBE_S),
        (socket.TCP_KEEPINTVL, _PROBE_S),
        (socket.TCP_KEEPCNT, _PROBES),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
