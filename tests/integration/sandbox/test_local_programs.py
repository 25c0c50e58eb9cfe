"""Ordinary programs, in every isolation: what goes in and what comes out."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.errors import ConfigError, EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local import jail, process
from balancer.sandbox.local.child import children_of
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.prepared import UidPool, high_range
from tests.integration.sandbox.processes import processes_with, wait_until

LIMITS = Limits(cpu_s=10.0, wall_s=100.0)


def python(executor: LocalExecutor, source: str, stdin: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return executor.run(Program("python", source), stdin, limits, {})


def test_files_are_the_programs_own(sandbox):
    source = (
        "import os\nopen('in.txt', 'a').write('!'); os.remove('gone'); os.mkdir('new')\nprint(open('in.txt').read())"
    )
    execution = sandbox.run(Program("python", source), b"", LIMITS, {"in.txt": b"x", "gone": b""})
    assert execution.stdout == b"x!\n", execution.stderr


def test_a_time_limit_keeps_what_was_printed(sandbox):
    for wall_s in (0.5, 2.0, 8.0, 32.0):  # a busy machine may need more for it to begin
        with contextlib.suppress(EndpointError):
            execution = python(
                sandbox, "import time\nprint('so far', flush=True)\ntime.sleep(60)", limits=Limits(wall_s=wall_s)
            )
            if execution.stdout:
                break
    assert (execution.status, execution.stdout, execution.exit_code) == (Status.TIME_LIMIT, b"so far\n", None)
    assert execution.message == f"wall time: {wall_s:g} s"
    assert execution.time_s < 0.8 * wall_s  # CPU time, not what it slept


def test_standard_streams_can_be_opened_by_name(isolated):
    source = (
        "print(open('/dev/stdin').read(), file=open('/dev/stdout', 'w'))\nprint('e', file=open('/dev/stderr', 'w'))"
    )
    execution = python(isolated, source, b"input")
    assert (execution.stdout, execution.stderr) == (b"input\n", b"e\n")


def test_threads_and_processes_work(isolated):
    source = """
import concurrent.futures, multiprocessing, threading
if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(len, ["ab"] * 8)))
    with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, -2]))
"""
    assert python(isolated, source).stdout == b"16\n[1, 2]\n"


def test_a_set_up_that_takes_too_long_is_the_endpoints_matter(unprepared, monkeypatch):
    monkeypatch.setattr(process, "_START", replace(process._START, wall_s=0.0))
    with pytest.raises(EndpointError, match="no start within the wall time limit") as caught:
        python(unprepared, "pass")
    assert caught.value.endpoint == f"local://{unprepared.isolation}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as other users")
@pytest.mark.parametrize("pid", [1, 2**20 - 1, 2**22])
def test_every_user_id_works(pid, monkeypatch):
    """User ids depend on our process id: the first and the last of the whole range have to work alike."""
    uids = high_range(Path("/proc/self/uid_map").read_text(), pid)
    for uid in (uids[0], uids[-1]):
        monkeypatch.setattr(jail, "own_uids", lambda uid=uid: UidPool(range(uid, uid + 1)))
        with contextlib.closing(LocalExecutor("local://user")) as executor:
            execution = python(executor, "import os; print(os.stat('/dev/stdout').st_uid in (os.getuid(), 0))")
        assert (execution.exit_code, execution.stdout) == (0, b"True\n")


@pytest.mark.parametrize("tool", ["bwrap", "setpriv"])
def test_a_broken_set_up_is_never_a_verdict(unprepared, tool, monkeypatch):
    """Every tool in turn fails with the exit code of an ordinary program, or is missing."""
    if tool == "setpriv" and os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    for replacement in ("/bin/false", "/bin/true", "/nonexistent"):
        name_of = "balancer.sandbox.local.isolation.tool"
        monkeypatch.setattr(name_of, lambda name, new=replacement: new if name == tool else f"/usr/bin/{name}")
        with pytest.raises(EndpointError):
            python(unprepared, "print(1)")


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.002, 0.004, 0.006, 0.01, 0.02, 0.3])
def test_a_sandbox_killed_from_outside_is_the_endpoints_matter(unprepared, marker, pause_s):
    """At any moment: while the sandbox is being set up, and when the program runs."""
    caught: list[BaseException] = []

    def call() -> None:
        program = Program("python", "import time; time.sleep(60)", args=(marker,))
        try:
            unprepared.run(program, b"", LIMITS, {})
        except EndpointError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not (outermost := _sandboxes(unprepared)):
        assert thread.is_alive()
    time.sleep(pause_s)
    os.kill(outermost.pop(), 9)
    thread.join()
    assert "killed from outside" in str(caught[0])
    wait_until(lambda: not processes_with(marker))


def _sandboxes(executor: LocalExecutor) -> set[int]:
    """The outermost processes of its sandboxes: they are told the name of a folder of its own."""
    found = set()
    for pid in children_of(os.getpid()):
        with contextlib.suppress(OSError):
            if os.fsencode(executor._folder.path) in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


@pytest.mark.parametrize("name", [pytest.param("bubblewrap", marks=pytest.mark.needs("bwrap")), "rlimits"])
def test_closing_stops_what_runs(name, marker):
    executor = LocalExecutor("local://closing", ExecutorOptions(isolation=name))
    folder = executor._folder.path
    caught: list[EndpointError] = []

    def call() -> None:
        try:
            executor.run(Program("python", "import time; time.sleep(60)", args=(marker,)), b"", LIMITS, {})
        except EndpointError as error:
            caught.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(processes_with(marker)) >= 3)
    started_s = time.monotonic()
    executor.close()
    executor.close()
    assert time.monotonic() - started_s < 30  # they sleep for 60
    for thread in threads:
        thread.join()
    assert [error.reason for error in caught] == ["stopped, because the executor was closed"] * 3
    assert not folder.exists()
    with pytest.raises(EndpointError, match="closed"):
        executor.run(Program("python", ""), b"", LIMITS, {})
    with pytest.raises(EndpointError, match="closed"):
        executor.ping()


_COUNTS_FILES = """
import contextlib, os, sys
from balancer.errors import EndpointError
from balancer.program import Limits, Program
from balancer.sandbox.local import executor as module

def counts():
    found = [len(os.listdir("/proc/self/fd"))]
    executor = module.LocalExecutor("local://fds")
    for source in ("print(1)", "print(1)", "import time; time.sleep(60)", "while True: print('x' * 1000)"):
        limits = Limits(wall_s=0.5 if "sleep" in source else 100.0, output_bytes=1000)
        with contextlib.suppress(EndpointError):  # it did not begin within its wall time
            executor.run(Program("python", source), b"", limits, {})
        found.append(len(os.listdir("/proc/self/fd")))
    executor.close()
    return (*found, len(os.listdir("/proc/self/fd")))

module._PREPARED = int(sys.argv[1])
counts()  # what a process opens once
print(*counts())
"""


@pytest.mark.parametrize("prepared", [0, 3])
def test_nothing_is_left_open(prepared):
    """In a process of its own: in this one, executors of other tests prepare sandboxes whenever they like."""
    command = [sys.executable, "-c", _COUNTS_FILES, str(prepared)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    before, first, *during, after = map(int, ended.stdout.split())
    assert prepared or during == [first] * 3
    assert after == before


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cache_dir is .*; it must be a writable folder"):
        LocalExecutor("local://x", ExecutorOptions(cache_dir=str(tmp_path / "file")))


@pytest.mark.more
def test_wall_time_that_ran_out_for_want_of_a_core_is_doubtful(isolated):
    """A program that sleeps is none of the machine's business, however busy that is."""
    burns = [sys.executable, "-c", "while True: pass"]
    limits = Limits(cpu_s=60.0, wall_s=1.0)
    long = Limits(cpu_s=60.0, wall_s=4.0)  # on such a machine to start takes its time
    # Each in a session of its own: a kernel that shares cores between sessions would count all of them as one.
    others = [subprocess.Popen(burns, start_new_session=True) for _ in range(8 * (os.cpu_count() or 1))]
    try:
        crowded = python(isolated, "while True: pass", limits=limits)
        asleep = python(isolated, "import time; time.sleep(60)", limits=long)
        modest = python(isolated, "import os; os.nice(19)\nwhile True: pass", limits=long)
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert (crowded.status, crowded.doubtful) == (Status.TIME_LIMIT, True)
    assert (asleep.status, asleep.doubtful) == (Status.TIME_LIMIT, False)
    assert (modest.status, modest.doubtful) == (Status.TIME_LIMIT, False), "it asked for it"
