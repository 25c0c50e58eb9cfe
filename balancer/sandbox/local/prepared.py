"""Prepared sandboxes, the warm pool that they wait in, and user ids for programs.

A prepared sandbox has its folder, user and control group before its program is known. Nothing of anybody has run in
it, and it is used for one run: no two runs share mounts, namespaces, pipes or a control group.

Warm pool: a thread makes sandboxes ahead of use. If a caller finds none, one more is made for the next time, up to a
limit. Each one that is taken is replaced.

User ids, if the balancer is root: RLIMIT_NPROC does not limit root, and root may do too much. So each concurrent run
has a user id that nobody else uses, so that the processes of one run do not count for another. User ids belong to the
machine, like ports. So a process has one pool of them, and the ranges of processes differ.
"""

import contextlib
import functools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from balancer.program import Limits
from balancer.sandbox.languages.layout import filled
from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.command import (
    FILE_BYTES,
    ProcessResult,
    limit_commands,
)
from balancer.sandbox.local.isolation import DEVICES, Isolation, SandboxLayout, SandboxSpec
from balancer.sandbox.local.process import Sandbox
from balancer.sandbox.local.script import OUTPUT, PROGRAM, run_file, written_by_shell

__all__ = [
    "IsolatedCommand",
    "PreparedSandbox",
    "UidPool",
    "WarmPool",
    "high_range",
    "own_uids",
]

_UIDS = 256  # user ids of one process: concurrent runs
# Above every range that distributions, systemd (up to 1 879 048 191) or containers hand out, and below 2^31:
# bubblewrap writes user ids as signed numbers, and the kernel refuses its map for any from there on.
_FIRST_UID = 1_879_048_192
_UID_ROOM = 2**31 - _FIRST_UID  # 2^28: the ranges of 2^20 processes
_SCRATCH = "/tmp"  # private, except with "rlimits"

# Memory of the sandbox itself in the group of a run, beside the program and its files in memory.
_SHELL_BYTES = 16 * 2**20
_SHELL_PROCESSES = 8

T = TypeVar("T")


class UidPool:
    """User ids, each lent to one run at a time. Thread-safe.

    Args:
        uids: that may be lent; the one returned longest ago is lent next.
    """

    def __init__(self, uids: range) -> None:
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for uid in uids:
            self._free.put(uid)

    @property
    def free(self) -> int:
        """Approximate number of free user ids."""
        return self._free.qsize()

    @contextmanager
    def lend(self) -> Iterator[int]:
        """Lend a user id for the length of a `with` block; wait if all are out."""
        uid = self._free.get()
        try:
            yield uid
        finally:
            self._free.put(uid)


def high_range(uid_map: str, pid: int) -> range:
    """Return the user ids that the process `pid` may use for programs.

    Args:
        uid_map: text of /proc/self/uid_map: lines of (first id inside, first id outside, count).
        pid: makes the ranges of processes differ, if there is room.
    """
    last = max(int(first) + int(count) for first, _, count in map(str.split, uid_map.splitlines())) - 1
    # Two processes have the same range only if their ids differ by a multiple of 2^20. That costs them a shared
    # count of processes, and only without isolation or on kernels before 5.14.
    first = _FIRST_UID + pid * _UIDS % _UID_ROOM
    if first + _UIDS <= last:
        return range(first, first + _UIDS)
    # Few ids are mapped, as in a container: take the top ones, with the same drawback.
    top = last - 1  # leave out 65534, "nobody", the usual last but one
    return range(max(1, top - _UIDS), top)


@functools.lru_cache(maxsize=1)
def _pool_of(pid: int) -> UidPool:
    return UidPool(high_range(Path("/proc/self/uid_map").read_text(), pid))


def own_uids() -> UidPool:
    """Return the pool of this process. A forked child gets its own."""
    return _pool_of(os.getpid())


@dataclass(frozen=True, slots=True)
class IsolatedCommand:
    """One command to run in isolation.

    Args:
        template: command with places to fill in: `{program}`, `{output}`. Never user data.
        limits: of the command.
        args: arguments after the template, unchanged.
        stdin: its input.
        files: relative name -> content; copied to the working directory, as the command's own.
        program: a compiled program to show at `{program}`, or None; it is in the folder of the jail.
        file_bytes: size of the largest file it may write.
        spec: of its sandbox.
    """

    template: tuple[str, ...]
    limits: Limits
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    program: Path | None = None
    file_bytes: int = FILE_BYTES
    spec: SandboxSpec = field(default_factory=SandboxSpec)


@dataclass(slots=True, eq=False)
class PreparedSandbox:
    """A sandbox that waits, with all its resources.

    Args:
        isolation, layout, process: its parts.
        group: the control group of its run, or None.
        lent: resources to give back when it is closed.
    """

    isolation: Isolation
    layout: SandboxLayout
    process: Sandbox
    group: ControlGroup | None
    lent: contextlib.ExitStack

    def run(self, wanted: IsolatedCommand, stop: int | None) -> ProcessResult:
        """Run `wanted`, whose spec must be that of the sandbox, and return how it ended.

        Raises:
            OSError: its files could not be written.
            ValueError: an argument cannot be given to a program.
        """
        limits = wanted.limits
        if self.group is not None:
            self.group.limit(
                memory_bytes=limits.memory_bytes + self.layout.spec.space_bytes + _SHELL_BYTES,
                processes=limits.processes + _SHELL_PROCESSES,
            )
        self._lay_out(wanted)
        for device in DEVICES:  # whoever may write to one may set its times to now, which the next program could read
            with contextlib.suppress(OSError):
                os.utime(device)
        return self.process.run(limits, stop)

    def close(self) -> None:
        """Kill what is left in it, and give back its resources."""
        self.lent.close()

    def _lay_out(self, wanted: IsolatedCommand) -> None:
        stage, uid = self.layout.stage, self.layout.uid
        by_shell = self.isolation.nested > 0 and written_by_shell(wanted.files)
        copy = self.isolation.nested > 0 and not by_shell
        argv, limits = self._argv(wanted), self._limits(wanted)
        content = {
            "stdin": wanted.stdin,
            "run": run_file(copy=copy, files=wanted.files if by_shell else {}, limits=limits, argv=argv),
        }
        if not by_shell:
            content |= {f"files/{name}": data for name, data in wanted.files.items()}
        for name, data in content.items():
            (file := stage / name).parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        if uid is not None:
            for each in (stage / "stdin", stage / "run", *(stage / "files").rglob("*")):  # the shell stays ours
                os.chown(each, uid, uid)
        if wanted.program is not None:
            # A link: a file that was just written cannot be started while a process started meanwhile has it open.
            os.link(wanted.program, stage / "program")

    def _argv(self, wanted: IsolatedCommand) -> tuple[str, ...]:
        program, output = PROGRAM, OUTPUT
        if not self.isolation.nested:
            program, output = str(self.layout.stage / "program"), str(self.layout.spec.output)
        places = {"{program}": program, "{output}": output, "{scratch}": _SCRATCH}
        return (*filled(wanted.template, places), *wanted.args)

    def _limits(self, wanted: IsolatedCommand) -> tuple[str, ...]:
        # Without a namespace the kernel counts all processes of the user: a limit makes sense only for a user
        # that has no others.
        counted = self.isolation.nested or self.layout.uid is not None
        processes = wanted.limits.processes + self.isolation.nested if counted else None
        return limit_commands(wanted.limits, processes=processes, file_bytes=wanted.file_bytes)


class WarmPool(Generic[T]):
    """Objects that are made ahead of use, by a thread. Thread-safe.

    Args:
        make: makes one; returns None, or raises, if that is not possible now.
        most: limit on the objects.
    """

    def __init__(self, make: Callable[[], T | None], most: int) -> None:
        self._make = make
        self._most = most
        self._lock = threading.Lock()
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="balancer-warm-pool")
        self._made: deque[Future[T | None]] = deque()
        self._closed = False

    def take(self) -> T | None:
        """Return an object that is ready, or None; order another one."""
        with self._lock:
            taken = self._made.popleft() if self._made and self._made[0].done() else None
            if len(self._made) < self._most and not self._closed:
                self._made.append(self._maker.submit(self._make))
        return None if taken is None or taken.exception() is not None else taken.result()

    def close(self) -> list[T]:
        """Make no more, and return those that are left. May be called twice."""
        with self._lock:
            self._closed = True
        self._maker.shutdown(cancel_futures=True)
        ended = [each for each in self._made if not each.cancelled() and each.exception() is None]
        self._made.clear()
        return [made for each in ended if (made := each.result()) is not None]
