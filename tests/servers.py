"""Real servers for tests: `balancer sandbox` in a process of its own, on a port of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_S

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A sandbox server that runs. Attributes: `url`, ending with a slash, and its process id `pid`."""

    url: str
    pid: int


@contextmanager
def running_server(
    *, isolation: str = "auto", workers: int = 2, folder: Path | None = None, **settings: object
) -> Iterator[RunningServer]:
    """Run a sandbox server for the length of a `with` block.

    Args:
        isolation: as in `ExecutorOptions`.
        workers: programs at once.
        folder: where it puts its temporary files, instead of the system's place for them.
        settings: as in `ServerSettings`.
    """
    code = (
        "from balancer.sandbox.server.app import serve; from balancer.sandbox.server.handler import ServerSettings; "
        f"serve(port=0, isolation={isolation!r}, settings=ServerSettings(**{dict(settings, workers=workers)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), **({"TMPDIR": str(folder)} if folder else {})}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=_ROOT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"the server said {line!r}"
            yield RunningServer(found[0], process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
