"""Request handler of `POST /run_code`: how many programs run at once, and which requests wait.

Further requests are refused as busy. All are counted, for Prometheus. If a client disconnects, its program is killed.

The bytes that are held for clients are limited. The last quarter is for small bodies, so that clients with much data
cannot drive out clients with little.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from balancer.sandbox.run_code import RunCodeAnswer
from balancer.sandbox.server.answer import StoppableExecutor, answer_to, is_json, read_request

__all__ = ["RunCodeHandler", "ServerLoad", "ServerSettings"]

_PIECE_BYTES = 2**16
_LAST_QUARTER = 4
_ANSWERS = TypeAdapter(RunCodeAnswer)
_SHORTEST_S, _LONGEST_S = 1, 60  # of the wait that a client is asked for
_NEWEST = 0.2  # weight of the newest run in the mean


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits of a sandbox server. Sizes in bytes, times in seconds.

    Args:
        workers: programs at once; by default one for each usable core.
        queue: requests that may wait for a worker. Further ones are refused as busy.
        token: bearer token that a client must send; "": none.
        hosts: the host names that a request may name; (): any.
        connections: open at once. With one more, the one that was silent for longest is closed.
        body_bytes: the largest body of a request.
        held_bytes: limit on all bodies that are read, wait or run, and all answers that are not sent. Beyond it, bodies
            are refused as busy.
        small_bytes: only bodies up to this size may use the last quarter of `held_bytes`.
        head_s: limit from the start of a connection to the head of its request.
        silent_s: the longest pause within a body.
        body_s: limit until the whole body is there, and until the whole answer is sent.
        keep_alive_s: limit for a connection without a request.
        answer_s: the longest time in which a client may read none of its answer.
    """

    workers: int = field(default_factory=_cores)
    queue: int = 64
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    connections: int = 1024
    body_bytes: int = 64 * 2**20
    held_bytes: int = 256 * 2**20
    small_bytes: int = 2**20
    head_s: float = 10.0
    silent_s: float = 10.0
    body_s: float = 120.0
    keep_alive_s: int = 10  # longer than clients keep a connection, so that they do not use it while it is closed
    answer_s: float = 20.0


class ServerLoad:
    """Counters of the server. Used from the event loop only.

    Args:
        workers: programs at once.
        queue: requests that may wait for a worker.

    Attributes:
        running, waiting: requests whose program runs, and requests that wait for a worker.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.workers, self.queue = workers, queue
        self.running = self.waiting = 0
        self._run_s = 1.0  # the mean of the last runs
        self._held = 0
        self.registry = CollectorRegistry()
        self._gauge("workers", "Programs that may run at once.").set(workers)
        self._gauge("queue_places", "Requests that may wait for a worker.").set(queue)
        self._gauge("running", "Requests whose program runs.").set_function(lambda: self.running)
        self._gauge("waiting", "Requests that wait for a worker.").set_function(lambda: self.waiting)
        self.held_bytes = self._gauge(
            "held_bytes", "Bytes of bodies that are read, wait or run, and of unsent answers."
        )
        self.connections = self._gauge("connections", "Open connections.")
        self.ends = Counter(
            "balancer_sandbox_requests_total",
            "Requests to run a program, by their end.",
            ["end"],
            registry=self.registry,
        )
        self.closed = Counter(
            "balancer_sandbox_closed_total",
            "Connections that the server closed, by why.",
            ["reason"],
            registry=self.registry,
        )

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"balancer_sandbox_{name}", help_text, registry=self.registry)

    @property
    def full(self) -> bool:
        """Whether the server refuses the next request as busy."""
        return self.running + self.waiting >= self.workers + self.queue

    @property
    def retry_after_s(self) -> int:
        """Seconds until a place may be free."""
        ahead = (self.waiting + 1) / self.workers
        return max(_SHORTEST_S, min(_LONGEST_S, math.ceil(ahead * self._run_s)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a waiting request for the length of a `with` block; `run` is used within it."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def run(self) -> Iterator[None]:
        """Count a running request for the length of a `with` block."""
        self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.waiting += 1

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], int]]:
        """Yield a function that holds more bytes for the length of a `with` block, and returns how many all are."""
        mine = 0

        def more(size: int) -> int:
            nonlocal mine
            mine += size
            self._held += size
            self.held_bytes.set(self._held)
            return self._held

        try:
            yield more
        finally:
            more(-mine)

    def ran(self, took_s: float) -> None:
        """Record the run of a request."""
        self._run_s += _NEWEST * (took_s - self._run_s)

    def text(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        return generate_latest(self.registry)


class RunCodeHandler:
    """Serves `POST /run_code`.

    Args:
        executor: runs the programs.
        settings: limits on requests.
        load: counts all requests.
    """

    def __init__(self, executor: StoppableExecutor, settings: ServerSettings, load: ServerLoad) -> None:
        self._executor = executor
        self._settings = settings
        self._load = load
        self._slots = anyio.Semaphore(settings.workers)
        self._threads = anyio.CapacityLimiter(settings.workers)

    async def run_code(self, request: Request) -> Response:
        """Answer a request. Its end is counted in every case."""
        end = "failed"
        try:
            end, response = await self._end_of(request)
        finally:
            self._load.ends.labels(end).inc()
        return response

    async def _end_of(self, request: Request) -> tuple[str, Response]:
        if not is_json(request.headers):
            return "refused", _detail(415, "the content type must be application/json")
        if self._load.full:
            return "busy", self._busy("all workers are busy, and the queue is full")
        if int(request.headers.get("Content-Length", "0")) > self._settings.body_bytes:
            return "refused", self._too_large()
        with self._load.hold() as hold:
            try:
                body, refusal = await self._read(request, hold)
                if refusal is not None:
                    return refusal
                answer = await self._served(request, body)
            except ClientDisconnect:
                answer = None
        if answer is None:
            return "abandoned", Response(status_code=499)
        status, content = answer
        answered = _Answer(content, status, self._load, self._settings.body_s)
        return "answered" if status == 200 else "refused", answered

    # -- the body ----------------------------------------------------------------------------------

    async def _read(
        self, request: Request, hold: Callable[[int], int]
    ) -> tuple[bytearray, tuple[str, Response] | None]:
        """Read the whole body. Return it, and an error answer if that fails.

        Raises:
            ClientDisconnect: the client has gone.
        """
        settings, body = self._settings, bytearray()
        with anyio.move_on_after(settings.body_s) as whole, anyio.move_on_after(settings.silent_s) as pause:
            async for chunk in request.stream():
                pause.deadline = anyio.current_time() + settings.silent_s
                body += chunk
                if len(body) > settings.body_bytes:
                    return body, ("refused", self._too_large())
                spare = 0 if len(body) <= settings.small_bytes else settings.held_bytes // _LAST_QUARTER
                if hold(len(chunk)) > settings.held_bytes - spare:
                    return body, ("busy", self._busy(f"the server holds {settings.held_bytes} bytes, its maximum"))
        if whole.cancelled_caught or pause.cancelled_caught:
            return body, ("late", _detail(408, "the body did not come in time", {"Connection": "close"}))
        if self._load.full:
            return body, ("busy", self._busy("all workers are busy, and the queue is full"))
        return body, None

    # -- the run -----------------------------------------------------------------------------------

    async def _served(self, request: Request, body: bytearray) -> tuple[int, bytes] | None:
        """Return status and body of the answer, or None if the client has gone."""
        answer = None
        alarm = _DisconnectSignal()
        with self._load.place():
            async with anyio.create_task_group() as group:

                async def listen() -> None:
                    while (await request.receive())["type"] != "http.disconnect":
                        pass
                    alarm.ring()
                    group.cancel_scope.cancel()

                group.start_soon(listen)
                async with self._slots:
                    with self._load.run():
                        turn_s = time.monotonic()
                        # Not cancelled: a worker is free only when its program has ended.
                        found = await anyio.to_thread.run_sync(self._answer, body, alarm, limiter=self._threads)
                        self._load.ran(time.monotonic() - turn_s)
                    if not group.cancel_scope.cancel_called:
                        answer = found
                    group.cancel_scope.cancel()
        return answer

    def _answer(self, body: bytearray, alarm: "_DisconnectSignal") -> tuple[int, bytes]:
        """Return status and body of the answer to `body`; runs in a thread."""
        try:
            asked = read_request(body)
            body.clear()  # its size stays counted: the parsed request is as large
            return 200, _ANSWERS.dump_json(answer_to(asked, self._executor, stop=alarm.fd))
        except ValueError as error:
            detail = [{"type": "value_error", "loc": ["body"], "msg": str(error)}]
            return 422, json.dumps({"detail": detail}).encode()

    # -- refusals ----------------------------------------------------------------------------------

    def _busy(self, why: str) -> Response:
        return _detail(429, f"busy: {why}", {"Retry-After": str(self._load.retry_after_s)})

    def _too_large(self) -> Response:
        return _detail(413, f"the request is larger than {self._settings.body_bytes} bytes", {"Connection": "close"})


class _Answer(Response):
    """An answer that is sent in pieces, so that unsent bytes are counted here and not hidden in a socket's buffer."""

    media_type = "application/json"

    def __init__(self, content: bytes, status: int, load: ServerLoad, within_s: float) -> None:
        super().__init__(b"", status)
        self.headers["Content-Length"] = str(len(content))
        self._content = content
        self._load = load
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._load.hold() as hold, anyio.move_on_after(self._within_s):
            content, self._content = self._content, b""
            hold(len(content))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(content), _PIECE_BYTES):
                piece = content[start : start + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _detail(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)


class _DisconnectSignal:
    """A file descriptor `fd` that becomes readable when it is rung. It is closed when the object is no longer
    referenced.

    The request does not close it: when the server ends, its task may be cancelled while the thread of the run still
    uses it.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0)

    def ring(self) -> None:
        """Make `fd` readable."""
        os.eventfd_write(self.fd, 1)

    def __del__(self) -> None:
        os.close(self.fd)
