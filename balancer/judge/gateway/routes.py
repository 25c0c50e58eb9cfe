"""The routes of a sandbox: which path is answered by what, and what their judge needs.

| path | answers |
|---|---|
| `POST /run_code`, `POST /submit` | as SandboxFusion |
| `POST /test_program`, `POST /test_program_stdio` | as open-instruct's server |
| `GET /v1/ping`, `GET /v1/about`, `GET /v1/languages` | as `balancer sandbox` |
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from balancer.hookspecs import HttpAnswer, HttpCall, Routes
from balancer.judge.gateway.fusion import run_code
from balancer.judge.gateway.open_instruct import test_program, test_program_stdio
from balancer.judge.gateway.requests import Gateway, json_answer
from balancer.judge.gateway.submit import submit
from balancer.judge.judge import Judge
from balancer.plugins.registry import Registry
from balancer.pool.pool import Pool
from balancer.sandbox.executors import make_executors
from balancer.sandbox.fusion.wire import About
from balancer.scratch import Scratch
from balancer.settings.config import Config

__all__ = ["routes_over", "sandbox_routes"]

_POSTS: Final[dict[str, Callable[[Gateway, HttpCall], Awaitable[HttpAnswer]]]] = {
    "/run_code": run_code,
    "/submit": submit,
    "/test_program": test_program,
    "/test_program_stdio": test_program_stdio,
}


def routes_over(gateway: Gateway) -> Routes:
    """Return the routes over `gateway`."""
    judge = gateway.judge

    async def ping(call: HttpCall) -> HttpAnswer:
        return json_answer("pong")

    async def about(call: HttpCall) -> HttpAnswer:
        return json_answer(About(languages=sorted(await asyncio.to_thread(lambda: judge.languages))))

    async def languages(call: HttpCall) -> HttpAnswer:
        return json_answer(sorted(await asyncio.to_thread(lambda: judge.languages)))

    posts = {f"POST {path}": gateway.route(partial(answer, gateway)) for path, answer in _POSTS.items()}
    return {**posts, "GET /v1/ping": ping, "GET /v1/about": about, "GET /v1/languages": languages}


def sandbox_routes(pool: Pool, config: Config, registry: Registry) -> tuple[Routes, Callable[[], object]]:
    """Return the routes over a judge on `pool`, and what closes it. The executors are those of `config`."""
    with ExitStack() as made:
        executors = None
        if config.pool.connect is None:
            executors = make_executors(config, registry, Path(made.enter_context(Scratch()).path))
            for executor in executors.values():
                made.callback(executor.close)
        judge = made.enter_context(Judge(pool, executors=executors, registry=registry, holder="sandbox"))
        gateway = Gateway(judge)
        made.callback(gateway.close)
        return routes_over(gateway), made.pop_all().close
