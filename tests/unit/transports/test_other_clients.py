"""requests and aiohttp, against servers of the standard library: leases, tries elsewhere, bodies, errors."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest
import requests

from balancer import Endpoint, HealthSettings, QuotaSettings
from balancer.transports.adapter import BalancedAdapter
from balancer.transports.middleware import BalancedMiddleware
from tests.faults.exchange import Exchange, Fault, head_of
from tests.faults.proxy import FaultProxy
from tests.model_server import model_server
from tests.patience import PATIENCE_S
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


def _do(pool: Any, act: Callable[[aiohttp.ClientSession], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(middlewares=[BalancedMiddleware(pool, **settings)]) as session:
            return await act(session)

    return asyncio.run(run())


async def _asked(session: aiohttp.ClientSession, **given: Any) -> aiohttp.ClientResponse:
    async with session.post("http://pool/v1/chat/completions", **{"json": {}, **given}) as answer:
        await answer.read()
        return answer


async def _once() -> Any:
    yield b"1"


def _headless(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)))
    met.reset()
    return True


_DROPS = Fault("drops", "a reset after the head", _headless)
_GARBAGE = Fault("garbage", "bytes that are no HTTP", lambda met: met.write(b"1\r\n2\r\n\r\n") or True)


class Answer(NamedTuple):
    """An answer as its client sees it, and the request that the client shows with it."""

    status: int
    content: bytes
    url: str
    asked_url: str
    authorization: str | None


class _Requests:
    fails = closed = requests.exceptions.ConnectionError
    cut = requests.exceptions.ChunkedEncodingError
    full = requests.exceptions.ConnectTimeout
    late = requests.exceptions.ReadTimeout
    faults = ("reset", "503", "429-seconds", _DROPS)
    tries_of_unread = 1  # nobody knows whether a generator was read

    @staticmethod
    def post(pool: Any, *, once: bool = False, headers: Any = None, **settings: Any) -> Answer:
        given: Any = {"data": iter([b"1"])} if once else {"json": {}}
        with _session(pool, **settings) as session:
            answer = session.post("http://pool/v1/chat/completions", headers=headers, **given)
        asked = answer.request
        return Answer(
            answer.status_code, answer.content, answer.url, asked.url or "", asked.headers.get("Authorization")
        )


class _Aiohttp:
    fails, closed = aiohttp.ClientConnectorError, aiohttp.ClientConnectionError
    cut = aiohttp.ClientError
    full = aiohttp.ConnectionTimeoutError
    late = aiohttp.ServerTimeoutError
    faults = ("reset", "503", "429-seconds", _GARBAGE)
    tries_of_unread = 3

    @staticmethod
    def post(pool: Any, *, once: bool = False, headers: Any = None, **settings: Any) -> Answer:
        given = {"json": None, "data": _once()} if once else {}
        answer = _do(pool, lambda session: _asked(session, headers=headers, **given), **settings)
        asked = answer.request_info
        return Answer(answer.status, answer._body, str(answer.url), str(asked.url), asked.headers.get("Authorization"))


_CLIENTS = [_Requests, _Aiohttp]
_EACH = pytest.mark.parametrize("client", _CLIENTS)


# -- both --------------------------------------------------------------------------------------------


@_EACH
def test_an_answer_and_its_lease(model, client):
    pool, ends = pool_of(Endpoint(f"{model.url}v1", name="a", headers={"Authorization": "Bearer theirs"}))
    answer = client.post(pool, headers={"Authorization": "mine"})
    url = "http://pool/v1/chat/completions"
    assert b"one two three four" in answer.content
    assert (ends, *answer[2:]) == (["a success"], url, url, "mine")
    path, headers, _ = model.seen[-1]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer theirs")
    assert headers["Host"] == model.url.split("/")[2]


@pytest.mark.parametrize(("client", "fault"), [(each, fault) for each in _CLIENTS for fault in each.faults])
def test_what_fails_before_the_body_goes_elsewhere(model, client, fault):
    with FaultProxy(model.url, [fault]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        assert client.post(pool).status == 200
        assert sum(proxy.done.values()) == 1
    assert ends[0] in ("a failure", "a overload")
    assert ends[1:] == ["b success"]


@_EACH
def test_within_the_body_it_does_not(model, client):
    with FaultProxy(model.url, ["reset-amid"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with pytest.raises(client.cut):
            client.post(pool)
    assert (pool.leases(), ends) == ((), ["a failure"])


@_EACH
def test_the_last_answer_is_handed_on_and_can_be_read(client):
    with model_server(refuses=(503, b"busy")) as busy:
        pool, ends = pool_of(Endpoint(busy.url, name="a"))
        assert client.post(pool)[:2] == (503, b"busy")
    assert ends == ["a overload"] * 3


@_EACH
@pytest.mark.parametrize("once", [False, True], ids=["bytes", "a generator of which nothing was read"])
def test_the_error_in_the_end_says_where_and_how_often_it_was_tried(client, once):
    pool, ends = pool_of(Endpoint("http://127.0.0.1:1/", name="a"))  # nobody listens there
    with pytest.raises(client.fails) as told:
        client.post(pool, once=once)
    tries = client.tries_of_unread if once else 3
    said = "the only attempt was at a" if tries == 1 else "the last of 3 attempts was at a"
    assert (told.value.__notes__[-1], ends) == (said, ["a failure"] * tries)


@_EACH
def test_a_body_that_can_be_read_once_is_sent_once(model, client):
    with FaultProxy(model.url, ["503"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        assert client.post(pool, once=True, headers={"Content-Length": "1"}).status in (503, 411)  # 411: it is chunked
    assert len(ends) == 1


@_EACH
def test_a_full_pool_a_deadline_and_a_closed_pool_are_errors_of_the_client(model, client):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with pool.lease(), pytest.raises(client.full, match="no endpoint came free"):
        client.post(pool, acquire_timeout_s=0.01)
    model.gate.clear()
    try:
        with pytest.raises(client.late, match="deadline"):
            client.post(pool, deadline_s=0.5)
    finally:
        model.gate.set()
    assert (pool.leases(), ends) == ((), ["a success", "a failure"])
    pool.close()
    with pytest.raises(client.closed, match="closed"):
        client.post(pool)


# -- requests ----------------------------------------------------------------------------------------


def test_a_stream_of_requests_holds_its_lease_until_it_ends(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with _session(pool) as session, session.post("http://pool/", json={"stream": True}, stream=True) as answer:
        lines = answer.iter_lines(chunk_size=7)
        assert next(lines).startswith(b"data: ")
        assert len(pool.leases()) == 1
        assert [line for line in lines if line][-1] == b"data: [DONE]"
        assert ends == ["a success"]


def test_a_file_is_rewound(model):
    with FaultProxy(model.url, ["503"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with _session(pool) as session:
            assert session.post("http://pool/", data=io.BytesIO(b'{"a": 1}')).status_code == 200
    assert (len(ends), model.seen[-1][2]) == (2, b'{"a": 1}')


_KEY = {"key": QuotaSettings(tokens_per_min=1000, estimate=100)}


def _counts(pool: Any) -> int:
    return pool.engine.core.ledger._meters["key"].tokens


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


# -- aiohttp -----------------------------------------------------------------------------------------


def test_a_stream_holds_its_lease_until_it_ends_and_one_that_is_closed_says_nothing(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))

    async def act(session: aiohttp.ClientSession) -> None:
        model.gate.clear()
        coming = asyncio.ensure_future(session.post("http://pool/", json={"stream": True}))
        while not pool.leases():
            await asyncio.sleep(0)
        model.gate.set()
        async with await coming as answer:
            assert [line async for line in answer.content][-2] == b"data: [DONE]\n"
        assert (pool.leases(), ends) == ((), ["a success"])
        model.word_s = PATIENCE_S
        async with session.post("http://pool/", json={"stream": True}):
            assert len(pool.leases()) == 1
        assert (pool.leases(), ends) == ((), ["a success", "a ignored"])

    try:
        _do(pool, act)
    finally:
        model.word_s = 0.0


@pytest.mark.parametrize(("resend", "sent"), [("always", 3), ("incomplete", 1), ("unsent", 1)])
def test_what_was_sent_is_sent_again_as_resend_says(model, resend, sent):
    with FaultProxy(model.url, ["reset"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"))
        with pytest.raises(aiohttp.ClientError):
            _do(pool, _asked, resend=resend)
        assert (sum(proxy.done.values()), len(ends)) == (sent, sent)


def test_a_task_that_is_cancelled_gives_its_lease_back(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"), health=HealthSettings())

    async def act(session: aiohttp.ClientSession) -> None:
        asking = asyncio.ensure_future(_asked(session))
        while not pool.leases():
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])

    model.gate.clear()
    try:
        _do(pool.aio, act)
    finally:
        model.gate.set()
    assert (pool.leases(), ends) == ((), ["a ignored"])
