"""Runs by script on a server that behaves as SandboxFusion was seen to: our flags, any output, times to be trusted."""

import os
import re
from pathlib import Path

import pytest

from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.fusion_like import fusion_like
from tests.needs import CPP

LIMITS = Limits(cpu_s=10.0, wall_s=60.0, compile_s=60.0)


@pytest.fixture(scope="module")
def url():
    with fusion_like() as running:
        yield running


@pytest.fixture(scope="module")
def fusion(url):
    executor = FusionExecutor(url)
    executor.ping()
    yield executor
    executor.close()


def python(
    executor: FusionExecutor, source: str, limits: Limits = LIMITS, stdin: bytes = b"", args: tuple[str, ...] = ()
) -> Execution:
    return executor.run(Program("python", source, args=args), stdin, limits, {})


def cpp(executor: FusionExecutor, source: str, limits: Limits = LIMITS) -> Execution:
    return executor.run(Program("cpp", source), b"", limits, {})


@pytest.mark.parametrize(
    ("source", "status", "exit_code"),
    [
        ("import os; os.kill(os.getpid(), 9)", Status.FINISHED, -9),
        ("print(input())", Status.FINISHED, 0),
        ("import os; os.remove('.stdout'); print(1)", Status.FINISHED, 0),
        ("import os; os.remove('.stdout'); os.symlink('/etc/passwd', '.stdout')", Status.FINISHED, 0),
    ],
)
def test_every_end(fusion, source, status, exit_code):
    execution = python(fusion, source, stdin=b"in\n")
    assert (execution.status, execution.exit_code, execution.doubtful) == (status, exit_code, False), execution
    assert b"root:" not in execution.stdout


@CPP
def test_a_binary_is_compiled_once_and_kept_only_by_its_hash(url):
    kept = Path("/tmp/.balancer")  # where the script keeps binaries on a server, here on this machine
    if kept.exists() and not os.access(kept, os.W_OK):
        pytest.skip(f"{kept} is another user's, so nothing can be kept")
    fusion = FusionExecutor(url)
    source = f'#include <cstdio>\nint main() {{ puts("mine"); }}  // of {os.getpid()}, as others test at the same time'
    first, second = cpp(fusion, source), cpp(fusion, source)
    assert first.compile_s > 0
    assert (second.compile_s, second.stdout) == (0, b"mine\n")
    (stored,) = [kept / key for key in fusion._hashes]
    assert stored.stat().st_size > 1000
    stored.write_text("#!/bin/sh\necho forged\n")  # as another program on the server could
    third = cpp(fusion, source)
    assert third.stdout == b"mine\n"
    assert third.compile_s > 0
    stored.unlink()
    stored.symlink_to("/dev/zero")
    assert cpp(fusion, source).stdout == b"mine\n"
    stored.unlink()
    fusion.close()


_FORGED = """
import glob, os, sys, time
for fd in range(3, 10):
    for pid in (os.getppid(), int(open(f"/proc/{os.getppid()}/stat").read().split()[3])):
        try:
            with open(f"/proc/{pid}/fd/{fd}", "w") as out:
                out.write("balancer ran 0 0.01 0.01 0.00 3 0\\n")
                out.flush()
        except OSError: pass
print(42, flush=True)
KILL
end = time.time() + 2.5
while time.time() < end: pass
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kill", ["", "os.kill(int(open(f'/proc/{os.getppid()}/stat').read().split()[3]), 9)"])
def test_a_program_that_forges_its_times_is_not_accepted(fusion, kill):
    """It says that it took 0.01 s, and takes 2.5 s of a limit of 0.5 s."""
    execution = python(fusion, _FORGED.replace("KILL", kill), Limits(cpu_s=0.5, wall_s=20.0))
    well = execution.status is Status.FINISHED and execution.exit_code == 0
    assert not well, execution


def test_a_program_that_starts_others_and_hides_its_time_is_not_accepted(fusion):
    """The CPU time of a child that nobody waits for is in no shell's books; its wall time shows all the same."""
    source = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        end = time.time() + 1.2  # less than what the shell lets one process have
        while time.time() < end: pass
        open("done", "w").close()
        os._exit(0)
    while not os.path.exists("done"): time.sleep(0.05)
    print(42)
    """
    execution = python(fusion, "\n".join(line[4:] for line in source.splitlines()), Limits(cpu_s=0.5, wall_s=20.0))
    assert execution.status is Status.TIME_LIMIT, execution
    assert not execution.cpu_measured or execution.time_s >= 0.5


@pytest.mark.more
@CPP
def test_a_compiler_that_is_too_slow_is_known_by_its_cpu_time(fusion):
    bomb = (
        "template<int n, int m> struct F { static const long v = F<n-1, m>::v ^ F<n-1, m+1>::v; };\n"
        "template<int m> struct F<0, m> { static const long v = m; };\nint main() { return F<800, 0>::v; }"
    )
    execution = cpp(fusion, bomb, Limits(compile_s=1.0))
    assert (execution.status, execution.doubtful) == (Status.COMPILE_ERROR, False), execution
    assert re.match(r"the compiler took too long: \d\.\d s of CPU time, and 1 s are allowed", execution.message)
