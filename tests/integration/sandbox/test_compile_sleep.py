"""A compiler that sleeps is the program's fault, in every isolation: a compile error, soon, with a reason."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from balancer.language import Language
from balancer.program import ExecutorOptions, Limits, Program, Status
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.local import compile as compiling
from balancer.sandbox.local.child import is_at_work
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import Jail, probe
from tests.integration.sandbox.conftest import ISOLATED
from tests.needs import CPP
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_SLEEPER = Language("sleeper", "main.txt", ("{program}",), ("sleep", "1000"), pragmatic=("sleep", "1001"))
_LIMITS = Limits(compile_s=PATIENCE_S)


@pytest.fixture(params=[*ISOLATED, "rlimits"])
def executor(request, monkeypatch):
    """One of each isolation, where a compiler may sleep for a short time only."""
    if reason := probe(request.param):
        pytest.skip(f"isolation {request.param} does not work here: {reason}")
    monkeypatch.setattr(compiling, "_ASLEEP_S", 0.3)
    known = {**known_languages(), _SLEEPER.name: _SLEEPER}
    made = LocalExecutor("local://sleep", ExecutorOptions(isolation=request.param, known=known))
    yield made
    made.close()


def _is_refused(executor: LocalExecutor, language: str, source: str) -> None:
    runs: list[tuple[Any, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        run = Jail.run
        patch.setattr(Jail, "run", lambda *args, **more: (runs.append(args), run(*args, **more))[1])
        ends = [executor.run(Program(language, source), b"", _LIMITS, {}) for _ in range(2)]
    for end in ends:
        assert (end.status, end.doubtful) == (Status.COMPILE_ERROR, False)
        assert end.message.startswith("the compiler slept: the program makes it wait for something")
    mine = [args for args in runs if "header.h" not in args[1].files]  # for earlier tests headers are precompiled
    assert len(mine) == 1  # neither again as old compilers would have it, nor for the next case


def test_whatever_the_language_is(executor):
    _is_refused(executor, "sleeper", "")


@pytest.mark.sampled(3)
@CPP
@pytest.mark.parametrize("source", ['#include "/dev/stdout"', '#include "/proc/self/fd/2"'])
def test_a_source_that_reads_where_nothing_comes(executor, source):
    _is_refused(executor, "cpp", f"{source}\nint main() {{}}")


@pytest.mark.parametrize(
    ("code", "works"),
    [("print(flush=True)\nwhile True: pass", True), ("import time\nprint(flush=True)\ntime.sleep(999)", False)],
)
def test_who_waits_for_a_core_does_not_sleep(code, works):
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: is_at_work(process.pid) is works)
        os.kill(process.pid, signal.SIGSTOP)  # as a paused machine
        until(lambda: is_at_work(process.pid))
        process.kill()
