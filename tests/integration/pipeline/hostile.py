"""A server that misbehaves at every third request, each time in another way, and is a good one in between."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import httpx2

__all__ = ["HOSTILITIES", "hostile_server"]

_FORWARD_S = 60.0


def _answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    with suppress(OSError):
        handler.wfile.write(body)


def _drip(handler: BaseHTTPRequestHandler) -> None:
    """Promise a long answer, send it byte by byte, and lose patience."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with suppress(OSError):
        for byte in b'{"status": ':
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.02)
    handler.close_connection = True


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


HOSTILITIES: tuple[Callable[[BaseHTTPRequestHandler], None], ...] = (
    lambda handler: _answer(handler, 200, b"\x00\xffgarbage" * 100),
    lambda handler: _answer(handler, 500, b"Internal Server Error"),
    _hang_up,
    lambda handler: _answer(handler, 200, b'{"status": "Success"}'),
    _drip,
    lambda handler: _answer(handler, 503, b"busy", Retry_After="0"),
    lambda handler: _answer(handler, 200, b'{"status": "SandboxError", "message": "out of disk"}'),
    lambda handler: _answer(handler, 302, b"", Location="http://127.0.0.1:1/"),
    lambda handler: _answer(handler, 200, b""),
    lambda handler: _answer(handler, 422, b'{"detail": "no such field"}'),
)


@contextmanager
def hostile_server(good: str) -> Iterator[tuple[str, list[int]]]:
    """Serve for the length of a `with` block; yields the URL, and a list that grows with each misdeed.

    Args:
        good: URL of the server that does the work, with a slash at its end.
    """
    numbers = count(1)
    misdeeds: list[int] = []
    client = httpx2.Client(timeout=_FORWARD_S, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            number = next(numbers)
            if number % 3 == 0:
                misdeeds.append(number)
                HOSTILITIES[number // 3 % len(HOSTILITIES)](self)
                return
            answer = client.post(
                good.rstrip("/") + self.path, content=body, headers={"Content-Type": "application/json"}
            )
            _answer(self, answer.status_code, answer.content)

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who is hung up on may complain
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", misdeeds
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()
