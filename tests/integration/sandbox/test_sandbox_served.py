"""Client and server together, through SandboxFusion's API; what every executor owes is in test_adapters.py."""

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from balancer.errors import EndpointError
from balancer.program import Limits, Program
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.integration.sandbox.processes import processes_with, wait_until
from tests.patience import stretched
from tests.servers import running_server

LIMITS = Limits(cpu_s=10.0, wall_s=100.0)


@pytest.fixture
def folder():
    """A folder for temporary files through which programs' users may pass (pytest's own is closed to them)."""
    with tempfile.TemporaryDirectory(prefix="balancer-test-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number, marker, folder):
    caught: list[EndpointError] = []
    with running_server(folder=folder) as server:
        executor = FusionExecutor(server.url)
        program = Program("python", "import time; time.sleep(60)", args=(marker,))

        def ask() -> None:
            try:
                executor.run(program, b"", LIMITS, {})
            except EndpointError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: bool(processes_with(marker)))
        assert list(folder.iterdir())
        started_s = time.monotonic()
        os.kill(server.pid, number)
        thread.join()
        executor.close()
        wait_until(lambda: not Path(f"/proc/{server.pid}/cmdline").read_bytes())  # a zombie: ended, not waited for
        assert time.monotonic() - started_s < stretched(3)
    assert "stopped, because the executor was closed" in caught[0].reason
    assert not list(folder.iterdir())
