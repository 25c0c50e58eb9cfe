"""A server that behaves as SandboxFusion was seen to: for tests of what that costs, where no such server can be had.

It measures wall time only, starts whatever comes at once, compiles C++ without -O2, reads at most about 128 KiB of a
pipe, as text, and says nothing of languages or load. Programs run here without any isolation: give it only your own.

What it does beside the programs, it does one thing after the other, as the event loop of SandboxFusion does: where the
programs leave it no time, it stops them late.

Run as a program it serves: `python -m tests.fusion_like [CORE]`, pinned to a core if one is named; as
`python -m tests.fusion_like CORE first`, before all others if it may.
"""

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_READ_BYTES = 2 * 2**16
_NICE = -15  # so that what else the machine does is not taken for the load of the server
_LOOP = threading.Lock()
_LANGUAGES = {
    "python": (".py", "", "python3 {file}"),
    "bash": (".sh", "", "/bin/bash {file}"),
    "cpp": (".cpp", "g++ -std=c++17 {file} -o test", "./test"),
    "nodejs": (".js", "", "node {file}"),
}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return f"[DecodeError] {error}"


def _run(command: str, timeout_s: float, stdin: str | None, folder: str, memory: int) -> dict[str, Any]:
    def limit() -> None:
        if memory > 0:
            resource.setrlimit(resource.RLIMIT_AS, (memory * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))

    with _LOOP:
        process = subprocess.Popen(
            command,
            shell=True,
            executable="/bin/bash",
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=limit,
        )
    with process:
        began_s = time.monotonic()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError):
            process.stdin.write((stdin or "").encode())
            process.stdin.close()
        result: dict[str, Any] = {"status": "Finished"}
        try:
            process.wait(timeout_s)
            result["return_code"] = process.returncode
        except subprocess.TimeoutExpired:
            result["status"] = "TimeLimitExceeded"
        with _LOOP:
            result["execution_time"] = time.monotonic() - began_s
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            os.set_blocking(pipe.fileno(), False)
            result[name] = _text(pipe.read(_READ_BYTES) or b"")
    return result


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["language"] not in _LANGUAGES:
        return {"status": "SandboxError", "message": "no such language", "files": {}}
    suffix, build, run = _LANGUAGES[asked["language"]]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, content in asked.get("files", {}).items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
        # A name that no file of the program has: a script that runs a program in bash must not be that program.
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=suffix, delete=False) as code:
            code.write(asked["code"])
        memory = asked.get("memory_limit_MB", -1)
        built = (
            _run(build.format(file=code.name), asked.get("compile_timeout", 10), None, folder, memory)
            if build
            else None
        )
        ran = None
        if built is None or built.get("return_code") == 0:
            ran = _run(run.format(file=code.name), asked.get("run_timeout", 10), asked.get("stdin"), folder, memory)
        files = {
            name: base64.b64encode((Path(folder) / name).read_bytes()).decode()
            for name in asked.get("fetch_files", [])
            if (Path(folder) / name).is_file()
        }
    well = all(each is None or each.get("return_code") == 0 for each in (built, ran))
    return {
        "status": "Success" if well else "Failed",
        "message": "",
        "compile_result": built,
        "run_result": ran,
        "files": files,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200, "pong") if self.path == "/v1/ping" else self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(200, _answer(asked))

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def fusion_like(core: int | None = None, *, first: bool = False) -> Iterator[str]:
    """Run such a server for the length of a `with` block, on one core if it is named; yields its URL.

    With `first` its programs run before all others on that core, if we may.
    """
    where = [] if core is None else [str(core), *(["first"] if first else [])]
    command = [sys.executable, "-m", "tests.fusion_like", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _serve() -> None:
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    if sys.argv[2:] == ["first"]:
        with suppress(PermissionError):
            os.nice(_NICE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve()
