"""A machine that sleeps for an hour with a server and its processes on it: the boot clock jumps, nothing else does."""

import json
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from balancer import BalancerError, Lease, Pool
from balancer.cluster.tcp import clock as wire_clock
from tests.cluster.serving import Command, Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_HOUR_S = 3600.0


@pytest.fixture
def suspend(monkeypatch):
    slept = [0.0]
    fake = SimpleNamespace(CLOCK_BOOTTIME=7, clock_gettime=lambda kind: time.clock_gettime(kind) + slept[0])
    monkeypatch.setattr(wire_clock, "time", fake)
    if sys.platform != "linux":
        pytest.skip("not run: no clock here goes on while the machine sleeps")

    def sleep():
        slept[0] += _HOUR_S

    return sleep


def _asked(pool, timeout, came):
    def ask():
        try:
            came.append(pool.acquire(timeout))
        except BalancerError as error:
            came.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def test_after_a_suspend_leases_have_ended_and_waiters_get_their_slots(suspend):
    with (
        Serving("http://a/", ttl_s=3.0) as served,
        Pool.connect(served.url) as holder,
        Pool.connect(served.url) as other,
    ):
        held = holder.acquire()
        came = []
        thread = _asked(other, None, came)
        until(lambda: served.pool.engine.core.waiting == 1)
        suspend()
        until(lambda: held.ended)
        thread.join(PATIENCE_S)
        (lease,) = came
        assert isinstance(lease, Lease)
        assert not lease.ended
        lease.release()
        for pool in (holder, other, holder):
            with pool.lease(timeout=PATIENCE_S) as lease:
                assert not lease.ended
        until(lambda: served.pool.leases() == ())


_HAS_SLEPT = f"""
import runpy, sys, time
real = time.clock_gettime
time.clock_gettime = lambda kind: real(kind) + {_HOUR_S} * (kind == time.CLOCK_BOOTTIME)
sys.argv = sys.argv[3:]
runpy.run_module("balancer", run_name="__main__", alter_sys=True)
"""


def test_all_of_a_server_has_one_clock_on_a_machine_that_has_slept_before(tmp_path):
    config, trace = tmp_path / "pool.toml", tmp_path / "trace.jsonl"
    config.write_text(f'[trace]\npath = "{trace}"\n[[endpoints]]\nurl = "http://a/"\n')
    server = Command(config, ttl_s=1.0, within=[sys.executable, "-c", _HAS_SLEPT])
    try:
        with Pool.connect(server.url) as pool, pool.lease():
            pass
        server.process.terminate()
        server.process.wait(PATIENCE_S)
    finally:
        server.kill()
    run, *others = map(json.loads, trace.read_text().splitlines())
    times = {
        f"{row['row']}.{name}": row[name] for row in others for name in ("at_s", "asked_s", "ended_s") if name in row
    }
    assert "attempt.asked_s" in times
    assert {name: at_s for name, at_s in times.items() if not 0.0 <= at_s - run["clock_s"] < _HOUR_S / 2} == {}
