"""The jobs of an array, each a process with a share of the problems, over one pool that a server has.

One of them is killed, and run again, and so is the server. What they find, put together, is what one run finds.
"""

import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from balancer.pipeline.results.store import Store
from tests.cluster.serving import Command
from tests.integration.pipeline.place import Place, make_place, until
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.more


@pytest.fixture
def place(tmp_path):
    with make_place(tmp_path) as made:
        third = tmp_path / "problems" / "another"
        shutil.copytree(tmp_path / "problems" / "exact-change", third)
        described = (third / "problem.yaml").read_text(encoding="utf-8")
        (third / "problem.yaml").write_text(re.sub("(?m)^name: .*", "name: another", described), encoding="utf-8")
        yield made


def _share(folder: Path) -> Place:
    """Return the place of one share's results, to look at."""
    return Place(folder, folder)


def test_an_array_of_three_over_one_server_one_of_them_is_killed_and_so_is_the_server(place):
    place.write(["local://{1..2}"])
    server = Command(place.folder / "c.toml", ttl_s=3.0)
    try:
        place.run()
        whole = place.end()
        with ExitStack() as stack:
            jobs = [
                stack.enter_context(
                    place.running("--pool", server.url, "--shard", f"{i}/3", "--results", f"shares/{i}/results")
                )
                for i in (1, 2, 3)
            ]
            shares = [_share(place.folder / "shares" / str(i)) for i in (1, 2, 3)]
            until(partial(_has_begun, shares[0]), jobs[0])
            jobs[0].kill()
            jobs[0].communicate()
            assert jobs[0].returncode == -signal.SIGKILL
            with place.running("--pool", server.url, "--shard", "1/3", "--results", "shares/1/results") as again:
                server.kill()
                server = Command(place.folder / "c.toml", ttl_s=3.0, port=server.port)
                for job in (again, *jobs[1:]):
                    _, err = job.communicate(timeout=PATIENCE_S)
                    assert job.returncode == 0, err
        folders = [f"shares/{i}/results" for i in (1, 2, 3)]
        _command(place, "merge", *folders, "--results", "together/results")
        together = _share(place.folder / "together")
        assert together.end() == whole
        assert together.summary()["unjudged"] == 0
        with Store(place.folder / "shares/1/results") as store:
            assert [session.complete for session in store.sessions()] == [False, True]
    finally:
        server.kill()


def _has_begun(share: Place) -> bool:
    return share.leases() >= 5


def _command(place: Place, *args: str) -> Any:
    command = [sys.executable, "-m", "balancer", *args]
    return subprocess.run(command, cwd=place.folder, check=True, capture_output=True, timeout=PATIENCE_S)
