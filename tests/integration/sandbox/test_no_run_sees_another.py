"""No run sees another: what one program leaves behind, in any way, no later program finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from balancer.program import Limits, Program, Status
from balancer.sandbox.local.jail import probe
from tests.integration.sandbox.leaving import Found, executor_of, found_of
from tests.integration.sandbox.ways import CHANGED_BY_OTHERS, WAYS

_ROOT = Path(__file__).resolve().parents[3]
_ORDINARY = "61234"  # a user id that nobody has
_LEAVABLE = 8  # ways that no isolation refuses, or nearly so
# In an order in which a few that lie apart differ in all.
_CASES = [
    pytest.param(user, served, id=f"{user}-{'served' if served else 'here'}")
    for served in (False, True)
    for user in ("root", "ordinary")
]


def _found(user: str, *, served: bool) -> dict[str, Found]:
    if reason := probe("bubblewrap"):
        pytest.skip(f"bubblewrap does not work here: {reason}")
    root = os.geteuid() == 0
    if root == (user == "root"):
        return found_of([*WAYS], served=served)
    if not root:
        pytest.skip("the tests do not run as root")
    drop = ("setpriv", f"--reuid={_ORDINARY}", f"--regid={_ORDINARY}", "--clear-groups")
    options = ["--served"] if served else []
    told = subprocess.run(
        [*drop, sys.executable, "-m", "tests.integration.sandbox.leaving", *options],
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
@pytest.mark.parametrize(("user", "served"), _CASES)
def test_what_is_left_in_all_ways_together_is_not_found(user, served):
    _check(_found(user, served=served))


@pytest.mark.parametrize("served", [False, True])
def test_files_arguments_input_and_environment_belong_to_one_run(served):
    """A fixed harness, with the submission beside it: the hostile one spoiled the pipes, and read what was left."""
    if reason := probe("bubblewrap"):
        pytest.skip(f"bubblewrap does not work here: {reason}")
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
    with executor_of(served=served) as run:
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
