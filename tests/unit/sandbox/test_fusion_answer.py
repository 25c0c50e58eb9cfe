"""What answers of a SandboxFusion server mean, as tables."""

import base64
from typing import Any

import httpx2
import pytest

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.servers.fusion import TRUSTED_BYTES, FusionExecutor
from tests.unit.sandbox.answering import answering

URL = "http://s/"


def command(return_code: int | None = 0, /, **more: Any) -> dict[str, Any]:
    return {
        "status": "Finished",
        "execution_time": 0.25,
        "return_code": return_code,
        "stdout": "out",
        "stderr": "",
    } | more


def timed_out(**more: Any) -> dict[str, Any]:
    return command(None, status="TimeLimitExceeded", **more)


def answer(status: str, run: Any = None, build: Any = None, **more: Any) -> dict[str, Any]:
    return {"status": status, "message": "", "compile_result": build, "run_result": run} | more


def meaning(body: dict[str, Any], *, language: str = "python", output_bytes: int = 10**6) -> Execution:
    def handler(request: httpx2.Request) -> httpx2.Response:
        about = {"server": "balancer sandbox", "languages": [language]}
        return httpx2.Response(200, json=about if request.method == "GET" else body)

    client = FusionExecutor(URL, exchange=answering(handler))
    return client.run(Program(language, ""), b"", Limits(output_bytes=output_bytes), {})


@pytest.mark.parametrize(
    ("body", "language", "status", "exit_code"),
    [
        (answer("Success", command()), "python", Status.FINISHED, 0),
        (answer("Success", command(), command()), "cpp", Status.FINISHED, 0),
        (answer("Failed", command(42)), "python", Status.FINISHED, 42),
        (answer("Failed", command(-11), command()), "cpp", Status.FINISHED, -11),
        (answer("Failed", timed_out()), "python", Status.TIME_LIMIT, None),
        (answer("Failed", None, command(1, stderr="e")), "cpp", Status.COMPILE_ERROR, None),
        (answer("Failed", None, timed_out()), "cpp", Status.COMPILE_ERROR, None),
        (answer("Failed", command(1, stderr="x\nMemoryError")), "python", Status.MEMORY_LIMIT, 1),
        (answer("Failed", command(-6, stderr="of 'std::bad_alloc'"), command()), "cpp", Status.MEMORY_LIMIT, -6),
        (answer("Success", command(stdout="[DecodeError] x")), "python", Status.FINISHED, 0),
        (answer("Success", command(stdout=None, stderr=None)), "python", Status.FINISHED, 0),
    ],
)
def test_what_it_says_about_the_program(body, language, status, exit_code):
    execution = meaning(body, language=language)
    assert (execution.status, execution.exit_code) == (status, exit_code)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (answer("SandboxError", message="no\n  disk"), "the sandbox failed: no disk"),
        (answer("SandboxError", command()), "the sandbox failed: no reason given"),
        (answer("Success", command(status="Error", stderr="boom")), "could not start a command: boom"),
        (answer("Failed", None, command(status="Error")), "could not start a command"),
        (answer("Success"), "no run_result"),
        (answer("Success", None, command()), "no run_result"),
        (answer("Success", command(1)), "contradicts itself: status Success"),
        (answer("Success", timed_out()), "contradicts itself: status Success"),
        (answer("Success", None, command(1)), "contradicts itself: status Success"),
        (answer("Failed", command()), "contradicts itself: status Failed"),
        (answer("Failed", command(None)), "contradicts itself: a finished command has no return code"),
        (answer("Failed", timed_out(return_code=0)), "contradicts itself: a finished command has no return code"),
    ],
)
def test_what_it_says_about_the_server(body, reason):
    with pytest.raises(EndpointError, match=reason) as caught:
        meaning(body)
    assert caught.value.endpoint == URL
    assert "\n" not in str(caught.value)


def test_partial_output_of_a_time_limit_is_kept():
    execution = meaning(answer("Failed", timed_out(stdout="so far")))
    assert (execution.stdout, execution.cpu_measured) == (b"so far", False)
    assert execution.time_s == 0.25


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("body", [command, timed_out])
@pytest.mark.parametrize("size", [TRUSTED_BYTES + 1, 219_264, 303_104])
def test_more_than_the_server_can_be_trusted_with_is_cut(stream, body, size):
    execution = meaning(answer("Success" if body is command else "Failed", body(**{stream: "x" * size})))
    assert (execution.status, execution.exit_code) == (Status.OUTPUT_LIMIT, None)


def test_bytes_count_not_characters():
    text = "ä" * (TRUSTED_BYTES // 2)
    assert meaning(answer("Success", command(stdout=text))).status is Status.FINISHED
    assert meaning(answer("Success", command(stdout=text + "x"))).status is Status.OUTPUT_LIMIT


def test_a_server_that_says_whether_it_cut_is_believed():
    long = "x" * (TRUSTED_BYTES + 1)
    assert meaning(answer("Success", command(stdout=long, output_cut=False))).status is Status.FINISHED
    assert meaning(answer("Failed", command(-9, output_cut=True))).status is Status.OUTPUT_LIMIT


def test_our_own_limit_holds_in_any_case():
    execution = meaning(answer("Success", command(stdout="x" * 11, output_cut=False)), output_bytes=10)
    assert (execution.status, execution.stdout) == (Status.OUTPUT_LIMIT, b"x" * 10)


def test_measured_cpu_time_is_preferred():
    execution = meaning(answer("Success", command(cpu_time=0.125, peak_memory=99)))
    assert (execution.time_s, execution.cpu_measured, execution.memory_bytes) == (0.125, True, 99)


@pytest.mark.parametrize(("build", "doubtful"), [(command(1, stderr="e"), False), (timed_out(), True)])
def test_a_compiler_whose_wall_time_ran_out_proves_nothing(build, doubtful):
    execution = meaning(answer("Failed", None, build), language="cpp")
    assert (execution.status, execution.doubtful, execution.compile_s) == (Status.COMPILE_ERROR, doubtful, 0.25)
    assert (execution.message == "the compiler was stopped after 0.2 s") is doubtful


def test_bytes_that_are_told_are_taken_for_the_output():
    told = base64.b64encode(b"\xff\x00").decode()
    assert meaning(answer("Success", command(stdout="[DecodeError]", stdout_base64=told))).stdout == b"\xff\x00"
