"""A small Piston server: `/api/v2/runtimes` and `/execute` as its documentation describes them, over the local sandbox.

Compilers and programs are started by the scripts of its packages for gcc, python and bash. It adds the last line break,
hands on no more input than a socket holds, keeps little output, and refuses limits above its own and long requests.
Unlike Piston's, a program's memory is the address space of one process.
"""

import base64
import signal
from dataclasses import dataclass, field
from typing import Any

from balancer.program import Execution, Limits, Status
from tests.apis.api import Api, Asked, Reply, as_json
from tests.apis.box import Box

_SOCKET_BYTES = 219_264
_RUNTIMES = [
    {"language": "bash", "version": "5.2.0", "aliases": ["sh"]},
    {"language": "c", "version": "10.2.0", "aliases": ["gcc"], "runtime": "gcc"},
    {"language": "c++", "version": "10.2.0", "aliases": ["cpp", "g++"], "runtime": "gcc"},
    {"language": "python", "version": "3.9.4", "aliases": ["py"]},
    {"language": "python", "version": "3.12.0", "aliases": ["py"]},
    {"language": "python", "version": "3.13.0-alpha.7", "aliases": ["py"]},
    {"language": "python2", "version": "2.7.18", "aliases": ["py2"]},
]
COMPILE = {
    "c": "gcc -std=c11 *.c -lm\nchmod +x a.out\n",
    "c++": "g++ -std=c++17 *.cpp\nchmod +x a.out\n",
}
_RUN = {
    "c": 'shift # Discard main filename\n./a.out "$@"\n',
    "c++": 'shift # Discard main filename\n./a.out "$@"\n',
    "python": 'python3 "$@"\n',
    "bash": 'bash "$@"\n',
}
_ADDED = {"c": ".c", "c++": ".cpp"}
_LIMITS = {"compile_timeout": 10_000, "compile_cpu_time": 10_000, "run_timeout": 3000, "run_cpu_time": 3000}


@dataclass
class Piston(Api):
    """The server, with Piston's defaults."""

    box: Box
    limits: dict[str, int] = field(default_factory=lambda: dict(_LIMITS))
    output_bytes: int = 1024
    body_bytes: int = 100 * 1024

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) == ("GET", "/api/v2/runtimes"):
            return as_json(_RUNTIMES)
        if (asked.method, asked.path) != ("POST", "/api/v2/execute"):
            return as_json({"message": "Not Found"}, 404)
        if len(asked.body) > self.body_bytes:
            return as_json({"stack": "PayloadTooLargeError: request entity too large"}, 400)
        job = asked.json
        if refusal := self._refusal(job):
            return as_json({"message": refusal}, 400)
        return as_json(self._execute(job))

    def _refusal(self, job: dict[str, Any]) -> str:
        known = {(each["language"], each["version"]) for each in _RUNTIMES}
        if (job["language"], job["version"]) not in known:
            return f"{job['language']}-{job['version']} runtime is unknown"
        if not any(file.get("encoding", "utf8") == "utf8" for file in job["files"]):
            return "files must include at least one utf8 encoded file"
        for name, most in self.limits.items():
            if job.get(name, 0) > most:
                return f"{name} cannot exceed the configured limit of {most}"
        return ""

    def _execute(self, job: dict[str, Any]) -> dict[str, Any]:
        language = job["language"]
        files, code = {}, []
        for file in job["files"]:
            plain = file.get("encoding", "utf8") == "utf8"
            name = file["name"]
            if plain:
                code.append(name)
                name += _ADDED.get(language, "")
            files[name] = file["content"].encode() if plain else base64.b64decode(file["content"])
        answer: dict[str, Any] = {"language": language, "version": job["version"]}
        if script := COMPILE.get(language):
            made = self.box.make(["bash", "-c", script], files, "a.out", self._of(job, "compile"))
            answer["compile"] = self._stage(made.execution)
            if made.execution.exit_code != 0 or made.file is None:
                return answer | {"run": answer["compile"]}
            files["a.out"] = made.file
        stdin = job["stdin"].encode()
        if not stdin.endswith(b"\n"):
            stdin += b"\n"
        files |= {"pkg/run": _RUN[language].encode()}
        command = ["bash", "pkg/run", code[0], *job["args"]]
        return answer | {"run": self._stage(self.box.run(command, files, stdin[:_SOCKET_BYTES], self._of(job, "run")))}

    def _of(self, job: dict[str, Any], stage: str) -> Limits:
        return Limits(
            cpu_s=job.get(f"{stage}_cpu_time", _LIMITS[f"{stage}_cpu_time"]) / 1000,
            wall_s=job.get(f"{stage}_timeout", _LIMITS[f"{stage}_timeout"]) / 1000,
            memory_bytes=job.get(f"{stage}_memory_limit", 2**31),
            output_bytes=max(self.output_bytes, 2**16),
        )

    def _stage(self, done: Execution) -> dict[str, Any]:
        status, code, killed, message = None, done.exit_code, None, None
        if done.status is Status.TIME_LIMIT:
            status, killed, message = "TO", "SIGKILL", "Time limit exceeded"
        elif done.status is Status.OUTPUT_LIMIT or len(done.stdout) > self.output_bytes:
            status, code, killed, message = "OL", None, "SIGKILL", "stdout length exceeded"
        elif len(done.stderr) > self.output_bytes:
            status, code, killed, message = "EL", None, "SIGKILL", "stderr length exceeded"
        elif code is not None and code < 0:
            status, code, killed = "SG", None, signal.Signals(-code).name
        elif code:
            status, message = "RE", f"Exited with error status {code}"
        out = _kept(done.stdout, self.output_bytes).decode("utf-8", "replace")
        err = _kept(done.stderr, self.output_bytes).decode("utf-8", "replace")
        return {
            "stdout": out,
            "stderr": err,
            "output": out + err,
            "code": code,
            "signal": killed,
            "message": message,
            "status": status,
            "cpu_time": int(done.time_s * 1000),
            "wall_time": int(done.time_s * 1000),
            "memory": (done.memory_bytes or 0) // 1024 * 1000,
        }


def _kept(data: bytes, most: int) -> bytes:
    """Return what is kept: whole pieces, as they came, none of which may go beyond the limit."""
    kept = 0
    for line in data.splitlines(keepends=True):
        if kept + len(line) > most:
            break
        kept += len(line)
    return data[:kept]
