"""Keys that hostile programs leave for the next run."""

import ctypes
import os
import platform

import pytest

from tests.integration.sandbox.attacks.attack import CALL, Attack, in_force, run

ADD_KEY = 248  # on x86-64
SESSION, USER = -3, -4


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls by their numbers")
def test_keys_of_others_cannot_be_read(isolated, marker):
    """Neither those of the judge itself, whose session a run begins in, nor those of a run before."""
    if "calls" not in in_force(isolated):
        pytest.skip("this machine filters no system calls")
    name = marker.encode()
    ours = ctypes.CDLL(None).syscall(ADD_KEY, b"user", name, b"secret", ctypes.c_long(6), ctypes.c_long(SESSION))
    hides = f"CALL\nfor ring in (-1, -2, -3, -4, -5): call({ADD_KEY}, b'user', {name!r}, b'hidden', 6, ring)"
    seeks = f"""
    CALL
    buffer = ctypes.create_string_buffer(100)
    found = [call(250, 10, ring, b"user", {name!r}, 0) for ring in (-3, -4)]
    for key in (call(249, b"user", {name!r}, 0, -3), *found, {ours}):
        if isinstance(key, int) and call(250, 11, key, buffer, 100, 0) != "ENOSYS": print(buffer.value)
    """
    assert run(isolated, Attack("", hides), marker).exit_code == 0
    seeker = run(isolated, Attack("", seeks), marker)
    assert (seeker.exit_code, seeker.stdout) == (0, b"")


def test_it_reads_calls_as_the_machine_does():
    """The helper of the attacks tells a call that works from one that does not: else they would mean nothing."""
    if platform.machine() != "x86_64":
        pytest.skip("calls by their numbers")
    names: dict[str, object] = {}
    exec(CALL, names)
    call = names["call"]
    assert callable(call)
    assert call(39) == os.getpid()
    assert call(9999) == "ENOSYS"
