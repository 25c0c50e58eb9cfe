"""A compiler that sleeps is the program's fault, in every isolation: a compile error, with a reason."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from balancer.program import ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.local import compile as compiling
from balancer.sandbox.local.child import is_at_work
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import Jail, probe
from tests.integration.sandbox.conftest import ISOLATED
from tests.needs import CPP
from tests.threads.crew import until

_SLEEPER = Language("sleeper", "main.txt", ("{program}",), ("sleep", "1000"), pragmatic=("sleep", "1001"))
_SOON, _LATE = (100.0, 2.0), (4.0, 100.0)  # its wall time, and for how long it may sleep
_SLEEPS = [(name, "sleeper", "", how) for name in (*ISOLATED, "rlimits") for how in (_SOON, _LATE)]
_SLEEPS += [
    ("auto", "cpp", f'#include "{file}"\nint main() {{}}', _SOON) for file in ("/dev/stdout", "/proc/self/fd/2")
]


@CPP
@pytest.mark.sampled(4)
@pytest.mark.parametrize(("isolation", "language", "source", "how"), _SLEEPS)
def test_compilers_that_wait_for_what_never_comes(isolation, language, source, how, monkeypatch):
    if isolation != "auto" and (reason := probe(isolation)):
        pytest.skip(f"isolation {isolation} does not work here: {reason}")
    monkeypatch.setattr(Limits, "compile_wall_s", how[0])
    monkeypatch.setattr(compiling, "_ASLEEP_S", how[1])
    runs: list[tuple[Any, ...]] = []
    run = Jail.run
    monkeypatch.setattr(Jail, "run", lambda *args, **more: (runs.append(args), run(*args, **more))[1])
    known = {**known_languages(), _SLEEPER.name: _SLEEPER}
    executor = LocalExecutor("local://sleep", ExecutorOptions(isolation=isolation, known=known))
    ends = [executor.run(Program(language, source), b"", Limits(), {}) for _ in range(2)]
    executor.close()
    for end in ends:
        assert (end.status, end.doubtful) == (Status.COMPILE_ERROR, False), end
        assert end.message.startswith("the compiler slept: the program makes it wait for something")
    mine = [args for args in runs if "header.h" not in args[1].files]  # for earlier tests headers are precompiled
    assert len(mine) == 1  # neither again as old compilers would have it, nor for the next case


@pytest.mark.parametrize(
    ("code", "works"),
    [("print(flush=True)\nwhile True: pass", True), ("import time\nprint(flush=True)\ntime.sleep(999)", False)],
)
def test_processes_that_wait_for_a_core_do_not_sleep(code, works):
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: is_at_work(process.pid) is works)
        os.kill(process.pid, signal.SIGSTOP)  # as a paused machine
        until(lambda: is_at_work(process.pid))
        process.kill()
