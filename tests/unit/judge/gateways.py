"""A gateway over executors in memory, asked as a proxy asks it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge.gateway.requests import Gateway
from balancer.judge.gateway.routes import routes_over
from balancer.program import Execution, Program, Status
from tests.patience import PATIENCE_S
from tests.unit.judge.judges import judge_over
from tests.unit.pipeline.fakes import FakeExecutor

__all__ = ["ask", "asked_all", "call_of", "really"]

JSON = {"content-type": "application/json"}


def call_of(path: str, body: object, headers: Mapping[str, str] = JSON) -> HttpCall:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpCall("POST", path, "", headers, content)


def asked_all(pool: Mapping[str, FakeExecutor], *calls: HttpCall, **judge: Any) -> list[HttpAnswer]:
    """Return the answers to calls that are made at once."""

    async def answers() -> list[HttpAnswer]:
        async with judge_over(pool, **judge) as over:
            routes = routes_over(Gateway(over))
            return await asyncio.gather(*(routes[f"{call.method} {call.path}"](call) for call in calls))

    return asyncio.run(answers())


def ask(executor: FakeExecutor, path: str, body: object, headers: Mapping[str, str] = JSON) -> tuple[int, Any]:
    """Return the status and the content of the answer to one call, with an executor that fails once."""
    (answer,) = asked_all({"a": executor}, call_of(path, body, headers), outage_s=0)
    return answer.status, json.loads(answer.body)


def really(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
    """Run a program in Python, without isolation."""
    ended = subprocess.run(
        [sys.executable, "-c", program.source], input=stdin, capture_output=True, timeout=PATIENCE_S, check=False
    )
    return Execution(Status.FINISHED, ended.stdout, ended.stderr, ended.returncode, 0.125, cpu_measured=True)
