"""`balancer serve` while its config is changed and read again: nothing that is out is lost, and all learn of it."""

import random
import signal
import subprocess
import sys
import time

import pytest

from balancer import AcquireTimeout, Pool
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.threads.crew import until

pytestmark = pytest.mark.xdist_group("serve_changed")  # one server, which each test finds as the one before leaves it
_PINGED = '[health]\nping = "ping"\nconsecutive_failures = 1\nmax_ejected_share = 1.0\n'
_PINGED += "cooldown_s = 100.0\n"


def _endpoints(**capacities):
    return "".join(f'[[endpoints]]\nurl = "http://{n}/"\ncapacity = {many}\n' for n, many in capacities.items())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "pool.toml"
    path.write_text(_endpoints(a=1, b=1), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server(config):
    command = Command(config, ttl_s=10.0)
    yield command
    command.kill()


@pytest.fixture
def pool(server):
    with Pool.connect(server.url) as connected:
        yield connected


def _changed(server, config, text):
    """Let the server read this, and return what it says."""
    config.write_text(text, encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    assert server.process.stdout is not None
    return server.process.stdout.readline()


def _capacities(pool):
    return {each.url.strip("/").rpartition("/")[2]: each.capacity for each in pool.endpoints()}


def test_endpoints_come_go_and_grow_while_leases_are_out(server, config, pool):
    said = _changed(server, config, _endpoints(a=1, b=1))
    assert "nothing to change" in said
    lease, other = pool.acquire(), pool.acquire()
    gone, stays = lease.endpoint.host or "", other.endpoint.host or ""
    said = _changed(server, config, _endpoints(**{stays: 2, "c": 1}))
    assert "endpoints 1 added, 1 changed, 1 removed" in said
    until(lambda: _capacities(pool) == {stays: 2, "c": 1})
    assert not lease.ended
    assert not other.ended
    found = sorted(pool.acquire(PATIENCE_S).endpoint.host or "" for _ in range(2))
    assert found == sorted([stays, "c"])
    lease.release()
    with pytest.raises(AcquireTimeout):
        pool.acquire(0.0)
    assert gone not in _capacities(pool)


def test_a_config_with_a_mistake_changes_nothing(server, config, pool):
    _changed(server, config, _endpoints(a=1))
    until(lambda: _capacities(pool) == {"a": 1})
    for wrong in ("[[endpoints", _endpoints(x=0, y=0), '[pool]\nstrategy = "no_such"\n' + _endpoints(x=1)):
        said = _changed(server, config, wrong)
        assert said.startswith(f"nothing was changed: {config}: ")
    assert said.count("\n") == 1
    assert _capacities(pool) == {"a": 1}


def test_what_needs_a_restart_is_said_and_the_rest_is_done(server, config, pool):
    _changed(server, config, _endpoints(a=1))
    until(lambda: _capacities(pool) == {"a": 1})
    said = _changed(server, config, '[limits]\nkind = "aimd"\n[pool]\nstrategy = "fifo"\n' + _endpoints(a=3))
    assert said.endswith("endpoints 1 changed; strategy fifo; 3 slots of 1 endpoint\n")
    assert server.process.stdout is not None
    assert "[limits] change only with a restart" in server.process.stdout.readline()
    until(lambda: _capacities(pool) == {"a": 3})
    assert pool.stats().strategy == "fifo"


def test_a_server_pings_its_endpoints_those_that_come_later_too(tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text(_PINGED + _endpoints(**{"127.0.0.1:9": 1}) + '[[endpoints]]\nurl = "local://1"\n')
    server = Command(config, ttl_s=10.0)
    try:
        with Pool.connect(server.url) as pool:
            until(lambda: pool.out_of_service() == {"http://127.0.0.1:9/"})
            more = _endpoints(**{"127.0.0.1:9": 1, "127.0.0.1:10": 1}) + '[[endpoints]]\nurl = "local://1"\n'
            _changed(server, config, _PINGED + more)
            until(lambda: pool.out_of_service() == {"http://127.0.0.1:9/", "http://127.0.0.1:10/"})
    finally:
        server.kill()


@pytest.mark.more
def test_a_server_that_is_changed_all_the_time_issues_nothing_twice_and_loses_nothing(tmp_path):
    """Four processes at work, and all kinds of changes but of capacities, of which the locks of slots know nothing."""
    hosts = [f"10.0.0.{number}" for number in range(1, 5)]
    config = tmp_path / "pool.toml"
    config.write_text(_endpoints(**dict.fromkeys(hosts, CAPACITY)), encoding="utf-8")
    server = Command(config, ttl_s=5.0)
    command = [sys.executable, "-m", "tests.cluster.worker", server.url, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) for _ in range(4)]
    rng = random.Random(7)
    try:
        until(lambda: len(list(tmp_path.glob("done.*"))) == 8)
        for strategy in ("fifo", "p2c", "round_robin", "least_in_flight") * 5:
            there = rng.sample(hosts, rng.randint(1, 4))
            weights = f"weight = {rng.randint(1, 3)}.0\n"
            text = "".join(_endpoints(**{host: CAPACITY}) + weights for host in there)
            said = _changed(server, config, f'[pool]\nstrategy = "{strategy}"\n{text}')
            assert said.startswith("read "), said
            time.sleep(rng.uniform(0.0, 0.2))
        _changed(server, config, _endpoints(**dict.fromkeys(hosts, CAPACITY)))
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        assert [worker.wait(PATIENCE_S) for worker in workers] == [0] * 4
        assert list(tmp_path.glob("too-many.*")) == []
        with Pool.connect(server.url) as pool:
            leases = [pool.acquire(PATIENCE_S) for _ in range(4 * CAPACITY)]
            for lease in leases:
                lease.release()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(PATIENCE_S)
        server.kill()
