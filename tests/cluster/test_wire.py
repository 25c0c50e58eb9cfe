"""The wire, rule by rule: what a server does before what, whom it believes, and which clock it goes by."""

import socket
import subprocess
import sys
import time

import pytest

from balancer import Pool
from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.protocol import messages as m
from balancer.cluster.tcp import clock as wire_clock
from balancer.cluster.tcp.codec import (
    VERSION,
    Closing,
    MessageSplitter,
    Opening,
    WireError,
    encoded,
    read_from_coordinator,
    read_from_member,
)
from balancer.cluster.tcp.liveness import own_identity
from balancer.cluster.tcp.server import PoolServer, _Line
from balancer.endpoint import Outcome
from balancer.strategy import Request
from tests.cluster.serving import Serving
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_TOKEN = "a token of some length"
_FOR_EVER_S = 36_000.0  # a TTL that no test waits for


class _Stranger:
    """Somebody who speaks to a server by hand."""

    def __init__(self, serving):
        self._socket = socket.create_connection(("127.0.0.1", serving.port), timeout=PATIENCE_S)
        self._frames = MessageSplitter()

    def say(self, *messages):
        self._socket.sendall(b"".join(map(encoded, messages)))

    def hear(self):
        """Yield what the server says, until it ends the connection."""
        while data := self._socket.recv(65536):
            yield from map(read_from_coordinator, self._frames.feed(data))

    def close(self):
        self._socket.close()


def test_who_is_let_in_is_written_down_before_it_is_told(monkeypatch):
    """A coordinator that died between the two would not wait for that member in its grace."""
    told = []
    with Serving("http://a/") as serving:
        send = _Line.send

        def watched(line, data):
            told.append((data, serving.records[-1]))
            send(line, data)

        monkeypatch.setattr(_Line, "send", watched)
        with Pool.connect(serving.url) as pool, pool.lease(PATIENCE_S):
            pass
    welcomed = [
        record
        for data, record in told
        for message in map(read_from_coordinator, MessageSplitter().feed(data))
        if isinstance(message, m.SessionAccepted)
    ]
    assert welcomed
    assert all(record.holders for record in welcomed), "it is among those who may hold something"


def test_who_has_a_wrong_token_takes_nobody_s_place():
    with (
        Serving("http://a/", token=_TOKEN, ttl_s=_FOR_EVER_S) as serving,
        Pool.connect(serving.url, token=_TOKEN) as pool,
    ):
        (who,) = serving.server._lines
        line = serving.server._lines[who]
        stranger = _Stranger(serving)
        stranger.say(Opening(VERSION, "a wrong token, and long", who, None), m.JoinRequest(who, 1e9))
        (said,) = stranger.hear()
        assert isinstance(said, Closing)
        stranger.close()
        assert serving.server._lines == {who: line}
        with pool.lease(PATIENCE_S):
            pass


def test_a_member_speaks_for_itself_alone():
    with Serving("http://a/", ttl_s=_FOR_EVER_S) as serving, Pool.connect(serving.url) as pool:
        lease = pool.acquire(PATIENCE_S)
        (who,) = serving.server._lines
        session = serving.server.coordinator._sessions[who]
        stranger = _Stranger(serving)
        bye = m.MemberFrame(who, session.epoch, session.number, 1e9, 3, 0, (m.MemberLeft(),))
        own = m.MemberId("another", "1")
        stranger.say(Opening(VERSION, "", own, None), bye)
        stranger.say(m.JoinRequest(own, 1.0))
        assert isinstance(next(stranger.hear()), Closing)
        stranger.close()
        assert serving.server.coordinator._sessions[who] is session
        assert len(serving.pool.leases()) == 1
        lease.release()


def test_a_process_that_is_killed_on_the_server_s_machine_is_known_to_be_dead():
    if own_identity() is None:
        pytest.skip("not run: no /proc")
    takes = "import sys, time; from balancer import Pool; pool = Pool.connect(sys.argv[1]); lease = pool.acquire(); "
    takes += "print('has it', flush=True); time.sleep(600)"
    with Serving("http://a/", ttl_s=_FOR_EVER_S) as serving:
        command = [sys.executable, "-c", takes, serving.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"has it\n"
            assert len(serving.pool.leases()) == 1
            process.kill()
            until(lambda: serving.pool.leases() == (), within_s=PATIENCE_S)  # the server looks for 2 s


def test_an_epoch_is_greater_than_the_last_though_the_clock_was_put_back():
    last = CoordinatorRecord(int(time.time() * 1000) + 10**9, 3.0, frozenset())
    with Pool(["http://a/"]) as pool:
        server = PoolServer(pool.engine.core, times=ClusterTimes(3.0), last=last, keep=lambda record: None)
    assert server.coordinator.record.epoch == last.epoch + 1


def test_the_time_in_which_the_machine_sleeps_counts(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("not run: no clock here goes on while the machine sleeps")
    times = {time.CLOCK_BOOTTIME: 7000.0, time.CLOCK_MONOTONIC: 10.0}
    monkeypatch.setattr(time, "clock_gettime", times.__getitem__)
    assert wire_clock.clock() == 7000.0


def test_a_record_is_whole_at_any_time(tmp_path, monkeypatch):
    """Whoever kills the server in the midst of its writing leaves the record before."""
    from balancer.cluster.tcp.record_file import RecordFile

    path = tmp_path / "pool.state"
    keeper = RecordFile(path)
    keeper.keep(CoordinatorRecord(1, 2.0, frozenset()))

    def killed(file):
        raise OSError("killed")

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(OSError, match="killed"):
        keeper.keep(CoordinatorRecord(2, 2.0, frozenset()))
    keeper.close()
    again = RecordFile(path)
    assert again.last == CoordinatorRecord(1, 2.0, frozenset())
    again.close()


_WHO, _ID = m.MemberId("a", "1"), m.LeaseToken(1, 1)
_NAN, _INF = float("nan"), float("inf")


def _frame(word, sent_s=1.0):
    return m.MemberFrame(_WHO, 1, 1, sent_s, 1, 1, (word,))


def _ask(slots=1, tokens=None, priority=0, timeout_s=1.0, waited_s=1.0):
    return _frame(m.LeaseRequested(1, Request(slots=slots, tokens=tokens), priority, timeout_s, waited_s, 1))


def _claim(slots=1, tokens=None, held_s=1.0, sent_s=1.0):
    return m.SessionStart(_WHO, 1, 1, sent_s, (m.ClaimedLease(_ID, "a", slots, None, tokens, held_s),))


@pytest.mark.parametrize(
    "message",
    [
        *(_ask(slots=0), _ask(tokens=-1), _ask(priority=1_000_001), _ask(priority=-1_000_001), _ask(timeout_s=-1.0)),
        *(_ask(timeout_s=_NAN), _ask(waited_s=_INF), _claim(slots=0), _claim(tokens=-1), _claim(held_s=_INF)),
        *(_claim(sent_s=_NAN), _frame(m.TokensUsed(_ID, 0), sent_s=_INF), _frame(m.TokensUsed(_ID, -1))),
        *(_frame(m.RequestAmended(1, Request(slots=0))), _frame(m.RequestAmended(1, Request(tokens=-1)))),
        *(m.JoinRequest(_WHO, _NAN), _frame(m.LeaseEnded(_ID, Outcome.SUCCESS, _NAN))),
    ],
    ids=str,
)
def test_what_a_member_may_not_say(message):
    with pytest.raises(WireError, match="ValueError"):
        read_from_member(encoded(message)[4:])
