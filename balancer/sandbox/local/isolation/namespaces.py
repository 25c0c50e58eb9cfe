"""Isolation by util-linux `unshare`, for machines without bubblewrap: the same namespaces and the same view.

Slower than bubblewrap, as every step is a program of its own. The program is user 0 of a user namespace in
which nobody else exists, without any capability; outside it is an ordinary user. What it does not hold is what
bubblewrap does not hold either.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from balancer.sandbox.local.isolation.base import JailPaths, drop_user, filtered, tool
from balancer.sandbox.local.isolation.script import init_arguments
from balancer.sandbox.local.isolation.view import (
    CALLS,
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

__all__ = ["Unshare"]

_NAMESPACES = ("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")
_DROP = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")

# `setpriv` itself may still read everything, and what it starts could be looked into; what the next one starts cannot.
# And in a process group of its own a program that kills its group does not kill `unshare`, which is outside.
_SETTLED = ("/usr/bin/setsid", "--")

# Arguments: the table of mounts, the new root, then what to run. `pivot_root` rather than `chroot`: the old
# root is gone from the namespace, not only out of sight. The sysctl forbids further user namespaces, in which
# a program could mount file systems in memory past every limit.
_SETUP = """\
set -e
mount -a -T "$1"
cd "$2"
shift 2
pivot_root . .old
umount -l /.old
echo 0 >/proc/sys/user/max_user_namespaces
cd /box
unset OLDPWD
exec "$@"
"""


class Unshare:
    """Run commands below `unshare`."""

    name: ClassVar[str] = "unshare"
    nested: ClassVar[bool] = True
    processes: ClassVar[int] = 2  # the first one of the pid namespace, and `unshare` itself, which moves along
    reads_calls: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ("unshare", "prlimit", "setpriv", "setsid", "mount", "umount", "pivot_root")
    advice: ClassVar[str] = "allow unprivileged user namespaces and install util-linux 2.38 or newer"

    def paths(self, layout: SandboxLayout) -> JailPaths:
        """Return where a program finds its things."""
        return JailPaths(program=PROGRAM, output=OUTPUT, cwd="/")

    def argv(self, layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
        """Return the command that waits in isolation; lays out the new root in `layout.root`."""
        root = layout.root / "root"
        table = layout.root / "fstab"
        _lay_out(root, table, (*view_of(layout), *_calls(layout)))
        calls = filtered(CALLS if layout.calls else None)
        enter = (tool("unshare"), *_NAMESPACES, "--fork", "--kill-child", "/bin/sh", "-c", _SETUP, "sandbox")
        drop = (tool("setpriv"), *_DROP, *calls, *_SETTLED)
        return (*drop_user(layout.uid), *enter, str(table), str(root), *drop, *init_arguments(SHELL, STAGE))


def _calls(layout: SandboxLayout) -> Iterator[Entry]:
    if layout.calls:
        yield Bind(str(layout.calls), CALLS)


def _lay_out(root: Path, table: Path, entries: tuple[Entry, ...]) -> None:
    """Make the folders to mount on, and the table of mounts for `mount -a`."""
    (root / ".old").mkdir(parents=True)
    lines = [_line(str(root), root, "none", "bind,ro")]
    for entry in entries:
        target = root / entry.target.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Symlink):
            target.symlink_to(entry.points_to)
            continue
        if isinstance(entry, Bind) and not entry.is_folder:
            target.touch()
        else:
            target.mkdir(exist_ok=True)
        lines.extend(_lines(entry, target))
    table.write_text("".join(lines))


def _lines(entry: Entry, target: Path) -> Iterator[str]:
    match entry:
        case Bind(source, _, writable, device):
            # A folder that has mounts of its own below it cannot be shown without them in a user namespace.
            bind = "rbind" if entry.is_folder else "bind"
            guard = "" if device else ",nosuid,nodev"
            yield _line(source, target, "none", f"{bind}{'' if writable or device else ',ro'}{guard}")
        case Tmpfs(_, size):
            yield _line("tmpfs", target, "tmpfs", f"size={size},mode=755,nosuid,nodev")
        case Proc():
            yield _line("proc", target, "proc", "nosuid,nodev,noexec")


def _line(source: str, target: Path, kind: str, options: str) -> str:
    return f"{_escaped(source)} {_escaped(str(target))} {kind} {options} 0 0\n"


def _escaped(path: str) -> str:
    """Write `path` as fstab(5) wants it: white space and backslashes as octal numbers."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in path)
