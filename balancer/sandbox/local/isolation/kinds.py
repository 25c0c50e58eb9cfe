"""The isolations: bubblewrap, util-linux `unshare`, and none.

Each has the command line that sets up a layout. None of them limits the total memory of all processes (only the address
space of each one), and none protects from kernel bugs and side channels.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from balancer.sandbox.local.isolation.base import Isolation, JailPaths, drop_user, filtered, tool
from balancer.sandbox.local.isolation.script import bare_arguments, init_arguments
from balancer.sandbox.local.isolation.view import (
    BOX,
    CALLS,
    Bind,
    Entry,
    Proc,
    SandboxLayout,
    Symlink,
    Tmpfs,
    machine_view,
    own_view,
    view_of,
)

__all__ = ["BARE", "BUBBLEWRAP", "UNSHARE"]

# -- bubblewrap: all namespaces, its own file system, no capabilities, no nested user namespaces ----
# Needs bubblewrap 0.8 (`--size`, `--disable-userns`).

_BWRAP_NAMESPACES = ("--unshare-all", "--unshare-user", "--disable-userns", "--hostname", "sandbox")
# --as-pid-1: our own script is the first process. bubblewrap's own reports the program's end and is killed
# before anybody has waited for it, and the CPU time of the program would be lost with it.
_BWRAP_PROCESS = ("--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL")


def _bwrap_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    mounts = (*_machine(), *(argument for entry in own_view(layout) for argument in _bwrap_mount(entry)))
    drop = drop_user(layout.uid) if layout.uid is not None else ()
    calls = () if calls_fd is None else ("--seccomp", str(calls_fd))
    # Everything that is not a mount is in the root, which is in memory without a limit: make it read-only.
    last = ("--remount-ro", "/", "--chdir", BOX, "--")
    return (
        *drop,
        tool("bwrap"),
        *_BWRAP_NAMESPACES,
        *_BWRAP_PROCESS,
        *calls,
        *_machine(),
        *mounts,
        *last,
        *init_arguments(),
    )


@functools.cache
def _machine() -> tuple[str, ...]:
    return tuple(argument for entry in machine_view() for argument in _bwrap_mount(entry))


def _bwrap_mount(entry: Entry) -> Iterator[str]:
    match entry:
        case Bind(source, target, writable, device):
            yield from ("--dev-bind" if device else "--bind" if writable else "--ro-bind", source, target)
        case Symlink(target, points_to):
            yield from ("--symlink", points_to, target)
        case Tmpfs(target, size):
            yield from ("--size", str(size), "--tmpfs", target)
        case Proc(target):
            yield from ("--proc", target)


BUBBLEWRAP = Isolation(
    name="bubblewrap",
    advice="install bubblewrap 0.8 or newer",
    argv=_bwrap_argv,
    processes=1,  # the first one of the pid namespace
    reads_calls=True,
)


# -- unshare: the same namespaces and the same view, for machines without bubblewrap ---------------
# Slower than bubblewrap, as every step is a program of its own. The program is user 0 of a user namespace in which
# nobody else exists, without any capability; outside it is an ordinary user.

_UNSHARE_NAMESPACES = ("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")
_FILES = 2**16  # in each folder in memory
_DROP = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")

# `setpriv` itself may still read everything, and what it starts could be looked into; what the next one starts cannot.
# And in a process group of its own a program that kills its group does not kill `unshare`, which is outside.
_SETTLED = ("/usr/bin/setsid", "--")

# Arguments: the table of mounts, the new root, then what to run. `pivot_root` rather than `chroot`: the old
# root is gone from the namespace, not only out of sight. The sysctl forbids further user namespaces, in which
# a program could mount file systems in memory past every limit.
_SETUP = """\
set -e
echo 0 >/proc/sys/user/max_user_namespaces
mount -a -T "$1"
cd "$2"
shift 2
pivot_root . .old
umount -l /.old
cd /box
unset OLDPWD
exec "$@"
"""


def _unshare_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    """Return the command of a sandbox. Makes the new root in `layout.root`."""
    root = layout.root / "root"
    table = layout.root / "fstab"
    _lay_out(root, table, tuple(view_of(layout)))
    calls = filtered(CALLS if layout.calls else None)
    enter = (tool("unshare"), *_UNSHARE_NAMESPACES, "--fork", "--kill-child", "/bin/sh", "-c", _SETUP, "sandbox")
    drop = (tool("setpriv"), *_DROP, *calls, *_SETTLED)
    return (*drop_user(layout.uid), *enter, str(table), str(root), *drop, *init_arguments())


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
            # In a user namespace, a folder with mounts below it cannot be shown without them.
            bind = "rbind" if entry.is_folder else "bind"
            yield _line(source, target, "none", f"{bind},nosuid{'' if writable else ',ro'}{'' if device else ',nodev'}")
        case Tmpfs(_, size):
            yield _line("tmpfs", target, "tmpfs", f"size={size},nr_inodes={_FILES},mode=755,nosuid,nodev")
        case Proc():
            yield _line("proc", target, "proc", "nosuid,nodev,noexec")
            # Much of it belongs to user 0 of the namespace, whom the program is.
            yield _line(str(target / "sys"), target / "sys", "none", "bind,ro,nosuid,nodev,noexec")


def _line(source: str, target: Path, kind: str, options: str) -> str:
    return f"{_escaped(source)} {_escaped(str(target))} {kind} {options} 0 0\n"


def _escaped(path: str) -> str:
    """Return `path` as fstab(5) needs it: white space and backslashes as octal numbers."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in path)


UNSHARE = Isolation(
    name="unshare",
    advice="allow unprivileged user namespaces and install util-linux 2.38 or newer",
    argv=_unshare_argv,
    processes=2,  # the first one of the pid namespace, and `unshare` itself, which runs as the same user
)


# -- none at all, only resource limits: where nothing else works, and only when asked for by name --
# What it gives up: programs read every file this user may read, use the network, see and may kill other processes of
# this user (as root: of their own one-time user), and may leave processes behind that left their process group. Total
# disk space is not bounded. As an ordinary user the number of processes is not limited either, because the kernel would
# count the user's other processes as well.


def _bare_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    calls = filtered(str(layout.calls) if layout.calls else None)
    return (*drop_user(layout.uid), *calls, *bare_arguments(str(layout.stage)))


def _bare_paths(layout: SandboxLayout) -> JailPaths:
    output = str(layout.spec.output) if layout.spec.output else ""
    return JailPaths(program=str(layout.stage / "program"), output=output, cwd=str(layout.stage / "files"))


BARE = Isolation(name="rlimits", advice="install util-linux", argv=_bare_argv, paths=_bare_paths, nested=False)
