"""SandboxFusion's API: what our own servers and others are asked, what their answers mean, and what is believed."""

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

from balancer.endpoint import Outcome, outcome_of
from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.http.client import WireAnswer, WireRequest
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.languages.table import LANGUAGES
from balancer.sandbox.run_code import RunCodeRequest
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.unit.sandbox.answering import answering

URL = "http://10.0.0.1:8080/"
TOKEN = "s3cr3t-0123456789abcdef"
LIMITS = Limits(cpu_s=1.5, wall_s=4.0, compile_s=20.0, memory_bytes=100 * 2**20 + 1, output_bytes=1000)
KNOWN = {language.name: language for language in LANGUAGES}
ABOUT = {"server": "balancer sandbox", "languages": ["cpp", "python"]}
CPP = Program("cpp", "int main() { return 0 }", "mine.cpp")
SHELL = Program("bash", "echo 3", "mine.sh")
Asked = dict[str, Any]


def server(answer: Callable[[Asked], httpx2.Response], *, ours: bool = False) -> tuple[FusionExecutor, list[Asked]]:
    """Return an executor for a server that answers so, and a list that grows with each program it is asked to run."""
    seen: list[Asked] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json=ABOUT) if ours else httpx2.Response(404)
        seen.append(json.loads(request.content))
        return answer(seen[-1])

    options = ExecutorOptions(headers={"Authorization": f"Bearer {TOKEN}"})
    return FusionExecutor(URL, options, exchange=answering(handler)), seen


# -- what is asked -----------------------------------------------------------------------------------


def asked(
    program: Program, stdin: bytes = b"", files: Mapping[str, bytes] | None = None, *, ours: bool = False
) -> tuple[RunCodeRequest, float]:
    """Return the request for a run, and for how long the server may take."""
    seen: list[WireRequest] = []

    def exchange(request: WireRequest) -> WireAnswer:
        if request.method == "GET":
            return WireAnswer(200, {}, json.dumps(ABOUT).encode()) if ours else WireAnswer(404, {}, b"")
        seen.append(request)
        return WireAnswer(500, {}, b"")

    client = FusionExecutor("http://a/", ExecutorOptions(known=KNOWN), exchange=exchange)
    with pytest.raises(EndpointError, match="answered 500"):
        client.run(program, stdin, LIMITS, files or {})
    return RunCodeRequest.model_validate_json(seen[-1].content), seen[-1].within_s - client.margin_s


def decoded(files: Mapping[str, str | None]) -> dict[str, bytes]:
    return {name: base64.b64decode(content or "") for name, content in files.items()}


def test_our_own_servers_get_everything_as_it_is():
    program = Program("cpp", "int main(){}", args=("a b",), extras=(("x.h", b"\xff"),))
    body, total_s = asked(program, b"\xfe", {"a.txt": b"\xff"}, ours=True)
    assert (decoded(body.files), decoded(body.extras)) == ({"a.txt": b"\xff"}, {"x.h": b"\xff"})
    assert decoded({"": body.stdin_base64}) == {"": b"\xfe"}
    assert body.model_dump(exclude_none=True, exclude={"files", "extras", "stdin_base64"}) == {
        "code": "int main(){}",
        "language": "cpp",
        "compile_timeout": 20.0,
        "run_timeout": 1.5,
        "memory_limit_MB": 101,
        "fetch_files": [],
        "wall_timeout": 4.0,
        "output_limit": 1000,
        "args": ["a b"],
    }
    assert total_s == 4.0 + LIMITS.compile_wall_s
    body, total_s = asked(Program("python", "# ä\udcff"), "ä".encode(), ours=True)
    assert (body.code, decoded({"": body.source_base64})) == ("", {"": b"# \xc3\xa4\xff"})
    assert (body.stdin, total_s) == ("ä", 4.0)


def test_scripts_have_everything_in_files():
    program = Program("bash", "# \udcff", args=("a",), extras=(("b/c.py", b"1"),))
    body, total_s = asked(program, b"\xff", {"in.txt": b"x"})
    assert (body.language, body.stdin) == ("bash", None)
    assert decoded(body.files) == {"in.txt": b"x", "main.sh": b"# \xff", ".stdin": b"\xff", "b/c.py": b"1"}
    assert body.fetch_files == [".stdout", ".words"]
    assert body.run_timeout == total_s == 6.0


def test_scripts_have_time_and_memory_for_their_compiler():
    body, total_s = asked(Program("cpp", "int main(){}"))
    assert total_s == 6.0 + LIMITS.compile_wall_s
    assert body.memory_limit_MB == 2048
    assert "try g++ -O2 -std=gnu++20 -I. -o .program main.cpp" in body.code


def test_arguments_are_quoted_as_the_shell_reads_them():
    args = ("", " ", "'", '"', "$HOME", "`id`", "\\", "a\nb", "*", "--", "é", "!x", "{memory}", "@@SCRATCH@@")
    code = asked(Program("bash", "", args=args))[0].code
    begin = code.index(" run bash main.sh ") + len(" run bash main.sh ")
    words = code[begin : code.index(" <.stdin >.stdout")]
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == list(args)


@pytest.mark.parametrize("name", ["main.sh", ".stdin", ".program", ".stdout", ".words", "../x", "/x"])
def test_names_that_are_taken_or_not_safe(name):
    with pytest.raises(ValueError, match="file name"):
        asked(Program("bash", ""), files={name: b""})
    with pytest.raises(ValueError, match="file name"):
        asked(Program("bash", "", extras=((f"../{name}", b""),)))


def test_sources_give_way_to_a_file_of_their_name():
    program = Program("cpp", "int main(){}", extras=(("main.cpp", b"int f;"), ("a.cc", b"int g;"), ("-o.cpp", b"")))
    laid = lay_out(KNOWN["cpp"], program)
    assert laid.files["main.cpp"] == b"int f;"
    (own,) = laid.own
    assert laid.files[own] == b"int main(){}"
    assert set(laid.further) == {f"./{own}", "./a.cc", "./-o.cpp"}
    python = lay_out(KNOWN["python"], Program("python", "import main", extras=(("main.py", b"1"),)))
    (own,) = python.own
    assert python.run[-1] == own


# -- what answers of our own servers mean ------------------------------------------------------------


def command(return_code: int | None = 0, /, **more: Any) -> Asked:
    ended = {"status": "Finished", "execution_time": 0.25, "return_code": return_code, "stdout": "out", "stderr": ""}
    return ended | more


def timed_out(**more: Any) -> Asked:
    return command(None, status="TimeLimitExceeded", **more)


def answer(status: str, run: Any = None, build: Any = None, **more: Any) -> Asked:
    return {"status": status, "message": "", "compile_result": build, "run_result": run} | more


def meaning(body: Asked, *, language: str = "python", output_bytes: int = 10**6) -> Execution:
    client, _ = server(lambda asked: httpx2.Response(200, json=body), ours=True)
    return client.run(Program(language, ""), b"", Limits(output_bytes=output_bytes), {})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (answer("SandboxError", message="no\n  disk"), "the sandbox failed: no disk"),
        (answer("SandboxError", message=f"you sent {TOKEN}"), r"the sandbox failed: you sent \*\*\*"),
        (answer("Success", command(status="Error", stderr="boom")), "could not start a command: boom"),
        (answer("Success"), "no run_result"),
        (answer("Success", command(1)), "contradicts itself: status Success"),
        (answer("Failed", command()), "contradicts itself: status Failed"),
        (answer("Failed", command(None)), "contradicts itself: a finished command has no return code"),
        (answer("Failed", timed_out(return_code=0)), "contradicts itself: a finished command has no return code"),
        (answer("Success", command(stdout=f"HTTP_AUTHORIZATION=Bearer {TOKEN}")), "has the value of a request header"),
        (answer("Success", command(stdout_base64="?")), "a text is not base64"),
        (answer("Great"), "malformed: status"),
        (answer("Success", command("0")), "malformed: run_result.return_code"),
        (answer("Success", command(execution_time=-1)), "malformed: run_result.execution_time"),
        (answer("Success", command(), files={TOKEN: 1}), r"malformed: files.\*\*\*"),
    ],
)
def test_answers_about_the_server(body, reason):
    with pytest.raises(EndpointError, match=reason) as caught:
        meaning(body)
    assert caught.value.endpoint == URL
    assert "\n" not in str(caught.value)


def test_our_own_limit_of_output_holds_in_any_case():
    execution = meaning(answer("Success", command(stdout="x" * 11, output_cut=False)), output_bytes=10)
    assert (execution.status, execution.stdout) == (Status.OUTPUT_LIMIT, b"x" * 10)


def test_words_are_redacted_and_the_output_is_not():
    ended = command(stdout="s3cr3t?", stderr=f"sent {TOKEN}")
    execution = meaning(answer("Success", ended, message=TOKEN))
    assert (execution.stdout, execution.stderr, execution.message) == (b"s3cr3t?", b"sent ***", "***")
    execution = meaning(answer("Failed", None, ended | {"return_code": 1}), language="cpp")
    assert (execution.status, execution.stderr) == (Status.COMPILE_ERROR, b"sent ***")


@pytest.mark.parametrize("pong", [b"pong", b'"pong"', b"pong\n"])
def test_pings(pong):
    FusionExecutor(URL, exchange=answering(lambda request: httpx2.Response(200, content=pong))).ping()
    with pytest.raises(EndpointError, match="is it a SandboxFusion server"):
        FusionExecutor(URL, exchange=answering(lambda request: httpx2.Response(200, content=b"<html>"))).ping()


# -- servers that say nothing of themselves: what is tried there, and what is believed ---------------


def said(words: str, output: bytes = b"", code: int = 0) -> httpx2.Response:
    result = {"status": "Finished", "execution_time": 0.2, "return_code": code, "stdout": words, "stderr": ""}
    files = {".stdout": base64.b64encode(output).decode(), ".words": ""}
    return httpx2.Response(200, json=answer("Failed" if code else "Success", result, files=files))


def is_hello(asked: Asked) -> bool:
    return "pong" in base64.b64decode(asked["files"]["main.cpp"]).decode()


RAN = "balancer ran 0 0.01 0.01 0.0 5 0\n"
REFUSED = "balancer compiled 1 0.1 0.1 0.0\n"


@pytest.mark.parametrize(
    ("code", "says"), [(0, "ended well and reported nothing; is it a SandboxFusion"), (127, "the script did not run")]
)
def test_scripts_that_are_not_run_are_the_servers_fault(code, says):
    client, _ = server(lambda asked: said("3\n", code=code))
    with pytest.raises(EndpointError, match=says) as caught:
        client.run(SHELL, b"", Limits(), {})
    assert outcome_of(caught.value) is Outcome.FAILURE


@pytest.mark.parametrize("code", [0, -15, 143, -9])
def test_programs_that_silence_their_script_are_no_fault_of_the_server(code):
    ends = iter([(RAN, 0), ("", code), (RAN, 0)])
    client, _ = server(lambda asked: said((end := next(ends))[0], b"3\n", end[1]))
    done = [client.run(SHELL, b"", Limits(), {}) for _ in range(3)]
    assert [each.doubtful for each in done] == [False, True, False]
    assert (done[1].status, done[1].message) == (Status.FINISHED, "killed")


@pytest.mark.parametrize("hello", [said(REFUSED), httpx2.Response(500)])
def test_refusals_say_nothing_where_the_language_is_not(hello):
    client, _ = server(lambda asked: hello if is_hello(asked) else said(REFUSED))
    with pytest.raises(CannotTell, match="unknown whether the server runs cpp"):
        client.run(CPP, b"", Limits(), {})


def test_dead_servers_are_tried_once_however_many_languages_are_wanted():
    client, seen = server(lambda asked: httpx2.Response(500))
    assert [client.runs(name) for name in ("cpp", "bash", "java", "cpp")] == [True] * 4  # nobody knows better
    assert len(seen) == 1


def test_cpu_time_beyond_the_limit_counts_however_short_the_wall_time():
    client, _ = server(lambda asked: said("balancer ran 0 0.2 1.5 0.1 5 0\n", b"3\n"))  # several processes at once
    done = client.run(SHELL, b"", Limits(cpu_s=1.0, wall_s=5.0), {})
    assert (done.status, done.cpu_measured, done.time_s) == (Status.TIME_LIMIT, True, 1.6)


def test_python_is_the_one_of_the_server():
    client, seen = server(lambda asked: said("/opt/python\n") if asked["language"] == "python" else said(RAN))
    for _ in range(2):
        client.run(Program("python", ""), b"", Limits(), {})
    assert [asked["language"] for asked in seen] == ["python", "bash", "bash"]  # it is asked once
    assert "run /opt/python main.py" in seen[-1]["code"]
