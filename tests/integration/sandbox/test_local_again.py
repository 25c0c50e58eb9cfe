"""One sandbox, the same program again: each run finds it as the first one did, or gets another one."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.local.cgroups import own_cgroups
from balancer.sandbox.local.executor import LocalExecutor

LIMITS = Limits(cpu_s=10.0, wall_s=100.0, output_bytes=100_000)

# What a program finds: its sandbox (a namespace and its age), the folders that it may write to, other processes, its
# priority.
_FINDS = """
import os, stat, sys, signal, time, subprocess
folders = ("/box", "/tmp", "/dev/shm")
found = [sorted(set(os.listdir(each)) - {"main.py"}) for each in folders]
found += [oct(stat.S_IMODE(os.stat(each).st_mode) & 0o777) for each in folders]
found += [len([name for name in os.listdir("/proc") if name.isdigit()]), os.getpriority(os.PRIO_PROCESS, 1)]
found += [sorted(os.sched_getaffinity(1)), os.sched_getscheduler(1)]
since = open("/proc/1/stat").read().rpartition(")")[2].split()[19]
print(os.readlink("/proc/self/ns/pid") + since, *found, sep="\\n", flush=True)
"""
_WRITES_ON = "while True:\n        open(f'/tmp/{time.time()}', 'w').close()"
LEAVES = {
    "nothing": "",
    "a file": "open('left', 'w').write('x')",
    "a hidden file": "open('/tmp/.left', 'w').write('x')",
    "files of odd names": "[open(f'/dev/shm/{name}', 'w').close() for name in ('*', '-rf', ' ', 'a\\nb', '..x', '[')]",
    "a folder": "os.makedirs('/tmp/deep/er'); open('/tmp/deep/er/left', 'w').close()",
    "a link to nowhere": "os.symlink('/nowhere', '/box/link')",
    "a link to its source": "os.symlink('/stage/run', '/box/link')",
    "a pipe": "os.mkfifo('/tmp/pipe')",
    "many files": "[open(f'/tmp/{number}', 'w').close() for number in range(500)]",
    "a folder that nobody may read": "os.chmod('/tmp', 0o300)",
    "a folder that nobody may write to": "os.chmod('/dev/shm', 0o500)",
    "a folder that nobody may enter": "os.chmod('/box', 0)",
    "another source": "open('main.py', 'w').write('print(666)')",
    "a child": "subprocess.Popen(['sleep', '100'], stdin=subprocess.DEVNULL, start_new_session=True)",
    "a child that writes on": f"if os.fork() == 0:\n    signal.signal(15, signal.SIG_IGN)\n    {_WRITES_ON}",
    "a child that prints on": "if os.fork() == 0:\n    while True: print('more', flush=True); time.sleep(0.001)",
    "a slow first process": "os.setpriority(os.PRIO_PROCESS, 1, 19)",
    "an idle first process": "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
    "a first process on one core": "os.sched_setaffinity(1, {min(os.sched_getaffinity(1))})",
    "signals": "[os.kill(1, number) for number in (2, 15, 9, 1, 19, 20)]",
    "an error": "raise SystemExit(3)",
    "its own death": "os.kill(os.getpid(), 9)",
}


def _run(executor: LocalExecutor, source: str, stdin: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return executor.run(Program("python", source), stdin, limits, {})


@pytest.mark.sampled(6)
@pytest.mark.parametrize("left", LEAVES)
def test_each_run_finds_what_the_first_one_found(isolated: LocalExecutor, left: str) -> None:
    source = f"{_FINDS}\n{LEAVES[left]}\n# {uuid4()}, so that nothing ran it before"
    runs = [_run(isolated, source) for _ in range(4)]
    assert {run.status for run in runs} == {Status.FINISHED}
    first, *others = (run.stdout.decode().replace("more\n", "").split("\n", 1)[1] for run in runs)
    assert first
    assert others == [first] * 3
    assert len({run.exit_code for run in runs}) == 1


def test_a_program_has_the_sandbox_of_its_last_run_and_no_other_program_has(isolated: LocalExecutor) -> None:
    if "cpuacct" not in own_cgroups().versions:
        pytest.skip("without control groups each run has a sandbox of its own")

    def sandboxes(source: str) -> list[bytes]:
        return [_run(isolated, source).stdout.split(b"\n")[0] for _ in range(5)]

    own, others = sandboxes(_FINDS), sandboxes(f"{_FINDS}# another")
    assert len(set(own)) < 5
    assert len(set(others)) < 5
    assert set(own).isdisjoint(others)


def test_without_control_groups_each_run_has_a_sandbox_of_its_own(lesser: Callable[[str], LocalExecutor]) -> None:
    executor = lesser("groups")
    assert len({_run(executor, _FINDS).stdout.split(b"\n")[0] for _ in range(3)}) == 3


def test_a_program_that_was_stopped_is_followed_by_no_run_there(isolated: LocalExecutor) -> None:
    source = f"{_FINDS}\nif input() == 'stop':\n    while True: print('x' * 1000)\n"
    limits = Limits(cpu_s=10.0, wall_s=100.0, output_bytes=5000)
    first, second = (_run(isolated, source, stdin, limits) for stdin in (b"stop\n", b"go\n"))
    assert (first.status, second.status) == (Status.OUTPUT_LIMIT, Status.FINISHED)
    assert first.stdout.split(b"\n")[0] != second.stdout.split(b"\n")[0]


@pytest.mark.sampled(1)
def test_each_run_is_measured_by_itself(isolated: LocalExecutor) -> None:
    """Its CPU time, its memory, its outputs and its arguments."""
    source = (
        "import sys, time\nwork = int(input())\nheld = b'x' * (work * 2**20)\n"
        "end = time.process_time() + work / 100\nwhile time.process_time() < end: pass\n"
        "print(sys.argv[1:], work); print(work, file=sys.stderr)"
    )
    for work, args in ((60, ("a",)), (0, ("b", "c")), (30, ()), (0, ("d",))):
        run = isolated.run(Program("python", source, args=args), b"%d\n" % work, LIMITS, {})
        assert (run.stdout, run.stderr) == (f"{[*args]} {work}\n".encode(), b"%d\n" % work)
        assert run.time_s >= work / 100
        assert work or run.time_s < 0.5  # the one before took more
        if "memory" in own_cgroups().versions:
            assert run.memory_bytes is not None
            assert work * 2**20 <= run.memory_bytes < (work + 25) * 2**20
