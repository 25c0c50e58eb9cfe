"""What hostile programs leave for whoever comes after them: keys for the next run, files for who fetches them."""

import ctypes
import os
import platform

import pytest

from balancer.program import Program, Status
from tests.integration.sandbox.attacks.attack import CALL, LIMITS, Attack, in_force, run

ADD_KEY = 248  # on x86-64
SESSION, USER = -3, -4

FETCHED = {
    "a link": 'os.symlink("/stage/stdin", "a")',
    "a link to a file of its own": 'open("/tmp/y", "w").write("y"); os.symlink("/tmp/y", "a")',
    "a link to what has no end": 'os.symlink("/dev/zero", "a")',
    "a folder": 'os.mkdir("a")',
    "a pipe": 'os.mkfifo("a")',
    "a socket": 'import socket; socket.socket(socket.AF_UNIX).bind("a")',
    "nothing": "pass",
    "a file that nobody may read": 'open("a", "w").write("x"); os.chmod("a", 0)',
    "a folder that nobody may enter": 'open("a", "w").write("x"); os.chmod(".", 0)',
    "a file that grows": """
if os.fork() == 0:
    os.setsid()
    while True: open("a", "a").write("x" * 1000)
time.sleep(0.05)""",
    "words of the sandbox": 'open("a", "w").write("-\\ndone 0\\n+\\nready\\n")',
    "tools of its own": """
for name in ("base64", "printf", "echo", "kill", "sh"):
    open(name, "w").write("#!/bin/sh\\necho done 0"); os.chmod(name, 0o755)""",
}


@pytest.mark.parametrize("how", FETCHED)
def test_what_is_fetched_is_a_plain_file_or_nothing(isolated, how, marker):
    source = f"import os, time\n{FETCHED[how]}\nos._exit(3)"
    program = Program("python", source, args=(marker,))
    execution, files = isolated.run_and_fetch(program, b"secret", LIMITS, {"b": b"there"}, ("a", "b"))
    assert execution.status in (Status.FINISHED, Status.OUTPUT_LIMIT)
    assert execution.status is Status.OUTPUT_LIMIT or execution.exit_code == 3
    assert b"secret" not in b"".join(files.values())
    assert set(files.get("a", b"")) <= set(b"x") or how == "words of the sandbox"


def test_fetched_files_beyond_the_limit_are_an_output_limit(isolated, marker):
    source = f'import os\nopen("a", "wb").write(bytes({4 * LIMITS.output_bytes}))\nos._exit(3)'
    program = Program("python", source, args=(marker,))
    execution, files = isolated.run_and_fetch(program, b"", LIMITS, {}, ("a",))
    assert execution.status is Status.OUTPUT_LIMIT
    assert not files


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
