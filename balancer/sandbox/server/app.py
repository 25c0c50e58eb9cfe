"""Sandbox server: the local executor behind SandboxFusion's HTTP API.

It serves `GET /v1/ping` and `POST /run_code`, with the same fields and status names and some of our own (see
`fusion.wire`). It also serves `GET /v1/about`, `/v1/languages` and `/metrics`. `handler` decides which requests wait.

Access control: requests from web pages are refused. If a token is set, requests without it are refused too. A page in a
browser on this machine can send requests to local servers. Such a request has an `Origin` or `Sec-Fetch-Site` header.
After DNS rebinding, a request has the name of the other host in `Host`. A form can send only content types other than
JSON without asking first.

Limits on connections: uvicorn limits only the time between requests. Here a connection is closed if its request does
not arrive in time, or if its client does not read. With one connection too many, the one that has been silent for
longest is closed. It is one that has not asked yet or one that sends a body, whichever group is larger. A connection
whose request is being served is never closed. So many idle connections cannot keep a client out.
"""

import asyncio
import dataclasses
import os
import resource
import signal
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from balancer.errors import ConfigError
from balancer.observing.page.guard import allowed_hosts, shows_token
from balancer.program import ExecutorOptions
from balancer.sandbox.fusion.wire import About
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.server.answer import FetchingExecutor
from balancer.sandbox.server.handler import RunCodeHandler
from balancer.sandbox.server.load import CONTENT_TYPE, ServerLoad
from balancer.sandbox.server.settings import ServerSettings

__all__ = ["TOKEN_VARIABLE", "AccessMiddleware", "build_app", "protocol_for", "serve", "token_from"]

_GRACE_S = 5  # for answers under way when the server stops
_FILES, _FILES_A_RUN = 128, 64  # open files of the server itself, and of one run
_FEWEST_CONNECTIONS = 16
# Connections accepted in one turn: few, so that a new one can send something before it is the most silent one. And how
# many may wait to be accepted: the system drops further ones, and their clients try again after a second.
_AT_ONCE, _LINE = 32, 4096
# A run's thread waits this long for the thread that reads sockets, each time after it has waited for the system;
# with Python's default of 5 ms, a run takes twice as long while there is much to read.
_SWITCH_S = 0.0005
TOKEN_VARIABLE = "BALANCER_SANDBOX_TOKEN"
_SHORTEST = 16  # characters; a shorter one can be guessed
_OWN_PAGES = ("none", "same-origin")
_PROBE_S, _PROBES = 10, 3  # until a client whose machine has vanished counts as gone


def build_app(executor: FetchingExecutor, settings: ServerSettings, load: ServerLoad | None = None) -> Starlette:
    """Return the ASGI application.

    Args:
        executor: runs the programs.
        settings: limits and access.
        load: counts all requests; by default a new one.
    """
    load = load or ServerLoad(settings.workers, settings.queue)
    handler = RunCodeHandler(executor, settings, load)

    async def ping(_: Request) -> Response:
        return JSONResponse("pong")

    async def about(_: Request) -> Response:
        return JSONResponse(About(languages=sorted(executor.languages)).model_dump())

    async def languages(_: Request) -> Response:
        return JSONResponse(sorted(executor.languages))

    async def metrics(_: Request) -> Response:
        return Response(load.text(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/v1/ping", ping),
            Route("/v1/about", about),
            Route("/v1/languages", languages),
            Route("/metrics", metrics),
            Route("/run_code", handler.run_code, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts or None, www_redirect=False),
            Middleware(AccessMiddleware, token=settings.token),
        ],
    )


def serve(
    host: str = "127.0.0.1", port: int = 0, isolation: str = "auto", settings: ServerSettings | None = None
) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line with the URL when the server listens.

    Args:
        host: address to listen on. Every client that reaches it can run programs here, unless `settings` have a token.
        port: 0: a free port.
        isolation: as in `ExecutorOptions`.
        settings: limits and access. On a loopback address, requests must name a loopback host.

    Raises:
        ConfigError: the isolation does not work here.
        OSError: the address cannot be used.
    """
    _leave_by_exception()
    sys.setswitchinterval(_SWITCH_S)
    settings = _fitting(settings or ServerSettings())
    hosts = tuple(allowed_hosts(host))
    settings = dataclasses.replace(settings, hosts=settings.hosts or hosts)
    executor = LocalExecutor("local://server", ExecutorOptions(isolation=isolation))
    try:
        with _listener(host, port) as listener:
            if not hosts and not settings.token:
                print(f"warning: anybody who can reach {host} can run programs here", file=sys.stderr, flush=True)
            print(f"sandbox listens on {_url(listener)} (isolation {executor.isolation})", flush=True)
            _Server(_config(executor, settings), executor).run(sockets=[listener])
    except (KeyboardInterrupt, SystemExit):
        pass  # the normal end
    finally:
        executor.close()


def _config(executor: LocalExecutor, settings: ServerSettings) -> uvicorn.Config:
    load = ServerLoad(settings.workers, settings.queue)
    return uvicorn.Config(
        build_app(executor, settings, load),
        http=protocol_for(settings, load),
        ws="none",
        log_level="error",  # a warning for each bad request could fill a disk
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        backlog=_AT_ONCE,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _fitting(settings: ServerSettings) -> ServerSettings:
    """Return `settings` with as many connections as the system allows, after raising the limit of open files."""
    others = _FILES + _FILES_A_RUN * settings.workers + settings.queue
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max(soft, min(hard, settings.connections + others))
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    room = max(_FEWEST_CONNECTIONS, allowed - others)
    if room < settings.connections:
        print(f"warning: ulimit -n allows {room} connections at once; raise it for more", file=sys.stderr, flush=True)
    return dataclasses.replace(settings, connections=min(room, settings.connections))


class _Server(uvicorn.Server):
    """A server that also stops the running programs when it stops, so that their clients try elsewhere."""

    def __init__(self, config: uvicorn.Config, executor: LocalExecutor) -> None:
        super().__init__(config)
        self._executor = executor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_LINE)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        threading.Thread(
            target=self._executor.close
        ).start()  # in a thread, because it waits and a signal handler should not


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _leave_by_exception() -> None:
    """Make SIGTERM raise, as SIGINT does: uvicorn raises the signal again when it has shut down, and its default
    action would end the process before the temporary files are removed."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def token_from(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token that clients must send, from a file or the environment; "" for none.

    Raises:
        ConfigError: the file cannot be read, or the token cannot be used.
    """
    where, text = TOKEN_VARIABLE, environment.get(TOKEN_VARIABLE)
    if file is not None:
        where = str(file)
        try:
            text = file.read_text("ascii")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise ConfigError(
                f"cannot read the token from {where}: {reason}"
            ) from None  # the original error quotes the file
    if text is None:
        return ""
    token = text.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the token from {where} has {len(token)} characters; it must be at least {_SHORTEST} printable ASCII "
            "characters without spaces, as `openssl rand -hex 32` makes them"
        )
    return token


class AccessMiddleware:
    """Middleware that passes allowed requests on, and refuses the others.

    Args:
        app: the application.
        token: that a request must have, or "".
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") not in _OWN_PAGES:
            return JSONResponse({"detail": "requests from web pages are refused"}, 403)
        if self._token and not shows_token(self._token, headers):
            detail = "this server needs a token; send the header Authorization with Bearer and the token"
            return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
        return None


class _ConnectionLimiter:
    """Open connections, and which of them is closed when there are too many."""

    def __init__(self, settings: ServerSettings, load: ServerLoad) -> None:
        self.settings = settings
        self._load = load
        self._all: set[_WatchedConnection] = set()
        self._quiet: OrderedDict[_WatchedConnection, None] = OrderedDict()  # have not asked; the longest silent first
        self._sending: OrderedDict[_WatchedConnection, None] = OrderedDict()  # send a body; likewise

    def enter(self, who: "_WatchedConnection") -> None:
        self._all.add(who)
        self._quiet[who] = None
        while len(self._all) > self.settings.connections:
            crowd = max(self._quiet, self._sending, key=len)
            self.close(next(iter(crowd), who), "room")
        self._load.connections.set(len(self._all))

    def note(self, who: "_WatchedConnection", *, asked: bool, served: bool) -> None:
        """Note that the client of a connection has sent something, and what the connection waits for."""
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
        """Update what this connection waits for: a request, a body (see `handler` for its limits), or the answer."""
        asked = self.cycle is not None and not self.cycle.response_complete
        served = asked and not self.cycle.more_body
        self.door.note(self, asked=asked, served=served)
        if not asked:
            self._head_timer = self._head_timer or self._in(self.door.settings.head_s, "head")
            return
        _stop(self._head_timer)
        self._head_timer = None
        if served and self.conn.trailing_data[0]:
            # Another request before this one is answered: uvicorn would stop reading and not see a disconnect.
            self.door.close(self, "pipelined")

    def _in(self, after_s: float, reason: str) -> asyncio.TimerHandle:
        return self.loop.call_later(after_s, self.door.close, self, reason)


def protocol_for(settings: ServerSettings, load: ServerLoad) -> type[asyncio.Protocol]:
    """Return the protocol class that uvicorn uses for each connection."""

    class Protocol(_WatchedConnection):
        door = _ConnectionLimiter(settings, load)

    return Protocol


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _probe(connection: Any) -> None:
    """Let the system detect that the machine at the other end has vanished (TCP keepalive)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, _PROBE_S),
        (socket.TCP_KEEPINTVL, _PROBE_S),
        (socket.TCP_KEEPCNT, _PROBES),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
