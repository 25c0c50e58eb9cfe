"""A network that is cut while eight processes work, for less than a TTL, about one, and more: on both sides of it.

Four processes are on the server's side and four beyond the cable. Calls beyond it last longer than a TTL, and stop when
their lease has ended, so a slot that the server gives to others too soon is found in use.
"""

import os
import subprocess
import sys
import time

import pytest

from tests.cluster.cut import Cable, CannotCut
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.threads.crew import until

pytestmark = pytest.mark.more

_TTL_S = 5.0
_SLOTS = 6 * CAPACITY
_TOKEN = "the token of a test"


@pytest.fixture
def cable():
    try:
        made = Cable()
    except CannotCut as why:
        pytest.skip(f"not run: no network namespaces: {why}")
    with made:
        yield made


@pytest.mark.parametrize("part", [0.5, 1.0, 2.0], ids=["less than a TTL", "about a TTL", "more than a TTL"])
def test_a_cut_network_issues_nothing_twice_and_loses_nothing(cable, tmp_path, part):
    config = tmp_path / "pool.toml"
    config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.{{1..6}}/"\ncapacity = {CAPACITY}\n')
    server = Command(config, ttl_s=_TTL_S, host=cable.address, token=_TOKEN, within=cable.here)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for side, work_s in ((cable.here, 0.05), (cable.there, 1.5 * _TTL_S)):
            for _ in range(4):
                command = [*side, sys.executable, "-m", "tests.cluster.worker", server.url, str(tmp_path), str(work_s)]
                environment = {**os.environ, "BALANCER_SERVE_TOKEN": _TOKEN}
                workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=environment))
        until(lambda: len(list(tmp_path.glob("done.*"))) == 2 * len(workers))
        time.sleep(0.5)  # so that calls beyond the cable are out
        cable.cut()
        time.sleep(part * _TTL_S)
        cable.mend()
        time.sleep(_TTL_S)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        assert [worker.wait(PATIENCE_S) for worker in workers] == [0] * 8
        assert list(tmp_path.glob("too-many.*")) == []
        _all_are_there(cable, server)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(PATIENCE_S)
        server.kill()


_TAKES_ALL = """
import sys
import balancer
with balancer.Pool.connect(sys.argv[1], within_s=60.0) as pool:
    leases = [pool.acquire(float(sys.argv[3])) for _ in range(int(sys.argv[2]))]
    for lease in leases:
        lease.release()
"""


def _all_are_there(cable: Cable, server: Command) -> None:
    """Take all slots at once, from beyond the cable."""
    command = [*cable.there, sys.executable, "-c", _TAKES_ALL, server.url, str(_SLOTS), str(PATIENCE_S)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "BALANCER_SERVE_TOKEN": _TOKEN})
