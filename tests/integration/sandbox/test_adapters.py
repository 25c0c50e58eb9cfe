"""What every executor owes, whatever server it speaks to: real programs, over real sockets."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import pytest

from balancer.errors import CannotTell
from balancer.program import Execution, Executor, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import probe
from balancer.sandbox.servers.fusion import FusionExecutor
from balancer.sandbox.servers.gojudge import GoJudgeExecutor
from balancer.sandbox.servers.judge0 import Judge0Executor
from balancer.sandbox.servers.piston import PistonExecutor
from tests.apis.api import serving
from tests.apis.box import Box
from tests.apis.gojudge import GoJudge
from tests.apis.judge0 import Judge0
from tests.apis.piston import Piston
from tests.fusion_like import fusion_like
from tests.needs import CPP
from tests.servers import running_server

LIMITS = Limits(cpu_s=4.0, wall_s=8.0, output_bytes=2**20, memory_bytes=2**28)
SUM = {
    "python": "import sys; print(sum(map(int, sys.stdin.buffer.read().split()[:2])))",
    "cpp": '#include <cstdio>\nint main() { int a, b; scanf("%d%d", &a, &b); printf("%d\\n", a + b); }',
    "bash": "read -r a b; echo $((a + ${b%$'\\r'}))",
}
CHECKER = r"""
#include <cstdio>
int main(int n, char** a) {
    int x, y;
    FILE* answer = fopen(a[2], "r");
    if (n != 4 || !answer || fscanf(answer, "%d", &x) != 1) return 1;
    if (scanf("%d", &y) != 1) return 43;
    printf("%s", a[3]);
    return x == y ? 42 : 43;
}
"""
ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
ODD = bytes(range(256)) + b"\xff\xfe\x00 no newline"


@contextmanager
def gojudge() -> Iterator[Executor]:
    with Box() as box, serving(GoJudge(box, "token")) as place:
        executor = GoJudgeExecutor(
            f"gojudge+http://{place}/", ExecutorOptions(headers={"Authorization": "Bearer token"})
        )
        yield executor
        executor.close()


@contextmanager
def served() -> Iterator[Executor]:
    """Our own server."""
    with running_server(workers=2) as server:
        executor = FusionExecutor(server.url)
        yield executor
        executor.close()


@contextmanager
def by_script() -> Iterator[Executor]:
    """A server like SandboxFusion."""
    with fusion_like() as url:
        executor = FusionExecutor(url)
        executor.ping()
        yield executor
        executor.close()


@contextmanager
def local(isolation: str) -> Iterator[Executor]:
    if reason := probe(isolation):
        pytest.skip(f"isolation {isolation} does not work here: {reason}")
    executor = LocalExecutor("local://here", ExecutorOptions(isolation=isolation))
    yield executor
    executor.close()


@contextmanager
def piston() -> Iterator[Executor]:
    """One that is set up for judging, as the documentation says."""
    most = {"run_timeout": 60_000, "run_cpu_time": 20_000, "compile_timeout": 60_000, "compile_cpu_time": 30_000}
    with Box() as box, serving(Piston(box, most, output_bytes=2**24 + 2**17, body_bytes=2**28)) as place:
        executor = PistonExecutor(f"piston+http://{place}/")
        yield executor
        executor.close()


@contextmanager
def judge0() -> Iterator[Executor]:
    with Box() as box, serving(api := Judge0(box, "token")) as place:
        executor = Judge0Executor(f"judge0+http://{place}/", ExecutorOptions(headers={"X-Auth-Token": "token"}))
        yield executor
        executor.close()
        api.close()


KINDS = {"served": served, "by script": by_script, "gojudge": gojudge, "judge0": judge0, "piston": piston}
KINDS |= {name: partial(local, name) for name in ("bubblewrap", "rlimits")}


@pytest.fixture(scope="module", params=KINDS)
def executor(request):
    with KINDS[request.param]() as made:
        yield made


def python(executor: Executor, source: str, stdin: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return executor.run(Program("python", source), stdin, limits, {})


@CPP
def test_it_answers_and_says_what_it_runs(executor):
    executor.ping()
    assert {"python", "cpp", "bash"} <= executor.languages


@pytest.mark.sampled(10)
@pytest.mark.parametrize("stdin", [b"20 22\n", b"20 22", b"20 22\r\n \xc3\xa4\xff"])
@pytest.mark.parametrize("language", ["python", pytest.param("cpp", marks=CPP), "bash"])
def test_a_plus_b(executor, language, stdin):
    execution = executor.run(Program(language, SUM[language]), stdin, LIMITS, {})
    assert (execution.status, execution.exit_code, execution.stdout) == (Status.FINISHED, 0, b"42\n"), execution
    assert execution.cpu_measured


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("output", "exit_code"), [(b"7", 42), (b"8", 43), (b"", 43)])
@CPP
def test_a_checker_with_arguments(executor, output, exit_code):
    said = "it's HOME" if isinstance(executor, Judge0Executor) else "it's $HOME"  # which it would refuse
    args = ("in.txt", "ans.txt", said)
    execution = executor.run(Program("cpp", CHECKER, args=args), output, LIMITS, {"in.txt": b"", "ans.txt": b"7\n"})
    assert (execution.status, execution.exit_code) == (Status.FINISHED, exit_code), execution
    assert execution.stdout.decode() == (said if output else "")


def test_files_in_folders(executor):
    source = "import sys\nsys.exit(42 if open(sys.argv[1], 'rb').read().decode('latin-1') == input() + 'ÿ' else 43)"
    execution = executor.run(Program("python", source, args=("a/b.txt",)), b"x\n", LIMITS, {"a/b.txt": b"x\xff"})
    assert execution.exit_code == 42, execution


@CPP
def test_other_files_of_a_program(executor):
    extras = (("sum.h", b"inline int sum(int a, int b) { return a + b; }\n"),)
    source = '#include "sum.h"\n#include <cstdio>\nint main() { printf("%d", sum(20, 22)); }'
    execution = executor.run(Program("cpp", source, extras=extras), b"", LIMITS, {})
    assert execution.stdout == b"42", execution
    execution = executor.run(
        Program("python", "import more; print(more.x)", extras=(("more.py", b"x = 42\n"),)), b"", LIMITS, {}
    )
    assert execution.stdout == b"42\n", execution


@pytest.mark.sampled(1)
@CPP
def test_compile_errors(executor):
    execution = executor.run(Program("cpp", "int main() { return x; }", args=("x",)), b"", LIMITS, {})
    assert (execution.status, execution.exit_code, execution.doubtful) == (Status.COMPILE_ERROR, None, False)
    assert b"main.cpp:1:21: error" in execution.stderr


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("source", "limits", "status", "exit_code"),
    [
        ("raise SystemExit(3)", LIMITS, Status.FINISHED, 3),
        ("import os; os.abort()", LIMITS, Status.FINISHED, -6),
        ("x = bytearray(2**30)", LIMITS, Status.MEMORY_LIMIT, 1),
        ("while True: pass", Limits(cpu_s=0.5, wall_s=8.0), Status.TIME_LIMIT, None),
        ("import time; time.sleep(60)", Limits(cpu_s=0.7, wall_s=1.2), Status.TIME_LIMIT, None),
        ("while True: print('x' * 10**4)", Limits(output_bytes=10**5), Status.OUTPUT_LIMIT, None),
    ],
)
def test_every_end(executor, source, limits, status, exit_code):
    execution = python(executor, source, limits=limits)
    ours = isinstance(executor, FusionExecutor)
    exact = ours or status is Status.FINISHED
    assert (execution.status, execution.exit_code if exact else exit_code) == (status, exit_code), execution
    assert execution.cpu_measured or not ours or status is not Status.TIME_LIMIT
    if "sleep" in source:
        assert execution.time_s < limits.cpu_s, "wall time ran out, and that must show"


def test_an_output_limit_keeps_what_was_printed_before(executor):
    execution = python(executor, "import sys; sys.stdout.write('ab' * 10**5)", limits=Limits(output_bytes=10**5))
    assert (execution.status, execution.stdout[:4]) == (Status.OUTPUT_LIMIT, b"abab")
    assert len(execution.stdout) <= 10**5


def test_bytes_that_are_no_text_pass_unchanged(executor):
    with loses_bytes(executor):
        execution = python(executor, ECHO, ODD)
        assert (execution.status, execution.stdout) == (Status.FINISHED, ODD)


def test_a_replacement_character_is_a_character(executor):
    with loses_bytes(executor):
        execution = python(executor, ECHO, "\ufffd\n".encode())
        assert execution.stdout == "\ufffd\n".encode()


def loses_bytes(executor: Executor) -> AbstractContextManager[object]:
    """Piston and go-judge hand on text only. What they have lost they cannot tell."""
    if isinstance(executor, (PistonExecutor, GoJudgeExecutor)):
        return pytest.raises(CannotTell, match="bytes that are not text")
    return nullcontext()


@pytest.mark.sampled(5)
@pytest.mark.parametrize("size", [10**5, 10**7])
def test_a_big_input(executor, size):
    """It is read late, and all of it."""
    source = "import sys, time; time.sleep(0.2); print(len(sys.stdin.buffer.read()))"
    execution = python(executor, source, b"0123456789abcde\n" * (size // 16))
    assert execution.stdout == b"%d\n" % (size // 16 * 16), execution


def test_a_source_that_is_no_text(executor):
    source = b"# -*- coding: latin-1 -*-\nprint(len('" + b"\xe4" + b"'))"
    execution = executor.run(Program("python", source.decode("utf-8", "surrogateescape")), b"", LIMITS, {})
    assert execution.stdout == b"1\n", execution
