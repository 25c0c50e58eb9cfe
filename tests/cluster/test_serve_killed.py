"""kill -9 of a process that holds leases, and of the server, while processes work: nothing too many, nothing lost."""

import subprocess
import sys

import pytest

from balancer import Pool
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY, goes_on
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S

_TTL_S = 3.0
_CONFIG = f"""
[[endpoints]]
url = "http://10.0.0.{{1..2}}/"
capacity = {CAPACITY}
"""


def _worker(url, folder):
    command = [sys.executable, "-m", "tests.cluster.worker", url, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)


@pytest.mark.more
def test_kill_9_of_a_member_and_of_the_coordinator_issues_nothing_twice_and_loses_nothing(tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text(_CONFIG, encoding="utf-8")
    server = Command(config, ttl_s=_TTL_S)
    workers = [_worker(server.url, tmp_path) for _ in range(2)]
    try:
        first, second = workers
        goes_on(tmp_path, first.pid)
        goes_on(tmp_path, second.pid)
        first.kill()
        first.wait(PATIENCE_S)
        goes_on(tmp_path, second.pid)
        server.kill()
        server = Command(config, ttl_s=_TTL_S, port=server.port)
        goes_on(tmp_path, second.pid)
        assert second.stdin is not None
        second.stdin.close()
        assert second.wait(PATIENCE_S) == 0
        assert list(tmp_path.glob("too-many.*")) == []
        with Pool.connect(server.url, within_s=PATIENCE_S) as pool:
            leases = [pool.acquire(PATIENCE_S) for _ in range(2 * CAPACITY)]
            for lease in leases:
                lease.release()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(PATIENCE_S)
            if worker.stdin is not None:
                worker.stdin.close()
        server.kill()
