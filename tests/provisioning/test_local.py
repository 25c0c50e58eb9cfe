"""Servers of this machine on demand: alone, over kills of their owner, and shared by `balancer serve`."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer import Pool
from balancer.judge import Judge
from balancer.provisioning.providers.local import LocalProvider
from balancer.source import EndpointTemplate
from tests.cluster.serving import Command
from tests.discovery.servers import until
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.more,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="servers are found in /proc"),
]

_OWNER = """
import sys, time
from balancer import Pool
with Pool() as pool:
    made = pool.provision("local", {"isolation": "rlimits"}, name="box", most=2, warm=2, burst=9, creations_per_s=1e3,
                          label=sys.argv[1])
    while made.counts.creating + made.counts.serving < int(sys.argv[2]):
        time.sleep(0.01)
    while made.counts.serving < int(sys.argv[3]):
        time.sleep(0.01)
    print("now", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def label(tmp_path: Path) -> Iterator[str]:
    name = f"test-{os.getpid()}-{tmp_path.name}"
    yield name
    assert _found(name) == {}, "a server is left"


def _found(label: str) -> dict[str, str]:
    return dict(LocalProvider(LocalProvider.Options(), EndpointTemplate()).find(label))


def _on(pool: Pool, label: str, **settings: object) -> None:
    asked = {"most": 2, "burst": 9, "creations_per_s": 1e3, "label": label, "name": "box", **settings}
    pool.provision("local", {"isolation": "rlimits"}, **asked)


def test_programs_run_in_servers_that_were_not_there(label: str) -> None:
    with Pool() as pool:
        _on(pool, label, capacity=2)
        with Judge(pool) as judge:
            judged = judge.run("```python\nprint(2 * int(input()))\n```", [("1\n", "2\n"), ("21\n", "42\n")])
        assert judged.score == 1.0
        assert len(_found(label)) in (1, 2)


@pytest.mark.parametrize(("begun", "serving"), [(1, 0), (2, 1), (2, 2)])
def test_nothing_is_left_over_kills_of_the_owner(label: str, begun: int, serving: int) -> None:
    """Killed while servers are being made, while one is, and while both serve."""
    command = [sys.executable, "-c", _OWNER, label, str(begun), str(serving)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert owner.stdout.readline() == b"now\n"
    owner.kill()
    owner.wait(PATIENCE_S)
    owner.stdout.close()
    owner.stdin.close()
    left = set(_found(label))
    with Pool() as pool:
        _on(pool, label)
        with pool.lease(PATIENCE_S):
            assert len(_found(label)) <= 2
        until(lambda: not left & set(_found(label)))


def test_a_program_that_forgets_to_close_leaves_nothing(label: str) -> None:
    code = "from balancer import Pool\npool = Pool()\n"
    code += "pool.provision('local', {'isolation': 'rlimits'}, most=1, label=__import__('sys').argv[1])\n"
    code += "pool.acquire()\n"
    subprocess.run([sys.executable, "-c", code, label], check=True, timeout=PATIENCE_S)


def test_what_a_server_has_started_is_no_further_server(label: str) -> None:
    environ = {**os.environ, "BALANCER_ACCOUNT_LABEL": label, "BALANCER_ACCOUNT_KEY": "key"}
    child = "import subprocess as s; s.run(['sleep', '60'], start_new_session=True)"
    server = subprocess.Popen([sys.executable, "-c", child], env=environ, start_new_session=True)
    try:
        until(lambda: _children(server.pid) > 0)
        assert [id.partition("-")[0] for id in _found(label)] == [str(server.pid)]
    finally:
        server.kill()
        server.wait()
        for id in _found(label):  # what is left of it is found, and ended
            LocalProvider(LocalProvider.Options(), EndpointTemplate()).destroy(id)
    assert not _found(label)


def _children(pid: int) -> int:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())


def test_several_processes_share_an_account(label: str, tmp_path: Path) -> None:
    """At most two servers for two members with four calls at once; none is left over a kill of the server, nor after
    its end."""
    config = tmp_path / "pool.toml"
    config.write_text(
        f'[accounts.box]\nprovider = "local"\noptions = {{ isolation = "rlimits" }}\nmost = 2\nburst = 9\n'
        f'creations_per_s = 1000.0\nlabel = "{label}"\n',
        encoding="utf-8",
    )
    first = Command(config, ttl_s=1.0)
    try:
        _use(first.url, label)
    finally:
        first.kill()
    left = set(_found(label))
    assert len(left) in (1, 2)
    second = Command(config, ttl_s=1.0)
    try:
        _use(second.url, label)
        assert not left & set(_found(label))
        second.process.send_signal(signal.SIGTERM)
        said, _ = second.process.communicate(timeout=PATIENCE_S)
        assert second.process.returncode == 128 + signal.SIGTERM, said
    finally:
        second.kill()


def _use(url: str, label: str) -> None:
    """Lease in four threads of two members. There are never more than two servers."""
    most = []

    def call(pool: Pool) -> None:
        for _ in range(3):
            with pool.lease(PATIENCE_S) as lease:
                assert lease.endpoint.headers["Authorization"].startswith("Bearer ")
                most.append(len(_found(label)))

    with Pool.connect(url) as one, Pool.connect(url) as two:
        threads = [threading.Thread(target=call, args=(pool,)) for pool in (one, two, one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(most) == 12
    assert max(most) <= 2
