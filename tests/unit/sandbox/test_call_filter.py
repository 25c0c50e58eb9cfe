"""The filter of system calls: that there is one, what it forbids, what is said where there is none."""

import ctypes
import struct

import pytest

from balancer.sandbox.local import calls


def test_it_is_a_program_for_the_kernel():
    program, why = calls.filter_of_calls()
    if not program:
        pytest.skip(why)
    assert why == ""
    steps = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    assert len(steps) < 4096  # the kernel takes no longer ones
    assert steps[-1][0] == 0x06  # it ends with an answer
    assert {0x00050000 | 38, 0x00050000 | 1, 0x00050000 | 97, 0x7FFF0000, 0x80000000} <= {step[3] for step in steps}


def test_every_flag_of_a_namespace_is_forbidden_by_itself():
    bits = list(calls._bits(calls._NAMESPACES))
    assert len(bits) == 8
    assert sum(bits) == calls._NAMESPACES
    assert all(bit & (bit - 1) == 0 for bit in bits)


class _Refusing:
    """A library that knows every call, and takes no rule."""

    def __getattr__(self, name: str) -> object:
        def called(*_: object) -> int:
            return -22 if name == "seccomp_rule_add_array" else 1

        return called


@pytest.mark.parametrize("library", [OSError("no libseccomp.so.2"), object(), _Refusing()])
def test_where_there_is_none_it_is_said_what_to_install(library, monkeypatch):
    def load(name: str) -> object:
        if isinstance(library, Exception):
            raise library
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    program, why = calls.filter_of_calls.__wrapped__()
    assert program == b""
    assert why.startswith("no seccomp: ")
    assert why.endswith("install libseccomp2")
