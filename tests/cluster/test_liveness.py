"""Whether a process has certainly died, as far as this machine tells."""

import mmap
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.cluster.tcp import liveness
from balancer.cluster.tcp.liveness import has_died, is_visible, own_identity

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")


def _me():
    me = own_identity()
    assert me is not None
    return me


def test_a_process_knows_itself_and_that_it_lives():
    me = _me()
    assert me.pid == os.getpid()
    assert is_visible(me)
    with mmap.mmap(-1, 1 << 26):  # it does not depend on how large it is
        assert not has_died(me)


def test_of_another_boot_or_namespace_nothing_is_known():
    assert not is_visible(replace(_me(), boot="another"))
    assert not is_visible(replace(_me(), pids="pid:[1]"))


def test_another_process_of_the_same_number_is_another():
    started = str(int(_me().started) + 1)
    assert has_died(replace(_me(), started=started))


def test_one_that_has_ended_is_dead_even_before_anybody_asks_how():
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
    found = liveness._stat(pid)
    assert found is not None
    child = replace(_me(), pid=pid, started=found[1])
    assert not has_died(child)
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert has_died(child)
    os.waitpid(pid, 0)
    assert has_died(child)
