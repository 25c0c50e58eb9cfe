"""`balancer run --engine ray`, real: as one process finds it, also when a worker is killed, and when it is stopped."""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.store import Store
from tests.integration.pipeline.place import Place, children_of, make_place, until
from tests.patience import PATIENCE_S

pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")

pytestmark = [pytest.mark.more, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # A folder of its own keeps Ray from finding the cluster of other tests.
    ray_folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", ray_folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with make_place(tmp_path) as made:
        made.write(["local://1", "local://2"])
        for name in ("exact-change", "meeting-room"):  # three problems for three workers
            shutil.copytree(tmp_path / "problems" / name, tmp_path / "problems" / f"{name}-2")
        yield made
    shutil.rmtree(ray_folder, ignore_errors=True)


def _workers(pid: int) -> list[int]:
    """Return the processes that judge a problem below `pid`."""
    found = []
    for child, _ in children_of(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::_judge"):
            found.append(child)
    return found


def test_verdicts_are_those_of_one_process_though_a_worker_is_killed(place: Place) -> None:
    began_s = time.monotonic()
    place.run()
    one_s = time.monotonic() - began_s
    shutil.move(place.folder / "results", place.folder / "one")
    began_s = time.monotonic()
    with place.running("--engine", "ray") as process:
        until(lambda: len(_workers(process.pid)) >= 1, process)
        time.sleep(0.5)
        victim = _workers(process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    print(f"one process {one_s:.1f} s, Ray with a worker killed {time.monotonic() - began_s:.1f} s")
    with Store(place.folder / "one") as one, Store(place.folder / "results") as ray:
        assert difference(one, ray).same
    summary = place.summary()
    assert summary["complete"]


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(place: Place) -> None:
    with place.running("--engine", "ray") as process:
        until(lambda: bool(_workers(process.pid)), process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of the group
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, (out, err)
    assert "stopping" in err
    assert not json.loads((place.folder / "results/summary.json").read_text())["complete"]
    place.run("--engine", "ray")
    shutil.move(place.folder / "results", place.folder / "ray")
    place.run()
    with Store(place.folder / "ray") as ray, Store(place.folder / "results") as one:
        assert difference(one, ray).same
