"""A small sandbox server: the local executor behind SandboxFusion's HTTP API.

`GET /v1/ping` and `POST /run_code`, with the same fields and status names. Unlike SandboxFusion it measures CPU
time, keeps output whole, and runs no more programs at once than it has workers: the others wait. It must not
know how programs are run or how their ends are told (`server_answer`). There is no authentication.
"""

import json
import os
import signal
import socket
import sys
import threading
from types import FrameType

import anyio
import anyio.to_thread
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from balancer.program import Executor, ExecutorOptions
from balancer.sandbox.fusion.wire import RunCodeRequest
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.server.answer import answer_to

__all__ = ["build_app", "serve"]

_BODY_BYTES = 64 * 2**20
_GRACE_S = 5  # for answers under way when the server is told to stop
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def build_app(executor: Executor, *, workers: int) -> Starlette:
    """Return the ASGI application.

    Args:
        executor: runs the programs.
        workers: how many at once (>= 1).
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    desk = _Desk(executor, workers)
    return Starlette(
        routes=[
            Route("/v1/ping", _ping),
            Route("/v1/languages", desk.languages),
            Route("/run_code", desk.run_code, methods=["POST"]),
        ]
    )


async def _ping(_: Request) -> Response:
    return JSONResponse("pong")


class _Desk:
    """Takes requests, and lets so many at once through to the executor."""

    def __init__(self, executor: Executor, workers: int) -> None:
        self._executor = executor
        self._slots = anyio.Semaphore(workers)
        self._threads = anyio.CapacityLimiter(workers)

    async def languages(self, _: Request) -> Response:
        return JSONResponse(sorted(self._executor.languages))

    async def run_code(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES:
                return JSONResponse({"detail": f"the request is larger than {_BODY_BYTES} bytes"}, 413)
        async with self._slots:
            if await request.is_disconnected():  # whoever asked has given up; do not work for nobody
                return PlainTextResponse("", 499)
            status, content = await anyio.to_thread.run_sync(
                self._answer, bytes(body), abandon_on_cancel=True, limiter=self._threads
            )
        return Response(content, status, media_type="application/json")

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer to `body`; runs in a thread."""
        try:
            asked = RunCodeRequest.model_validate_json(body)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            return 422, json.dumps({"detail": errors}).encode()
        try:
            return 200, answer_to(asked, self._executor).model_dump_json().encode()
        except ValueError as error:
            detail = [{"type": "value_error", "loc": ["body"], "msg": str(error)}]
            return 422, json.dumps({"detail": detail}).encode()


def serve(host: str = "127.0.0.1", port: int = 0, workers: int | None = None, isolation: str = "auto") -> None:
    """Serve until SIGINT or SIGTERM; print one line with the URL as soon as the server listens.

    Args:
        host: address to listen on. Everybody who reaches it can run programs here.
        port: 0 picks a free one.
        workers: programs at once; by default one for each core we may use.
        isolation: as in `ExecutorOptions`.

    Raises:
        ConfigError: the isolation does not work here.
        OSError: the address cannot be used.
    """
    _leave_by_exception()
    executor = LocalExecutor("local://server", ExecutorOptions(isolation=isolation))
    try:
        with _listener(host, port) as listener:
            app = build_app(executor, workers=workers or len(os.sched_getaffinity(0)))
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S
            )
            if host not in _LOOPBACK:
                print(f"warning: anybody who can reach {host} can run programs here", file=sys.stderr, flush=True)
            print(f"sandbox listens on {_url(listener)} (isolation {executor.isolation})", flush=True)
            _Server(config, executor).run(sockets=[listener])
    except (KeyboardInterrupt, SystemExit):
        pass  # the way to stop it
    finally:
        executor.close()


class _Server(uvicorn.Server):
    """A server that, told to stop, stops the running programs as well: whoever asked for them tries elsewhere."""

    def __init__(self, config: uvicorn.Config, executor: Executor) -> None:
        super().__init__(config)
        self._executor = executor

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
