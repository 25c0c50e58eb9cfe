"""A small Judge0 server: languages, limits and submissions as its documentation describes them, over the local sandbox.

Submissions wait in a queue of bounded length. Compilers and programs are started by shell scripts, into which options
and arguments are put as Judge0 puts them; output goes to a file, whose size is limited. Unlike Judge0's, a program's
memory is the address space of one process.
"""

import base64
import io
import re
import threading
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from balancer.program import Execution, Limits, Status
from tests.apis.api import Api, Asked, Reply, as_json
from tests.apis.box import Box

_KILO = 1024
_LANGUAGES = {
    46: ("Bash (5.0.0)", "script.sh", "", "bash script.sh"),
    50: ("C (GCC 9.2.0)", "main.c", "gcc %s main.c", "./a.out"),
    52: ("C++ (GCC 7.4.0)", "main.cpp", "false", "./a.out"),
    54: ("C++ (GCC 9.2.0)", "main.cpp", "g++ %s main.cpp", "./a.out"),
    70: ("Python (2.7.17)", "script.py", "", "false"),
    71: ("Python (3.8.1)", "script.py", "", "python3 script.py"),
    76: ("C++ (Clang 7.0.1)", "main.cpp", "false", "./a.out"),
}
_CONFIG = {
    "enable_wait_result": True,
    "enable_compiler_options": True,
    "allowed_languages_for_compile_options": [],
    "enable_command_line_arguments": True,
    "enable_additional_files": True,
    "max_queue_size": 100,
    "max_cpu_time_limit": 15.0,
    "max_wall_time_limit": 20.0,
    "max_memory_limit": 512_000,
    "max_stack_limit": 128_000,
    "max_max_processes_and_or_threads": 120,
    "max_max_file_size": 4096,
    "max_extract_size": 10_240,
}
# Output goes to a file, and what is in it is handed on whatever became of the program.
_RUN = 'ulimit -f "$1"; bash run.sh >.stdout; code=$?; cat .stdout; exit $code'
_SIGNALS = {11: 7, 25: 8, 8: 9, 6: 10}


class Judge0(Api):
    """The server. Attributes: its `config`, and the `submissions` by token."""

    def __init__(self, box: Box, token: str = "", **config: Any) -> None:
        super().__init__()
        self.box = box
        self.config: dict[str, Any] = _CONFIG | config
        self.submissions: dict[str, dict[str, Any]] = {}
        self._token = token
        self._workers = ThreadPoolExecutor(2)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Wait for what is under way, and give up the rest."""
        self._workers.shutdown(cancel_futures=True)

    def answer(self, asked: Asked) -> Reply:
        if self._token and asked.headers.get("x-auth-token") != self._token:
            return Reply(401)
        if asked.path == "/languages":
            return as_json([{"id": number, "name": each[0]} for number, each in _LANGUAGES.items()])
        if asked.path == "/config_info":
            return as_json(self.config)
        if (asked.method, asked.path) == ("POST", "/submissions"):
            return self._create(asked)
        found = self.submissions.get(asked.path.removeprefix("/submissions/"))
        if asked.method != "GET" or found is None:
            return Reply(404)
        fields = asked.query["fields"].split(",")
        return as_json({name: found.get(name) for name in fields})

    def _create(self, asked: Asked) -> Reply:
        assert asked.query == {"base64_encoded": "true", "wait": "false"}
        body = asked.json
        with self._lock:
            waiting = sum(each["status"]["id"] == 1 for each in self.submissions.values())
            if waiting >= self.config["max_queue_size"]:
                return as_json({"error": "queue is full"}, 503)
            for name in ("cpu_time_limit", "wall_time_limit", "memory_limit", "stack_limit", "max_file_size"):
                if body[name] > self.config[f"max_{name}"]:
                    return as_json({name: [f"must be less than or equal to {self.config[f'max_{name}']}"]}, 422)
            token = str(uuid.uuid4())
            self.submissions[token] = {"token": token, "status": {"id": 1, "description": "In Queue"}}
        try:
            self._workers.submit(self._perform, token, body)
        except RuntimeError:  # it is being closed
            return as_json({"error": "shutting down"}, 503)
        return as_json({"token": token}, 201)

    def _perform(self, token: str, body: dict[str, Any]) -> None:
        self.submissions[token] = {"token": token, "status": {"id": 2, "description": "Processing"}}
        try:
            done = self._run(body)
        except Exception as error:
            done = {"status": {"id": 13}, "message": _encoded(str(error).encode())}
        self.submissions[token] = {"token": token, **done}

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        _, source, compiler, run = _LANGUAGES[body["language_id"]]
        files = {}
        if body.get("additional_files"):
            with zipfile.ZipFile(io.BytesIO(base64.b64decode(body["additional_files"]))) as archive:
                files = {name: archive.read(name) for name in archive.namelist()}
        files[source] = base64.b64decode(body["source_code"])
        if compiler:
            script = (compiler % _harmless(body.get("compiler_options"))).encode()
            most = Limits(cpu_s=self.config["max_cpu_time_limit"], wall_s=self.config["max_wall_time_limit"])
            made = self.box.make(["bash", "compile.sh"], files | {"compile.sh": script}, "a.out", most)
            if made.execution.exit_code != 0 or made.file is None:
                words = made.execution.stderr
                if made.execution.status is Status.TIME_LIMIT:
                    words = b"Compilation time limit exceeded."
                return {"status": {"id": 6, "description": "Compilation Error"}, "compile_output": _encoded(words)}
            files["a.out"] = made.file
        files["run.sh"] = f"{run} {_harmless(body.get('command_line_arguments'))}".encode()
        limits = Limits(
            cpu_s=body["cpu_time_limit"],
            wall_s=body["wall_time_limit"],
            memory_bytes=body["memory_limit"] * _KILO,
            processes=body["max_processes_and_or_threads"],
            output_bytes=2**26,
        )
        command = ["bash", "-c", _RUN, "run", str(body["max_file_size"])]
        return _told(self.box.run(command, files, base64.b64decode(body["stdin"]), limits))


def _told(done: Execution) -> dict[str, Any]:
    code = done.exit_code or 0
    state = 3 if code == 0 else 11
    if code < 0:
        state = _SIGNALS.get(-code, 12)
    if done.status is Status.TIME_LIMIT:
        state = 5
    return {
        "status": {"id": state, "description": "?"},
        "stdout": _encoded(done.stdout) if done.stdout else None,
        "stderr": _encoded(done.stderr) if done.stderr else None,
        "message": _encoded(f"Exited with error code {code}".encode()) if code else None,
        "exit_code": max(code, 0),
        "exit_signal": -code if code < 0 else None,
        "time": f"{done.time_s:.3f}",
        "wall_time": f"{done.time_s:.3f}",
        "memory": (done.memory_bytes or 0) // _KILO,
    }


def _encoded(data: bytes) -> str:
    """Return base64 as Ruby writes it, with line breaks."""
    return base64.encodebytes(data).decode()


def _harmless(text: str | None) -> str:
    return re.sub(r"[$&;<>|`]", "", (text or "").strip())
