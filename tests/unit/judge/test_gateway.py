"""SandboxFusion's `/run_code` over a pool: answers as its clients read them, retries elsewhere, and true refusals."""

import asyncio
import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge import ExecuteJob
from balancer.judge.gateway import Gateway, Refused
from balancer.program import Execution, Limits, Program, Status
from tests.patience import PATIENCE_S
from tests.unit.judge.judges import doubling, judge_over
from tests.unit.pipeline.fakes import BUSY, DOWN, FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished

JSON = {"content-type": "application/json"}

# As verl sends it.
ASKED: dict[str, Any] = {
    "compile_timeout": 10, "run_timeout": 10, "code": "double", "stdin": "21", "memory_limit_MB": 1024,
    "language": "python", "files": {}, "fetch_files": [],
}  # fmt: skip


def call_of(path: str, body: object, headers: Mapping[str, str] = JSON) -> HttpCall:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpCall("POST", path, "", headers, content)


def asked_all(pool: Mapping[str, FakeExecutor], *calls: HttpCall, **judge: Any) -> list[HttpAnswer]:
    """Return the answers to calls that are made at once."""

    async def answers() -> list[HttpAnswer]:
        async with judge_over(pool, **judge) as over:
            routes = Gateway(over).routes()
            return await asyncio.gather(*(routes[f"{call.method} {call.path}"](call) for call in calls))

    return asyncio.run(answers())


def ask(executor: FakeExecutor, path: str, body: object, headers: Mapping[str, str] = JSON) -> tuple[int, Any]:
    """Return the status and the content of the answer to one call, with an executor that fails once."""
    (answer,) = asked_all({"a": executor}, call_of(path, body, headers), outage_s=0)
    return answer.status, json.loads(answer.body)


def test_an_answer_as_sandboxfusion_gives_it():
    ended = Execution(Status.FINISHED, b"42\n", b"hm\n", 0, 0.25, cpu_measured=True)
    status, answer = ask(FakeExecutor(script=[ended]), "/run_code", ASKED)
    assert (status, answer["status"], answer["compile_result"]) == (200, "Success", None)
    ran = answer["run_result"]
    assert (ran["status"], ran["return_code"], ran["stdout"], ran["stderr"]) == ("Finished", 0, "42\n", "hm\n")


def test_what_it_asks_for_arrives():
    seen: list[tuple[Program, bytes, dict[str, bytes]]] = []

    def look(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        seen.append((program, stdin, dict(files)))
        return finished(b"")

    asked = {"code": "x", "language": "nodejs", "files": {"a": base64.b64encode(b"\xff").decode(), "b": None}}
    assert ask(FakeExecutor(look, languages=["javascript"]), "/run_code", asked)[0] == 200
    assert seen == [(Program("javascript", "x"), b"", {"a": b"\xff"})]


def test_limits_of_a_client_are_of_cpu_time():
    class Limited(FakeExecutor):
        limits: Limits

        def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
            self.limits = limits
            return finished(b"")

    executor = Limited()
    ask(executor, "/run_code", ASKED)
    assert (executor.limits.cpu_s, executor.limits.wall_s) == (10, 13.5)
    assert (executor.limits.compile_s, executor.limits.memory_bytes) == (10, 2**30)
    ask(executor, "/run_code", ASKED | {"wall_timeout": 99})
    assert executor.limits.wall_s == 99


def test_a_tenant_is_the_holder_of_its_leases():
    async def play() -> None:
        gate = threading.Event()
        executor = FakeExecutor(doubling, gate=gate)
        async with judge_over({"a": executor}) as judge:
            call = replace(call_of("/run_code", ASKED), holder="team")
            asked = asyncio.create_task(Gateway(judge).routes()["POST /run_code"](call))
            await asyncio.to_thread(executor.started.wait, PATIENCE_S)
            assert [lease.holder for lease in judge.pool.leases()] == ["team"]
            gate.set()
            assert (await asked).status == 200

    asyncio.run(play())


@pytest.mark.parametrize("trouble", [DOWN, BUSY])
def test_without_a_result_the_client_is_told_to_ask_again(trouble):
    (answer,) = asked_all({"a": FakeExecutor(always=trouble)}, call_of("/run_code", ASKED), outage_s=0, attempts=1)
    assert (answer.status, answer.headers["Retry-After"]) == (504, "1")
    assert json.loads(answer.body)["detail"].startswith("the program was not run: after 1 of 1 tries: ")


def test_too_many_requests_are_refused_and_too_late_ones_given_up():
    gate = threading.Event()
    executor = FakeExecutor(doubling, gate=gate)

    async def play() -> None:
        async with judge_over({"a": executor}) as judge:
            gateway = Gateway(judge, queue=1)
            route = gateway.routes()["POST /run_code"]
            under_way = [asyncio.create_task(route(call_of("/run_code", ASKED))) for _ in range(2)]
            await asyncio.to_thread(executor.started.wait, PATIENCE_S)
            refused = await route(call_of("/run_code", ASKED))
            assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
            assert b"2 requests are under way, which is the most for 1 slots" in refused.body
            with pytest.raises(Refused, match="no executor gave an answer within 0 s") as late:
                await gateway.execute(call_of("/run_code", {}), ExecuteJob("double", "1"), 0.0)
            assert late.value.status == 504
            gateway.close()
            gate.set()
            assert [(await each).status for each in under_way] == [200, 200]
            assert no_leases_out(judge.pool)

    asyncio.run(play())


def test_who_asks_again_after_a_504_finds_what_was_done_since():
    gate = threading.Event()
    executor = FakeExecutor(doubling, gate=gate)

    async def play() -> None:
        async with judge_over({"a": executor}) as judge:
            gateway, job = Gateway(judge), ExecuteJob("double", "21")
            call, other = call_of("/run_code", {"a": 1}), call_of("/run_code", {"a": 2})
            for each in (call, other, call):  # the second call waits for the only slot
                with pytest.raises(Refused, match=r"no executor gave an answer within 0\.001 s; try again"):
                    await gateway.execute(each, job, 0.001)
            gate.set()
            for each in (other, call):
                assert (await gateway.execute(each, job, PATIENCE_S)).stdout == "42\n"
            assert len(executor.calls) == 2
            assert (await gateway.execute(call, job, PATIENCE_S)).stdout == "42\n"  # a result is given once
            assert len(executor.calls) == 3

    asyncio.run(play())


def test_a_client_that_goes_away_leaves_nothing_behind():
    gate = threading.Event()
    executor = FakeExecutor(doubling, gate=gate)

    async def play() -> None:
        async with judge_over({"a": executor}) as judge:
            routes = Gateway(judge).routes()
            gone = [asyncio.create_task(routes["POST /run_code"](call_of("/run_code", ASKED))) for _ in range(3)]
            await asyncio.to_thread(executor.started.wait, PATIENCE_S)
            for each in gone:
                each.cancel()
            assert all(
                isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*gone, return_exceptions=True)
            )
            gate.set()
            assert (await routes["POST /run_code"](call_of("/run_code", ASKED))).status == 200
            assert len(executor.calls) == 2

    asyncio.run(play())


HOSTILE = [
    (b" " * (64 * 2**20 + 1), JSON, 413, "the request has 67108865 bytes; at most 67108864 are allowed"),
    (b"", JSON, 422, "the body: Invalid JSON"),
    (b"[" + b"0," * 200_000 + b"0]", JSON, 422, "the body has 200001 values or more; at most 50000 are allowed"),
    (ASKED | {"files": {"../a": "aGk="}}, JSON, 422, "file name '../a' is not allowed; it must be relative"),
    ({}, JSON, 422, "code: Field required (and 1 more)"),
    (ASKED | {"language": "brainfuck"}, JSON, 422, "language 'brainfuck' is not known; known are bash, c, cpp"),
    (ASKED | {"language": "cpp"}, JSON, 422, "no endpoint runs 'cpp'; languages of the pool: python"),
    (ASKED | {"fetch_files": ["a"]}, JSON, 422, "fetch_files has names; this server returns no files"),
    (ASKED, {"content-type": "text/plain"}, 415, "the content type must be application/json"),
    (ASKED, JSON | {"origin": "http://a"}, 403, "requests from web pages are refused"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "status", "why"), HOSTILE)
def test_what_cannot_be_done_is_refused_in_one_line(body, headers, status, why):
    executor = FakeExecutor(doubling)
    code, answer = ask(executor, "/run_code", body, headers)
    assert (code, list(answer)) == (status, ["detail"])
    assert answer["detail"].startswith(why)
    assert "\n" not in answer["detail"]
    assert len(answer["detail"]) < 500
    assert not executor.calls
