"""Scripted servers whose files, batches, runs and answers live on the one that made them, as at real ones."""

import json
from collections.abc import Mapping
from typing import Any

from tests.apis.api import Api, Asked, Reply, as_json


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


class Served(Api):
    """A file server on the loopback network: `with serving(Served(files)) as place`."""

    def __init__(self, files: FileServer) -> None:
        super().__init__()
        self._files = files

    def answer(self, asked: Asked) -> Reply:
        status, said = self._files.answer(asked.method, asked.path, asked.body)
        return as_json(said, status)
