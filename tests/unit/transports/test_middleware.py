"""The middleware for aiohttp, against servers of the standard library: leases, tries elsewhere, bodies, errors."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from balancer import Endpoint, HealthSettings, Pool
from balancer.transports.middleware import BalancedMiddleware
from tests.faults.exchange import Fault
from tests.faults.proxy import FaultProxy
from tests.model_server import model_server
from tests.patience import PATIENCE_S
from tests.unit.transports.scripted import pool_of


@pytest.fixture(scope="module")
def model():
    with model_server() as server:
        yield server


def _do(pool: Any, act: Callable[[aiohttp.ClientSession], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(middlewares=[BalancedMiddleware(pool, **settings)]) as session:
            return await act(session)

    return asyncio.run(run())


async def _asked(session: aiohttp.ClientSession, **given: Any) -> aiohttp.ClientResponse:
    async with session.post("http://pool/v1/chat/completions", **{"json": {}, **given}) as answer:
        await answer.read()
        return answer


def test_an_answer_and_its_lease(model):
    pool, ends = pool_of(Endpoint(f"{model.url}v1", name="a", headers={"Authorization": "Bearer theirs"}))
    answer = _do(pool, lambda session: _asked(session, headers={"Authorization": "mine"}))
    shown = answer.request_info
    assert (ends, str(answer.url), str(shown.url), shown.headers["Authorization"]) == (
        ["a success"],
        "http://pool/v1/chat/completions",
        "http://pool/v1/chat/completions",
        "mine",
    )
    path, headers, _ = model.seen[-1]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer theirs")
    assert headers["Host"] == model.url.split("/")[2]


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


_GARBAGE = Fault("garbage", "bytes that are no HTTP", lambda met: met.write(b"1\r\n2\r\n\r\n") or True)


@pytest.mark.parametrize("fault", ["reset", "503", "429-seconds", pytest.param(_GARBAGE, id="garbage")])
def test_what_fails_before_the_head_goes_elsewhere(model, fault):
    with FaultProxy(model.url, [fault]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        assert _do(pool, _asked).status == 200
        assert sum(proxy.done.values()) == 1
    assert ends[0] in ("a failure", "a overload")
    assert ends[1:] == ["b success"]


def test_within_the_body_it_does_not(model):
    with FaultProxy(model.url, ["reset-amid"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        with pytest.raises(aiohttp.ClientError):
            _do(pool, _asked)
    assert (pool.leases(), ends) == ((), ["a failure"])


def test_the_last_answer_is_handed_on_and_can_be_read(model):
    model.refuses = 503, b"busy"
    pool, ends = pool_of(Endpoint(model.url, name="a"))

    async def read(session: aiohttp.ClientSession) -> tuple[int, bytes]:
        async with session.post("http://pool/", json={}) as answer:
            return answer.status, await answer.read()

    try:
        assert _do(pool, read) == (503, b"busy")
    finally:
        model.refuses = None
    assert ends == ["a overload"] * 3


@pytest.mark.parametrize("once", [False, True], ids=["bytes", "a generator of which nothing was read"])
def test_the_error_in_the_end_says_where_and_how_often_it_was_tried(once):
    pool, ends = pool_of(Endpoint("http://127.0.0.1:1/", name="a"))  # nobody listens there
    with pytest.raises(aiohttp.ClientConnectorError) as told:
        _do(pool, lambda session: _asked(session, **({"json": None, "data": _once()} if once else {})))
    assert (told.value.__notes__[-1], ends) == ("the last of 3 attempts was at a", ["a failure"] * 3)


@pytest.mark.parametrize(("resend", "sent"), [("always", 3), ("incomplete", 1), ("unsent", 1)])
def test_what_was_sent_is_sent_again_as_resend_says(model, resend, sent):
    with FaultProxy(model.url, ["reset"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"))
        with pytest.raises(aiohttp.ClientError):
            _do(pool, _asked, resend=resend)
        assert (sum(proxy.done.values()), len(ends)) == (sent, sent)


async def _once() -> Any:
    yield b"1"


def test_a_body_that_can_be_read_once_is_sent_once(model):
    given = {"json": None, "data": _once(), "headers": {"Content-Length": "1"}}
    with FaultProxy(model.url, ["503"]) as proxy:
        pool, ends = pool_of(Endpoint(proxy.url, name="a"), Endpoint(model.url, name="b"))
        assert _do(pool, lambda session: _asked(session, **given)).status == 503
    assert ends == ["a overload"]


def test_a_full_pool_and_a_deadline_are_errors_of_aiohttp(model):
    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with pool.lease(), pytest.raises(aiohttp.ConnectionTimeoutError):
        _do(pool, _asked, acquire_timeout_s=0.01)
    model.gate.clear()
    try:
        with pytest.raises(aiohttp.ServerTimeoutError, match="deadline"):
            _do(pool, _asked, deadline_s=0.5)
    finally:
        model.gate.set()
    assert (pool.leases(), ends) == ((), ["a success", "a failure"])
    pool.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        _do(pool, _asked)


def test_what_is_no_pool_is_said():
    pool: Any = "http://a/"
    with pytest.raises(TypeError, match=r"pool is 'http://a/'; it takes a balancer\.Pool or AsyncPool"):
        BalancedMiddleware(pool)


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


@pytest.mark.sampled(1)
@pytest.mark.parametrize("what", ["status", "headers", "content", "connection"])
def test_an_answer_that_raises_gives_its_slot_back(model, what):
    class Hostile(Exception):
        pass

    def refuse(_: Any) -> Any:
        raise Hostile

    async def spoil(request: Any, handler: Any) -> Any:
        answer = await handler(request)
        await answer.read()
        answer.__class__ = type("Answer", (aiohttp.ClientResponse,), {what: property(refuse)})
        return answer

    async def run(pool: Pool) -> None:
        async with aiohttp.ClientSession(middlewares=[BalancedMiddleware(pool), spoil]) as session:
            await session.post("http://pool/", json={})

    pool, ends = pool_of(Endpoint(model.url, name="a"))
    with pytest.raises(Hostile):
        asyncio.run(run(pool))
    gc.collect()
    assert (pool.leases(), ends) == ((), ["a ignored"])
