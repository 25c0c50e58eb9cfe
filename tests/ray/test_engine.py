"""`balancer run --engine ray`, real: as one process finds it, also when a worker or a node dies, and when stopped."""

import os
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.store import Store
from tests.integration.pipeline.place import children_of, make_place, until
from tests.patience import PATIENCE_S

ray = pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")

pytestmark = [pytest.mark.more, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]


@contextmanager
def _filled(folder):
    """Have a place with three problems, for three workers."""
    with make_place(folder) as made:
        made.write(["local://1", "local://2"])
        shutil.copytree(folder / "problems/exact-change", folder / "problems/exact-change-2")
        yield made


class _One(NamedTuple):
    """A run in one process: its results, how long it took, and from its first lease to its last one."""

    results: Path
    took_s: float
    makespan_s: float


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    with _filled(tmp_path_factory.mktemp("one")) as made:
        began_s = time.monotonic()
        made.run()
        return _One(made.folder / "results", time.monotonic() - began_s, made.summary()["makespan_s"])


@pytest.fixture
def place(tmp_path, monkeypatch):
    # A folder of its own keeps Ray from finding the cluster of other tests.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with _filled(tmp_path) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def _workers(pid):
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


def _kill_one(pid, killed):
    """Kill the first worker that is seen to judge a problem; it has just begun."""
    for worker in _workers(pid)[:1]:
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)
    return bool(killed)


def _as_one(place, one):
    with Store(one.results) as whole, Store(place.folder / "results") as found:
        return difference(whole, found).same


def test_on_a_cluster_of_three_cpus_verdicts_are_those_of_one_process_though_a_worker_is_killed(
    place, one, cluster, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    began_s = time.monotonic()
    with place.running("--engine", "ray") as process:
        killed = []
        until(lambda: _kill_one(os.getpid(), killed), process)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    took_s, makespan_s = time.monotonic() - began_s, place.summary()["makespan_s"]
    print(f"one process: {one.took_s:.1f} s, of which its leases {one.makespan_s:.1f} s")
    print(f"Ray, a worker killed: {took_s:.1f} s, of which its leases {makespan_s:.1f} s")
    assert _as_one(place, one)
    assert place.summary()["complete"]


def test_a_node_that_dies_costs_no_verdict(place, one, monkeypatch):
    from ray.cluster_utils import Cluster
    from ray.experimental import internal_kv

    kept = internal_kv.internal_kv_get_gcs_client()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20})
    try:
        node = nodes.add_node(num_cpus=2, object_store_memory=100 * 2**20)
        nodes.wait_for_nodes()
        raylet = node.all_processes["raylet"][0].process.pid
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        with place.running("--engine", "ray") as process:
            until(lambda: bool(_workers(raylet)), process)
            nodes.remove_node(node, allow_graceful=False)
            _, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, err
    finally:
        nodes.shutdown()
        if kept is not None:
            internal_kv._initialize_internal_kv(kept)  # the shutdown took the store of the other tests' cluster too
    assert _as_one(place, one)
    assert place.summary()["complete"]


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(place, one):
    with place.running("--engine", "ray") as process:
        until(lambda: bool(_workers(process.pid)), process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of the group
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, (out, err)
    assert "stopping" in err
    stopped = place.summary()
    assert not stopped["complete"]
    place.run("--engine", "ray")
    whole = place.summary()["per_problem"]
    assert not [each for each in stopped["per_problem"] if each in whole], "its workers were told to stop"
    assert _as_one(place, one)
