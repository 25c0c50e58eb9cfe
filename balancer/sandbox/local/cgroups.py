"""Control groups of the kernel, which count and limit everything that belongs to a run.

Finds where groups can be made: below our own group, in version 1 or 2, as root or where they were delegated to us.
Without groups, resource limits and /proc are used instead.
"""

import contextlib
import functools
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CgroupFolder", "Cgroups", "ControlGroup", "own_cgroups"]

_RESOURCES = ("cpuacct", "memory", "pids")  # names of version 1; "cpuacct" is part of every group of version 2
_MOUNT = Path("/sys/fs/cgroup")  # where all systems have them
_PREFIX = "balancer-"
_DEATH_S = 2.0  # timeout for the last process to end
# The files of limits by version and resource, and which limit each gets: no swap.
_LIMITS: dict[int, dict[str, dict[str, str]]] = {
    1: {
        "memory": {"memory.limit_in_bytes": "memory", "memory.memsw.limit_in_bytes": "memory"},
        "pids": {"pids.max": "pids"},
    },
    2: {"memory": {"memory.max": "memory", "memory.swap.max": ""}, "pids": {"pids.max": "pids"}},
}


@dataclass(frozen=True, slots=True)
class CgroupFolder:
    """Folder of a control group, and the version of its hierarchy (1 or 2)."""

    folder: Path
    version: int


class ControlGroup:
    """Group of one run.

    Args:
        places: its folder for each resource: some of "cpuacct", "memory", "pids".
    """

    def __init__(self, places: Mapping[str, CgroupFolder]) -> None:
        self._places = places
        self._folders = {place.folder for place in places.values()}

    def limit(self, *, memory_bytes: int, processes: int) -> None:
        """Set limits. A limit that the kernel refuses is left out.

        Args:
            memory_bytes: of all processes together, with the files that they keep in memory.
            processes: at the same time.
        """
        for resource, place in self._places.items():
            for name, value in _LIMITS[place.version].get(resource, {}).items():
                with contextlib.suppress(OSError):
                    (place.folder / name).write_text(str({"memory": memory_bytes, "pids": processes}.get(value, 0)))

    def add(self, pid: int) -> None:
        """Move a process to the group. What it starts later is in the group too.

        Raises:
            OSError: the kernel refuses, or the process is gone.
        """
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def cpu_s(self) -> float | None:
        """Return the CPU seconds of its processes, ended ones included; None if they are not counted."""
        place = self._places.get("cpuacct")
        if place is None:
            return None
        if place.version == 1:
            return int((place.folder / "cpuacct.usage").read_bytes()) * 1e-9
        return _field(place.folder, "cpu.stat", b"usage_usec") * 1e-6

    def peak_bytes(self) -> int | None:
        """Return the peak memory of all processes together; None if it is not counted (memory.peak: Linux 5.19)."""
        place = self._places.get("memory")
        if place is None:
            return None
        with contextlib.suppress(OSError):
            name = "memory.max_usage_in_bytes" if place.version == 1 else "memory.peak"
            return int((place.folder / name).read_bytes())
        return None

    def starved(self) -> bool:
        """Return whether the kernel killed one of them because together they had used up their memory."""
        place = self._places.get("memory")
        if place is None:
            return False
        return _field(place.folder, "memory.oom_control" if place.version == 1 else "memory.events", b"oom_kill") > 0

    def kill(self) -> None:
        """Kill all processes that are left."""
        folder = next(iter(self._folders))
        deadline_s = time.monotonic() + _DEATH_S
        while pids := (folder / "cgroup.procs").read_bytes().split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(pid), signal.SIGKILL)
            if time.monotonic() > deadline_s:
                return
            time.sleep(0.0005)


class Cgroups:
    """Makes a group for each run. Thread-safe.

    Args:
        places: where groups can be made, by resource ("cpuacct", "memory", "pids").
    """

    def __init__(self, places: dict[str, CgroupFolder]) -> None:
        self._places = places
        self._prefix = _new_name()
        self._left: list[Path] = []

    @property
    def versions(self) -> dict[str, int]:
        """The version of control groups for each resource that is counted: some of "cpuacct", "memory", "pids"."""
        return {resource: place.version for resource, place in self._places.items()}

    @contextmanager
    def lend(self) -> Iterator[ControlGroup | None]:
        """Lend a group without limits for the length of a `with` block; None if none can be made here.

        Raises:
            OSError: this group cannot be made. Without it a program would get more than its limits.
        """
        if not self._places:
            yield None
            return
        name = f"{self._prefix}-{secrets.token_hex(4)}"  # a program can read it: no number of its run
        made: dict[str, CgroupFolder] = {}
        try:
            for resource, place in self._places.items():
                folder = place.folder / name
                if all(folder != each.folder for each in made.values()):  # version 2 has one folder for all resources
                    folder.mkdir()
                made[resource] = CgroupFolder(folder, place.version)
            yield ControlGroup(made)
        finally:
            self._remove({place.folder for place in made.values()})

    def _remove(self, folders: set[Path]) -> None:
        """Remove groups. A group in which a process still dies is tried again with the next one."""
        waiting = [*folders]
        with contextlib.suppress(IndexError):
            while True:
                waiting.append(self._left.pop())
        for folder in waiting:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                self._left.append(folder)


@functools.lru_cache(maxsize=1)
def _groups_of(pid: int) -> Cgroups:
    places = {}
    for resource, place in _own_places():
        if resource not in places and _works(place):
            places[resource] = place
            _sweep(place.folder)
    return Cgroups(places)


def own_cgroups() -> Cgroups:
    """Return the groups of this process, found once by trying. A forked child gets its own."""
    return _groups_of(os.getpid())


def _own_places() -> Iterator[tuple[str, CgroupFolder]]:
    """Yield the places of our own groups, for each resource the best first."""
    with contextlib.suppress(OSError):
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        paths = {name: path for _, names, path in lines for name in names.split(",")}  # the name of version 2 is empty
        for resource in _RESOURCES:
            if resource in paths:
                yield resource, CgroupFolder(_below(_MOUNT / resource, paths[resource]), 1)
        for point in (_MOUNT / "unified", _MOUNT):
            if "" in paths and (point / "cgroup.procs").exists():
                folder = _below(point, paths[""])
                given = ["cpuacct", *_given(folder)]
                yield from ((resource, CgroupFolder(folder, 2)) for resource in _RESOURCES if resource in given)


def _below(point: Path, path: str) -> Path:
    """Return the folder of the group `path`; in a container, the mount point may be our own group."""
    folder = point / path.lstrip("/")
    return folder if folder.is_dir() else point


def _given(folder: Path) -> list[str]:
    """Return the controllers of groups below `folder`, after an attempt to enable them.

    Version 2 gives controllers only to groups without processes of their own, except the root. So if we are alone in
    our group, as in a scope that was delegated to us, we move to one below.
    """
    with contextlib.suppress(OSError):
        has = (folder / "cgroup.controllers").read_text().split()
        wanted: list[str] = [name for name in ("memory", "pids") if name in has]
        control = folder / "cgroup.subtree_control"
        if set(wanted) <= set(control.read_text().split()):
            return wanted
        if (folder / "cgroup.procs").read_text().split() == [str(os.getpid())] and folder.parent.name != "cgroup":
            own = folder / f"{_PREFIX}self"
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))
        control.write_text(" ".join(f"+{name}" for name in wanted))
        return wanted
    return []


def _works(place: CgroupFolder) -> bool:
    """Return whether a group can be made there and a process moved to it."""
    trial = CgroupFolder(place.folder / _new_name(), place.version)
    group = ControlGroup({"trial": trial})
    try:
        trial.folder.mkdir()
        with subprocess.Popen(("sleep", "60"), stdin=subprocess.DEVNULL) as process:
            try:
                group.add(process.pid)
            finally:
                process.kill()
        trial.folder.rmdir()
    except OSError:
        return False
    return True


def _new_name() -> str:
    """Return a unique name for a group, which also differs from those of dead processes with our number."""
    return f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"


def _sweep(folder: Path) -> None:
    """Remove the groups that dead processes of ours have left."""
    for left in folder.glob(f"{_PREFIX}[0-9]*-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                left.rmdir()


def _field(folder: Path, file: str, name: bytes) -> int:
    """Return the number after `name` in a file of lines "name number"; 0 if it is missing."""
    for line in (folder / file).read_bytes().splitlines():
        key, _, number = line.partition(b" ")
        if key == name:
            return int(number)
    return 0
