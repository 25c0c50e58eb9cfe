"""No run sees another: what one program leaves behind, in any way, no later program finds."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from balancer.program import ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import probe
from tests.integration.sandbox.leaving import Found, executor_of, found_of
from tests.integration.sandbox.ways import CHANGED_BY_OTHERS, WAYS

_ROOT = Path(__file__).resolve().parents[3]
_ORDINARY = "61234"  # a user id that nobody has
_LEAVABLE = 40  # ways that no isolation refuses, or nearly so
# In an order in which a few that lie apart differ in all.
_CASES = [
    pytest.param(isolation, user, served, id=f"{isolation}-{user}-{'served' if served else 'here'}")
    for served in (False, True)
    for isolation, users in (("bubblewrap", ("root", "ordinary")), ("unshare", ("ordinary", "root")))
    for user in users
]


@pytest.fixture(scope="module", params=["bubblewrap", "unshare"])
def isolated(request):
    """An executor of each kind that isolates programs."""
    if reason := probe(request.param):
        pytest.skip(f"isolation {request.param} does not work here: {reason}")
    with closing(LocalExecutor("local://left", ExecutorOptions(isolation=request.param))) as made:
        yield made


def _found(isolation: str, user: str, *, served: bool, together: bool) -> dict[str, Found]:
    if reason := probe(isolation):
        pytest.skip(f"isolation {isolation} does not work here: {reason}")
    root = os.geteuid() == 0
    if root == (user == "root"):
        return found_of(isolation, [*WAYS], served=served, together=together)
    if not root:
        pytest.skip("the tests do not run as root")
    drop = ("setpriv", f"--reuid={_ORDINARY}", f"--regid={_ORDINARY}", "--clear-groups")
    options = [name for name, on in (("--served", served), ("--together", together)) if on]
    told = subprocess.run(
        [*drop, sys.executable, "-m", "tests.integration.sandbox.leaving", isolation, *options],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        check=True,
    )
    return {way: Found(**each) for way, each in json.loads(told.stdout).items()}


def _check(found: dict[str, Found]) -> None:
    left = {way: each for way, each in found.items() if not each.refused}
    assert [way for way, each in left.items() if each.same or each.other] == []
    # The looks do see what they look for: the run that left it found it.
    blind = {way for way, each in left.items() if not each.own} - CHANGED_BY_OTHERS
    assert not blind, [left[way] for way in blind]
    assert len(left) >= _LEAVABLE


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("isolation", "user", "served"), _CASES)
def test_what_is_left_in_all_ways_together_is_not_found(isolation, user, served):
    _check(_found(isolation, user, served=served, together=True))


@pytest.mark.more
@pytest.mark.parametrize(("isolation", "user"), [("bubblewrap", "root"), ("unshare", "ordinary")])
def test_what_is_left_in_one_way_is_not_found(isolation, user):
    """A server has the same sandboxes: one that nothing else was left in tells no more there."""
    _check(_found(isolation, user, served=False, together=False))


# Four tests that need nearly no time, and one that needs twice its limit. A slow program does a part of it before.
_SLOW = """
import os, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
needed, spare = map(float, input().split())
try: done = float(os.getxattr("/tmp", "user.h"))
except OSError: done = 0.0
work(max(0.0, needed - done))
if not HONEST:
    work(spare)
    os.setxattr("/tmp", "user.h", str(done + needed + spare).encode())
print("done")
"""
_SHORT, _LONG = b"0.02 0.2\n", b"0.8 0\n"
_SLOW_LIMITS = Limits(cpu_s=0.4, wall_s=60.0)


def slow_ends(executor: LocalExecutor, *, honest: bool) -> list[Status]:
    """Return how the tests of the slow program end."""
    source = _SLOW.replace("HONEST", str(honest))
    return [executor.run(Program("python", source), stdin, _SLOW_LIMITS, {}).status for stdin in (*[_SHORT] * 4, _LONG)]


@pytest.mark.parametrize("honest", [False, True])
def test_a_program_that_is_too_slow_is_too_slow(isolated, honest):
    """It was accepted: it computed ahead, and kept its state in an extended attribute."""
    assert slow_ends(isolated, honest=honest) == [*[Status.FINISHED] * 4, Status.TIME_LIMIT]


@pytest.mark.parametrize("served", [False, True])
def test_files_arguments_input_and_environment_belong_to_one_run(served):
    """A fixed harness, with the submission beside it: the hostile one spoiled the pipes, and read what was left."""
    isolation = next((name for name in ("bubblewrap", "unshare") if not probe(name)), None)
    if isolation is None:
        pytest.skip("no isolation works here")
    harness = "import os, sys\nexec(open('submission.py').read())\nprint(sorted(os.environ), sys.argv[1:], input())"
    hostile = (
        "import fcntl, os\n"
        "for fd in (1, 2):\n"
        "    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)\n"
        "    fcntl.fcntl(fd, 10, 44)\n"
        "os.environ['LEFT'] = open('/tmp/left', 'w').write('x').__str__()\n"
        "os.setxattr('/box', 'user.input', os.pread(0, 100, 0))\n"
    )
    innocent = "print(os.listdir('/tmp'), sorted(os.listdir('.')), os.listxattr('.'))\nprint('x' * 200_000)"
    with executor_of(isolation, served=served) as run:
        for number in range(4):
            run(
                Program("python", harness, args=(f"secret {number}",)), b"secret\n", {"submission.py": hostile.encode()}
            )
        done = run(Program("python", harness, args=("mine",)), b"own\n", {"submission.py": innocent.encode()})
    assert (done.status, done.exit_code) == (Status.FINISHED, 0), done
    first, long, last = done.stdout.decode().splitlines()
    assert first == "[] ['main.py', 'submission.py'] []"
    assert len(long) == 200_000
    assert last.endswith("['mine'] own")
    assert "LEFT" not in last


_SETTINGS = """
import os
for folder, _, names in os.walk("/proc/sys"):
    for name in names:
        try: os.write(os.open(f"{folder}/{name}", os.O_WRONLY), b"1")
        except OSError: continue
        print(folder, name)
"""
_MOUNTS = """
for line in open("/proc/self/mounts"):
    _, place, kind, options, *_ = line.split()
    options = options.split(",")
    if "rw" in options and place != "/proc" and not place.startswith("/dev/") or place == "/dev/shm":
        print(place, kind, {"nosuid", "nodev"} <= set(options), *(each for each in options if each.startswith("size=")))
"""


def test_no_setting_of_the_kernel_can_be_written(isolated):
    assert isolated.run(Program("python", _SETTINGS), b"", Limits(), {}).stdout == b""


def test_what_a_program_may_write_to_is_new_and_has_a_size(isolated):
    shown = isolated.run(Program("python", _MOUNTS), b"", Limits(), {}).stdout.decode()
    assert sorted(shown.splitlines()) == [
        "/box tmpfs True size=65536k",
        "/dev/shm tmpfs True size=16384k",
        "/tmp tmpfs True size=65536k",
    ]


def test_folders_hold_a_bounded_number_of_files(isolated):
    """bubblewrap cannot set it: the kernel's own bound is half as many as the machine's memory has pages."""
    source = "import os\nprint(max(os.statvfs(each).f_files for each in ('/box', '/tmp', '/dev/shm')))"
    most = int(isolated.run(Program("python", source), b"", Limits(), {}).stdout)
    pages = os.sysconf("SC_PHYS_PAGES")
    assert 0 < most <= (2**16 if isolated.isolation == "unshare" else pages // 2)
