"""Servers that speak SandboxFusion's API and say nothing of themselves: what is tried there, and what is believed."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from balancer.endpoint import Outcome, outcome_of
from balancer.errors import CannotTell, EndpointError
from balancer.program import Limits, Program, Status
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.unit.sandbox.answering import answering

Asked = dict[str, Any]
Answer = Callable[[Asked], httpx2.Response]
OURS = Program("cpp", "int main() { return 0 }", "mine.cpp")
SHELL = Program("bash", "echo 3", "mine.sh")


def stranger(answer: Answer) -> tuple[FusionExecutor, list[Asked]]:
    """Return an executor for a server that answers so, and a list that grows with each program it is asked to run."""
    seen: list[Asked] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(404)
        seen.append(json.loads(request.content))
        return answer(seen[-1])

    return FusionExecutor("http://10.0.0.1:8080/", exchange=answering(handler)), seen


def said(words: str, output: bytes = b"") -> httpx2.Response:
    result = {"status": "Finished", "execution_time": 0.2, "return_code": 0, "stdout": words, "stderr": ""}
    files = {".stdout": base64.b64encode(output).decode(), ".words": ""}
    return httpx2.Response(200, json={"status": "Success", "message": "", "run_result": result, "files": files})


def is_hello(asked: Asked) -> bool:
    return "pong" in base64.b64decode(asked["files"]["main.cpp"]).decode()


RAN = "balancer compiled 0 0.1 0.1 0.0 " + "0" * 64 + "\nbalancer ran 0 0.01 0.01 0.0 5 0\n"
REFUSED = "balancer compiled 1 0.1 0.1 0.0\n"


def test_where_scripts_end_without_a_word_programs_run_natively():
    client, seen = stranger(lambda asked: said("3\n"))
    first, second = (client.run(SHELL, b"", Limits(), {}) for _ in range(2))
    assert (first.status, first.stdout, first.cpu_measured) == (Status.FINISHED, b"3\n", False)
    assert second.stdout == b"3\n"
    assert [bool(asked.get("fetch_files")) for asked in seen] == [True, False, False]  # it is found out once


def test_a_program_that_silences_one_script_does_not_make_others_run_natively():
    words = iter(["balancer ran 0 0.01 0.01 0.0 5 0\n", "", "balancer ran 0 0.01 0.01 0.0 5 0\n"])
    client, seen = stranger(lambda asked: said(next(words), b"3\n"))
    done = [client.run(SHELL, b"", Limits(), {}) for _ in range(3)]
    assert [each.doubtful for each in done] == [False, True, False]
    assert all(asked["fetch_files"] for asked in seen)


@pytest.mark.parametrize("code", [-15, 143, -9])
def test_a_program_that_kills_its_script_is_no_fault_of_the_server(code):
    words = iter([(0, "balancer ran 0 0.01 0.01 0.0 5 0\n"), (code, "")])

    def answer(asked: Asked) -> httpx2.Response:
        return_code, stdout = next(words)
        result = {"status": "Finished", "return_code": return_code, "stdout": stdout, "execution_time": 0.1}
        return httpx2.Response(
            200, json={"status": "Failed" if return_code else "Success", "run_result": result, "message": ""}
        )

    client, _ = stranger(answer)
    assert client.run(SHELL, b"", Limits(), {}).exit_code == 0
    killed = client.run(SHELL, b"", Limits(), {})
    assert (killed.status, killed.doubtful, killed.message) == (Status.FINISHED, True, "killed")


def test_a_script_that_does_not_run_is_the_server_s_fault():
    result = {"status": "Finished", "return_code": 127, "stdout": "", "execution_time": 0.1}
    client, _ = stranger(
        lambda asked: httpx2.Response(200, json={"status": "Failed", "run_result": result, "message": ""})
    )
    with pytest.raises(EndpointError, match="the script did not run") as caught:
        client.run(SHELL, b"", Limits(), {})
    assert outcome_of(caught.value) is Outcome.FAILURE


def test_a_refusal_counts_where_the_language_is_known_to_be_there():
    client, _ = stranger(lambda asked: said(RAN, b"pong\n") if is_hello(asked) else said(REFUSED))
    assert client.run(OURS, b"", Limits(), {}).status is Status.COMPILE_ERROR


@pytest.mark.parametrize("hello", [lambda: said(REFUSED), lambda: httpx2.Response(500)])
def test_a_refusal_says_nothing_where_the_language_is_not(hello):
    client, _ = stranger(lambda asked: hello() if not asked.get("fetch_files") or is_hello(asked) else said(REFUSED))
    with pytest.raises(CannotTell, match="unknown whether the server runs cpp"):
        client.run(OURS, b"", Limits(), {})


def test_a_dead_server_is_tried_once_however_many_languages_are_wanted():
    client, seen = stranger(lambda asked: httpx2.Response(500))
    assert [client.runs(name) for name in ("cpp", "bash", "java", "cpp")] == [True] * 4  # nobody knows better
    assert len(seen) == 1


def test_cpu_time_beyond_the_limit_counts_however_short_the_wall_time():
    client, _ = stranger(lambda asked: said("balancer ran 0 0.2 1.5 0.1 5 0\n", b"3\n"))  # several processes at once
    done = client.run(SHELL, b"", Limits(cpu_s=1.0, wall_s=5.0), {})
    assert (done.status, done.cpu_measured, done.time_s) == (Status.TIME_LIMIT, True, 1.6)


def listing(listed: httpx2.Response) -> tuple[FusionExecutor, list[str]]:
    """Return an executor for a server with `/v1/languages`, and the paths that it is asked for."""
    paths: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return listed if request.url.path == "/v1/languages" else httpx2.Response(404)

    return FusionExecutor("http://10.0.0.1:8080/", exchange=answering(handler)), paths


def test_a_server_that_lists_its_languages_is_believed_and_none_is_tried():
    client, paths = listing(httpx2.Response(200, json=["python", "nodejs", "no language of ours"]))
    assert client.languages == {"python", "javascript"}  # which is called "nodejs" there
    assert not client.runs("cpp")
    assert paths == ["/v1/about", "/v1/languages"]


@pytest.mark.parametrize("answer", [{"python": 1}, "pong", [1, 2]])
def test_what_is_no_list_of_languages_says_nothing(answer):
    client, paths = listing(httpx2.Response(200, json=answer))
    assert "cpp" in client.languages  # it is tried; a server that fails then may have it
    assert paths.count("/v1/languages") == 1
    assert "/run_code" in paths
