"""Promises with a time in them hold for a process that is stopped (SIGSTOP), not only for a clock that is moved."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from balancer import AcquireTimeout, Endpoint, LeaseError, Pool
from tests.cluster.serving import Command, Serving
from tests.cluster.stopped import LIMIT_S
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_TTL_S = 0.6
_LONG_TTL_S = 2.0
_FOR_EVER_S = 36_000.0  # a TTL that no test waits for


@contextmanager
def _stopped(pid):
    """Stop a process, and let it go on at the end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.more
def test_a_process_that_goes_on_after_a_stop_finds_all_that_is_over_at_its_first_look(tmp_path):
    """While it is stopped, another process gets its slot; it must never read that its lease is still out."""
    flag = tmp_path / "flag"
    flag.write_bytes(b"0")
    busy = Endpoint("http://busy/", labels=frozenset({"busy"}))
    with Serving("http://a/", ttl_s=_TTL_S) as short, Serving("http://a/", busy, ttl_s=_FOR_EVER_S) as long:
        command = [sys.executable, "-m", "tests.cluster.stopped", short.url, long.url, str(flag)]
        with (
            Pool.connect(short.url) as other,
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process,
        ):
            assert process.stdout is not None
            until(lambda: flag.read_bytes() == b"\1")
            with _stopped(process.pid):
                other.acquire(PATIENCE_S)
                time.sleep(1.2 * LIMIT_S)
            found = json.loads(process.stdout.readline())
    assert found == {
        "a lease without contact has ended": "True",
        "and cannot be given back": "LeaseError",
        "a lease of a server ends by its ttl_s": "True",
        "a lease of this process ends by its ttl_s": "(False, True)",  # a new one has its slot
        "a cooldown is over": "False",
        "a quota has room again": "False",
        "a wait is over": "AcquireTimeout",
        "a wait for a server is over": "AcquireTimeout",
        "a call makes no further attempt": "EndpointError after 1",
    }


@pytest.mark.more
def test_a_server_that_is_stopped_ends_what_it_granted_and_goes_on_with_nothing_given_twice(tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/"\n', encoding="utf-8")
    server = Command(config, ttl_s=_LONG_TTL_S)
    try:
        with Pool.connect(server.url) as pool, Pool.connect(server.url) as other:
            lease = pool.acquire(PATIENCE_S)
            with _stopped(server.process.pid):
                time.sleep(0.8 * _LONG_TTL_S)
                assert lease.ended, "there was no contact for 0.8 TTL"
                time.sleep(0.4 * _LONG_TTL_S)
            with other.lease(PATIENCE_S):
                assert lease.ended
                with pytest.raises(LeaseError, match="no contact"):
                    lease.release()
                with pytest.raises(AcquireTimeout):
                    pool.acquire(0.0)
    finally:
        server.kill()


def test_a_stop_ends_leases_in_one_look_whoever_looks():
    """In a block, under the lock of the pool, and in a table of leases."""
    with Serving("http://a/", "http://b/", ttl_s=_FOR_EVER_S) as serving, Pool.connect(serving.url) as pool:
        first, second = pool.acquire(), pool.acquire()
        clock = pool.engine.clock
        pool.engine.clock = lambda: clock() + _FOR_EVER_S
        with pool.engine.lock:
            assert first.ended
        assert pool.leases() == ()
        assert second.account is None
        assert "no contact" in second.fate
