"""What a program sees of the file system, as a table that every isolation renders in its own words.

Decides which folders of the machine are shown (read-only), which are the program's own (in memory, of bounded
size), and under which names. It must not know how mounting is done.
"""

import functools
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from balancer.sandbox.local.limits import FILE_BYTES

__all__ = ["BOX", "FILES", "OUTPUT", "PROGRAM", "STDIN", "Bind", "Entry", "Layout", "Link", "Memory", "Proc", "view_of"]

BOX = "/box"  # the working directory
FILES = "/stage/files"  # copied to the working directory before the program starts
STDIN = "/stage/stdin"
PROGRAM = "/program"  # a compiled program
OUTPUT = "/output"  # where a compiler may write

# These make up the system on every distribution; on most of them all but /usr are links into it.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# The dynamic linker's cache, and the links that Debian's alternatives need (`cc`, `awk`, ...). No other file of
# /etc is shown.
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_DEVICE_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
_SHARED_MEMORY_BYTES = 16 * 2**20  # for semaphores and small buffers of POSIX shared memory


@dataclass(frozen=True, slots=True)
class Layout:
    """What was laid out on the machine for one run.

    Args:
        root: a private folder of this run; isolations may make folders in it.
        stdin: the file that becomes standard input.
        files: a folder with the files of the working directory, or None if there are none.
        program: a compiled program, or None.
        output: a folder where a compiler may write, or None.
        trees: folders outside /usr to show read-only.
        uid: the user to run as, or None for our own.
    """

    root: Path
    stdin: Path
    files: Path | None = None
    program: Path | None = None
    output: Path | None = None
    trees: tuple[str, ...] = ()
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """Show `source` of the machine as `target`."""

    source: str
    target: str
    writable: bool = False
    device: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether a folder is shown, rather than a file."""
        return os.path.isdir(self.source)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link at `target`."""

    target: str
    points_to: str


@dataclass(frozen=True, slots=True)
class Memory:
    """A file system in memory at `target`, of at most `size` bytes; the program's own."""

    target: str
    size: int


@dataclass(frozen=True, slots=True)
class Proc:
    """The process table of the program's own pid namespace."""

    target: str = "/proc"


Entry = Bind | Link | Memory | Proc


def view_of(layout: Layout) -> Iterator[Entry]:
    """Yield what the program of `layout` sees, in the order in which it has to be set up."""
    yield from _machine()
    for tree in layout.trees:
        yield Bind(tree, tree)
    yield Proc()
    yield Memory("/tmp", FILE_BYTES)
    yield Memory("/dev/shm", _SHARED_MEMORY_BYTES)
    yield Memory(BOX, FILE_BYTES)
    yield Bind(str(layout.stdin), STDIN)
    if layout.files:
        yield Bind(str(layout.files), FILES)
    if layout.program:
        yield Bind(str(layout.program), PROGRAM)
    if layout.output:
        yield Bind(str(layout.output), OUTPUT, writable=True)


@functools.cache
def _machine() -> tuple[Entry, ...]:
    """Return what is the same for every run; the folders of a machine do not change while we run."""
    entries: list[Entry] = []
    for folder in _SYSTEM:
        if os.path.islink(folder):
            entries.append(Link(folder, os.readlink(folder)))
        elif os.path.isdir(folder):
            entries.append(Bind(folder, folder))
    entries += [Bind(path, path) for path in (*_SETTINGS, *glob.glob("/etc/java-*")) if os.path.exists(path)]
    entries += [Bind(path, path, device=True) for path in _DEVICES]
    entries += [Link(target, points_to) for target, points_to in _DEVICE_LINKS.items()]
    return tuple(entries)
