"""The adapters against servers that misbehave, over real sockets: what comes of it is never a verdict."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from balancer.errors import CannotTell, EndpointError, EndpointOverloaded
from balancer.program import ExecutorOptions, Limits, Program, Status
from balancer.sandbox.http.adapter import ServerExecutor
from balancer.sandbox.servers.gojudge import GoJudgeExecutor
from balancer.sandbox.servers.judge0 import Judge0Executor
from balancer.sandbox.servers.piston import PistonExecutor
from balancer.testing import ManualClock
from tests.apis.api import Api, Asked, Reply, as_json, serving
from tests.apis.box import Box
from tests.apis.gojudge import GoJudge
from tests.apis.judge0 import Judge0
from tests.apis.piston import COMPILE, Piston
from tests.patience import PATIENCE_S

TOKEN = "s3cr3t-0123456789abcdef"
LIMITS = Limits(cpu_s=2.0, wall_s=4.0, output_bytes=2**16)
CPP = Program("cpp", '#include <cstdio>\nint main() { puts("42"); }')
PYTHON = Program("python", "print(42)")
MADE: dict[str, tuple[Callable[[Box], Api], Callable[..., ServerExecutor]]] = {
    "gojudge": (GoJudge, GoJudgeExecutor),
    "judge0": (Judge0, Judge0Executor),
    "piston": (Piston, PistonExecutor),
}
RUNS = {"gojudge": ("POST", "/run"), "judge0": ("POST", "/submissions"), "piston": ("POST", "/api/v2/execute")}


@pytest.fixture(scope="module")
def box():
    with Box() as made:
        yield made


@contextmanager
def served(kind: str, box: Box, **more: Any) -> Iterator[tuple[Any, ServerExecutor]]:
    make, executor = MADE[kind]
    with serving(api := make(box)) as place:
        options = ExecutorOptions(headers={"Authorization": f"Bearer {TOKEN}"})
        client = executor(f"{kind}+http://{place}/", options, **more)
        yield api, client
        client.close()
        if isinstance(api, Judge0):
            api.close()


@pytest.fixture(params=MADE)
def server(request, box):
    with served(request.param, box) as (api, client):
        yield api, client, RUNS[request.param]


def only(run: tuple[str, str], reply: Reply) -> Callable[[Asked], Reply | None]:
    """Disturb the request that runs a program, and no other."""
    return lambda asked: reply if (asked.method, asked.path) == run else None


def fails(client: ServerExecutor, program: Program = PYTHON) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        client.run(program, b"", LIMITS, {})
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "reply",
    [
        Reply(),
        Reply(content=b'{"token": "../x?y", "run": {"stdout": 3}}'),
        Reply(content=b"[{", headers={"Content-Length": "1000"}),
        Reply(307, headers={"Location": "http://elsewhere/"}),
    ],
)
def test_garbage_halves_and_redirects(server, reply):
    api, client, run = server
    good = 201 if run == RUNS["judge0"] and reply.status == 200 else reply.status
    api.disturb = only(run, Reply(good, reply.content, reply.headers))
    assert fails(client).endpoint == client._url


@pytest.mark.sampled(1)
def test_a_server_that_is_silent(server, monkeypatch):
    api, client, run = server
    client.ping()
    assert client.languages
    monkeypatch.setattr(ServerExecutor, "margin_s", 0.1)
    stop = threading.Event()
    api.disturb = lambda asked: stop.wait(PATIENCE_S) and None if (asked.method, asked.path) == run else None
    started_s = time.monotonic()
    try:
        with pytest.raises(EndpointError, match="no answer within"):
            client.run(PYTHON, b"", Limits(wall_s=0.3), {})
        assert time.monotonic() - started_s < PATIENCE_S / 2
    finally:
        stop.set()


def test_a_server_that_cannot_say_what_it_runs(server):
    """It may run all that we know; once it answers, what it says counts."""
    api, client, _ = server
    api.disturb = lambda asked: Reply(500)
    assert {"python", "cpp", "bash"} <= client.languages
    with pytest.raises(EndpointError):
        client.ping()
    fails(client)
    api.disturb = lambda asked: None
    assert "python" in client.languages
    assert client.run(PYTHON, b"", LIMITS, {}).stdout == b"42\n"


class TestGoJudge:
    """What it keeps for us."""

    @pytest.mark.needs("g++")
    def test_a_program_is_compiled_once_and_again_where_it_was_lost(self, box):
        with served("gojudge", box) as (api, client):
            for expected in (3, 4, 7):  # tools, compiler, run; a run; lost, compiled, run
                assert client.run(CPP, b"", LIMITS, {}).stdout == b"42\n"
                assert sum(asked.path == "/run" for asked in api.asked) == expected
                assert len(api.files) == 1
                if expected == 4:
                    api.files.clear()
            ran = len(api.asked)
            lost = as_json('file does not exists with id: "X"', 500)
            api.disturb = lambda asked: lost if b"fileId" in asked.body else None
            assert "does not exist" in fails(client, CPP).reason
            assert len(api.asked) - ran == 3  # lost, compiled, lost: it is not asked for ever

    def test_a_full_queue_is_an_overload(self, box):
        with served("gojudge", box) as (api, client):
            api.disturb = only(RUNS["gojudge"], as_json("worker queue is full", 500))
            assert isinstance(fails(client), EndpointOverloaded)

    def test_a_wrong_token_is_found_out(self, box):
        with serving(GoJudge(box, token="another")) as place:
            client = GoJudgeExecutor(f"gojudge+http://{place}", ExecutorOptions(headers={"Authorization": TOKEN}))
            with pytest.raises(EndpointError, match="answered 401"):
                client.ping()
            client.close()


class TestJudge0:
    """Its queue, and its limits."""

    @pytest.fixture
    def patient(self, box, monkeypatch):
        """A server and its client, whose clock stands still but for the pauses between two looks."""
        clock = ManualClock()
        with served("judge0", box, clock=clock) as (api, client), monkeypatch.context() as patch:
            patch.setattr(client._closing, "wait", lambda pause_s: clock.advance(pause_s) and False)
            yield api, client

    @pytest.mark.parametrize(
        ("state", "error", "words"),
        [(1, EndpointOverloaded, "did not start in time"), (2, EndpointError, "did not end in time")],
    )
    def test_a_program_that_is_not_over_in_time(self, patient, state, error, words):
        api, client = patient
        waiting = as_json({"status": {"id": state, "description": "-"}})
        api.disturb = lambda asked: waiting if asked.path.startswith("/submissions/") else None
        with pytest.raises(EndpointError, match=words) as caught:
            client.run(PYTHON, b"", Limits(wall_s=1.0), {})
        assert type(caught.value) is error
        asked = sum(asked.path.startswith("/submissions/") for asked in api.asked)
        assert 15 <= asked <= 20, "ever more seldom, and once a second in the end"

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize(
        ("config", "source", "limits"),
        [
            ({"max_cpu_time_limit": 0.5}, "while True: pass", Limits(cpu_s=2.0, wall_s=9.0)),
            ({"max_wall_time_limit": 1.0}, "import time; time.sleep(9)", Limits(cpu_s=2.0, wall_s=9.0)),
            ({"max_memory_limit": 50_000}, "x = bytearray(10**8)", Limits(cpu_s=2.0, wall_s=9.0)),
            ({"max_max_file_size": 64}, "print('x' * 10**5)", Limits(cpu_s=2.0, wall_s=9.0)),
        ],
    )
    def test_its_own_limits_are_no_verdict(self, box, config, source, limits):
        with served("judge0", box) as (api, client):
            api.config |= config
            with pytest.raises(CannotTell, match="cannot tell how the program ended"):
                client.run(Program("python", source), b"", limits, {})
            assert client.run(PYTHON, b"", limits, {}).stdout == b"42\n"

    @pytest.mark.needs("g++")
    def test_an_old_compiler_gets_flags_it_knows(self, box):
        with served("judge0", box) as (api, client):
            source = Program("cpp", "#ifndef __OPTIMIZE__\n#error slow\n#endif\nint main() {}")
            assert client.run(source, b"", LIMITS, {}).status is Status.FINISHED
            body = next(asked.json for asked in api.asked if asked.path == "/submissions")
            assert "20" not in body["compiler_options"]

    def test_without_flags_there_is_no_cpp(self, box):
        with served("judge0", box) as (api, client):
            api.config["enable_compiler_options"] = False
            assert "cpp" not in client.languages
            assert "python" in client.languages

    @pytest.mark.parametrize("arg", ["$HOME", "a;b", "a|b", "x" * 600])
    def test_arguments_that_it_would_change(self, box, arg):
        with served("judge0", box) as (_, client), pytest.raises(ValueError, match="cannot take the arguments"):
            client.run(Program("python", "", args=(arg,)), b"", LIMITS, {})


class TestPiston:
    """Its own limits, with its defaults."""

    def test_limits_are_learnt_from_what_it_refuses(self, box):
        with served("piston", box) as (api, client):
            for _ in range(2):
                assert client.run(PYTHON, b"", Limits(cpu_s=10.0, wall_s=32.0), {}).stdout == b"42\n"
            asked = [asked.json for asked in api.asked if asked.path == "/api/v2/execute"]
            assert [each["run_timeout"] for each in asked[-2:]] == [3000, 3000]
            assert len(asked) == 6  # four limits, one at a time, and two runs

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize(
        "source", ["while True: pass", "import time; time.sleep(9)", "print('x' * 2000)", "print('x\\n' * 2000)"]
    )
    def test_its_own_limits_are_no_verdict(self, box, source):
        with served("piston", box) as (api, client):
            api.limits |= {"run_timeout": 1000, "run_cpu_time": 1000}  # shorter than its defaults, which take longer
            with pytest.raises(CannotTell, match="cannot tell how the program ended"):
                client.run(Program("python", source), b"", Limits(cpu_s=10.0, wall_s=32.0), {})

    def test_a_long_request_is_refused(self, box):
        with served("piston", box) as (_, client), pytest.raises(CannotTell, match="too large"):
            client.run(PYTHON, b"1\n" * 10**6, LIMITS, {})

    @pytest.mark.needs("g++")
    def test_a_package_that_leaves_our_flags_out_is_found_out(self, box, monkeypatch):
        monkeypatch.setitem(COMPILE, "c++", "g++ main.cpp balancer_part.cpp")
        with served("piston", box) as (_, client):
            fault = fails(client, CPP)
            assert "ignores the flags" in fault.reason
            assert isinstance(fault, CannotTell)

    @pytest.mark.needs("g++")
    def test_a_compile_error_longer_than_what_is_kept(self, box):
        lines = "\n".join(f"int x{n} = y{n};" for n in range(100))
        with served("piston", box) as (_, client):
            execution = client.run(Program("cpp", lines), b"", LIMITS, {})
            assert execution.status is Status.COMPILE_ERROR
            assert b"error" in execution.stderr

    def test_versions_that_are_gone_are_asked_for_again(self, box):
        with served("piston", box) as (api, client):
            old = [{"language": "python", "version": "3.1.0", "aliases": []}]
            api.disturb = lambda asked: as_json(old) if asked.path.endswith("/runtimes") else None
            assert client.languages == {"python"}
            api.disturb = lambda asked: None
            assert "runtime is unknown" in fails(client).reason
            assert client.run(PYTHON, b"", LIMITS, {}).stdout == b"42\n"
