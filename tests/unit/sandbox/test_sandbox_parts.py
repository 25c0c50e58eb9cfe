"""The small parts: user ids, resource limits, file names, pipes, the gate, the process tree, mount tables."""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.program import Limits
from balancer.sandbox.local import choice
from balancer.sandbox.local.gate import Gate
from balancer.sandbox.local.isolation import ISOLATIONS
from balancer.sandbox.local.isolation.namespaces import _escaped
from balancer.sandbox.local.isolation.view import BOX, Layout, Memory, view_of
from balancer.sandbox.local.jail import check_name
from balancer.sandbox.local.languages import find_toolchain
from balancer.sandbox.local.limits import prlimit_arguments
from balancer.sandbox.local.pipes import BoundedPipe
from balancer.sandbox.local.proctree import children_of, cpu_of_tree
from balancer.sandbox.local.uids import UidPool, high_range, own_uids

WHOLE_MAP = "         0          0 4294967295\n"
PIDS = st.integers(1, 2**22)


class TestUids:
    @given(PIDS, PIDS)
    def test_processes_have_ranges_of_their_own(self, first: int, second: int) -> None:
        one, other = high_range(WHOLE_MAP, first), high_range(WHOLE_MAP, second)
        assert (first - second) % 2**20 == 0 or not set(one) & set(other)
        assert not set(one) & set(high_range(WHOLE_MAP, first + 1))
        assert min(one) > 1_879_048_191  # systemd's last one
        assert max(one) < 2**31  # more is too much for bubblewrap

    @given(PIDS, st.integers(2, 2**32 - 1))
    def test_the_range_is_mapped_and_not_root(self, pid: int, count: int) -> None:
        uids = high_range(f"0 100000 {count}\n", pid)
        assert all(0 < uid < count for uid in (*uids[:1], *uids[-1:]))
        assert count != 65536 or 65534 not in uids

    def test_nobody_shares_a_uid(self) -> None:
        pool = UidPool(range(10, 12))
        with pool.lend() as one, pool.lend() as other:
            assert {one, other} == {10, 11}
        with pool.lend() as again:
            assert again == 11  # the stack of `with` returned it first

    def test_who_finds_none_waits_for_one(self) -> None:
        pool = UidPool(range(10, 11))
        lent: list[int] = []

        def borrow() -> None:
            with pool.lend() as uid:
                lent.append(uid)

        thread = threading.Thread(target=borrow)
        with pool.lend():
            thread.start()
            assert lent == []
        thread.join()
        assert lent == [10]

    def test_a_process_has_one_pool(self) -> None:
        assert own_uids() is own_uids()


class TestLimits:
    def test_every_limit_is_named(self) -> None:
        arguments = prlimit_arguments(Limits(cpu_s=0.5, memory_bytes=2**26, processes=5), processes=6)
        assert {"--cpu=2:3", "--as=67108864:67108864", "--nproc=6:6", "--core=0:0"} <= set(arguments)

    def test_processes_may_be_left_alone(self) -> None:
        assert not any("nproc" in argument for argument in prlimit_arguments(Limits(), processes=None))

    def test_no_limit_is_above_the_present_hard_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (1, 1))
        arguments = prlimit_arguments(Limits(), processes=9)
        assert {argument.partition("=")[2] for argument in arguments} == {"1:1", "0:0"}

    @given(st.floats(0.001, 3600, allow_nan=False))
    def test_the_kernel_never_comes_before_us(self, cpu_s: float) -> None:
        cpu = next(a for a in prlimit_arguments(Limits(cpu_s=cpu_s), processes=None) if a.startswith("--cpu="))
        soft, hard = map(int, cpu.removeprefix("--cpu=").split(":"))
        assert cpu_s + 1 <= soft < hard


class TestNames:
    @pytest.mark.parametrize("name", ["a", "input.txt", "a/b/c.txt", "..a", "a..b", " ", "-rf", "ä\n"])
    def test_allowed(self, name: str) -> None:
        assert check_name(name) == name

    @pytest.mark.parametrize(
        "name", ["", "/etc/passwd", "..", "a/../b", "../a", "a/..", ".", "./a", "a//b", "a/", "\0"]
    )
    def test_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="not allowed"):
            check_name(name)

    @given(st.text(alphabet="a./\0", max_size=12))
    def test_what_is_allowed_stays_inside(self, name: str) -> None:
        try:
            check_name(name)
        except ValueError:
            return
        folder = "/x/y"
        assert os.path.normpath(f"{folder}/{name}") == f"{folder}/{name}"


class TestPipe:
    @given(st.integers(0, 50), st.lists(st.binary(max_size=30), max_size=5))
    def test_keeps_the_first_bytes_and_says_if_there_were_more(self, limit: int, writes: list[bytes]) -> None:
        pipe = BoundedPipe(limit, None)
        for data in writes:
            os.write(pipe.writer, data)
        pipe.close_writer()
        pipe.drain()
        pipe.close()
        whole = b"".join(writes)
        assert bytes(pipe.data) == whole[:limit]
        assert pipe.over == (len(whole) > limit)

    def test_does_not_wait(self) -> None:
        pipe = BoundedPipe(10, None)
        pipe.drain()
        with pytest.raises(BlockingIOError):
            pipe.pull()
        pipe.close()
        pipe.close()


class TestGate:
    def test_shutting_waits_and_signals(self) -> None:
        gate = Gate()
        seen: list[object] = []
        inside = threading.Event()

        def work() -> None:
            with gate.enter() as admitted:
                inside.set()
                seen.append((admitted, os.read(gate.signal, 1)))  # blocks until the gate is shut

        thread = threading.Thread(target=work)
        thread.start()
        inside.wait()
        assert gate.shut()
        assert seen == [(True, b"")]
        thread.join()
        with gate.enter() as admitted:
            assert not admitted
        assert not gate.shut()


class TestProcessTree:
    def test_finds_a_child_and_its_time(self) -> None:
        before_s = cpu_of_tree(os.getpid())
        busy = "import os\nwhile os.times().user < 0.1: pass\ninput()"
        with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE) as child:
            assert child.pid in children_of(os.getpid())
            child.communicate(b"\n")
        assert child.pid not in children_of(os.getpid())
        # The dead child's time is in its parent's; each of four figures is rounded down to ticks of 10 ms.
        assert cpu_of_tree(os.getpid()) - before_s >= 0.1 - 0.04

    def test_nobody_has_no_time(self) -> None:
        assert cpu_of_tree(2**22 + 1) == 0.0


class TestView:
    def test_everything_writable_has_a_size(self, tmp_path: Path) -> None:
        entries = list(view_of(Layout(tmp_path, tmp_path / "stdin", output=tmp_path)))
        assert {e.target for e in entries if isinstance(e, Memory)} == {BOX, "/tmp", "/dev/shm"}
        writable = [e for e in entries if getattr(e, "writable", False)]
        assert [e.target for e in writable] == ["/output"]

    @pytest.mark.parametrize("name", ["bubblewrap", "unshare", "rlimits"])
    def test_user_data_is_only_ever_an_argument(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "stdin").touch()
        hostile = "'; $(touch /tmp/x) `x` \n"
        argv = ISOLATIONS[name].argv(Layout(tmp_path, tmp_path / "stdin"), (), ("true", hostile))
        assert argv[-1] == hostile
        assert not any(hostile in argument for argument in argv[:-1])

    @given(st.text(alphabet="a \t\n\\#é"))
    def test_mount_tables_take_any_path(self, path: str) -> None:
        escaped = _escaped(path)
        assert not set(escaped) & set(" \t\n#")
        assert escaped.encode("latin-1").decode("unicode_escape") == path if path.isascii() else True


class TestChoice:
    def test_unknown_name(self) -> None:
        with pytest.raises(ConfigError, match="isolation is 'docker'; allowed are 'auto', 'bubblewrap'"):
            choice.choose_isolation("docker")

    def test_auto_takes_the_first_that_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "probe", {"bubblewrap": "no bwrap", "unshare": ""}.__getitem__)
        assert choice.choose_isolation("auto").name == "unshare"

    def test_auto_never_gives_up_isolation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "probe", {"bubblewrap": "no bwrap", "unshare": "denied", "rlimits": ""}.__getitem__)
        with pytest.raises(ConfigError) as caught:
            choice.choose_isolation("auto")
        (line,) = caught.value.problems
        for word in ("bubblewrap: no bwrap", "unshare: denied", "install bubblewrap", "'rlimits'", "read your files"):
            assert word in line
        assert "\n" not in line


def test_the_toolchain_is_found_once() -> None:
    assert find_toolchain() is find_toolchain()
    assert set(find_toolchain().languages) | set(find_toolchain().missing) == {"bash", "cpp", "java", "python"}
