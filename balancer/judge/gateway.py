"""Gateway: SandboxFusion's `/run_code` over a judge, as a route of `balancer proxy`. So many executors look like one.

| path | answers |
|---|---|
| `POST /run_code` | as SandboxFusion |
| `GET /v1/ping`, `GET /v1/about` | as `balancer sandbox` |

SandboxFusion's own names of languages are understood, as are the fields that only our servers have. What cannot be done
on every executor is refused: `fetch_files`. A failure of the infrastructure is never an answer about a program:

| status | means |
|---|---|
| 415, 422 | the request cannot be carried out, by nobody |
| 403 | it comes from a web page, which must not run programs on the reader's machine |
| 413 | it is too large |
| 503 with `Retry-After` | too many requests are under way |
| 504 with `Retry-After` | no executor gave an answer in time, or all failed; verl asks again after it |

The answer comes within the request's limits and some seconds, as verl's client waits for 10 s beyond them. After a 504
that client asks again, up to twice, and finds its place in the queue, and what was done since. After any other error it
counts the program as wrong.
"""

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from balancer.errors import NotExecuted
from balancer.hookspecs import HttpAnswer, HttpCall, RoutePlugin, Routes, hookimpl
from balancer.judge.executed import Executed, ExecuteJob
from balancer.judge.judge import Judge
from balancer.judging.executors import make_executors
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.run_code import About, RunCodeRequest
from balancer.sandbox.server.answer import answer_of, is_json, is_of_web_page, read_request, run_of
from balancer.scratch import Scratch
from balancer.settings.config import Config

__all__ = ["Gateway", "Refused", "balancer_routes"]

_ANSWER_S: Final = 8.0  # beyond the limits of the request, for waiting and for tries elsewhere
# A client means wall time. Where CPU time is measured, that decides, and a busy server may take longer.
_WALL_FACTOR, _WALL_S = 1.25, 1.0
_BODY_BYTES = 64 * 2**20
_QUEUE = 1024  # requests that may wait, beyond the slots of the pool
_SHORTEST_S, _LONGEST_S = 1, 60  # of the wait that a client is asked for
_NEWEST = 0.2  # weight of the newest request in the mean
_KEPT_S = 10.0  # for a client that asks again; verl does so after 1 s and 2 s
_JSON = {"Content-Type": "application/json"}


@hookimpl
def balancer_routes() -> Iterable[RoutePlugin]:
    """Return the routes of a sandbox."""
    return [RoutePlugin("sandbox", _sandbox, "runs programs on the pool, as SandboxFusion does")]


def _sandbox(pool: Pool, config: Config, registry: Registry) -> tuple[Routes, Callable[[], object]]:
    """Return the routes over a judge on `pool`, and what closes it. The executors are those of `config`."""
    require("pipeline", 'the route "sandbox"', "aiohttp")
    with ExitStack() as made:
        executors = None
        if config.pool.connect is None:
            executors = make_executors(config, registry, Path(made.enter_context(Scratch()).path))
            for executor in executors.values():
                made.callback(executor.close)
        judge = made.enter_context(Judge(pool, executors=executors, registry=registry, holder="sandbox"))
        gateway = Gateway(judge)
        made.callback(gateway.close)
        return gateway.routes(), made.pop_all().close


class Refused(Exception):
    """A request that gets another answer than it asked for. Fields: `status` of HTTP, `why` in one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Gateway:
    """Runs the programs of requests. Used from one event loop.

    Args:
        judge: runs them.
        queue: requests that may be under way beyond the slots of the pool. Further ones are refused as too many.
        clock: in seconds.
    """

    def __init__(self, judge: Judge, *, queue: int = _QUEUE, clock: Callable[[], float] = time.monotonic) -> None:
        self.judge = judge
        self._queue = queue
        self._clock = clock
        self._busy = 0
        self._took_s = 1.0  # the mean of the last requests
        self._left: dict[bytes, list[asyncio.Task[Executed]]] = {}  # runs whose clients were told to ask again

    def routes(self) -> Routes:
        """Return what answers each path."""

        async def ping(call: HttpCall) -> HttpAnswer:
            return _json_answer("pong")

        async def about(call: HttpCall) -> HttpAnswer:
            languages = await asyncio.to_thread(lambda: sorted(self.judge.languages))
            return _json_answer(About(languages=languages))

        return {
            "POST /run_code": self.run_code,
            "GET /v1/ping": ping,
            "GET /v1/about": about,
        }

    async def run_code(self, call: HttpCall) -> HttpAnswer:
        """Answer `POST /run_code`, or say why not."""
        try:
            with self._place():
                asked = _read(call)
                job = _job_of(asked)
                executed = await self.execute(call, job, asked.compile_timeout + asked.run_timeout + _ANSWER_S)
                return _json_answer(answer_of(executed.ended(), asked.language))
        except Refused as refused:
            return self._refusal(refused)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Count a request while it is under way. Raises Refused if there are too many."""
        slots = self._slots()
        if self._busy >= slots + self._queue:
            raise Refused(503, f"{self._busy} requests are under way, which is the most for {slots} slots; try later")
        began_s = self._clock()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._took_s += _NEWEST * (self._clock() - began_s - self._took_s)

    async def execute(self, call: HttpCall, job: ExecuteJob, within_s: float) -> Executed:
        """Run the program that `call` asks for. Raises Refused if there is no result within so many seconds, or at all.

        After so many seconds the run goes on for a while, for a call that is the same.
        """
        key = hashlib.sha256(repr((call.holder, call.path)).encode() + call.body).digest()
        left = self._left.get(key)
        run = left.pop() if left else asyncio.create_task(self.judge.aexecute_job(replace(job, holder=call.holder)))
        try:
            await asyncio.wait((run,), timeout=within_s)
        except asyncio.CancelledError:
            run.cancel()
            raise
        if not run.done():
            self._leave(key, run)
            raise Refused(504, f"no executor gave an answer within {within_s:g} s; try again")
        try:
            return run.result()
        except NotExecuted as error:
            if error.unable:
                raise Refused(422, error.reason) from None
            raise Refused(504, f"{error}; try later") from None

    def _leave(self, key: bytes, run: asyncio.Task[Executed]) -> None:
        self._left.setdefault(key, []).append(run)
        asyncio.get_running_loop().call_later(_KEPT_S, self._drop, key, run)

    def _drop(self, key: bytes, run: asyncio.Task[Executed]) -> None:
        """End a run for which nobody has asked again."""
        left = self._left.get(key, [])
        if run in left:
            left.remove(run)
            if not run.cancel() and not run.cancelled():
                run.exception()  # nobody asks for it any more
        if not left:
            self._left.pop(key, None)

    def close(self) -> None:
        """End the runs that nobody waits for."""
        for key, runs in list(self._left.items()):
            for run in list(runs):
                self._drop(key, run)

    def _refusal(self, refused: Refused) -> HttpAnswer:
        """Return the answer that says what is wrong."""
        headers = dict(_JSON)
        if refused.status in (503, 504):
            headers["Retry-After"] = str(_SHORTEST_S if refused.status == 504 else self._retry_after_s())
        return HttpAnswer(refused.status, json.dumps({"detail": refused.why}).encode(), headers)

    def _retry_after_s(self) -> int:
        return max(_SHORTEST_S, min(_LONGEST_S, math.ceil(self._busy / self._slots() * self._took_s)))

    def _slots(self) -> int:
        return max(1, sum(each.capacity for each in self.judge.pool.endpoints()))


def _json_answer(content: Any) -> HttpAnswer:
    """Return an answer with `content` as JSON; a model as it writes itself."""
    body = content.model_dump_json() if isinstance(content, BaseModel) else json.dumps(content)
    return HttpAnswer(200, body.encode(), _JSON)


def _read(call: HttpCall) -> RunCodeRequest:
    """Return the body of a request, with our name of its language. Raises Refused if it cannot be carried out."""
    if is_of_web_page(call.headers):
        raise Refused(403, "requests from web pages are refused")
    if not is_json(call.headers):
        raise Refused(415, "the content type must be application/json")
    if len(call.body) > _BODY_BYTES:
        raise Refused(413, f"the request has {len(call.body)} bytes; at most {_BODY_BYTES} are allowed")
    try:
        asked = read_request(call.body)
    except ValueError as error:
        raise Refused(422, str(error)) from None
    return asked.model_copy(update={"language": _language_of(asked.language)})


def _language_of(name: str) -> str:
    """Return our name of a language that has the name `name` here or at SandboxFusion. Raises Refused."""
    known = known_languages()
    if name in known:
        return name
    ours = next((language.name for language in known.values() if language.native == name), None)
    if ours is None:
        raise Refused(422, f"language {name[:100]!r} is not known; known are {', '.join(sorted(known))}")
    return ours


def _job_of(asked: RunCodeRequest) -> ExecuteJob:
    """Return the run that `asked` asks for. Raises Refused."""
    try:
        made = run_of(asked)
        limits = made.limits
        if asked.wall_timeout is None:
            limits = replace(limits, wall_s=_WALL_FACTOR * asked.run_timeout + _WALL_S)
        return ExecuteJob(made.program, made.stdin, dict(made.files), limits)
    except ValueError as error:
        raise Refused(422, str(error)) from None
