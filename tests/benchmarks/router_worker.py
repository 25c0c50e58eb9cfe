"""Asks servers of a model by way of one router, and prints what it took, as JSON; `compare_routers` runs it.

It runs in the environment of its router, so it imports nothing of this project but, for that router, the pool.

    python router_worker.py NAME < asked.json
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["ROUTERS"]

_SAID = "one two three four"
_TRIES = 3
_MESSAGES: Any = [{"role": "user", "content": "count"}]
_COOLDOWN_S = 5.0

Ask = Callable[[], Awaitable[str]]


def _direct(urls: list[str], capacity: int) -> Ask:
    """Ask the first server, by the SDK alone."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=urls[0] + "v1", api_key="none", timeout=10)

    async def ask() -> str:
        return _text(await client.chat.completions.create(model="m", messages=_MESSAGES))

    return ask


def _round_robin(urls: list[str], capacity: int) -> Ask:
    """Ask each server in turn, and the next one after an error: what one writes in ten lines."""
    from openai import AsyncOpenAI, OpenAIError

    clients = itertools.cycle([AsyncOpenAI(base_url=f"{u}v1", api_key="none", timeout=10, max_retries=0) for u in urls])

    async def ask() -> str:
        for left in reversed(range(_TRIES)):
            try:
                return _text(await next(clients).chat.completions.create(model="m", messages=_MESSAGES))
            except OpenAIError:
                if not left:
                    raise
        raise AssertionError

    return ask


def _pool(urls: list[str], capacity: int) -> Ask:
    """Ask through a pool, as it comes."""
    import balancer

    pool = balancer.Pool([balancer.Endpoint(url, capacity=capacity) for url in urls])
    client = balancer.aopenai(pool, client={"timeout": 10})

    async def ask() -> str:
        return _text(await client.chat.completions.create(model="m", messages=_MESSAGES))

    return ask


def _litellm(urls: list[str], capacity: int, strategy: str = "simple-shuffle") -> Ask:
    """Ask through LiteLLM's Router, which is told the same: three tries, and a cooldown.

    Not the limit of each server (`max_parallel_requests`): what exceeds it is refused, not queued, and so was lost.
    """
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a price list
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    logging.disable()
    routes = [
        {
            "model_name": "m",
            "litellm_params": {
                "model": "openai/m",
                "api_base": f"{url}v1",
                "api_key": "none",
                "timeout": 10,
            },
        }
        for url in urls
    ]
    router = litellm.Router(
        model_list=routes,
        routing_strategy=strategy,
        num_retries=_TRIES - 1,
        allowed_fails=_TRIES,
        cooldown_time=_COOLDOWN_S,
    )

    async def ask() -> str:
        return _text(await router.acompletion(model="m", messages=_MESSAGES))

    return ask


ROUTERS: dict[str, Callable[[list[str], int], Ask]] = {
    "round robin": _round_robin,
    "balancer": _pool,
    "LiteLLM shuffle": _litellm,
    "LiteLLM least busy": lambda urls, capacity: _litellm(urls, capacity, "least-busy"),
}


def _text(answer: Any) -> str:
    return str(answer.choices[0].message.content)


async def _run(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    if asked["beside"]:
        return await _beside(name, asked)
    await _warm(name, asked["warm"])
    ask = ROUTERS[name](asked["urls"], asked["capacity"])
    left = iter(range(asked["requests"]))
    took_ms: list[float] = []
    errors: Counter[str] = Counter()

    async def work() -> None:
        for _ in left:
            began = time.perf_counter()
            try:
                assert await ask() == _SAID
            except Exception as error:
                errors[f"{type(error).__name__}: {str(error)[:200]}"] += 1
            else:
                took_ms.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(asked["tasks"])))
    took_s = time.perf_counter() - began
    ranked = sorted(took_ms) or [float("nan")]
    p95 = ranked[int(0.95 * (len(ranked) - 1))]
    return {"lost": errors.total(), "errors": errors, "s": took_s, "p50_ms": statistics.median(ranked), "p95_ms": p95}


async def _warm(name: str, url: str) -> None:
    """Ask a server of no interest, so that what is loaded at the first requests is loaded."""
    ask = ROUTERS[name]([url], 1)
    for _ in range(3):
        await ask()


async def _beside(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Take turns with the SDK alone, one request at a time."""
    asks = [_direct(asked["urls"], 1), ROUTERS[name](asked["urls"], asked["capacity"])]
    took_ms: list[list[float]] = [[], []]
    for turn in range(asked["requests"]):
        for at, ask in enumerate(asks):
            began = time.perf_counter()
            await ask()
            if turn >= asked["requests"] // 10:  # the first ones connect, and import
                took_ms[at].append(1000 * (time.perf_counter() - began))
    direct, routed = map(statistics.median, took_ms)
    return {"direct_ms": direct, "routed_ms": routed}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = asyncio.run(_run(sys.argv[1], json.load(sys.stdin)))
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # clients that were not closed have nothing to say
