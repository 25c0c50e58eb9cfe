"""The server's answers, with an executor that only pretends; and what client and server make of each other."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.fusion.answer import execution_of_answer
from balancer.sandbox.fusion.wire import RunCodeRequest
from balancer.sandbox.server.answer import answer_to
from balancer.sandbox.server.app import build_app


class Pretend:
    """An executor that returns, or raises, what it was given."""

    languages = frozenset({"python", "cpp", "bash"})

    def __init__(self, result: Execution | Exception) -> None:
        self.result = result
        self.seen: list[tuple[Program, bytes, Limits, dict[str, bytes]]] = []

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        self.seen.append((program, stdin, limits, dict(files)))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def ping(self) -> None:
        pass

    def close(self) -> None:
        pass


def post(executor: Pretend, content: bytes, path: str = "/run_code") -> httpx2.Response:
    async def call() -> httpx2.Response:
        transport = httpx2.ASGITransport(build_app(executor, workers=1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://s") as client:
            return await client.post(path, content=content)

    return asyncio.run(call())


def body(**fields: Any) -> bytes:
    return json.dumps({"code": "x", "language": "python"} | fields).encode()


EXECUTIONS = [
    Execution(Status.FINISHED, b"out\n", b"err", 0, 0.25, cpu_measured=True, memory_bytes=5),
    Execution(Status.FINISHED, b"", b"", 43, 0.25, cpu_measured=True),
    Execution(Status.FINISHED, b"", b"", -11, 0.25, cpu_measured=True, message="killed by SIGSEGV"),
    Execution(Status.TIME_LIMIT, b"so far", b"", None, 1.5, cpu_measured=True, message="CPU time: ..."),
    Execution(Status.TIME_LIMIT, b"", b"", None, 1.5, cpu_measured=False, message="wall time: ..."),
    Execution(Status.OUTPUT_LIMIT, b"x" * 300_000, b"", None, 0.5, cpu_measured=True, message="output: ..."),
    Execution(Status.MEMORY_LIMIT, b"", b"\nMemoryError\n", 1, 0.5, cpu_measured=True, message="memory: ..."),
    Execution(Status.FINISHED, b"y" * 300_000, b"", 0, 0.5, cpu_measured=True),
]


TOLD = [(e, lang) for e in EXECUTIONS for lang in ("python", "cpp") if (e.status, lang) != (Status.MEMORY_LIMIT, "cpp")]


@pytest.mark.parametrize(("execution", "language"), TOLD, ids=lambda value: getattr(value, "message", value))
def test_the_client_reads_what_the_server_meant(execution: Execution, language: str) -> None:
    answer = answer_to(RunCodeRequest(code="x", language=language), Pretend(execution))
    read = execution_of_answer(answer, language=language, scripted=False, limits=Limits(), endpoint="e")
    assert read == execution


def test_a_compile_error_survives_as_well() -> None:
    execution = Execution(Status.COMPILE_ERROR, stderr=b"main.cpp:1: error")
    answer = answer_to(RunCodeRequest(code="x", language="cpp"), Pretend(execution))
    assert answer.run_result is None
    assert execution_of_answer(answer, language="cpp", scripted=False, limits=Limits(), endpoint="e") == execution


def test_an_answer_has_sandboxfusions_fields() -> None:
    answer = json.loads(post(Pretend(EXECUTIONS[0]), body()).content)
    assert set(answer) == {"status", "message", "compile_result", "run_result", "executor_pod_name", "files"}
    assert answer["compile_result"] is None
    expected = {"status": "Finished", "execution_time": 0.25, "return_code": 0, "stdout": "out\n", "stderr": "err"}
    assert answer["run_result"].items() >= expected.items()


def test_limits_of_a_request() -> None:
    executor = Pretend(EXECUTIONS[0])
    fields = {"stdin": "ä", "files": {"a": "aGk=", "b": None}, "run_timeout": 2, "memory_limit_MB": 64}
    assert post(executor, body(**fields)).status_code == 200
    assert post(executor, body(wall_timeout=9, output_limit=7, compile_timeout=3)).status_code == 200
    first, second = executor.seen
    assert first[1:] == ("ä".encode(), Limits(2.0, 2.0, 10.0, 64 * 2**20), {"a": b"hi"})
    assert second[2] == Limits(10.0, 9.0, 3.0, 4 * 2**30, 7)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        body(language="cobol"),
        body(language=None),
        body(code=3),
        body(run_timeout="soon"),
        body(run_timeout=0),
        body(run_timeout=-1),
        body(memory_limit_MB="much"),
        body(files={"a": "%"}),
        body(files=["a"]),
        body(stdin=["a"]),
        body(fetch_files=["a"]),
    ],
)
def test_bad_fields(content: bytes) -> None:
    executor = Pretend(EXECUTIONS[0])
    response = post(executor, content)
    assert response.status_code == 422
    assert response.json()["detail"][0]["msg"]
    assert not executor.seen


def test_what_the_executor_refuses_is_the_clients_fault() -> None:
    response = post(Pretend(ValueError("file name '..' is not allowed")), body())
    assert response.status_code == 422
    assert "'..'" in response.json()["detail"][0]["msg"]


def test_a_broken_sandbox_says_so() -> None:
    response = post(Pretend(EndpointError("no more processes", endpoint="local://x")), body())
    answer = response.json()
    assert (response.status_code, answer["status"], answer["message"]) == (200, "SandboxError", "no more processes")


def test_a_body_that_is_too_large() -> None:
    assert post(Pretend(EXECUTIONS[0]), b" " * (64 * 2**20 + 1)).status_code == 413


@pytest.mark.parametrize(("output", "text"), [(b"\xff", "[DecodeError] 'utf-8' codec"), (b"a\xc3", "[DecodeError]")])
def test_output_that_is_no_text(output: bytes, text: str) -> None:
    execution = Execution(Status.FINISHED, output, b"", 0, 0.1, cpu_measured=True)
    answer = answer_to(RunCodeRequest(code="x", language="python"), Pretend(execution))
    assert answer.run_result is not None
    assert (answer.run_result.stdout or "").startswith(text)
    assert answer.status.value == "Success"


def test_a_cut_may_go_through_a_character() -> None:
    execution = Execution(Status.OUTPUT_LIMIT, "ää".encode()[:3], b"", None, 0.1, cpu_measured=True)
    answer = answer_to(RunCodeRequest(code="x", language="python"), Pretend(execution))
    assert answer.run_result is not None
    assert answer.run_result.stdout == "ä"


def test_at_least_one_worker() -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        build_app(Pretend(EXECUTIONS[0]), workers=0)
