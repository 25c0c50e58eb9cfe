"""A proxy that lost the server of its pool says so, and keeps nobody waiting for good."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager

from balancer import Endpoint, Pool
from balancer.hookspecs import HttpAnswer
from balancer.opening.connected import ConnectedPool
from balancer.proxy.app import ProxyServer
from balancer.proxy.contact import PoolContact
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.unit.proxy.harness import OK, Server, Setting, answering, gated, until

_TTL_S = 1.5


async def _routed(call):
    return HttpAnswer(200, b"")


@asynccontextmanager
async def _served(server, patience_s=0.0):
    """A proxy over the one slot of a pool that is served by another thread."""
    await server.start()
    serving = Serving(Endpoint(f"http://127.0.0.1:{server.port}/"), ttl_s=_TTL_S)
    pool = await asyncio.to_thread(Pool.connect, serving.url, within_s=PATIENCE_S)
    assert isinstance(pool, ConnectedPool)
    proxy = ProxyServer(pool, contact=PoolContact(pool, patience_s), routes={"GET /routed": _routed})
    made = Setting(pool, proxy, await proxy.listen(), [server])
    try:
        yield made, serving
    finally:
        for client in made.clients:
            client.close()
        await proxy.stop(0)
        await asyncio.to_thread(pool.close)
        await asyncio.to_thread(serving.stop)
        serving.pool.close()
        await server.end()


async def _health(made):
    answer = await made.get("/balancer/health")
    return answer.status, json.loads(answer.body)


async def test_requests_end_and_health_says_why(caplog):
    held = asyncio.Event()

    server = Server(gated(held))
    async with _served(server) as (made, serving):
        assert (await _health(made))[0] == 200
        first = asyncio.create_task(made.get())
        await until(lambda: server.asked)
        second = asyncio.create_task(made.get())
        await until(lambda: made.pool.stats().waiting)
        with caplog.at_level(logging.WARNING, "balancer.proxy"):
            await asyncio.to_thread(serving.stop)
            answer = await second
        assert answer.status == 503
        assert json.loads(answer.body)["error"]["type"] == "no_pool"
        assert int(answer.headers["retry-after"]) >= 1
        held.set()
        assert (await first).status == 200  # what had its slot is answered
        assert (await made.get()).status == (await made.get("/routed")).status == 503
        status, told = await _health(made)
        assert status == 503
        assert str(told["why"]).startswith("the server of the pool is lost: ")
        assert "the server of the pool is lost" in caplog.text


async def test_a_server_that_is_soon_back_loses_no_request():
    server = Server(answering(OK))
    async with _served(server, PATIENCE_S) as (made, serving):
        await asyncio.to_thread(serving.stop)
        await until(lambda: not made.pool.connected)
        waits = asyncio.create_task(made.get())
        await until(lambda: made.pool.stats().waiting)
        assert (await _health(made))[0] == 503
        again = await asyncio.to_thread(
            lambda: Serving(Endpoint(f"http://127.0.0.1:{server.port}/"), ttl_s=_TTL_S, port=serving.port)
        )
        try:
            assert (await waits).status == 200
            assert (await _health(made))[0] == 200
        finally:
            await asyncio.to_thread(again.stop)
            again.pool.close()
