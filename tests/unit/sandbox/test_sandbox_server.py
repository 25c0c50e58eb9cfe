"""The server's answers, with an executor that only pretends; and what client and server make of each other."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.http.client import WireAnswer, WireRequest
from balancer.sandbox.run_code import About, RunCodeAnswer, RunCodeRequest
from balancer.sandbox.server.answer import answer_to
from balancer.sandbox.server.app import build_app
from balancer.sandbox.server.handler import ServerSettings
from balancer.sandbox.servers.fusion import FusionExecutor


class Pretend:
    """An executor that returns, or raises, what it was given."""

    languages = frozenset({"python", "cpp", "bash"})

    def __init__(self, result: Execution | Exception) -> None:
        self.result = result
        self.seen: list[tuple[Program, bytes, Limits, dict[str, bytes]]] = []

    def run(
        self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes], *, stop: int | None = None
    ) -> Execution:
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
        transport = httpx2.ASGITransport(build_app(executor, ServerSettings(workers=1)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://s") as client:
            return await client.post(path, content=content, headers={"Content-Type": "application/json"})

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
    Execution(Status.FINISHED, b"\xff\x00", b"", 0, 0.5, cpu_measured=True),
]


TOLD = [(e, lang) for e in EXECUTIONS for lang in ("python", "cpp") if (e.status, lang) != (Status.MEMORY_LIMIT, "cpp")]


def read(answer: RunCodeAnswer, language: str) -> Execution:
    """Return what the client makes of an answer."""

    def exchange(request: WireRequest) -> WireAnswer:
        about = About(languages=[language])
        return WireAnswer(200, {}, (about if request.method == "GET" else answer).model_dump_json().encode())

    return FusionExecutor("http://e/", exchange=exchange).run(Program(language, ""), b"", Limits(), {})


@pytest.mark.parametrize(("execution", "language"), TOLD, ids=lambda value: getattr(value, "message", value))
def test_the_client_reads_what_the_server_meant(execution, language):
    answer = answer_to(RunCodeRequest(code="x", language=language), Pretend(execution))
    assert read(answer, language) == execution


@pytest.mark.parametrize(
    "execution",
    [
        Execution(Status.COMPILE_ERROR, stderr=b"main.cpp:1: error", compile_s=0.5),
        Execution(Status.COMPILE_ERROR, message="the compiler took too long", compile_s=30.0),
        Execution(Status.COMPILE_ERROR, message="stopped after 100 s", compile_s=100.0, doubtful=True),
    ],
)
def test_a_compile_error_survives_as_well(execution):
    answer = answer_to(RunCodeRequest(code="x", language="cpp"), Pretend(execution))
    assert answer.run_result is None
    assert read(answer, "cpp") == execution


def test_an_answer_has_sandboxfusions_fields():
    answer = json.loads(post(Pretend(EXECUTIONS[0]), body()).content)
    theirs = {"status", "message", "compile_result", "run_result", "executor_pod_name", "files"}
    assert set(answer) == {*theirs, "server_s"}
    assert answer["server_s"] >= 0.0
    assert answer["compile_result"] is None
    expected = {"status": "Finished", "execution_time": 0.25, "return_code": 0, "stdout": "out\n", "stderr": "err"}
    assert answer["run_result"].items() >= expected.items()


def test_limits_of_a_request():
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
        b"{}",
        body(language="cobol"),
        body(run_timeout=0),
        body(files={"a": "%"}),
        body(fetch_files=["a"]),
        body(stdin_base64="%"),
        body(source_base64="%"),
        body(extras={"a": "%"}),
    ],
)
def test_bad_fields(content):
    executor = Pretend(EXECUTIONS[0])
    response = post(executor, content)
    assert response.status_code == 422
    assert response.json()["detail"][0]["msg"]
    assert not executor.seen


def test_all_that_belongs_to_a_program():
    executor = Pretend(EXECUTIONS[0])
    extras, stdin = {"x.h": "/w=="}, base64.b64encode(b"\xfe").decode()
    source = base64.b64encode(b"# \xff").decode()
    content = body(code="", source_base64=source, args=["a", "b"], extras=extras, stdin_base64=stdin)
    assert post(executor, content).status_code == 200
    ((program, read, _, _),) = executor.seen
    assert program == Program("python", "# \udcff", "", ("a", "b"), (("x.h", b"\xff"),))
    assert read == b"\xfe"


def test_a_broken_sandbox_says_so():
    response = post(Pretend(EndpointError("no more processes", endpoint="local://x")), body())
    answer = response.json()
    assert (response.status_code, answer["status"], answer["message"]) == (200, "SandboxError", "no more processes")


@pytest.mark.parametrize(("output", "text"), [(b"\xff", "[DecodeError] 'utf-8' codec"), (b"a\xc3", "[DecodeError]")])
def test_output_that_is_no_text(output, text):
    execution = Execution(Status.FINISHED, output, b"", 0, 0.1, cpu_measured=True)
    answer = answer_to(RunCodeRequest(code="x", language="python"), Pretend(execution))
    assert answer.run_result is not None
    assert (answer.run_result.stdout or "").startswith(text)
    assert answer.status.value == "Success"


def test_a_cut_may_go_through_a_character():
    execution = Execution(Status.OUTPUT_LIMIT, "ää".encode()[:3], b"", None, 0.1, cpu_measured=True)
    answer = answer_to(RunCodeRequest(code="x", language="python"), Pretend(execution))
    assert answer.run_result is not None
    assert answer.run_result.stdout == "ä"
