"""A sandbox server that runs nothing and answers at once: for the cost of everything else.

It says of every program that it printed "4", and of one that prints "pong" that, as one of our own servers says it. At
`script/` it answers as SandboxFusion does, and by their paths as go-judge, Piston and Judge0 do.
Run as a program it serves in a process of its own: `python -m tests.instant` prints its URL.
"""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from balancer.sandbox.run_code import About, CommandResult, CommandStatus, RunCodeAnswer, RunStatus

_ROOT = Path(__file__).resolve().parents[1]


def _ran(printed: str, **more: Any) -> str:
    ran = CommandResult(
        status=CommandStatus.FINISHED, execution_time=0.01, return_code=0, stdout=printed, stderr="", **more
    )
    files = {".stdout": _base64("4\n"), ".words": ""} if printed.startswith("balancer") else {}
    return RunCodeAnswer(status=RunStatus.SUCCESS, run_result=ran, files=files).model_dump_json()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _answer(content: object, status: int = 200) -> bytes:
    body = (content if isinstance(content, str) else json.dumps(content)).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_PONG = _answer(_ran("pong\n", cpu_time=0.01))
_NOT_FOUND = _answer("", 404)
_TOOL = {"stdout": "python3 /usr/bin/python3\n", "stderr": ""}  # also the answer to which tools it has
_STAGE = {
    "stdout": "4\n",
    "stderr": "",
    "code": 0,
    "signal": None,
    "cpu_time": 10,
    "wall_time": 20,
    "memory": 9_000_000,
}
_MOST = {"max_cpu_time_limit": 20, "max_wall_time_limit": 60, "max_memory_limit": 2_000_000, "max_stack_limit": 128_000}
_JUDGED = {"status": {"id": 3}, "stdout": _base64("4\n"), "exit_code": 0, "time": "0.01", "memory": 9000}
_ANSWERS = {
    b"/v1/about": _answer(About(languages=["python", "cpp"]).model_dump_json()),
    b"/v1/ping": _answer('"pong"'),
    b"/run_code": _answer(_ran("4\n", cpu_time=0.01)),
    b"/script/run_code": _answer(_ran("balancer ran 0 0.01 0.01 0.0 2 0\n")),
    b"/run": _answer([{"status": "Accepted", "exitStatus": 0, "time": 10**7, "memory": 9_000_000, "files": _TOOL}]),
    b"/api/v2/runtimes": _answer([{"language": "python", "version": "3.12.0"}]),
    b"/api/v2/execute": _answer({"language": "python", "version": "3.12.0", "run": _STAGE}),
    b"/config_info": _answer({**_MOST, "max_max_processes_and_or_threads": 120, "max_max_file_size": 20_000}),
    b"/languages": _answer([{"id": 100, "name": "Python (3.12.5)"}]),
    b"/submissions": _answer({"token": "a"}, 201),
    b"/submissions/a": _answer(_JUDGED),
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
            sent = await reader.readexactly(length) if length else b""
            path = lines[0].split(b" ")[1].partition(b"?")[0]
            pong = path == b"/run_code" and b"pong" in sent
            writer.write(_PONG if pong else _ANSWERS.get(path, _NOT_FOUND))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


@contextmanager
def instant_server() -> Iterator[str]:
    """Run one for the length of a `with` block, and give its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.instant"], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_main())
