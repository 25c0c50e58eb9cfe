"""The adapter for requests, against servers of the standard library: leases, tries elsewhere, bodies, errors."""

import gc
import io
from typing import Any

import pytest
import requests

from balancer import Endpoint, QuotaSettings
from balancer.transports.adapter import BalancedAdapter
from tests.faults.exchange import Exchange, Fault, head_of
from tests.faults.proxy import FaultProxy
from tests.model_server import model_server
from tests.unit.transports.scripted import pool_of


@pytest.fixture(scope="module")
def model():
    with model_server() as server:
        yield server


def _session(pool: Any, **settings: Any) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://pool/", BalancedAdapter(pool, **settings))
    return session


def _headless(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)))
    met.reset()
    return True


_DROPS = Fault("drops", "a reset after the head", _headless)


def test_an_answer_and_its_lease(model):
    pool, ends = pool_of(Endpoint(model.url, name="a", headers={"Authorization": "Bearer theirs"}))
    with _session(pool) as session:
        answer = session.post("http://pool/v1/chat/completions", json={}, headers={"Authorization": "mine"})
    assert answer.json()["choices"][0]["message"]["content"] == "one two three four"
    assert (ends, answer.url, answer.request.headers["Authorization"]) == (
        ["a success"],
        "http://pool/v1/chat/completions",
        "mine",
    )
    path, headers, _ = model.seen[-1]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer theirs")


def test_a_stream_holds_its_lease_until_it_ends(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with _session(pool) as session, session.post("http://pool/", json={"stream": True}, stream=True) as answer:
        lines = answer.iter_lines(chunk_size=7)
        assert next(lines).startswith(b"data: ")
        assert len(pool.leases()) == 1
        assert [line for line in lines if line][-1] == b"data: [DONE]"
        assert ends == ["a success"]


@pytest.mark.more
def test_a_stream_that_is_closed_or_dropped_says_nothing(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with _session(pool) as session:
        with session.post("http://pool/", json={"stream": True}, stream=True) as answer:
            next(answer.iter_content(10))
        dropped = session.post("http://pool/", json={"stream": True}, stream=True)
        assert len(pool.leases()) == 1
        del dropped
        gc.collect()
        assert (pool.leases(), ends) == ((), ["a ignored", "a ignored"])


def test_raw_can_be_read(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with _session(pool) as session:
        answer = session.post("http://pool/", json={}, stream=True)
        whole = answer.raw.read(5) + answer.raw.read()
        assert (whole[:5], whole[-1:], ends) == (b'{"id"', b"}", ["a success"])
        assert answer.raw.status == 200


@pytest.mark.parametrize(
    "fault", ["reset", "503", "429-seconds", _DROPS], ids=lambda fault: getattr(fault, "name", fault)
)
def test_what_fails_before_the_first_byte_goes_elsewhere(model, fault):
    with FaultProxy(model.url, [fault]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with _session(pool) as session:
            assert session.post("http://pool/", json={}).status_code == 200
        assert sum(proxy.done.values()) == 1
    assert ends[1:] == ["b success"]
    assert ends[0] in ("a failure", "a overload")


@pytest.mark.parametrize(
    ("body", "tried"), [(None, "the last of 3 attempts was"), (iter([b"1"]), "the only attempt was")]
)
def test_the_error_in_the_end_says_where_and_how_often_it_was_tried(body, tried):
    pool, _ = pool_of(Endpoint("http://127.0.0.1:1/", name="a"))  # nobody listens there
    with _session(pool, attempts=3) as session, pytest.raises(requests.exceptions.ConnectionError) as told:
        session.post("http://pool/", data=body)
    assert told.value.__notes__[-1] == f"{tried} at a"


def test_within_the_body_it_does_not(model):
    with FaultProxy(model.url, ["reset-amid"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with _session(pool) as session, pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.post("http://pool/", json={})
    assert ends == ["a failure"]


def test_the_last_answer_is_handed_on(model):
    with FaultProxy(model.url, ["503"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"))
        with _session(pool) as session:
            answer = session.post("http://pool/", json={})
        assert (answer.status_code, answer.json()) == (503, {"detail": "Service Unavailable"})
    assert ends == ["a overload"] * 3


@pytest.mark.parametrize(("body", "sent"), [(io.BytesIO(b'{"a": 1}'), 2), (iter([b"{}"]), 1)])
def test_a_file_is_rewound_and_a_generator_is_sent_once(model, body, sent):
    with FaultProxy(model.url, ["503"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with _session(pool) as session:
            answer = session.post("http://pool/", data=body)
    assert len(ends) == sent
    if sent == 2:
        assert (answer.status_code, model.seen[-1][2]) == (200, b'{"a": 1}')


def test_a_full_pool_is_a_connect_timeout(model):
    pool, _ = pool_of(Endpoint(model.url, name="a"), acquire_timeout_s=0.01)
    timeout = pytest.raises(requests.exceptions.ConnectTimeout, match="no endpoint came free")
    with _session(pool) as session, pool.lease(), timeout:
        session.get("http://pool/")
    pool.close()
    with _session(pool) as session, pytest.raises(requests.exceptions.ConnectionError, match="closed"):
        session.get("http://pool/")


_KEY = {"key": QuotaSettings(tokens_per_min=1000, estimate=100)}
_SPENT = b'{"error": {"code": "insufficient_quota"}}'


def _counts(pool: Any) -> int:
    return pool.engine.core.admission._named["key"].tokens


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_says_of_tokens_and_load_is_told(stream):
    with model_server(tokens=60, load="TEXT cpu_utilization=0.5") as model:
        pool, ends = pool_of(Endpoint(model.url, name="a", quota="key"), quotas=_KEY)
        with _session(pool, tokens=lambda request: 200, load=True) as session:
            with session.post("http://pool/", json={"stream": stream}, stream=True) as answer:
                assert _counts(pool) == 200
                assert b"one" in answer.content
            closed = session.post("http://pool/", json={"stream": True}, stream=True)
            closed.close()
        load = pool.engine.core.ledger.account("a").node.load
        assert model.seen[0][1]["endpoint-load-metrics-format"] == "TEXT"
    assert (_counts(pool), load.used, ends) == (260, 0.5, ["a success", "a ignored"])


@pytest.mark.parametrize("status", [429, 403, 400])
def test_an_account_with_nothing_left_is_out(model, status):
    with model_server(refuses=(status, _SPENT)) as poor:
        pool, ends = pool_of(Endpoint(poor.url, name="a"), Endpoint(model.url, name="b"))
        with _session(pool) as session:
            assert [session.post("http://pool/", json={}).status_code for _ in range(2)] == [200, 200]
        alone, _ = pool_of(Endpoint(poor.url, name="a"))
        with _session(alone) as session:
            answer = session.post("http://pool/", json={})
            assert (answer.status_code, answer.content) == (status, _SPENT)
    assert (ends, poor.asked) == (["a ignored", "b success", "b success"], 2)
