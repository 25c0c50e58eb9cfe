"""Request handler of `POST /run_code`: how many programs run at once, and which requests wait.

Further requests are refused as busy. If a client disconnects, its program is killed.

`ByteBudget` limits the bytes that are held for clients. If it is exceeded, the largest holder is cancelled, so that a
client with much data cannot drive out clients with little.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from balancer.sandbox.run_code import RunCodeAnswer, RunCodeRequest
from balancer.sandbox.server.answer import StoppableExecutor, answer_to
from balancer.sandbox.server.load import ServerLoad
from balancer.sandbox.server.settings import ServerSettings
from balancer.values.json_size import json_values_in

__all__ = ["ByteBudget", "HeldBytes", "RunCodeHandler"]

_PIECE_BYTES = 2**16
_LAST_QUARTER = 4
_MOST_VALUES = 50_000
_FEW_BYTES = 2**18  # a smaller body cannot have enough values to matter
_ANSWERS = TypeAdapter(RunCodeAnswer)


@dataclass(eq=False, slots=True)
class HeldBytes:
    """Bytes held for one client.

    Attributes:
        scope: cancelled when the bytes are dropped.
        data: the bytes. `size` stays counted after they are handed on.
        fixed: the bytes may not be dropped any more.
        gone: the bytes were dropped.
    """

    scope: anyio.CancelScope
    data: bytearray = field(default_factory=bytearray)
    fixed: bool = False
    gone: bool = False
    size: int = 0


class ByteBudget:
    """Limit on all bytes held for clients. Used from the event loop only.

    Args:
        most: bytes of all clients together.
        report: called with the number of held bytes, whenever it changes.
    """

    def __init__(self, most: int, report: Callable[[float], None]) -> None:
        self._most = most
        self._report = report
        self._all: set[HeldBytes] = set()
        self._held = 0

    @contextmanager
    def hold(self) -> Iterator[HeldBytes]:
        """Hold bytes for the length of a `with` block. The scope is cancelled if they are dropped."""
        held = HeldBytes(anyio.CancelScope())
        self._all.add(held)
        try:
            yield held
        finally:
            self._all.discard(held)
            self._count(held, 0)
            held.data = bytearray()

    def add(self, to: HeldBytes, data: bytes, *, spare: int = 0) -> None:
        """Hold more bytes; see `grow`."""
        to.data += data
        self.grow(to, len(data), spare=spare)

    def grow(self, to: HeldBytes, by: int, *, spare: int = 0) -> None:
        """Count more bytes. While all together exceed the limit less `spare`, the largest holder is dropped."""
        self._count(to, to.size + by)
        while self._held > self._most - spare:
            movable = [each for each in self._all if each.size and not each.fixed]
            if not movable:
                return
            largest = max(movable, key=lambda each: each.size)
            largest.gone = True
            largest.data = bytearray()
            self._count(largest, 0)
            largest.scope.cancel()

    def _count(self, held: HeldBytes, size: int) -> None:
        self._held += size - held.size
        held.size = size
        self._report(self._held)


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
        self._bodies = ByteBudget(settings.bodies_bytes, load.body_bytes.set)
        self._answers = ByteBudget(settings.answers_bytes, load.answer_bytes.set)

    async def run_code(self, request: Request) -> Response:
        """Answer a request. Its end is counted in every case."""
        end = "failed"
        try:
            end, response = await self._end_of(request)
        finally:
            self._load.ends.labels(end).inc()
        return response

    async def _end_of(self, request: Request) -> tuple[str, Response]:
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            return "refused", _detail(415, "the content type must be application/json")
        if self._load.full:
            return "busy", self._busy("all workers are busy, and the queue is full")
        if int(request.headers.get("Content-Length", "0")) > self._settings.body_bytes:
            return "refused", self._too_large()
        with self._bodies.hold() as body:
            try:
                refusal = await self._read(request, body)
                if refusal is not None:
                    return refusal
                answer = await self._served(request, body)
            except ClientDisconnect:
                answer = None
        if answer is None:
            return "abandoned", Response(status_code=499)
        status, content = answer
        return "answered" if status == 200 else "refused", _Answer(content, status, self._answers)

    # -- the body ----------------------------------------------------------------------------------

    async def _read(self, request: Request, body: HeldBytes) -> tuple[str, Response] | None:
        """Read the whole body. Return an error answer if that fails.

        Raises:
            ClientDisconnect: the client has gone.
        """
        settings = self._settings
        with body.scope, anyio.move_on_after(settings.body_s) as whole, anyio.move_on_after(settings.silent_s) as pause:
            async for chunk in request.stream():
                pause.deadline = anyio.current_time() + settings.silent_s
                if body.size + len(chunk) > settings.body_bytes:
                    return "refused", self._too_large()
                small = body.size + len(chunk) <= settings.small_bytes
                self._bodies.add(body, chunk, spare=0 if small else settings.bodies_bytes // _LAST_QUARTER)
                if body.gone:
                    break
        if body.gone:
            return "busy", self._busy(
                f"the server holds {settings.bodies_bytes} bytes of bodies, its maximum; try later"
            )
        if whole.cancelled_caught or pause.cancelled_caught:
            return "late", _detail(408, "the body did not come in time", {"Connection": "close"})
        if self._load.full:
            return "busy", self._busy("all workers are busy, and the queue is full")
        body.fixed = True
        return None

    # -- the run -----------------------------------------------------------------------------------

    async def _served(self, request: Request, body: HeldBytes) -> tuple[int, bytes] | None:
        """Return status and body of the answer, or None if the client has gone."""
        answer = None
        began_s = time.monotonic()
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
                        self._load.ran(turn_s - began_s, time.monotonic() - turn_s)
                    if not group.cancel_scope.cancel_called:
                        answer = found
                    group.cancel_scope.cancel()
        return answer

    def _answer(self, body: HeldBytes, alarm: "_DisconnectSignal") -> tuple[int, bytes]:
        """Return status and body of the answer to `body`; runs in a thread."""
        try:
            values = json_values_in(body.data, at_most=_MOST_VALUES) if body.size > _FEW_BYTES else 0
            if values > _MOST_VALUES:
                return 422, _wrong(f"the body has {values} values or more; at most {_MOST_VALUES} are allowed")
            asked = RunCodeRequest.model_validate_json(body.data)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            return 422, json.dumps({"detail": errors}).encode()
        finally:
            body.data = bytearray()  # its size stays counted: the parsed request is as large
        try:
            return 200, _ANSWERS.dump_json(answer_to(asked, self._executor, stop=alarm.fd))
        except ValueError as error:
            return 422, _wrong(str(error))

    # -- refusals ----------------------------------------------------------------------------------

    def _busy(self, why: str) -> Response:
        return _detail(429, f"busy: {why}", {"Retry-After": str(self._load.retry_after_s)})

    def _too_large(self) -> Response:
        return _detail(413, f"the request is larger than {self._settings.body_bytes} bytes", {"Connection": "close"})


class _Answer(Response):
    """An answer that is sent in pieces, so that unsent bytes are counted here and not hidden in a socket's buffer."""

    media_type = "application/json"

    def __init__(self, content: bytes, status: int, answers: ByteBudget) -> None:
        super().__init__(b"", status)
        self.headers["Content-Length"] = str(len(content))
        self._content = content
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._answers.hold() as held, held.scope:
            content, self._content = self._content, b""
            self._answers.grow(held, len(content))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(content), _PIECE_BYTES):
                piece = content[start : start + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _wrong(message: str) -> bytes:
    return json.dumps({"detail": [{"type": "value_error", "loc": ["body"], "msg": message}]}).encode()


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
