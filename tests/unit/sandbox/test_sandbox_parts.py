"""The small parts: user ids, resource limits, file names, pipes, the shutdown, the process tree."""

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.program import Language, Limits
from balancer.sandbox.languages.layout import check_name, check_together
from balancer.sandbox.local import jail
from balancer.sandbox.local.child import BoundedPipe, ChildProcess, ProcessTreeCpu, children_of
from balancer.sandbox.local.command import limit_commands
from balancer.sandbox.local.isolation import ISOLATIONS, SandboxLayout, SandboxSpec
from balancer.sandbox.local.prepared import UidPool, high_range
from balancer.sandbox.local.script import run_file, written_by_shell
from balancer.sandbox.local.toolchain import find_toolchain

WHOLE_MAP = "         0          0 4294967295\n"
PIDS = st.integers(1, 2**22)


class TestUids:
    @given(PIDS, PIDS)
    def test_processes_have_ranges_of_their_own(self, first, second):
        one, other = high_range(WHOLE_MAP, first), high_range(WHOLE_MAP, second)
        assert (first - second) % 2**20 == 0 or not set(one) & set(other)
        assert not set(one) & set(high_range(WHOLE_MAP, first + 1))
        assert min(one) > 1_879_048_191  # systemd's last one
        assert max(one) < 2**31  # more is too much for bubblewrap

    @given(PIDS, st.integers(2, 2**32 - 1))
    def test_the_range_is_mapped_and_not_root(self, pid, count):
        uids = high_range(f"0 100000 {count}\n", pid)
        assert all(0 < uid < count for uid in (*uids[:1], *uids[-1:]))
        assert count != 65536 or 65534 not in uids

    def test_nobody_shares_a_uid(self):
        pool = UidPool(range(10, 12))
        with pool.lend() as one, pool.lend() as other:
            assert {one, other} == {10, 11}
        with pool.lend() as again:
            assert again == 11  # the stack of `with` returned it first


class TestLimits:
    @pytest.mark.parametrize("shell", [["sh"], pytest.param(["bash", "--posix"], marks=pytest.mark.needs("bash"))])
    def test_the_shell_sets_every_limit(self, shell):
        commands = limit_commands(Limits(cpu_s=0.5, memory_bytes=2**26 + 1, processes=5), processes=900)
        script = "\n".join(f"{command} || exit" for command in commands)
        told = subprocess.run([*shell, "-c", f"{script}\nexec cat /proc/self/limits"], check=True, capture_output=True)
        limits = {line[:26].strip(): line[26:].split()[:2] for line in told.stdout.decode().splitlines()}
        assert limits["Max cpu time"] == ["2", "3"]
        assert limits["Max address space"] == [str(2**26 + 1024)] * 2
        assert limits["Max file size"] == [str(64 * 2**20)] * 2
        assert limits["Max processes"] == ["900", "900"]
        assert limits["Max open files"] == ["256", "256"]
        assert limits["Max core file size"] == ["0", "0"]
        assert len(set(limits["Max stack size"])) == 1

    def test_no_limit_is_above_the_present_hard_limit(self, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (1, 1))
        values = {command.split()[-1] for command in limit_commands(Limits(), processes=9)}
        assert values <= {"0", "1"}

    @given(st.floats(0.001, 3600, allow_nan=False))
    def test_the_kernel_never_comes_before_us(self, cpu_s):
        soft, hard = (int(command.split()[-1]) for command in limit_commands(Limits(cpu_s=cpu_s), processes=None)[:2])
        assert cpu_s + 1 <= soft < hard


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["", "/etc/passwd", "a/..", "./a", "a//b", "\0", "/".join("a" * 65), "ä" * 128, "/".join(["a" * 200] * 6)],
    )
    def test_refused(self, name):
        with pytest.raises(ValueError, match=r"^file name .* is not allowed"):
            check_name(name)

    @pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c/d", "a/b"), ("x", "a/b", "a/b/c")])
    def test_files_are_no_folders(self, names):
        for order in (names, reversed(names)):
            with pytest.raises(ValueError, match=r"is a folder of .*; rename one of them$"):
                check_together(order)
        check_together(["a/b", "a/c", "ab", "a.b/c", "b"])

    @given(st.text(alphabet="a./\0", max_size=12))
    def test_what_is_allowed_stays_inside(self, name):
        try:
            check_name(name)
        except ValueError:
            return
        folder = "/x/y"
        assert os.path.normpath(f"{folder}/{name}") == f"{folder}/{name}"


class TestPipe:
    @given(st.integers(0, 50), st.lists(st.binary(max_size=30), max_size=5))
    def test_keeps_the_first_bytes_and_says_if_there_were_more(self, limit, writes):
        pipe = BoundedPipe()
        pipe.limit = limit
        for data in writes:
            os.write(pipe.writer, data)
        pipe.close_writer()
        pipe.drain()
        pipe.close()
        whole = b"".join(writes)
        assert bytes(pipe.data) == whole[:limit]
        assert pipe.over == (len(whole) > limit)


class TestDeath:
    def test_a_nested_process_is_waited_for_while_those_below_it_die(self, monkeypatch):
        """On a busy machine many processes take long to die."""
        kill, late = os.kill, list[threading.Timer]()

        def kills_later(pid: int, number: int) -> None:
            late.append(threading.Timer(1.2, kill, (pid, number)))
            late[-1].start()

        monkeypatch.setattr("balancer.sandbox.local.child._DEATH_S", 1.0)
        command = ["sh", "-c", "sleep 1000 & wait; exit 3"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
            child = ChildProcess(process, os.pidfd_open(process.pid), True, group=None, tally=ProcessTreeCpu())
            while not children_of(process.pid):
                time.sleep(0.001)
            with monkeypatch.context() as patch:
                patch.setattr(os, "kill", kills_later)
                child.kill()
            child.wait()
            child.finish()
        late[0].join()
        assert (child.status, child.lost_root) == (3 << 8, False)


class TestProcessTree:
    def test_what_was_seen_counts_though_nobody_waited_for_it(self):
        source = """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while os.times().user < 0.2: pass
    print("busy", flush=True); input(); os._exit(0)
try: os.wait()
except ChildProcessError: print("alone", flush=True)
input()
"""
        tally = ProcessTreeCpu()
        with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            assert parent.stdin is not None
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"busy\n"
            assert tally.look(parent.pid) >= 0.19
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            assert parent.stdout.readline() == b"alone\n"
            assert ProcessTreeCpu().look(parent.pid) < 0.19
            assert tally.look(parent.pid) >= 0.19
            parent.communicate(b"\n")


class TestView:
    def test_what_a_compiler_may_write_has_a_size_and_headers_are_read_only(self, tmp_path):
        spec = SandboxSpec(output=tmp_path, headers=Path("/its"))
        argv = " ".join(ISOLATIONS["bubblewrap"].argv(SandboxLayout(tmp_path, spec), None))
        places = re.findall(r"--size \d+ --tmpfs (\S+)", argv)
        assert sorted(places) == ["/box", "/dev/shm", "/output", "/tmp"]
        assert argv.count("--tmpfs") == len(places)
        assert re.findall(r"--bind \S+ (\S+)", argv) == ["/made"]
        assert "--ro-bind /its /headers" in argv

    @given(
        st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=4),
        st.binary(max_size=300).map(lambda data: data.replace(b"\0", b"'")),
    )
    @example(["'; $(touch /tmp/x) `x` \n", "-n", "", "*", "é\udcff"], bytes(range(1, 256)))
    @example(["true"], b"-n %s \\n\\0101 \\c")
    def test_what_is_run_is_what_was_wanted_whatever_it_holds(self, argv, content):
        with tempfile.TemporaryDirectory() as folder:
            name = "-o 'x' $x"
            assert written_by_shell({name: content})
            script = run_file(copy=False, files={name: content}, limits=("ulimit -c 0",), argv=argv)
            told = subprocess.run(
                ["/bin/sh", "-c", '. /dev/stdin; printf \'%s\\0\' "$(ulimit -c)" "$@"'],
                input=script,
                capture_output=True,
                check=True,
                cwd=folder,
            )
            assert told.stdout.split(b"\0")[:-1] == [b"0", *map(os.fsencode, argv)]
            assert (Path(folder) / name).read_bytes() == content

    @pytest.mark.parametrize(("argument", "words"), [("a\0b", "null byte"), ("é" * 2**16, "131072 bytes")])
    def test_an_argument_that_no_program_can_be_given(self, argument, words):
        with pytest.raises(ValueError, match=words):
            run_file(copy=False, files={}, limits=(), argv=("true", argument))


class TestChoice:
    def test_auto_never_gives_up_isolation(self, monkeypatch):
        monkeypatch.setattr(jail, "probe", {"bubblewrap": "no bwrap", "unshare": ""}.__getitem__)
        assert jail.choose_isolation("auto").name == "unshare"
        monkeypatch.setattr(jail, "probe", {"bubblewrap": "no bwrap", "unshare": "denied", "rlimits": ""}.__getitem__)
        with pytest.raises(ConfigError) as caught:
            jail.choose_isolation("auto")
        (line,) = caught.value.problems
        for word in (
            "bubblewrap does not work here: no bwrap",
            "unshare does not work here: denied",
            "install bubblewrap",
            "'rlimits'",
            "read your files",
        ):
            assert word in line
        assert "\n" not in line


def test_a_tool_that_no_program_can_see_is_named(tmp_path, monkeypatch):
    tool = tmp_path / "zigzag"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    zig = Language("zig", "main.zig", ("{program}",), ("zigzag",), tools=("zigzag",), install="zig")
    seen = find_toolchain([zig]).missing["zig"]
    assert seen == f"zigzag is {tool}, which programs in the sandbox cannot see; install it under /usr"
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_toolchain([zig]).missing["zig"] == "no zigzag under /usr; install zig"
