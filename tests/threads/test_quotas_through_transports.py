"""Clients that know of no quotas: not one call or token more than there is in any minute, and none stays reserved."""

import asyncio
import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from balancer import Endpoint, Pool, QuotaSettings
from balancer.core.events import Granted
from balancer.core.quotas import WINDOW_S
from balancer.transports.sync import BalancedTransport
from balancer.transports.tasks import AsyncBalancedTransport
from tests.threads.crew import crew
from tests.unit.transports.scripted import Inner, Reply

_CALLERS, _ROUNDS = 24, 8
_CALLS, _TOKENS = 30, 240
_NO_WAIT = httpx2.Timeout(None, pool=0)


class _Clock:
    """Time that passes as somebody looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now_s = 0.0

    def __call__(self) -> float:
        with self._lock:
            self._now_s += 0.1
            return self._now_s


def _answer(request: Any) -> Reply:
    """Answer as the request wants: whole or by events, and that it took as many tokens as it says."""
    asked = request.headers
    if asked["X-Used"] == "none":
        return Reply(body=(b"{}",))
    said = json.dumps({"usage": {"total_tokens": int(asked["X-Used"])}}).encode()
    if asked["X-Events"] == "no":
        return Reply(body=(said[:5], said[5:]))
    return Reply(headers={"Content-Type": "text/event-stream"}, body=(b"data: " + said, b"\n\ndata: [DONE]\n\n"))


def _headers(number: int, round_: int) -> dict[str, str]:
    rng = random.Random(f"{number} {round_}")
    estimate = rng.randint(1, 16)
    used = rng.choice(["none", str(estimate), str(rng.randint(0, estimate))])
    name = f"{number}/{round_}/{estimate if used == 'none' else used}"
    return {"X-Name": name, "X-Tokens": str(estimate), "X-Used": used, "X-Events": rng.choice(["yes", "no"])}


def _in_threads(transport: dict[str, Any], pool: Pool) -> None:
    with httpx2.Client(transport=BalancedTransport(pool, **transport), timeout=_NO_WAIT) as client:

        def call(number: int) -> None:
            for round_ in range(_ROUNDS):
                with suppress(httpx2.PoolTimeout):
                    client.post("http://pool/", headers=_headers(number, round_))

        crew(_CALLERS, call)


def _in_tasks(transport: dict[str, Any], pool: Pool) -> None:
    async def all_of_them() -> None:
        async with httpx2.AsyncClient(transport=AsyncBalancedTransport(pool, **transport), timeout=_NO_WAIT) as client:

            async def call(number: int) -> None:
                for round_ in range(_ROUNDS):
                    try:
                        await client.post("http://pool/", headers=_headers(number, round_))
                    except httpx2.PoolTimeout:
                        await asyncio.sleep(0)

            await asyncio.gather(*map(call, range(_CALLERS)))

    asyncio.run(all_of_them())


@pytest.mark.parametrize("run", [_in_threads, _in_tasks], ids=["threads", "tasks"])
def test_a_quota_holds_to_the_unit_and_what_answers_say_settles_it(run: Callable[[dict[str, Any], Pool], None]) -> None:
    granted: list[tuple[float, int]] = []

    def hear(event: Any) -> None:
        if isinstance(event, Granted):
            granted.append((event.at_s, int(event.holder.rpartition("/")[2])))

    clock = _Clock()
    quota = QuotaSettings(requests_per_min=_CALLS, tokens_per_min=_TOKENS)
    endpoints = [Endpoint(f"http://{host}/", name=host, capacity=8, quota="key") for host in "abc"]
    pool = Pool(endpoints, quotas={"key": quota}, clock=clock, observers=[hear])
    inner = Inner(httpx2, {host: [_answer] for host in "abc"})
    transport = {
        "inner": inner,
        "tokens": lambda request: int(request.headers["X-Tokens"]),
        "holder": lambda request: request.headers["X-Name"],
    }
    run(transport, pool)
    granted.sort()
    assert len(granted) == len(inner.sent) > _CALLS
    minutes = [[tokens for at_s, tokens in granted if from_s <= at_s < from_s + WINDOW_S] for from_s, _ in granted]
    assert max(map(len, minutes)) <= _CALLS
    assert max(map(sum, minutes)) <= _TOKENS
    assert any(len(within) == _CALLS or sum(within) > _TOKENS - 16 for within in minutes), "else nothing was tried"
    meter = pool.engine.core.admission._named["key"]
    assert pool.leases() == ()
    now = clock()
    meter.has_room(0, now)
    left = [tokens for at_s, tokens in granted if at_s > now - WINDOW_S]
    assert (meter.calls, meter.tokens) == (len(left), sum(left))
