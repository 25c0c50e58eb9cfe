"""Request handler of `POST /run_code`: how many programs run at once, and which requests wait.

Further requests are refused as busy. If a client disconnects, its program is killed.

The bytes that are held for clients are limited. The last quarter is for small bodies, so that clients with much data
cannot drive out clients with little.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from balancer.sandbox.run_code import RunCodeAnswer
from balancer.sandbox.server.answer import StoppableExecutor, answer_to, read_request
from balancer.sandbox.server.load import ServerLoad
from balancer.sandbox.server.settings import ServerSettings

__all__ = ["HeldBytes", "RunCodeHandler"]

_PIECE_BYTES = 2**16
_LAST_QUARTER = 4
_ANSWERS = TypeAdapter(RunCodeAnswer)


class HeldBytes:
    """The bytes that are held for all clients: bodies, and answers that are not sent. Used from the event loop only.

    Args:
        report: called with their number, whenever it changes.
    """

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._all = 0

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], int]]:
        """Yield a function that holds more bytes for the length of a `with` block, and returns how many all are."""
        mine = 0

        def more(size: int) -> int:
            nonlocal mine
            mine += size
            self._all += size
            self._report(self._all)
            return self._all

        try:
            yield more
        finally:
            more(-mine)


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
        self._held = HeldBytes(load.held_bytes.set)

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
        with self._held.hold() as hold:
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
        answered = _Answer(content, status, self._held, self._settings.body_s)
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

    def __init__(self, content: bytes, status: int, held: HeldBytes, within_s: float) -> None:
        super().__init__(b"", status)
        self.headers["Content-Length"] = str(len(content))
        self._content = content
        self._held = held
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held.hold() as hold, anyio.move_on_after(self._within_s):
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
