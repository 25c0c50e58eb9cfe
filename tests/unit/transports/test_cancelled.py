"""A task that is cancelled, at whatever it waits for, keeps no lease; and tasks of trio are served as well."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
import trio

from balancer import AsyncBalancedTransport
from tests.unit.transports.scripted import Inner, Reply, pool_of


class Handled:
    """An inner transport of tasks that is a function."""

    def __init__(self, handle: Callable[[Any], Awaitable[Any]]) -> None:
        self.handle_async_request = handle

    async def aclose(self) -> None:
        """Close nothing."""


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "script",
    [
        [Reply(body=(b"1", b"2", b"3"))],
        [Reply(503), Reply(503), Reply()],
        [Reply(body=(httpx2.ReadError("dropped"),)), Reply()],
    ],
    ids=["an answer", "refusals", "a drop"],
)
@pytest.mark.parametrize("waits", [False, True], ids=["free", "full"])
def test_at_every_await_nothing_is_lost(script, waits):
    async def cancelled(after: int) -> bool:
        """Return whether it was over before it was cancelled."""
        pool, _ = pool_of("a")
        transport = AsyncBalancedTransport(pool, inner=Inner(httpx2, {"a": list(script)}))
        async with httpx2.AsyncClient(transport=transport) as client:
            holds = pool.acquire() if waits else None
            task = asyncio.create_task(client.post("http://pool/"))
            await _turns(1)
            if holds is not None:
                holds.release()
            await _turns(after)
            over = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert pool.leases() == (), f"cancelled after {after}"
        assert pool.acquire(timeout=0)
        return over

    async def all_of_them() -> int:
        for after in range(200):
            if await cancelled(after):
                return after
        raise AssertionError("it never ends")

    assert asyncio.run(all_of_them()) > 3


def test_tasks_of_trio():
    pool, ends = pool_of("a", "b")
    sent: list[str] = []

    async def once(request: Any) -> httpx2.Response:
        await trio.sleep(0)
        sent.append(request.url.host)
        if request.url.host == "a":
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, stream=httpx2.ByteStream(b"hello"))

    async def ask() -> bytes:
        async with httpx2.AsyncClient(transport=AsyncBalancedTransport(pool, inner=Handled(once))) as client:
            with trio.move_on_after(0.01) as scope:
                held = [pool.acquire(), pool.acquire()]
                await client.get("http://pool/", timeout=None)
            assert scope.cancelled_caught
            for lease in held:
                lease.release()
            return (await client.get("http://pool/")).content

    assert trio.run(ask) == b"hello"
    assert (sent, ends[-2:], pool.leases()) == (["a", "b"], ["a failure", "b success"], ())
