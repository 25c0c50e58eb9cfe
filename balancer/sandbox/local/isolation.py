"""The isolations: bubblewrap, util-linux `unshare`, and none.

An isolation is a pure translation from a layout to the command that starts a sandbox, which then waits for a program.
`process.Sandbox` starts and watches it. No isolation limits the total memory of all processes (only the address space
of each one), and none protects from kernel bugs and side channels.
"""

import functools
import glob
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balancer.sandbox.local.command import FILE_BYTES
from balancer.sandbox.local.script import (
    BOX,
    MADE,
    MADE_FILE,
    OUTPUT,
    STAGE,
    bare_arguments,
    init_arguments,
)

__all__ = ["DEVICES", "HEADERS", "ISOLATIONS", "Isolation", "SandboxLayout", "SandboxSpec", "tool"]

HEADERS = "/headers"  # precompiled headers

# These make up the system on every distribution; on most of them all but /usr are links into it.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# The dynamic linker's cache, and the links that Debian's alternatives need (`cc`, `awk`, ...). No other file of
# /etc is shown.
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom")
_DEVICE_LINKS = {
    "/dev/random": "/dev/urandom",
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
_SHARED_MEMORY_BYTES = 16 * 2**20  # for semaphores and small buffers of POSIX shared memory


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Facts about a command that are needed to make its sandbox.

    Args:
        trees: folders outside /usr to show.
        space_bytes: size of the working directory, of /tmp, and of the folder at `{output}`.
        output: a folder with an empty file, which gets what a compiler makes; or None.
        headers: a folder of precompiled headers to show, or None.
    """

    trees: tuple[str, ...] = ()
    space_bytes: int = FILE_BYTES
    output: Path | None = None
    headers: Path | None = None


@dataclass(frozen=True, slots=True)
class SandboxLayout:
    """Files of one sandbox on the machine, before its program is known.

    Args:
        root: its private folder.
        spec: the facts about the command.
        uid: the user to run as, or None for our own.
    """

    root: Path
    spec: SandboxSpec = field(default_factory=SandboxSpec)
    uid: int | None = None

    @property
    def stage(self) -> Path:
        """Folder with the files of the run and its first process, shown read-only as `STAGE`."""
        return self.root / "stage"


@dataclass(frozen=True, slots=True)
class Isolation:
    """A way to keep programs apart from the machine.

    Attributes:
        name: as in `ExecutorOptions.isolation`.
        advice: what to do when it does not work.
        argv: returns the command of a sandbox, from a layout and a descriptor of the filter of system calls, or None.
        nested: how many processes of its own the kernel counts with those of a program in a pid namespace; 0: no
            program has one.
    """

    name: str
    advice: str
    argv: Callable[[SandboxLayout, int | None], tuple[str, ...]]
    nested: int = 1


@functools.cache
def tool(name: str) -> str:
    """Return the path of a system tool, or its name if it is missing (starting it then fails with that name)."""
    return shutil.which(name) or name


def _drop_user(uid: int | None) -> tuple[str, ...]:
    """Return a prefix that makes a command die with this process and, if `uid` is given, run as that user.

    It is `setpriv`, not `user=` of `subprocess`: the latter forbids vfork, and copying the page tables of a large
    process costs more than one more exec.
    """
    prefix = (tool("setpriv"), "--no-new-privs", "--pdeathsig=KILL")
    return prefix if uid is None else (*prefix, f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


# -- bubblewrap: all namespaces, its own file system, no capabilities, no nested user namespaces ----
# Needs bubblewrap 0.8 (`--size`, `--disable-userns`).

_NAMESPACES = ("--unshare-all", "--unshare-user", "--disable-userns", "--hostname", "sandbox")
# --as-pid-1: our own script is the first process. bubblewrap's own reports the program's end and is killed
# before anybody has waited for it, and the CPU time of the program would be lost with it.
_PROCESS = ("--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
# Everything that is not a mount is in the root, which is in memory without a limit: make it read-only.
_LAST = ("--remount-ro", "/", "--chdir", BOX, "--")


def _bwrap_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    drop = () if layout.uid is None else _drop_user(layout.uid)
    calls = () if calls_fd is None else ("--seccomp", str(calls_fd))
    options = (*_NAMESPACES, *_PROCESS, *calls, *_machine(), *_own(layout), *_LAST)
    return (*drop, tool("bwrap"), *options, *init_arguments())


@functools.cache
def _machine() -> tuple[str, ...]:
    """Return the mounts that are the same for every sandbox. The folders of the machine must not change meanwhile."""
    mounts: list[str] = []
    for folder in _SYSTEM:
        if os.path.islink(folder):
            mounts += ("--symlink", os.readlink(folder), folder)
        elif os.path.isdir(folder):
            mounts += ("--ro-bind", folder, folder)
    for path in (*_SETTINGS, *glob.glob("/etc/java-*")):
        mounts += ("--ro-bind-try", path, path)
    for path in DEVICES:
        mounts += ("--dev-bind", path, path)
    for link, points_to in _DEVICE_LINKS.items():
        mounts += ("--symlink", points_to, link)
    return tuple(mounts)


def _own(layout: SandboxLayout) -> Iterator[str]:
    """Yield the mounts of one sandbox: what it is shown, and its own folders in memory."""
    spec, space = layout.spec, str(layout.spec.space_bytes)
    for tree in spec.trees:
        yield from ("--ro-bind", tree, tree)
    yield from ("--proc", "/proc")
    yield from ("--size", space, "--tmpfs", "/tmp")
    yield from ("--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm")
    yield from ("--size", space, "--tmpfs", BOX)
    yield from ("--ro-bind", str(layout.stage), STAGE)
    if spec.output:
        yield from ("--size", space, "--tmpfs", OUTPUT)
        yield from ("--bind", str(spec.output / MADE_FILE), MADE)
    if spec.headers:
        yield from ("--ro-bind", str(spec.headers), HEADERS)


# -- unshare: the same namespaces and mounts, for machines without bubblewrap -----------------------
# Slower than bubblewrap, as every step is a program of its own, and without the filter of system calls. The program is
# user 0 of a user namespace in which nobody else exists, without any capability; outside it is an ordinary user.

_UNSHARED = ("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")
_FILES = 2**16  # in each folder in memory
# `setpriv` itself may still read everything, and what it starts could be looked into; what the next one starts cannot.
# And in a process group of its own a program that kills its group does not kill `unshare`, which is outside.
_SETTLED = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "/usr/bin/setsid", "--")

# Arguments: the table of mounts, the new root, then what to run. `pivot_root` rather than `chroot`: the old
# root is gone from the namespace, not only out of sight. The sysctl forbids further user namespaces, in which
# a program could mount file systems in memory past every limit.
_SETUP = f"""\
set -e
echo 0 >/proc/sys/user/max_user_namespaces
mount -a -T "$1"
cd "$2"
shift 2
pivot_root . .old
umount -l /.old
cd {BOX}
unset OLDPWD
exec "$@"
"""


def _unshare_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    """Return the command of a sandbox. Makes the new root in `layout.root`."""
    root, table = layout.root / "root", layout.root / "fstab"
    (root / ".old").mkdir(parents=True)
    lines = _table(root, (*_machine(), *_own(layout)))
    table.write_text("".join(f"{' '.join(map(_escaped, line))} 0 0\n" for line in lines))
    enter = (tool("unshare"), *_UNSHARED, "--fork", "--kill-child", "/bin/sh", "-c", _SETUP, "sandbox")
    return (*_drop_user(layout.uid), *enter, str(table), str(root), tool("setpriv"), *_SETTLED, *init_arguments())


def _table(root: Path, options: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Make what bubblewrap's options mount on, and yield the lines of fstab(5) for `mount -a`."""
    yield str(root), str(root), "none", "bind,ro"
    left, size = iter(options), ""
    for option in left:
        first = next(left)
        if option == "--size":
            size = first
            continue
        inside = first if option in ("--proc", "--tmpfs") else next(left)
        target = root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if option == "--symlink":
            target.symlink_to(first)
        elif option == "--tmpfs":
            target.mkdir(exist_ok=True)
            yield "tmpfs", str(target), "tmpfs", f"size={size},nr_inodes={_FILES},mode=755,nosuid,nodev"
        elif option == "--proc":
            target.mkdir(exist_ok=True)
            yield "proc", str(target), "proc", "nosuid,nodev,noexec"
            # Much of it belongs to user 0 of the namespace, whom the program is.
            yield str(target / "sys"), str(target / "sys"), "none", "bind,ro,nosuid,nodev,noexec"
        elif os.path.exists(first):
            folder = os.path.isdir(first)
            if folder:
                target.mkdir(exist_ok=True)
            else:
                target.touch()
            # In a user namespace, a folder with mounts below it cannot be shown without them.
            access = {"--bind": ",nodev", "--dev-bind": ",ro"}.get(option, ",ro,nodev")
            yield first, str(target), "none", f"{'rbind' if folder else 'bind'},nosuid{access}"


def _escaped(path: str) -> str:
    """Return `path` as fstab(5) needs it: white space and backslashes as octal numbers."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in path)


# -- none at all, only resource limits: where nothing else works, and only when asked for by name --
# What it gives up: programs read every file this user may read, use the network, see and may kill other processes of
# this user (as root: of their own one-time user), and may leave processes behind that left their process group. Total
# disk space is not bounded. As an ordinary user the number of processes is not limited either, because the kernel would
# count the user's other processes as well.


def _bare_argv(layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
    return (*_drop_user(layout.uid), *bare_arguments(str(layout.stage)))


_ALL = (
    Isolation("bubblewrap", "install bubblewrap 0.8 or newer", _bwrap_argv),
    Isolation("unshare", "allow unprivileged user namespaces and install util-linux 2.38 or newer", _unshare_argv, 2),
    Isolation("rlimits", "install util-linux", _bare_argv, nested=0),
)
ISOLATIONS: Mapping[str, Isolation] = {each.name: each for each in _ALL}
"""The isolations by name."""
