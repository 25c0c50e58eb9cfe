"""`balancer serve` and `Pool.connect`: the face of a local pool, over a server in a thread of this process."""

import threading
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import (
    AcquireTimeout,
    BalancerError,
    ConfigError,
    Endpoint,
    NoEndpoint,
    NotConnected,
    Pool,
    PoolClosed,
    QuotaExceeded,
    StrategyError,
    TooManyWaiters,
)
from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol import messages as m
from balancer.cluster.protocol.messages import error_of, facts_of
from balancer.cluster.tcp.address import Address, address_of
from balancer.cluster.tcp.codec import MessageSplitter, WireError, encoded, read_from_coordinator, read_from_member
from balancer.cluster.tcp.record_file import RecordFile
from balancer.commands.serve import ServeOptions, serve, tls_of, token_of
from balancer.core.events import Ended, Granted, Queued
from balancer.plugins.registry import default_registry
from balancer.settings.config import Config
from tests.cluster.serving import Serving, made_cert, why_not_connected
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_A = Endpoint("http://a/", capacity=2, headers={"Authorization": "Bearer of a"}, labels=frozenset({"big"}))


@pytest.fixture(scope="module")
def served():
    with Serving(_A, "http://b/") as serving:
        yield serving


@pytest.fixture
def pool(served):
    with Pool.connect(served.url) as connected:
        yield connected
    until(lambda: served.pool.leases() == ())


# -- the face of a local pool --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [{"labels": {"\ud800"}}, {"exclude": {"\ud800"}}, {"only": "\ud800"}],
)
def test_what_cannot_be_sent_is_refused_and_the_connection_stays(pool, asked):
    (what,) = asked
    with pytest.raises(ValueError, match=f"{what} has half of a character"):
        pool.acquire(PATIENCE_S, **asked)
    pool.acquire(PATIENCE_S, key="\ud800", holder="\ud800").release()


def test_what_is_the_servers_is_refused(pool):
    with pytest.raises(BalancerError, match="only the server can change endpoints"):
        pool.add("http://c/")
    with pytest.raises(BalancerError, match="only the server can change endpoints"):
        pool.set_strategy("fifo")


def test_a_process_counts_and_observes_its_own_leases(served):
    with Pool.connect(served.url) as pool, Pool.connect(served.url) as other:
        assert pool.endpoints() == served.pool.endpoints()
        heard = []
        pool.observe(heard.append)
        with pool.lease(labels={"big"}, slots=2, holder="me"), pytest.raises(AcquireTimeout):
            other.acquire(0.0, labels={"big"})
        with pytest.raises(TimeoutError), pool.lease():
            raise TimeoutError
        kinds = [type(event) for event in heard]
        assert kinds == [Queued, Granted, Ended, Queued, Granted, Ended]
        stats = pool.stats()
        assert (stats.acquired, stats.calls, stats.failures, stats.waiting) == (2, 2, 1, 0)
        assert stats.strategy == served.pool.stats().strategy
        assert [row.name for row in stats.endpoints] == ["http://a/", "http://b/"]
        assert sum(row.leases for row in stats.endpoints) == 2
        assert other.stats().timed_out == 1


def test_close_frees_the_server_at_once(served):
    pool = Pool.connect(served.url)
    lease = pool.acquire()
    pool.close()
    with pytest.raises(PoolClosed):
        pool.acquire()
    lease.release()
    until(lambda: "has left" in repr(pool))
    until(lambda: not any(who.incarnation in repr(pool) for who in served.server.coordinator._sessions))


# -- restarts and connections --------------------------------------------------------------------------


def test_a_restart_of_the_server_keeps_what_is_out():
    with Serving("http://a/", ttl_s=30.0) as first:
        pool = Pool.connect(first.url)
        lease = pool.acquire()
        waits = threading.Thread(target=lambda: pool.acquire(PATIENCE_S).release())
        waits.start()
        first.stop()
        with Serving("http://a/", ttl_s=30.0, last=first.records[-1], port=first.port) as second:
            until(lambda: len(second.pool.leases()) == 1)
            assert not lease.ended
            assert waits.is_alive()
            lease.release()
            waits.join(PATIENCE_S)
            assert not waits.is_alive()
            until(lambda: second.pool.leases() == ())
            pool.close()


def test_who_has_no_token_or_a_wrong_one_is_told_so():
    with Serving("http://a/", token="the right one, long") as serving:
        for token in ("", "a wrong one"):
            with pytest.raises(NotConnected, match="the token is wrong or missing"):
                Pool.connect(serving.url, token=token)
        with Pool.connect(serving.url, token="the right one, long") as pool, pool.lease(PATIENCE_S):
            pass


@pytest.mark.needs("openssl")
def test_tls(tmp_path):
    cert, key = made_cert(tmp_path)
    with Serving("http://a/", tls=tls_of(cert, key)) as serving:
        with Pool.connect(serving.url, ca=cert) as pool, pool.lease(PATIENCE_S) as lease:
            assert lease.endpoint.url == "http://a/"
        why = "its certificate was refused: self-signed certificate; connect"
        assert why in why_not_connected(serving.url, why)


# -- bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        AcquireTimeout(1.0, 2.0, 3, ["quota 'key' has no room"]),
        NoEndpoint(frozenset({"a"}), frozenset({"b"}), 2, 3, ["http://spent/"]),
        NoEndpoint(frozenset(), frozenset(), 2, only="b"),
        QuotaExceeded(frozenset(), frozenset(), 2, 1, 30, 20),
        TooManyWaiters(5, 4),
        PoolClosed(),
        StrategyError("fifo", "raised KeyError('x')"),
        BalancerError("anything else"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_raised_elsewhere_as_it_was_here(error):
    answer = m.CoordinatorFrame(1, 2, 0.5, 1, 1, (m.RequestRefused(1, *facts_of(error)),))
    (body,) = MessageSplitter().feed(encoded(answer))
    (refused,) = read_from_coordinator(body).words
    again = error_of(refused.error, tuple(refused.facts))
    assert (type(again), str(again)) == (type(error), str(error))
    facts = [{name: repr(value) for name, value in vars(each).items()} for each in (again, error)]
    assert facts[0] == facts[1]


@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_bytes_are_a_message_or_are_refused(said, kind):
    for body in (said, b"\x92" + bytes([kind]) + said):
        with suppress(WireError):
            read_from_member(body)
        with suppress(WireError):
            read_from_coordinator(body)


def test_frames_come_in_pieces():
    data = encoded(m.JoinRequest(m.MemberId("a", "b"), 1.0)) * 3
    frames = MessageSplitter()
    found = [read_from_member(body) for at in range(len(data)) for body in frames.feed(data[at : at + 1])]
    assert found == [m.JoinRequest(m.MemberId("a", "b"), 1.0)] * 3
    with pytest.raises(WireError, match="at most"):
        list(frames.feed(b"\xff\xff\xff\xff"))


# -- what is said before it begins ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("balancer://h", Address("h", 7465, False)),
        ("balancers://h:1/", Address("h", 1, True)),
        ("balancer://[::1]:2", Address("::1", 2, False)),
    ],
)
def test_an_address(url, found):
    assert address_of(url) == found
    assert address_of(str(found)) == found


@pytest.mark.parametrize("url", ["http://h", "balancer://", "balancer://h:x", "balancer://h/x", "balancer://u:p@h"])
def test_no_address(url):
    with pytest.raises(ConfigError, match=r"balancer://10\.0\.0\.1:7465"):
        address_of(url)


def test_a_record_is_kept_and_only_one_server_has_it(tmp_path):
    path = tmp_path / "pool.state"
    keeper = RecordFile(path)
    assert keeper.last is not None
    assert keeper.last.holders == frozenset(), "before the first server nobody holds a lease, so it grants at once"
    record = CoordinatorRecord(7, 2.0, frozenset({m.MemberId("a", "b")}))
    keeper.keep(record)
    with pytest.raises(ConfigError, match="another server already serves this pool"):
        RecordFile(path)
    keeper.close()
    again = RecordFile(path)
    assert again.last == record
    again.close()
    path.write_text("{half", encoding="utf-8")
    broken = RecordFile(path)
    assert broken.last is None, "the whole grace passes"
    broken.close()


def test_others_than_this_machine_need_a_token(tmp_path, monkeypatch):
    config = Config.model_validate({"endpoints": [{"url": "http://a/"}]})
    registry = default_registry()
    options = partial(ServeOptions, port=0, state=tmp_path / "s", ttl_s=1.0, tls=None, say=print)
    with pytest.raises(ConfigError, match="could connect without a token"):
        serve(config, registry, options(host="0.0.0.0", token=""))
    monkeypatch.setenv("BALANCER_SERVE_TOKEN", "short")
    with pytest.raises(ConfigError, match="has 5 characters; it must be at least 16"):
        token_of(None)
    with pytest.raises(ConfigError, match="--key is given without --cert"):
        tls_of(None, tmp_path / "key")
    with pytest.raises(ConfigError, match=r"--cert .*none: No such file or directory; give a PEM file"):
        tls_of(tmp_path / "none", None)
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--key .*none: No such file or directory; give a PEM file"):
        tls_of(tmp_path / "text", tmp_path / "none")
    with pytest.raises(ConfigError, match=r"--cert .*text: found no certificate with its key \(.*PEM"):
        tls_of(tmp_path / "text", None)
    with pytest.raises(ConfigError, match=r"--token-file .*text: the token has 5 characters"):
        token_of(tmp_path / "text")
    with pytest.raises(ConfigError, match=r"--state .*: is a folder; give --state a file"):
        RecordFile(tmp_path)
    why = r"^cannot listen on 192\.0\.2\.1 port 0: it is not an address of this machine"
    with pytest.raises(ConfigError, match=why):
        serve(config, registry, options(host="192.0.2.1", token="0123456789abcdef"))
