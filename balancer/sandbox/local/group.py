"""One control group: limit its processes, read what they have used, kill all of them.

Decides which file of which version says what. It must not know why anybody asks.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CgroupFolder", "ControlGroup"]

_DEATH_S = 2.0  # how long the last of it may take to be gone


@dataclass(frozen=True, slots=True)
class CgroupFolder:
    """A folder of a control group, and the version of its hierarchy (1 or 2)."""

    folder: Path
    version: int


class ControlGroup:
    """The group of one run.

    Args:
        places: its folder for each resource: some of "cpuacct", "memory", "pids".
    """

    def __init__(self, places: Mapping[str, CgroupFolder]) -> None:
        self._places = places
        self._folders = {place.folder for place in places.values()}

    def limit(self, *, memory_bytes: int, processes: int) -> None:
        """Say how much there may be; what the kernel does not take is left out.

        Args:
            memory_bytes: what all processes may use together, with the files that they keep in memory.
            processes: how many there may be at a time.
        """
        self._write("memory", {1: ("memory.limit_in_bytes",), 2: ("memory.max",)}, memory_bytes)
        self._write("memory", {1: ("memory.memsw.limit_in_bytes",), 2: ()}, memory_bytes)
        self._write("memory", {1: (), 2: ("memory.swap.max",)}, 0)
        self._write("pids", {1: ("pids.max",), 2: ("pids.max",)}, processes)

    def add(self, pids: Iterable[int]) -> None:
        """Make `pids`, which start nothing just now, part of the group, and all that they will start.

        Raises:
            OSError: the kernel refuses, or one is gone.
        """
        for folder in self._folders:
            for pid in pids:
                (folder / "cgroup.procs").write_bytes(b"%d" % pid)

    def cpu_s(self) -> float | None:
        """Return the CPU seconds that its processes have used, dead ones included; None where nobody counts."""
        place = self._places.get("cpuacct")
        if place is None:
            return None
        if place.version == 1:
            return int((place.folder / "cpuacct.usage").read_bytes()) * 1e-9
        return _field(place.folder / "cpu.stat", b"usage_usec") * 1e-6

    def peak_bytes(self) -> int | None:
        """Return the most memory that all of it had at a time; None where nobody counts (memory.peak: Linux 5.19)."""
        place = self._places.get("memory")
        if place is None:
            return None
        with contextlib.suppress(OSError):
            name = "memory.max_usage_in_bytes" if place.version == 1 else "memory.peak"
            return int((place.folder / name).read_bytes())
        return None

    def starved(self) -> bool:
        """Tell whether the kernel killed one of them because all together had used up their memory."""
        place = self._places.get("memory")
        if place is None:
            return False
        return _field(place.folder / ("memory.oom_control" if place.version == 1 else "memory.events"), b"oom_kill") > 0

    def kill(self) -> None:
        """Kill all that is left in it."""
        folder = next(iter(self._folders))
        deadline_s = time.monotonic() + _DEATH_S
        while pids := (folder / "cgroup.procs").read_bytes().split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(pid), signal.SIGKILL)
            if time.monotonic() > deadline_s:
                return
            time.sleep(0.0005)

    def _write(self, resource: str, files: Mapping[int, tuple[str, ...]], value: int) -> None:
        place = self._places.get(resource)
        if place is None:
            return
        for name in files[place.version]:
            with contextlib.suppress(OSError):
                (place.folder / name).write_bytes(b"%d" % value)


def _field(file: Path, name: bytes) -> int:
    """Return the number that stands after `name` in a file of lines "name number"; 0 if it is not there."""
    for line in file.read_bytes().splitlines():
        key, _, number = line.partition(b" ")
        if key == name:
            return int(number)
    return 0
