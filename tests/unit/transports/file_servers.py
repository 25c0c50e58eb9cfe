"""Scripted servers whose files, batches, runs and answers live on the one that made them, as at real ones."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FileServer", "serving"]


class FileServer:
    """Answers as much of OpenAI's API as files, batches, runs and conversations need; 404 for what it does not have.

    Attributes:
        name: a part of the ids that it gives.
        has: the ids of what it has.
        seen: method and target of each request.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.has: set[str] = set()
        self.seen: list[str] = []

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and document."""
        self.seen.append(f"{method} {target}")
        said: Mapping[str, Any] = json.loads(body) if body[:1] == b"{" else {}
        path = target.partition("?")[0].removeprefix("/v1")
        named = [part for part in path.split("/") if "-" in part or "_" in part]
        named += [said[name] for name in ("input_file_id", "previous_response_id") if said.get(name)]
        if not self.has.issuperset(named):
            return 404, {"error": {"message": f"no {named} here", "type": "not_found"}}
        if method == "GET":
            return 200, {"id": named[-1], "object": "x", "status": "completed", "output_file_id": self._new("file-")}
        kind = {"/files": "file-", "/batches": "batch_", "/threads/runs": "run_", "/responses": "resp_"}[path]
        made = {"id": self._new(kind), "object": "x", "created_at": 0, "status": "queued", "model": "m", "output": []}
        if kind == "run_":
            made["thread_id"] = self._new("thread_")
        return 200, made

    def _new(self, kind: str) -> str:
        made = f"{kind}{self.name}{len(self.has)}"
        self.has.add(made)
        return made


@contextmanager
def serving(files: FileServer) -> Iterator[str]:
    """Serve on the loopback network, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))

        def do_GET(self) -> None:
            self._answer(b"")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, body: bytes) -> None:
            status, said = files.answer(self.command, self.path, body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
