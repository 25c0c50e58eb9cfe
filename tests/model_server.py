"""A server of a model for tests: it speaks as much of OpenAI's API as clients need, and counts what reaches it.

python -m tests.model_server    serves until it is killed, and prints its URL
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.faults.proxy import FaultListener

_WORDS = ("one", "two", "three", "four")


class ModelServer:
    """A model that answers with four words.

    Attributes:
        url: where it listens, with a slash at its end.
        asked: how many requests came; `peak`: the most at one time, but for those that say `"leaves": true`: whoever
            hangs up is gone before a server knows; `seen`: path, headers and body of each.
        word_s: how long each word takes.
        gate: while it is cleared, no request is answered.
        tokens: what an answer says that it has used; None: it does not.
        load: the header by which it tells its load; "": none.
        refuses: the status and the body that it answers instead; None: it does not.
    """

    def __init__(
        self,
        *,
        name: str = "model",
        word_s: float = 0.0,
        remember: bool = True,
        tokens: int | None = None,
        load: str = "",
        refuses: tuple[int, bytes] | None = None,
    ) -> None:
        self.name = name
        self.tokens = tokens
        self.load = load
        self.refuses = refuses
        self.word_s = word_s
        self.asked = self.peak = self._now = 0
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._remember = remember
        self._lock = threading.Lock()
        self._door = FaultListener(type("Handler", (_Handler,), {"model": self}))
        self.url = f"http://127.0.0.1:{self._door.port}/"

    def start(self) -> None:
        """Open the door."""
        self._door.start()

    def stop(self) -> None:
        """Shut it, and cut all connections."""
        self.gate.set()
        self._door.stop()

    def enters(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Count a request that has come."""
        with self._lock:
            self.asked += 1
            self._now += b'"leaves"' not in body
            self.peak = max(self.peak, self._now)
            if self._remember:
                self.seen.append((path, headers, body))

    def leaves(self, body: bytes) -> None:
        """Count one that is as good as over: before the last word, for then its client may give back its lease."""
        with self._lock:
            self._now -= b'"leaves"' not in body


def events(name: str = "model", tokens: int | None = None) -> Iterator[bytes]:
    """Yield the events of a streamed answer; `tokens`: what it has used."""
    for word in _WORDS:
        choice = {"index": 0, "delta": {"role": "assistant", "content": f"{word} "}, "finish_reason": None}
        yield b"data: " + json.dumps(_answer("chat.completion.chunk", name, choice)).encode() + b"\n\n"
    if tokens is not None:
        last = {**_answer("chat.completion.chunk", name), **_usage(tokens)}
        yield b"data: " + json.dumps(last).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _answer(kind: str, name: str, *choices: dict[str, Any]) -> dict[str, Any]:
    return {"id": "x", "object": kind, "created": 0, "model": name, "choices": list(choices)}


def _usage(tokens: int | None) -> dict[str, Any]:
    if tokens is None:
        return {}
    return {"usage": {"prompt_tokens": tokens - 1, "completion_tokens": 1, "total_tokens": tokens}}


class _Handler(BaseHTTPRequestHandler):
    model: ModelServer  # set in a class of its own for each
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # hung up between the head and the body: no request
            self.close_connection = True
            return
        self.model.enters(self.path, dict(self.headers), body)
        streams = b'"stream":true' in body.replace(b" ", b"")
        words = iter(self._refusal() if self.model.refuses else self._stream() if streams else self._whole())
        try:
            self.model.gate.wait()
            word = next(words)
            for following in words:
                self.wfile.write(word)
                word = following
        except OSError:
            self.close_connection = True
            self.model.leaves(body)
            return
        self.model.leaves(body)
        try:
            self.wfile.write(word)
        except OSError:
            self.close_connection = True

    do_GET = do_POST  # noqa: N815 (the library's names)

    def _whole(self) -> Iterator[bytes]:
        model = self.model
        time.sleep(model.word_s * len(_WORDS))
        message = {"role": "assistant", "content": " ".join(_WORDS)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        content = json.dumps({**_answer("chat.completion", model.name, choice), **_usage(model.tokens)}).encode()
        yield self._head("application/json", f"Content-Length: {len(content)}") + content

    def _refusal(self) -> Iterator[bytes]:
        assert self.model.refuses is not None
        status, content = self.model.refuses
        yield self._head("application/json", f"Content-Length: {len(content)}", status) + content

    def _stream(self) -> Iterator[bytes]:
        yield self._head("text/event-stream", "Transfer-Encoding: chunked")
        *before, last = events(self.model.name, self.model.tokens)
        for event in before:
            yield _chunk(event)
            time.sleep(self.model.word_s)  # after it, as the next is made before this one is sent
        yield _chunk(last) + _chunk(b"")

    def _head(self, kind: str, length: str, status: int = 200) -> bytes:
        load = f"endpoint-load-metrics: {self.model.load}\r\n" if self.model.load else ""
        return f"HTTP/1.1 {status} {status}\r\nContent-Type: {kind}\r\n{load}{length}\r\n\r\n".encode()

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextmanager
def model_server(**settings: Any) -> Iterator[ModelServer]:
    """Run a model server for the length of a `with` block."""
    server = ModelServer(**settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def model_process() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a model server in a process of its own, which may be killed; yield its URL and the process."""
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "tests.model_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


if __name__ == "__main__":
    with model_server(remember=False) as served:
        print(served.url, flush=True)
        threading.Event().wait()
