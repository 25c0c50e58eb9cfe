"""Isolation by bubblewrap: all namespaces, its own file system, no capabilities, no nested user namespaces.

Needs bubblewrap 0.8 (`--size`, `--disable-userns`). What it does not hold: the total memory of all processes
(only each one's address space), kernel bugs, and side channels.
"""

from collections.abc import Iterator
from typing import ClassVar

from balancer.sandbox.local.isolation.base import JailPaths, drop_user, tool
from balancer.sandbox.local.isolation.script import init_arguments
from balancer.sandbox.local.isolation.view import (
    BOX,
    OUTPUT,
    PROGRAM,
    SHELL,
    STAGE,
    Bind,
    Entry,
    Proc,
    SandboxLayout,
    Symlink,
    Tmpfs,
    view_of,
)

__all__ = ["Bubblewrap"]

_NAMESPACES = ("--unshare-all", "--unshare-user", "--disable-userns", "--hostname", "sandbox")
# --as-pid-1: our own script is the first process. bubblewrap's own reports the program's end and is killed
# before anybody has waited for it, and the CPU time of the program would be lost with it.
_PROCESS = ("--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL")


class Bubblewrap:
    """Run commands below `bwrap`."""

    name: ClassVar[str] = "bubblewrap"
    nested: ClassVar[bool] = True
    processes: ClassVar[int] = 1  # the first one of the pid namespace
    reads_calls: ClassVar[bool] = True
    tools: ClassVar[tuple[str, ...]] = ("bwrap", "prlimit", "setpriv")
    advice: ClassVar[str] = "install bubblewrap 0.8 or newer"

    def paths(self, layout: SandboxLayout) -> JailPaths:
        """Return where a program finds its things."""
        return JailPaths(program=PROGRAM, output=OUTPUT, cwd="/")

    def argv(self, layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
        """Return the command that waits in isolation."""
        mounts = (argument for entry in view_of(layout) for argument in _arguments(entry))
        drop = drop_user(layout.uid) if layout.uid is not None else ()
        calls = () if calls_fd is None else ("--seccomp", str(calls_fd))
        # Everything that is not a mount of its own lies in the root, which is in memory without bounds: close it.
        last = ("--remount-ro", "/", "--chdir", BOX, "--")
        return (*drop, tool("bwrap"), *_NAMESPACES, *_PROCESS, *calls, *mounts, *last, *init_arguments(SHELL, STAGE))


def _arguments(entry: Entry) -> Iterator[str]:
    match entry:
        case Bind(source, target, writable, device):
            yield from ("--dev-bind" if device else "--bind" if writable else "--ro-bind", source, target)
        case Symlink(target, points_to):
            yield from ("--symlink", points_to, target)
        case Tmpfs(target, size):
            yield from ("--size", str(size), "--tmpfs", target)
        case Proc(target):
            yield from ("--proc", target)
