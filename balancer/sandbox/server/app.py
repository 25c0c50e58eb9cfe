"""A small sandbox server: the local executor behind SandboxFusion's HTTP API.

`GET /v1/ping` and `POST /run_code`, with the same fields and status names, and some of our own (see `fusion.wire`);
`GET /v1/about`, `/v1/languages` and `/metrics`. Decides what is served where, and how the server starts and stops. Who
may ask is decided in `access`, who waits in `handler`, and who stays connected in `connections`.
"""

import dataclasses
import resource
import signal
import socket
import sys
import threading
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from balancer.observing.page.guard import allowed_hosts
from balancer.program import ExecutorOptions
from balancer.sandbox.fusion.wire import About
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.server.access import AccessMiddleware
from balancer.sandbox.server.answer import FetchingExecutor
from balancer.sandbox.server.connections import protocol_for
from balancer.sandbox.server.handler import RunCodeHandler
from balancer.sandbox.server.load import CONTENT_TYPE, ServerLoad
from balancer.sandbox.server.settings import ServerSettings

__all__ = ["build_app", "serve"]

_GRACE_S = 5  # for answers under way when the server is told to stop
_FILES, _FILES_A_RUN = 128, 64  # open files of the server itself, and of one run
_FEWEST_CONNECTIONS = 16
# Connections that are taken in one turn, so that nobody is the most silent one before he could say anything; and how
# many may stand in line for it, as the system drops what comes beyond, and a client tries again after a second.
_AT_ONCE, _LINE = 32, 4096
# A thread that sees to a run waits so long for the one that reads sockets, each time that it has waited for the system;
# by Python's own 5 ms a run takes twice as long while there is much to read.
_SWITCH_S = 0.0005


def build_app(executor: FetchingExecutor, settings: ServerSettings, load: ServerLoad | None = None) -> Starlette:
    """Return the ASGI application.

    Args:
        executor: runs the programs.
        settings: what may be asked of it.
        load: is told of everything; by default nobody's but its own.
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
    """Serve until SIGINT or SIGTERM; print one line with the URL as soon as the server listens.

    Args:
        host: address to listen on. Everybody who reaches it can run programs here, unless `settings` ask for a token.
        port: 0 picks a free one.
        isolation: as in `ExecutorOptions`.
        settings: what it bears. On a loopback address it may be asked by its names only.

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
        pass  # the way to stop it
    finally:
        executor.close()


def _config(executor: LocalExecutor, settings: ServerSettings) -> uvicorn.Config:
    load = ServerLoad(settings.workers, settings.queue)
    return uvicorn.Config(
        build_app(executor, settings, load),
        http=protocol_for(settings, load),
        ws="none",
        log_level="error",  # a warning for each bad request would be a way to fill a disk
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        backlog=_AT_ONCE,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _fitting(settings: ServerSettings) -> ServerSettings:
    """Return `settings` with so many connections as the system allows, which is asked to allow enough."""
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
    """A server that, told to stop, stops the running programs as well: whoever asked for them tries elsewhere."""

    def __init__(self, config: uvicorn.Config, executor: LocalExecutor) -> None:
        super().__init__(config)
        self._executor = executor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_LINE)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        threading.Thread(target=self._executor.close).start()  # it waits, which a signal handler should not


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
