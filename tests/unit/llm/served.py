"""A model's server for tests, on this machine: it does what it was told to do, one step for each request."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Deed", "ModelServer", "completion", "drip", "error", "hang", "huge", "raw", "says", "serving_model"]

Deed = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


def raw(status, body, kind="application/json", **headers):
    """Return the deed of answering `body`."""

    def do(handler, asked):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body)

    return do


def completion(message, *, usage=None, finish="stop"):
    """Return the body of a completion."""
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def says(text, *, usage=None, finish="stop", refusal=None):
    """Return the deed of answering `text`."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return raw(200, json.dumps(completion(message, usage=usage, finish=finish)).encode())


def error(status, code=None, message="no", **headers):
    """Return the deed of answering with an error, as OpenAI's API words it."""
    return raw(status, json.dumps({"error": {"message": message, "code": code, "type": "t"}}).encode(), **headers)


def hang(seconds):
    """Return the deed of saying nothing for so long, and hanging up."""

    def do(handler, asked):
        time.sleep(seconds)
        handler.close_connection = True

    return do


def drip(seconds):
    """Return the deed of answering a byte now and then, for so long."""

    def do(handler, asked):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        end_s = time.monotonic() + seconds
        with suppress(OSError):
            while time.monotonic() < end_s:
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.02)
        handler.close_connection = True

    return do


def huge(megabytes):
    """Return the deed of answering with so many megabytes."""

    def do(handler, asked):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(megabytes * 2**20))
        handler.end_headers()
        with suppress(OSError):
            for _ in range(megabytes):
                handler.wfile.write(b"x" * 2**20)
        handler.close_connection = True

    return do


@dataclass(slots=True)
class ModelServer:
    """A server that runs. Attributes: its base `url`; what it was `asked`; the `keys` that came with that."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@contextmanager
def serving_model(deeds, always=None):
    """Serve for the length of a `with` block; after the `deeds`, one a request, it does `always`."""
    steps, lock = iter(deeds), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                server.asked.append(body)
                server.keys.append(self.headers.get("Authorization", ""))
                deed = next(steps, always)
            assert deed is not None, "it was asked more often than it was told"
            deed(self, body)

        def log_message(self, format, *args):
            """Be silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # a client that hangs up is no mistake here
    server = ModelServer(f"http://127.0.0.1:{http.server_address[1]}/v1/")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
