"""File system that a program sees: a table of mounts, which every isolation translates to its own commands.

Decides which folders of the machine are shown (read-only), which are the program's own (in memory, of limited size),
and under which names.
"""

import functools
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from balancer.sandbox.local.command import FILE_BYTES

__all__ = [
    "BOX",
    "CALLS",
    "DEVICES",
    "HEADERS",
    "MADE",
    "MADE_FILE",
    "OUTPUT",
    "PROGRAM",
    "SHELL",
    "STAGE",
    "Bind",
    "Entry",
    "Proc",
    "SandboxLayout",
    "SandboxSpec",
    "Symlink",
    "Tmpfs",
    "machine_view",
    "own_view",
    "view_of",
]

BOX = "/box"  # the working directory
STAGE = "/stage"  # files of this run, see `prepared`
SHELL = f"{STAGE}/sh"  # the first process, see `isolation.script`
CALLS = f"{STAGE}/calls"  # the filter of system calls, if it is loaded inside
PROGRAM = f"{STAGE}/program"  # a compiled program
OUTPUT = "/output"  # where a compiler may write
MADE_FILE = "main"  # what it makes there
MADE = "/made"  # the file of the machine that this is copied to
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
        root: its private folder; isolations may make folders in it.
        spec: the facts about the command.
        uid: the user to run as, or None for our own.
        calls: a file with the filter of system calls, or None if there is none.
    """

    root: Path
    spec: SandboxSpec = field(default_factory=SandboxSpec)
    uid: int | None = None
    calls: Path | None = None

    @property
    def stage(self) -> Path:
        """Folder with the files of the run and its first process, shown read-only."""
        return self.root / "stage"


@dataclass(frozen=True, slots=True)
class Bind:
    """Show `source` of the machine as `target`."""

    source: str
    target: str
    writable: bool = False
    device: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether `source` is a folder, not a file."""
        return os.path.isdir(self.source)


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link at `target`."""

    target: str
    points_to: str


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A file system in memory at `target`, of at most `size` bytes; the program's own."""

    target: str
    size: int


@dataclass(frozen=True, slots=True)
class Proc:
    """The process table of the program's own pid namespace."""

    target: str = "/proc"


Entry = Bind | Symlink | Tmpfs | Proc


def view_of(layout: SandboxLayout) -> Iterator[Entry]:
    """Yield the mounts of `layout`, in the order in which they must be set up."""
    yield from machine_view()
    yield from own_view(layout)


def own_view(layout: SandboxLayout) -> Iterator[Entry]:
    """Yield the mounts of one sandbox, which come after those of the machine."""
    for tree in layout.spec.trees:
        yield Bind(tree, tree)
    yield Proc()
    yield Tmpfs("/tmp", layout.spec.space_bytes)
    yield Tmpfs("/dev/shm", _SHARED_MEMORY_BYTES)
    yield Tmpfs(BOX, layout.spec.space_bytes)
    yield Bind(str(layout.stage), STAGE)
    if layout.spec.output:
        yield Tmpfs(OUTPUT, layout.spec.space_bytes)
        yield Bind(str(layout.spec.output / MADE_FILE), MADE, writable=True)
    if layout.spec.headers:
        yield Bind(str(layout.spec.headers), HEADERS)


@functools.cache
def machine_view() -> tuple[Entry, ...]:
    """Return the mounts that are the same for every sandbox, in order.

    The folders of the machine must not change meanwhile.
    """
    entries: list[Entry] = []
    for folder in _SYSTEM:
        if os.path.islink(folder):
            entries.append(Symlink(folder, os.readlink(folder)))
        elif os.path.isdir(folder):
            entries.append(Bind(folder, folder))
    entries += [Bind(path, path) for path in (*_SETTINGS, *glob.glob("/etc/java-*")) if os.path.exists(path)]
    entries += [Bind(path, path, device=True) for path in DEVICES]
    entries += [Symlink(target, points_to) for target, points_to in _DEVICE_LINKS.items()]
    return tuple(entries)
