"""What the local servers of tests share: HTTP on a port of their own, and disturbances by order.

A server is written from the published documentation of an API, not from the executor that is tested against it.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class Api:
    """An API. Attributes: `disturb`, which may answer in its place, and the requests so far, in order."""

    def __init__(self) -> None:
        self.disturb: Callable[[Asked], Reply | None] = lambda asked: None
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        """Return the answer to a request."""
        raise NotImplementedError


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve `api` for the length of a `with` block; yields "127.0.0.1:PORT"."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            api.asked.append(asked)
            reply = api.disturb(asked) or api.answer(asked)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.content)))
            else:
                self.close_connection = True  # it lies about the length
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 (the library's names)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
