"""A pool that an actor hosts, real: its face, who shares it, and what is lost when a member or the actor is killed."""

import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from balancer import AcquireTimeout, BalancerError, ConfigError, NotConnected, Pool
from balancer.cluster.protocol.grace import parse_record
from balancer.observing.traces import read_trace
from balancer.ray.claim import ControlStore
from balancer.settings.config import Config
from tests.cluster.worker import CAPACITY, _work, goes_on
from tests.patience import PATIENCE_S
from tests.threads.crew import until

ray = pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")

from balancer.ray import SharedPool, stop  # noqa: E402

pytestmark = [pytest.mark.more, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]

TTL_S = 60  # a restart on a busy machine takes seconds
SLOTS = 2 * CAPACITY


def _config(**settings):
    return Config(endpoints=[{"url": "http://10.0.0.{1..2}/", "capacity": CAPACITY}], **settings)


@pytest.fixture
def pool(cluster, request):
    name = request.node.name
    with SharedPool(name, config=_config(), ttl_s=TTL_S) as shared:
        yield shared
    with suppress(ConfigError):
        stop(name)


def _takes(pool, for_s):
    with pool.lease(PATIENCE_S, holder="a task") as lease:
        time.sleep(for_s)
        return os.getpid(), lease.endpoint.url


def _waits(pool, timeout_s):
    try:
        pool.acquire(timeout_s).release()
    except AcquireTimeout:
        return "in vain"
    return "served"


class _Worker:
    """An actor that works on a pool, in two threads, and sees whether somebody else uses what it leases."""

    def __init__(self, name):
        self.pool = SharedPool(name)
        self.over = threading.Event()
        self.crew = []

    def pid(self):
        return os.getpid()

    def work(self, folder):
        self.crew = [threading.Thread(target=_work, args=(self.pool, Path(folder), self.over)) for _ in range(2)]
        for thread in self.crew:
            thread.start()

    def end(self):
        self.over.set()
        for thread in self.crew:
            thread.join()
        self.pool.close()

    def in_tasks(self, count):
        async def one():
            async with self.pool.aio.lease(PATIENCE_S) as lease:
                await asyncio.sleep(0.001)
                return lease.endpoint.url

        async def many():
            return await asyncio.gather(*(one() for _ in range(count)))

        return set(asyncio.run(many()))


# -- its face -------------------------------------------------------------------------------------------


def test_a_driver_tasks_and_actors_share_slots_and_a_process_has_one_pool(pool):
    mine = [pool.acquire(PATIENCE_S) for _ in range(SLOTS)]
    assert ray.get(ray.remote(_waits).remote(pool, 0.2), timeout=PATIENCE_S) == "in vain"
    for lease in mine:
        lease.release()
    found = ray.get([ray.remote(_takes).remote(pool, 0.01) for _ in range(8)], timeout=PATIENCE_S)
    assert {url for _, url in found} <= {"http://10.0.0.1/", "http://10.0.0.2/"}
    assert os.getpid() not in {pid for pid, _ in found}
    worker = ray.remote(_Worker).options(num_cpus=0).remote(pool.called)
    assert ray.get(worker.in_tasks.remote(20), timeout=PATIENCE_S) == {"http://10.0.0.1/", "http://10.0.0.2/"}
    ray.get(worker.end.remote(), timeout=PATIENCE_S)
    assert pool.call(lambda lease: "called") == "called"


def test_what_is_there_is_taken_as_it_is_and_never_silently_another(pool):
    name = pool.called
    with SharedPool(name) as other, other.lease(PATIENCE_S) as lease:
        assert lease.endpoint.capacity == CAPACITY
    SharedPool(name, config=_config(), ttl_s=TTL_S).close()
    with pytest.raises(ConfigError, match=r"it exists, and was made from another config or TTL \(it has 60 s\); leave"):
        SharedPool(name, config=_config(host_caps={"*": 1}))
    with pytest.raises(ConfigError, match="from another config or TTL"):
        SharedPool(name, ttl_s=5.0)
    with pytest.raises(BalancerError, match="only its actor can change endpoints"):
        pool.drain("http://10.0.0.1/")


def test_the_actor_writes_the_trace_of_all_processes(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative path is of the process that makes the pool
    with SharedPool("traced", config=_config(trace={"path": "calls.jsonl"}), ttl_s=TTL_S) as pool:
        with pool.lease(PATIENCE_S, holder="the driver"):
            pass
        ray.get(ray.remote(_takes).remote(pool, 0.01), timeout=PATIENCE_S)

        def holders():
            trace = read_trace(tmp_path / "calls.jsonl")
            return {each.task for each in trace.attempts if each.outcome is not None}

        until(lambda: (tmp_path / "calls.jsonl").exists() and holders() == {"the driver", "a task"})
    stop("traced")


def test_mistakes_are_a_line_each(cluster, monkeypatch):
    with pytest.raises(ConfigError, match="the pool 'nobody' of Ray: there is none in the namespace 'balancer'"):
        SharedPool("nobody")
    with pytest.raises(ConfigError, match="strategy"):
        SharedPool("nobody", config=_config(pool={"strategy": "no such"}))
    with pytest.raises(ConfigError, match="ttl_s"):
        SharedPool("nobody", config=_config(), ttl_s=-1.0)
    with pytest.raises(ConfigError, match="not empty"):
        SharedPool("")

    class Other:
        pass

    other = ray.remote(Other).options(name="taken", namespace="balancer", num_cpus=0).remote()
    with pytest.raises(ConfigError, match="the pool 'taken' of Ray: another actor has this name"):
        SharedPool("taken", config=_config())
    ray.kill(other)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=r"Ray is not initialised in this process; call ray\.init\(\) first"):
        SharedPool("nobody", config=_config())


def test_a_token_is_told_by_ray_alone(pool, cluster):
    actor = ray.get_actor(pool.called, namespace="balancer")
    found = ray.get(actor.where.remote(ray.get_runtime_context().get_node_id()))
    assert found.url.startswith("balancer://127.0.0.1:")
    assert len(found.token) == 32
    assert found.token not in repr(found)
    elsewhere = ray.get(actor.where.remote("another node"))
    assert elsewhere.url.startswith(f"balancer://{ray.util.get_node_ip_address()}:")
    with Pool.connect(elsewhere.url, token=found.token) as other, other.lease(PATIENCE_S):
        pass
    with pytest.raises(NotConnected, match="the token is wrong"):
        Pool.connect(elsewhere.url, token="a guess")
    logs = (Path(cluster) / "session_latest" / "logs").glob("*")
    assert not [log for log in logs if log.is_file() and found.token in log.read_text(errors="replace")]


# -- who dies -------------------------------------------------------------------------------------------


def _members(pool):
    """Return how many members the next actor would know of."""
    store, name = ControlStore(), f"balancer/{pool.called}"
    coordinator = store.get(f"{name}/coordinator")
    record = parse_record(store.get(f"{name}/record/{coordinator}") or "")
    return len(record.holders or ()) if record is not None else -1


def _kill_actor(pool):
    """Kill the actor, and wait until another life of it has let this process in."""
    actor = ray.get_actor(pool.called, namespace="balancer")
    before = ray.get(actor.where.remote(""), timeout=PATIENCE_S).token

    def lives_again():
        with suppress(ray.exceptions.RayError):
            return bool(ray.get(actor.where.remote(""), timeout=PATIENCE_S).token != before)
        return False

    ray.kill(actor, no_restart=False)
    until(lives_again)
    until(lambda: pool._line._token != before and pool.connected)


def test_kill_9_of_a_member_and_of_the_actor_issues_nothing_twice_and_loses_nothing(pool, tmp_path):
    workers = [ray.remote(_Worker).options(num_cpus=0).remote(pool.called) for _ in range(3)]
    pids = ray.get([worker.pid.remote() for worker in workers], timeout=PATIENCE_S)
    ray.get([worker.work.remote(str(tmp_path)) for worker in workers], timeout=PATIENCE_S)
    for pid in pids:
        goes_on(tmp_path, pid)
    held = pool.acquire(PATIENCE_S)
    os.kill(pids[0], signal.SIGKILL)
    goes_on(tmp_path, pids[1])
    until(lambda: _members(pool) == 3)  # else the next actor must wait for the dead one, for more than a TTL
    _kill_actor(pool)
    assert not held.ended, "a lease outlives the actor"
    for pid in pids[1:]:
        goes_on(tmp_path, pid)
    held.release()
    ray.get([worker.end.remote() for worker in workers[1:]], timeout=PATIENCE_S)
    assert list(tmp_path.glob("too-many.*")) == []
    leases = [pool.acquire(PATIENCE_S) for _ in range(SLOTS)]
    with pytest.raises(AcquireTimeout):
        pool.acquire(0.05)
    for lease in leases:
        lease.release()


def test_a_pool_that_is_ended_is_over_for_all_and_can_be_made_anew(cluster):
    pool = SharedPool("ended", config=_config(), ttl_s=3.0)
    lease = pool.acquire(PATIENCE_S)
    stop("ended")
    until(lambda: lease.ended)
    assert not pool.connected
    with pytest.raises(ConfigError, match="there is none"):
        stop("ended")
    with SharedPool("ended", config=_config(), ttl_s=3.0):
        until(lambda: pool.connected)
        with pool.lease(PATIENCE_S):
            pass
    pool.close()
    stop("ended")
