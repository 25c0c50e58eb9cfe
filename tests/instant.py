"""A sandbox server that runs nothing and answers at once: for the cost of everything else.

It says of every program that it printed "4", and of one that prints "pong" that, as one of our own servers says it.
Run as a program it serves in a process of its own: `python -m tests.instant` prints its URL.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balancer.sandbox.fusion.wire import About, CommandResult, CommandStatus, RunCodeAnswer, RunStatus

__all__ = ["instant_server"]

_ROOT = Path(__file__).resolve().parents[1]


def _answer(printed: str) -> bytes:
    ran = CommandResult(
        status=CommandStatus.FINISHED, execution_time=0.01, return_code=0, stdout=printed, stderr="", cpu_time=0.01
    )
    return RunCodeAnswer(status=RunStatus.SUCCESS, run_result=ran).model_dump_json().encode()


_FOUR, _PONG = _answer("4\n"), _answer("pong\n")
_ABOUT = About(languages=["python", "cpp"]).model_dump_json().encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
            sent = await reader.readexactly(length) if length else b""
            body = _PONG if b"pong" in sent else _FOUR
            body = _ABOUT if b"/v1/about" in lines[0] else b'"pong"' if b"/v1/ping" in lines[0] else body
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
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
