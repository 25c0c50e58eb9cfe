"""What comes on the line of a sandbox is read as if the program had written it."""

import signal
import subprocess
from typing import cast

import pytest

from balancer.sandbox.local.child import ChildProcess, ProcessTreeCpu
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.process import process_result_of


def result_of(said: bytes, *, status: int = 0, nested: bool = True, cut: StopReason | None = None) -> ProcessResult:
    """What is made of `said`, where the sandbox itself ended with the wait status `status`."""
    process = cast("subprocess.Popen[bytes]", None)  # it has ended
    child = ChildProcess(process, pidfd=0, nested=nested, group=None, tally=ProcessTreeCpu(), status=status)
    return process_result_of(child, cut, said.split(), b"out", b"err")


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"ready\ndone 0\n", 0), (b"ready\ndone 255\n", 255), (b"ready\ndone 137\n", -9), (b"ready\ndone 193\n", 193)],
)
def test_what_the_shell_says_is_believed(said, code):
    ended = result_of(said)
    assert (ended.ready, ended.exit_code, ended.tampered, ended.lost) == (True, code, False, False)


@pytest.mark.parametrize(
    "said",
    [
        b"ready\ndone\n",
        b"ready\ndone -1\n",
        b"ready\ndone 256\n",
        b"ready\ndone 0000\n",
        "ready\ndone ٣\n".encode(),  # a digit, and none of the shell's
        b"ready\ndone 0\ndone 3\n",
        b"ready\n\x00\xffdone 0\ndone 3\n",
        b"ready\ndone 3\n0\n",
    ],
)
@pytest.mark.parametrize("status", [0, 3 << 8])
def test_anything_else_is_the_programs_doing_and_no_good_end(said, status):
    ended = result_of(said, status=status)
    assert ended.tampered
    assert not ended.lost
    assert ended.exit_code not in (0, None)


def test_a_set_up_that_failed_is_not_the_programs_doing():
    ended = result_of(b"", status=1 << 8)
    assert (ended.ready, ended.tampered) == (False, False)


def test_a_sandbox_killed_from_outside_is_lost():
    ended = result_of(b"ready\n", status=signal.SIGKILL)
    assert (ended.lost, ended.tampered) == (True, False)


def test_without_a_namespace_nothing_that_is_said_counts():
    ended = result_of(b"ready\ndone 0\n", status=3 << 8, nested=False)
    assert (ended.exit_code, ended.tampered) == (3, False)


def test_what_was_cut_has_no_code():
    ended = result_of(b"ready\ndone 0\n", cut=StopReason.CPU)
    assert (ended.exit_code, ended.tampered) == (None, False)
