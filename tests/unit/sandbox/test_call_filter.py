"""The filter of system calls: that there is one, what it forbids, what is said where there is none."""

import builtins
import struct
import sys

import pytest

from balancer.sandbox.local.isolation import calls


def test_it_is_a_program_for_the_kernel() -> None:
    program, why = calls.filter_of_calls()
    if not program:
        pytest.skip(why)
    assert why == ""
    assert len(program) % 8 == 0
    assert len(program) // 8 < 4096  # the kernel takes no longer ones
    last = struct.unpack("HBBI", program[-8:])
    assert last[0] == 0x06  # it ends with an answer


def test_it_forbids_what_the_tables_name() -> None:
    pyseccomp = pytest.importorskip("pyseccomp")
    known = set(calls._known(pyseccomp, f"{calls._OTHERS} {calls._KEYS} {calls._DOORS} {calls._MACHINE}"))
    assert {"ptrace", "process_vm_writev", "pidfd_getfd", "keyctl", "bpf", "io_uring_setup", "mount", "setns"} <= known
    assert not known & {"read", "write", "execve", "fork", "vfork", "mmap", "futex", "clone"}


def test_a_name_that_nobody_knows_is_left_out() -> None:
    pyseccomp = pytest.importorskip("pyseccomp")
    assert list(calls._known(pyseccomp, "no_such_call")) == []


def test_every_flag_of_a_namespace_is_forbidden_by_itself() -> None:
    bits = list(calls._bits(calls._NAMESPACES))
    assert len(bits) == 8
    assert sum(bits) == calls._NAMESPACES
    assert all(bit & (bit - 1) == 0 for bit in bits)


@pytest.mark.parametrize(
    ("error", "advice"),
    [(ModuleNotFoundError("no pyseccomp"), "the extra pipeline"), (RuntimeError("no library"), "install libseccomp2")],
)
def test_where_there_is_none_it_is_said_what_to_install(
    error: Exception, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, *_: object) -> None:
        assert name == "pyseccomp"
        raise error

    monkeypatch.delitem(sys.modules, "pyseccomp", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    program, why = calls.filter_of_calls.__wrapped__()
    monkeypatch.undo()
    assert program == b""
    assert advice in why
