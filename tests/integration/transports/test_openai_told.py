"""OpenAI's own clients against servers that say what they used, how loaded they are, or that nobody pays any more."""

import asyncio
from typing import Any

import openai
import pytest

import balancer
from balancer import Endpoint, Pool, QuotaSettings
from tests.model_server import ModelServer, model_server

_ASKS: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 100}
_COUNTED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
_SPENT = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
_BOTH = pytest.mark.parametrize("later", [False, True], ids=["threads", "tasks"])


def _pool(*servers: ModelServer, tokens: int = 1000) -> Pool:
    quotas = {server.name: QuotaSettings(tokens_per_min=tokens) for server in servers}
    endpoints = [Endpoint(server.url, name=server.name, quota=server.name) for server in servers]
    return Pool(endpoints, quotas=quotas, strategy="first")


def _ask(pool: Pool, *, later: bool, **more: Any) -> int:
    """Return the tokens that the client itself sees in its answer."""
    settings: dict[str, Any] = {"tokens": balancer.prompt_tokens(), "load": True}
    if not later:
        with balancer.openai(pool, **settings) as client:
            answer = client.chat.completions.create(**_ASKS, **more)
            return int((list(answer)[-1] if more else answer).usage.total_tokens)

    async def ask() -> int:
        async with balancer.aopenai(pool, **settings) as client:
            answer = await client.chat.completions.create(**_ASKS, **more)
            return int(([each async for each in answer][-1] if more else answer).usage.total_tokens)

    return asyncio.run(ask())


@_BOTH
@pytest.mark.parametrize("more", [{}, _COUNTED], ids=["whole", "streamed"])
def test_an_answer_settles_its_estimate_and_tells_the_load(later, more):
    with model_server(tokens=42, load='JSON {"cpu_utilization": 0.25}') as server:
        pool = _pool(server)
        assert _ask(pool, later=later, **more) == 42
        assert server.seen[0][1]["endpoint-load-metrics-format"] == "TEXT"
    core = pool.engine.core
    load = core.ledger.account("model").node.load
    assert load is not None
    assert (core.ledger._meters["model"].tokens, load.used) == (42, 0.25)
    assert pool.leases() == ()


@_BOTH
@pytest.mark.parametrize("more", [{}, _COUNTED], ids=["whole", "streamed"])
def test_who_cannot_pay_is_left_and_if_nobody_can_the_client_sees_it_at_once(later, more):
    with model_server(name="poor", refuses=(429, _SPENT)) as poor, model_server(name="rich", tokens=7) as rich:
        pool = _pool(poor, rich)
        assert [_ask(pool, later=later, **more) for _ in range(2)] == [7, 7]
        assert (poor.asked, rich.asked) == (1, 2)
        alone = _pool(poor)
        with pytest.raises(openai.RateLimitError) as told:
            _ask(alone, later=later, **more)
        assert (told.value.code, poor.asked) == ("insufficient_quota", 2)
        for _ in range(2):  # whoever catches the first such error catches those that follow
            with pytest.raises(openai.RateLimitError, match="'poor' said that its account has no quota left") as told:
                _ask(alone, later=later, **more)
            assert told.value.code == "insufficient_quota"
            assert told.value.body["endpoints"] == ["poor"]
        assert (poor.asked, alone.out_of_service()) == (2, {"poor"})
