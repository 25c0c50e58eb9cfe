"""A full disk is the newcomer's outage alone: what a server does that cannot write its record."""

import errno
import logging
import random
import subprocess
import sys

import pytest

from balancer import BalancerError, NotConnected, Pool
from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.messages import MemberId
from balancer.cluster.tcp.record_file import RecordFile
from tests.cluster.serving import Command, Serving
from tests.cluster.world import TTL_S, World
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_TTL_S = 30.0  # longer than any pause of a busy machine
_FULL = OSError(errno.ENOSPC, "No space left on device", "pool.toml.state")
# A limit of zero bytes for each file: the system refuses to write the record, as on a full disk.
_NO_ROOM = ["bash", "-c", 'ulimit -f 0; exec "$0" "$@"']


def test_who_is_known_is_served_and_who_is_new_is_refused_with_the_reason(caplog):
    with Serving("http://a/", ttl_s=_TTL_S) as serving, Pool.connect(serving.url) as pool:
        lease = pool.acquire()
        serving.trouble = _FULL
        for _ in range(3):  # each would ask to be written down
            with pytest.raises(
                NotConnected, match=r"let in anybody new: pool\.toml\.state cannot be written: No space"
            ):
                Pool.connect(serving.url, within_s=PATIENCE_S)
        before_s = pool.engine.core.expiry_s  # of a member
        lease.release()
        with pool.lease(PATIENCE_S):
            pass
        assert pool.engine.core.expiry_s > before_s, "it is answered"
        said = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert len(said) == 1
        assert "pool.toml.state cannot be written: No space left on device" in said[0].getMessage()
        serving.trouble = None
        until(lambda: "is written again" in caplog.text)
        with Pool.connect(serving.url, within_s=PATIENCE_S) as other, other.lease(PATIENCE_S):
            pass


def test_a_drain_that_cannot_be_written_down_is_told_and_written_later():
    with Serving("http://a/", "http://b/", ttl_s=_TTL_S) as serving:
        changes = serving.changes()
        serving.trouble = _FULL
        with pytest.raises(BalancerError, match=r"done, but the next server would not know of it yet: .*No space left"):
            changes.drain("http://b/")
        assert not serving.records[-1].drained
        serving.trouble = None
        until(lambda: serving.records[-1].drained == {"http://b/"})
        changes.add("http://b/")
        assert not serving.records[-1].drained


def test_who_is_not_written_down_gets_nothing_that_a_next_coordinator_would_give_again():
    """If it got a lease, a coordinator that restarts would not wait for it, and grant the slot twice."""
    world = World(random.Random(1), (1,))
    first = world.start_member()
    world.talk()
    world.full = True
    second = world.start_member()
    world.pass_time(1.0, quick=True)
    world.ask(second)
    world.pass_time(1.0, quick=True)
    assert first.member.inside
    assert not second.member.inside
    assert second.leases == []
    world.restart_coordinator()
    world.talk()
    world.ask(first)
    world.pass_time(1.0, quick=True)
    assert len(first.leases) == 1
    world.full = False
    world.release(first, first.leases[0])
    world.pass_time(TTL_S / 2, quick=True)
    assert len(second.leases) == 1
    world.settle()


def test_the_command_on_a_full_disk(tmp_path):
    """Without a record it says so and ends; with one it serves, and refuses newcomers."""
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/"\n', encoding="utf-8")
    state = tmp_path / "pool.toml.state"
    command = [*_NO_ROOM, sys.executable, "-m", "balancer", "serve", str(config), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert f"{state} cannot be written: File too large; nobody can be let in" in line
    keeper = RecordFile(state)
    keeper.keep(CoordinatorRecord(1, 10.0, frozenset({MemberId("a", "1")})))
    keeper.close()
    server = Command(config, ttl_s=_TTL_S, within=_NO_ROOM)
    try:
        with pytest.raises(NotConnected, match="cannot be written: File too large"):
            Pool.connect(server.url, within_s=PATIENCE_S)
    finally:
        server.kill()
