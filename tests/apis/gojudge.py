"""A small go-judge server: `/run`, `/file` and `/version` as its documentation describes them, over the local sandbox.

Unlike go-judge, memory is the address space of one process.
"""

import json
import re
import threading
import uuid
from typing import Any

from balancer.program import Execution, Limits, Status
from tests.apis.api import Api, Asked, Reply, as_json
from tests.apis.box import Box

_NANO = 10**9


class GoJudge(Api):
    """The server. Attributes: the `files` it keeps, by id."""

    def __init__(self, box: Box, token: str = "") -> None:
        super().__init__()
        self.box = box
        self.files: dict[str, bytes] = {}
        self._token = token
        self._slots = threading.BoundedSemaphore(2)

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/version":
            return as_json({"buildVersion": "v1.11.0", "goVersion": "go1.25", "platform": "amd64", "os": "linux"})
        if self._token and asked.headers.get("authorization") != f"Bearer {self._token}":
            return Reply(401)
        if (asked.method, asked.path) == ("POST", "/run"):
            return self._run(asked)
        if (asked.method, asked.path) == ("POST", "/file"):
            return as_json(self._keep(_uploaded(asked)))
        return Reply(404)

    def _keep(self, content: bytes) -> str:
        name = uuid.uuid4().hex[:8].upper()
        self.files[name] = content
        return name

    def _run(self, asked: Asked) -> Reply:
        commands = asked.json.get("cmd")
        if not commands:
            return as_json("no cmd provided", 400)
        try:
            with self._slots:
                results = [self._one(command) for command in commands]
        except KeyError as missing:
            return as_json(f"file does not exists with id: {json.dumps(missing.args[0])}", 500)
        return Reply(content=json.dumps(results).encode(), headers={"Content-Type": "application/json; charset=utf-8"})

    def _content(self, file: dict[str, Any]) -> bytes:
        return file["content"].encode() if "content" in file else self.files[file["fileId"]]

    def _one(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, out, err = command["files"]
        files = {name: self._content(file) for name, file in command.get("copyIn", {}).items()}
        limits = Limits(
            cpu_s=command["cpuLimit"] / _NANO,
            wall_s=command["clockLimit"] / _NANO,
            memory_bytes=command["memoryLimit"],
            processes=command["procLimit"],
            output_bytes=max(out["max"], err["max"]) + 1,
        )
        kept = [name for name in command.get("copyOutCached", []) if name != out["name"]]
        if kept:
            made = self.box.make(command["args"], files, kept[0], limits)
            return self._result(command, made.execution, {kept[0]: made.file})
        return self._result(command, self.box.run(command["args"], files, self._content(stdin), limits), {})

    def _result(self, command: dict[str, Any], done: Execution, made: dict[str, bytes | None]) -> dict[str, Any]:
        result: dict[str, Any] = {
            "status": _status(done),
            "exitStatus": 9 if done.exit_code is None else abs(done.exit_code),
            "time": int(done.time_s * _NANO),
            "memory": done.memory_bytes or 0,
            "runTime": int(done.time_s * _NANO),
            "files": {},
            "fileIds": {},
        }
        errors = []
        streams = {"stdout": done.stdout, "stderr": done.stderr}
        for collector in command["files"][1:]:
            content = streams[collector["name"]]
            if len(content) > collector["max"]:
                errors.append({"name": collector["name"], "type": "CollectSizeExceeded"})
                if result["status"] == "Accepted":
                    result["status"] = "Output Limit Exceeded"
            made[collector["name"]] = content[: collector["max"] + 1]
        for name in (*command.get("copyOut", []), *command.get("copyOutCached", [])):
            if made.get(name) is None:
                errors.append({"name": name, "type": "CopyOutOpen", "message": "no such file or directory"})
                if result["status"] == "Accepted":
                    result |= {"status": "File Error", "error": "no such file or directory"}
        for name, content in made.items():
            if content is None:
                continue
            if name in command.get("copyOutCached", []):
                result["fileIds"][name] = self._keep(content)
            elif name in command.get("copyOut", []):
                result["files"][name] = content.decode("utf-8", "replace")  # as Go's JSON does
        return result | ({"fileError": errors} if errors else {})


def _status(done: Execution) -> str:
    if done.status is Status.TIME_LIMIT:
        return "Time Limit Exceeded"
    if done.status is Status.MEMORY_LIMIT:
        return "Memory Limit Exceeded"
    if done.status is Status.OUTPUT_LIMIT:
        return "Output Limit Exceeded"
    code = done.exit_code or 0
    return "Accepted" if code == 0 else "Signalled" if code < 0 else "Nonzero Exit Status"


def _uploaded(asked: Asked) -> bytes:
    boundary = re.search(r"boundary=(\S+)", asked.headers["content-type"])
    assert boundary
    part = asked.body.split(b"--" + boundary[1].encode())[1]
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
