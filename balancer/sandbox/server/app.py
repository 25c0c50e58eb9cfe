"""Sandbox server: the local executor behind SandboxFusion's HTTP API.

It serves `GET /v1/ping` and `POST /run_code`, with the same fields and status names and some of our own (see
`run_code`). It also serves `GET /v1/about` and `/metrics`. `handler` decides which requests wait.

Access control: requests from web pages are refused. If a token is set, requests without it are refused too. A page in a
browser on this machine can send requests to local servers. Such a request has an `Origin` or `Sec-Fetch-Site` header.
After DNS rebinding, a request has the name of the other host in `Host`. A form can send only content types other than
JSON without asking first.

Limits on connections: see `observing.page.connections`.
"""

import dataclasses
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from balancer.errors import ConfigError
from balancer.observing.page.connections import HttpConnections, HttpServer, WatchedConnection
from balancer.observing.page.guard import allowed_hosts, shows_token
from balancer.program import ExecutorOptions
from balancer.reporting.streams import never_waiting
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.run_code import About
from balancer.sandbox.server.answer import StoppableExecutor, is_of_web_page
from balancer.sandbox.server.handler import RunCodeHandler, ServerLoad, ServerSettings
from balancer.values.headers import token_mistake

__all__ = ["TOKEN_VARIABLE", "AccessMiddleware", "build_app", "protocol_for", "serve", "token_from"]

_GRACE_S = 5  # for answers under way when the server stops
_FILES, _FILES_A_RUN = 128, 64  # open files of the server itself, and of one run
_FEWEST_CONNECTIONS = 16
# A run's thread waits this long for the thread that reads sockets, each time after it has waited for the system;
# with Python's default of 5 ms, a run takes twice as long while there is much to read.
_SWITCH_S = 0.0005
TOKEN_VARIABLE = "BALANCER_SANDBOX_TOKEN"


def build_app(executor: StoppableExecutor, settings: ServerSettings, load: ServerLoad | None = None) -> Starlette:
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

    async def metrics(_: Request) -> Response:
        return Response(load.text(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/v1/ping", ping),
            Route("/v1/about", about),
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
        with never_waiting(), _listener(host, port) as listener:
            if not hosts and not settings.token:
                print(f"warning: anybody who can reach {host} can run programs here", file=sys.stderr, flush=True)
            print(f"sandbox listens on {_url(listener)} (isolation {executor.isolation})", flush=True)
            _Server(_config(executor, settings), executor).run(sockets=[listener])
    except SystemExit:
        pass  # the normal end
    finally:
        executor.close()


def _config(executor: LocalExecutor, settings: ServerSettings) -> uvicorn.Config:
    load = ServerLoad(settings.workers, settings.queue)
    return uvicorn.Config(
        build_app(executor, settings, load),
        http=protocol_for(settings, load),  # type: ignore[arg-type]  # called like the class
        ws="none",
        log_level="error",  # a warning for each bad request could fill a disk
        access_log=False,
        lifespan="off",
        proxy_headers=False,
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


class _Server(HttpServer):
    """A server that also stops the running programs when it stops, so that their clients try elsewhere."""

    def __init__(self, config: uvicorn.Config, executor: LocalExecutor) -> None:
        super().__init__(config)
        self._executor = executor

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
    """Make SIGTERM and SIGINT raise: uvicorn raises the signal again when it has shut down, and the default action of
    SIGTERM would end the process before the temporary files are removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


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
    if mistake := token_mistake(token):
        raise ConfigError(f"{where}: {mistake}")
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
        if is_of_web_page(headers):
            return JSONResponse({"detail": "requests from web pages are refused"}, 403)
        if self._token and not shows_token(self._token, headers):
            detail = "this server needs a token; send the header Authorization with Bearer and the token"
            return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
        return None


def protocol_for(settings: ServerSettings, load: ServerLoad) -> Callable[..., WatchedConnection]:
    """Return the maker of the protocol that uvicorn uses for each connection. `handler` limits the time of a body."""

    def closed(reason: str) -> None:
        load.closed.labels(reason).inc()

    times = settings.head_s, None, settings.answer_s
    every = HttpConnections(settings.connections, times, count=load.connections.set, closed=closed)
    return partial(WatchedConnection, every)
