"""How a program is put to a go-judge server: a command that compiles it, and one that runs it.

Decides the form of both, and their limits. Pure. It must not know how requests are sent or what the answers mean.
"""

from collections.abc import Mapping

from balancer.program import Limits
from balancer.sandbox.gojudge.wire import Cached, Cmd, Content, RunRequest, StreamCollector
from balancer.sandbox.http.builds import PROGRAM, Build

__all__ = ["PRINTED_BYTES", "File", "compile_request", "probe_request", "run_request", "text_file"]

File = Content | Cached

PRINTED_BYTES = 4 * 2**20  # what a compiler may print
_COMPILE_BYTES = 2 * 2**30
_BINARY_BYTES = 256 * 2**20
_PROCESSES = 32
_NANO = 10**9

# A fixed hash seed makes Python's set order, and so a program's output, the same every time.
_ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "LC_ALL=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONHASHSEED=0",
]
_PROBE = 'for tool; do command -v "$tool" >/dev/null && echo "$tool $(command -v "$tool")"; done; exit 0'


def text_file(data: bytes) -> Content | None:
    """Return `data` as a file of a request; None if it is no text: then the server must be given it before."""
    try:
        return Content(content=data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def compile_request(
    build: Build, command: tuple[str, ...], files: Mapping[str, File], limits: Limits, paths: Mapping[str, str]
) -> RunRequest:
    """Return the request that makes the program of `build` and keeps it on the server.

    Args:
        build: the program.
        command: what compiles it.
        files: its sources and other files, as the server is given them.
        limits: `compile_s` counts, as CPU time.
        paths: where the server has its tools.
    """
    cpu_ns = _nanoseconds(limits.compile_s)
    return RunRequest(
        cmd=[
            Cmd(
                args=_placed(command, paths),
                env=_ENVIRONMENT,
                files=[Content(content=""), *_streams(PRINTED_BYTES)],
                cpuLimit=cpu_ns,
                clockLimit=_nanoseconds(limits.compile_wall_s),
                memoryLimit=_COMPILE_BYTES,
                stackLimit=_COMPILE_BYTES,
                procLimit=_PROCESSES + build.language.runtime_processes,
                copyIn=dict(files),
                copyOut=["stdout", "stderr"],
                copyOutCached=[PROGRAM],
                copyOutMax=_BINARY_BYTES,
            )
        ]
    )


def run_request(
    build: Build, stdin: File, files: Mapping[str, File], limits: Limits, paths: Mapping[str, str], *, kept: bool
) -> RunRequest:
    """Return the request that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        files: all that lies in its working directory, the compiled program too.
        limits: what it may use.
        paths: where the server has its tools.
        kept: whether the server keeps the output as a file: JSON has only text.
    """
    out = ["stdout"]
    return RunRequest(
        cmd=[
            Cmd(
                args=_placed(build.run, paths),
                env=_ENVIRONMENT,
                files=[stdin, *_streams(limits.output_bytes)],
                cpuLimit=_nanoseconds(limits.cpu_s),
                clockLimit=_nanoseconds(limits.wall_s),
                memoryLimit=limits.memory_bytes,
                stackLimit=limits.memory_bytes,
                procLimit=limits.processes + build.language.runtime_processes,
                copyIn=dict(files),
                copyOut=["stderr"] if kept else ["stdout", "stderr"],
                copyOutCached=out if kept else [],
                copyOutMax=limits.output_bytes + 1,
            )
        ]
    )


def probe_request(tools: list[str]) -> RunRequest:
    """Return the request that says where the server has `tools`, one a line with its path."""
    return RunRequest(
        cmd=[
            Cmd(
                args=["/bin/sh", "-c", _PROBE, "probe", *tools],
                env=_ENVIRONMENT,
                files=[Content(content=""), *_streams(2**16)],
                cpuLimit=2 * _NANO,
                clockLimit=5 * _NANO,
                memoryLimit=2**28,
                stackLimit=2**28,
                procLimit=_PROCESSES,
                copyOut=["stdout", "stderr"],
            )
        ]
    )


def _streams(most_bytes: int) -> list[StreamCollector]:
    return [StreamCollector(name=name, max=most_bytes) for name in ("stdout", "stderr")]


def _placed(command: tuple[str, ...], paths: Mapping[str, str]) -> list[str]:
    return [paths.get(command[0], command[0]), *command[1:]]


def _nanoseconds(seconds: float) -> int:
    return max(1, round(seconds * _NANO))
