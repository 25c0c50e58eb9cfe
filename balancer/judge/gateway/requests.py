"""Gateway of programs: reads requests, runs their programs by a judge, and says what went wrong.

Decides the status of an error, and when a client shall ask again. If it does so after a 504, with the same request, it
finds its place in the queue, and what was done since. A failure of the infrastructure is never an answer about a
program:

| status | means |
|---|---|
| 400, 415, 422 | the request cannot be carried out, by nobody |
| 403 | it comes from a web page, which must not run programs on the reader's machine |
| 413 | it is too large |
| 503 with `Retry-After` | too many requests are under way |
| 504 with `Retry-After` | no executor gave an answer in time, or all failed; verl asks again after it |
"""

import asyncio
import hashlib
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from balancer.errors import NotExecuted
from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge.executed import Executed, ExecuteJob
from balancer.judge.judge import Judge
from balancer.values.json_size import json_values_in

__all__ = ["Gateway", "Refused", "json_answer", "read"]

_BODY_BYTES = 64 * 2**20
_MOST_VALUES = 50_000
_FEW_BYTES = 2**18  # a smaller body cannot have enough values to matter
_QUEUE = 1024  # requests that may wait, beyond the slots of the pool
_SHORTEST_S, _LONGEST_S = 1, 60  # of the wait that a client is asked for
_NEWEST = 0.2  # weight of the newest request in the mean
_AT_ONCE = 4  # programs of one request
_KEPT_S = 10.0  # for a client that asks again; verl does so after 1 s and 2 s
_OWN_PAGES = ("none", "same-origin")
_JSON = {"Content-Type": "application/json"}

Asked = TypeVar("Asked", bound=BaseModel)


class Refused(Exception):
    """A request that gets another answer than it asked for. Fields: `status` of HTTP, `why` in one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def json_answer(content: Any, status: int = 200) -> HttpAnswer:
    """Return an answer with `content` as JSON; a model as it writes itself."""
    body = content.model_dump_json() if isinstance(content, BaseModel) else json.dumps(content)
    return HttpAnswer(status, body.encode(), _JSON)


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

    def route(self, answer: Callable[[HttpCall], Awaitable[HttpAnswer]]) -> Callable[[HttpCall], Awaitable[HttpAnswer]]:
        """Return a route that answers with `answer`, or says why it does not."""

        async def answered(call: HttpCall) -> HttpAnswer:
            try:
                with self._place():
                    return await answer(call)
            except Refused as refused:
                return self._refusal(refused)

        return answered

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Count a request while it is under way. Raises Refused if there are too many."""
        slots = max(1, sum(each.capacity for each in self.judge.pool.endpoints()))
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
            raise _not_executed(error) from None

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

    async def execute_all(self, call: HttpCall, jobs: Sequence[ExecuteJob]) -> AsyncGenerator[Executed, None]:
        """Run the programs that `call` asks for, and yield the results in order. Raises Refused if one has none."""
        held = (replace(job, holder=call.holder) for job in jobs)
        async with aclosing(self.judge.aexecute_many(held, at_once=_AT_ONCE)) as found:
            async for executed in found:
                if executed.error is not None:
                    raise _not_executed(executed.error)
                yield executed

    def _refusal(self, refused: Refused) -> HttpAnswer:
        """Return the answer that says what is wrong."""
        headers = dict(_JSON)
        if refused.status in (503, 504):
            headers["Retry-After"] = str(_SHORTEST_S if refused.status == 504 else self._retry_after_s())
        return HttpAnswer(refused.status, json.dumps({"detail": refused.why}).encode(), headers)

    def _retry_after_s(self) -> int:
        slots = max(1, sum(each.capacity for each in self.judge.pool.endpoints()))
        return max(_SHORTEST_S, min(_LONGEST_S, math.ceil(self._busy / slots * self._took_s)))


def read(call: HttpCall, form: type[Asked]) -> Asked:
    """Return the body of a request. Raises Refused if it has another form."""
    if "origin" in call.headers or call.headers.get("sec-fetch-site", "none") not in _OWN_PAGES:
        raise Refused(403, "requests from web pages are refused")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the content type must be application/json")
    if len(call.body) > _BODY_BYTES:
        raise Refused(413, f"the request has {len(call.body)} bytes; at most {_BODY_BYTES} are allowed")
    values = json_values_in(call.body, at_most=_MOST_VALUES) if len(call.body) > _FEW_BYTES else 0
    if values > _MOST_VALUES:
        raise Refused(422, f"the body has {values} values or more; at most {_MOST_VALUES} are allowed")
    try:
        return form.model_validate_json(call.body)
    except ValidationError as error:
        raise Refused(422, _first_mistake(error)) from None


def _first_mistake(error: ValidationError) -> str:
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"][:4])
    also = f" (and {len(more)} more)" if more else ""
    return f"{where[:200] or 'the body'}: {first['msg']}{also}"


def _not_executed(error: NotExecuted) -> Refused:
    return Refused(422 if error.unable else 504, error.reason if error.unable else f"{error}; try later")
