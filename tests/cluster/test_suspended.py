"""A machine that sleeps for an hour with a server and its processes on it: the boot clock jumps, nothing else does."""

import sys
import threading
import time
from types import SimpleNamespace

import pytest

from balancer import BalancerError, Lease, Pool
from balancer.cluster.tcp import clock as wire_clock
from tests.cluster.serving import Serving
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
