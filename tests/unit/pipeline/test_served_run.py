"""A run over a pool that is served elsewhere: the slots are the server's, the rest is as before."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from balancer import Endpoint, NotConnected
from balancer.opening.connected import connected_as
from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import merge
from balancer.pipeline.rows.read import ALL, Shard
from balancer.pipeline.running.run import RunOptions, run_pipeline
from balancer.program import Execution
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.test_run import CONFIG, Bench, bench

__all__ = ["bench"]

_SERVED = CONFIG[CONFIG.index("[verify]") :]


@pytest.fixture
def served():
    secret = {"Authorization": "Bearer of a fake"}
    with Serving(Endpoint("fake://1/", capacity=2, headers=secret), Endpoint("fake://2/", capacity=1)) as serving:
        yield serving


def _over(bench: Bench, serving: Serving) -> None:
    bench.write(f'[pool]\nconnect = "{serving.url}"\nacquire_timeout_s = {PATIENCE_S}\n{_SERVED}')


def _run(bench: Bench, results: str, share: Shard = ALL) -> RunResult:
    pipeline = bench.config.pipeline
    assert pipeline is not None
    config = bench.config.model_copy(update={"pipeline": pipeline.model_copy(update={"results": results})})
    return run_pipeline(config, bench.registry, Console(file=StringIO()), RunOptions(shard=share))


def test_the_shares_of_an_array_share_the_servers_slots_and_come_to_what_one_run_does(bench, served):
    whole = bench.run()
    at_once = _Peaks()
    bench.new = lambda: FakeExecutor(call_s=at_once)
    _over(bench, served)
    shares = [f"share-{index}" for index in range(3)]
    with ThreadPoolExecutor(3) as threads:
        found = threads.map(lambda index: _run(bench, shares[index], Shard(index, 3)), range(3))
        assert all(result.complete for result in found)
    assert {dict(each.headers)["Authorization"] for each in bench.options[3:] if each.headers} == {"Bearer of a fake"}
    assert served.pool.leases() == ()
    assert served.pool.stats().acquired == sum(_leases(bench.folder / share) for share in shares)
    with merge([bench.folder / share for share in shares], bench.folder / "together") as merged:
        with Store(bench.folder / "results") as before:
            assert difference(before, merged).same
        assert {session.slots for session in merged.sessions()} == {3}
        assert {session.strategy for session in merged.sessions()} == {"least_in_flight"}
    assert whole.complete
    assert at_once.most <= 3


class _Peaks:
    """How many calls there are at once, over all runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[float] = []
        self.most = 0

    def __call__(self) -> float:
        now = time.monotonic()
        with self._lock:
            self._ends = [end for end in self._ends if end > now] + [now + 0.002]
            self.most = max(self.most, len(self._ends))
        return 0.002


def _leases(folder: Path) -> int:
    with Store(folder) as store:
        row = store.log.row("SELECT COUNT(*) FROM spans")
        assert row is not None
        return int(row[0])


def test_an_endpoint_that_the_server_gets_meanwhile_is_used(bench, served):
    came = threading.Event()

    class Waits(FakeExecutor):
        def run(self, *args: Any) -> Execution:
            if not came.is_set():
                came.set()
                served.change(lambda core, now: core.add(Endpoint("fake://new/", capacity=4), now))
            return super().run(*args)

    bench.new = Waits
    _over(bench, served)
    assert _run(bench, "results").complete
    assert bench.made["fake://new/"].calls


def test_no_server_is_an_error_before_anything_is_run(bench, monkeypatch):
    bench.write(f'[pool]\nconnect = "balancer://127.0.0.1:9"\n{_SERVED}')
    monkeypatch.setattr(connected_as, "__kwdefaults__", {"within_s": 0.1})
    with pytest.raises(NotConnected, match="not connected within"):
        _run(bench, "results")
    assert not (bench.folder / "results").exists()
