"""`balancer run --processes`: as one process finds it, also when a worker or the run is killed, or it is stopped."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.store import Store
from tests.integration.pipeline.place import Place, alive, children_of, make_place, until
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.more, pytest.mark.xdist_group("processes")]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of one process."""
    with make_place(tmp_path_factory.mktemp("one")) as made:
        _fill(made)
        made.run()
        return made.folder / "results"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with make_place(tmp_path) as made:
        _fill(made)
        yield made


def _fill(place: Place) -> None:
    place.write(["local://1", "local://2"])
    shutil.copytree(place.folder / "problems/exact-change", place.folder / "problems/exact-change-2")


def _workers(pid: int) -> list[tuple[int, int]]:
    """Return the workers of the run `pid`, each as its id and the tick it began at."""
    return [child for child in children_of(pid) if b"spawn_main" in _words(child[0])]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _at_work(place: Place, pid: int) -> list[int]:
    """Return the workers that run a program of a problem, and not one of their own at their start."""
    begun = place.has("sessions") and place.rows("SELECT id FROM sessions")
    return [worker for worker, _ in _workers(pid) if children_of(worker)] if begun else []


def _kill_one(place: Place, pid: int) -> bool:
    """Kill the first worker that is seen to run a program."""
    for worker in _at_work(place, pid)[:1]:
        os.kill(worker, signal.SIGKILL)
        return True
    return False


def _as_one(place: Place, one: Path) -> bool:
    with Store(one) as whole, Store(place.folder / "results") as found:
        return difference(whole, found).same


def test_verdicts_are_those_of_one_process_though_a_worker_is_killed(place: Place, one: Path) -> None:
    with place.running("--processes", "2") as process:
        until(lambda: _kill_one(place, process.pid), process)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    assert _as_one(place, one)
    assert place.summary()["complete"]
    assert place.summary()["pool"]["acquired"] >= place.leases()


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(place: Place, one: Path) -> None:
    with place.running("--processes", "2") as process:
        until(lambda: bool(_at_work(place, process.pid)), process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of the group
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, (out, err)
    assert "stopping" in err
    assert not place.summary()["complete"]
    place.run("--processes", "2")
    assert _as_one(place, one)
    assert place.left_behind() == []


def test_the_workers_of_a_run_that_is_killed_end_too(place: Place, one: Path) -> None:
    with place.running("--processes", "2") as process:
        until(lambda: bool(_at_work(place, process.pid)), process)
        workers = _workers(process.pid)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    assert len(workers) == 2
    until(lambda: not any(map(alive, workers)))
    place.run()  # in one process
    assert _as_one(place, one)
