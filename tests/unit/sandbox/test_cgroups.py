"""Control groups, on folders that look like theirs: what is read, where groups are made, what is swept."""

import os
from pathlib import Path

import pytest

from balancer.sandbox.local import cgroups
from balancer.sandbox.local.cgroups import CgroupFolder, Cgroups, ControlGroup


def group_of(folder: Path, version: int, **files: str) -> ControlGroup:
    """A group of all resources in `folder`, with files named as the kernel does, "_" for "."."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return ControlGroup({name: CgroupFolder(folder, version) for name in ("cpuacct", "memory", "pids")})


class TestFigures:
    def test_version_1(self, tmp_path):
        group = group_of(
            tmp_path,
            1,
            cpuacct__usage="1500000000\n",
            memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            memory__max_usage_in_bytes="4096\n",
        )
        assert (group.cpu_s(), group.starved(), group.peak_bytes()) == (1.5, True, 4096)

    def test_version_2(self, tmp_path):
        group = group_of(
            tmp_path,
            2,
            cpu__stat="usage_usec 250000\nuser_usec 200000\nsystem_usec 50000\n",
            memory__events="low 0\nhigh 0\nmax 9\noom 3\noom_kill 0\noom_group_kill 0\n",
            memory__peak="8192\n",
        )
        assert (group.cpu_s(), group.starved(), group.peak_bytes()) == (0.25, False, 8192)

    def test_an_old_kernel_does_not_tell_the_peak(self, tmp_path):
        assert group_of(tmp_path, 2).peak_bytes() is None

    @pytest.mark.parametrize(
        ("version", "written"),
        [
            (1, {"memory.limit_in_bytes": "7", "memory.memsw.limit_in_bytes": "7", "pids.max": "3"}),
            (2, {"memory.max": "7", "memory.swap.max": "0", "pids.max": "3"}),
        ],
    )
    def test_limits(self, tmp_path, version, written):
        group_of(tmp_path, version).limit(memory_bytes=7, processes=3)
        assert {file.name: file.read_text() for file in tmp_path.iterdir()} == written

    def test_what_the_kernel_does_not_take_is_left_out(self, tmp_path):
        (tmp_path / "memory.memsw.limit_in_bytes").mkdir()  # as where swap is not counted: writing fails
        group_of(tmp_path, 1).limit(memory_bytes=7, processes=3)
        assert (tmp_path / "pids.max").read_text() == "3"


class TestLending:
    def test_one_folder_for_each_run_and_hierarchy(self, tmp_path):
        places = {name: CgroupFolder(tmp_path / name, 1) for name in ("cpuacct", "memory")}
        for place in places.values():
            place.folder.mkdir()
        groups = Cgroups(places)
        with groups.lend() as one, groups.lend() as other:
            assert one is not None
            assert other is not None
            assert len(list((tmp_path / "memory").iterdir())) == 2
            for file in (tmp_path / "memory").glob("*/memory.*"):  # the kernel's files go with their folder
                file.unlink()
        assert not list((tmp_path / "memory").iterdir())
        assert groups.versions == {"cpuacct": 1, "memory": 1}

    def test_a_group_that_cannot_be_made_is_an_error_and_leaves_nothing(self, tmp_path):
        (tmp_path / "there").mkdir()
        groups = Cgroups({"cpuacct": CgroupFolder(tmp_path / "there", 1), "memory": CgroupFolder(tmp_path / "gone", 1)})
        with pytest.raises(FileNotFoundError), groups.lend():
            pass
        assert not list((tmp_path / "there").iterdir())

    def test_what_something_still_dies_in_goes_with_the_next(self, tmp_path):
        groups = Cgroups({"cpuacct": CgroupFolder(tmp_path, 1)})
        with groups.lend():
            (held,) = tmp_path.iterdir()
            (held / "process").touch()  # a folder that is not empty cannot be removed either
        assert held.exists()
        (held / "process").unlink()
        with groups.lend():
            pass
        assert not list(tmp_path.iterdir())


class TestFinding:
    def test_our_own_folders(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cgroups, "_MOUNT", tmp_path)
        monkeypatch.setattr(Path, "read_text", lambda path: "5:cpu,cpuacct:/a/b\n4:memory:/elsewhere\n0::/\n")
        (tmp_path / "cpuacct" / "a" / "b").mkdir(parents=True)
        places = {"cpuacct": tmp_path / "cpuacct" / "a" / "b", "memory": tmp_path / "memory"}
        assert dict(cgroups._own_places()) == {name: CgroupFolder(each, 1) for name, each in places.items()}
        (tmp_path / "cgroup.procs").touch()
        assert list(cgroups._own_places())[-1] == ("cpuacct", CgroupFolder(tmp_path, 2))

    def test_version_2_gives_what_is_asked_for(self, tmp_path):
        (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
        (tmp_path / "cgroup.subtree_control").write_text("\n")
        (tmp_path / "cgroup.procs").write_text("1\n2\n")
        assert cgroups._given(tmp_path) == ["memory", "pids"]
        assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids"

    def test_who_is_alone_in_a_group_of_version_2_moves_below(self, tmp_path):
        (tmp_path / "cgroup.controllers").write_text("pids\n")
        (tmp_path / "cgroup.subtree_control").write_text("\n")
        (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n")
        assert cgroups._given(tmp_path) == ["pids"]
        assert (tmp_path / "balancer-self" / "cgroup.procs").read_text() == str(os.getpid())

    def test_groups_of_the_dead_are_swept(self, tmp_path):
        ours, dead, others = (
            tmp_path / n for n in (f"balancer-{os.getpid()}-0", f"balancer-{2**22 + 1}-0", "user.slice")
        )
        for folder in (ours, dead, others):
            folder.mkdir()
        cgroups._sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted((ours, others))
