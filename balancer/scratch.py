"""Temporary folders: gone when they are closed or, after a kill, at the next start.

Decides which folders of dead processes are swept. Each has a file that its process holds locked, and the system lets
go of the lock when the process dies, however it dies. So a folder is swept if it is ours, has such a file, and nobody
holds that. One without it is not known to be ours to remove; another user's is left alone; no link is followed.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

__all__ = ["Scratch", "remove_tree", "sweep"]

_PREFIX = "balancer-"
_MARK = ".held"
_NEW = ".held.new"  # it is no mark before it is locked
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_swept: set[Path] = set()  # by this process


class Scratch:
    """A new folder at `path`. Close it, or use it in a `with` block. The first one in a place sweeps that.

    Args:
        prefix: what its name begins with.
        place: the folder that it is made in; None: the system's for temporary files.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, prefix: str = _PREFIX, place: Path | None = None) -> None:
        within = (place or Path(tempfile.gettempdir())).absolute()
        if within not in _swept:
            _swept.add(within)
            sweep(within)
        self._folder = tempfile.TemporaryDirectory(prefix=prefix, dir=within, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._mark: int | None = None
        with contextlib.suppress(OSError):  # a file system without locks: then nobody will ever sweep it
            self._mark = _held(self.path)

    def close(self) -> None:
        """Remove the folder, whatever is in it. May be called twice."""
        self._folder.cleanup()
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def sweep(place: Path) -> list[Path]:
    """Remove what dead processes of this user have left in `place`, and return it. Never raises for what it cannot."""
    swept = []
    try:
        candidates = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    for folder in candidates:
        with contextlib.suppress(OSError), _claimed(folder) as claimed:
            if claimed:
                _remove(folder)
                swept.append(folder)
    return swept


def _held(folder: Path) -> int:
    """Put the mark into `folder`, and return what holds it: it is locked before anybody can see it as one."""
    mark = os.open(folder / _NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(folder / _NEW, folder / _MARK)
    except BaseException:
        os.close(mark)
        raise
    return mark


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Give whether `folder` is this user's, and nobody's any more; then nobody else can claim it in the block."""
    with contextlib.ExitStack() as stack:
        home = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
        stack.callback(os.close, home)
        mark = os.open(_MARK, os.O_RDWR | _SAFELY, dir_fd=home)
        stack.callback(os.close, mark)
        ours = all(os.fstat(each).st_uid == os.geteuid() for each in (home, mark))
        if not ours or not stat.S_ISREG(os.fstat(mark).st_mode):
            yield False
            return
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by the living: an OSError
        # Another sweeper may have been faster, and the name may be somebody else's by now.
        yield _same(os.stat(_MARK, dir_fd=home, follow_symlinks=False), os.fstat(mark)) and _same(
            os.stat(folder, follow_symlinks=False), os.fstat(home)
        )


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _remove(folder: Path) -> None:
    """Remove `folder`, its mark last: a sweeper that is killed leaves a folder that the next one sweeps."""
    for entry in sorted(folder.iterdir(), key=lambda path: path.name == _MARK):
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            entry.unlink()
    folder.rmdir()


def remove_tree(folder: Path) -> None:
    """Remove `folder`, whatever programs have done to it; what cannot be removed stays."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    # Programs may have left folders without permissions, or thousands deep: chmod and rm know how.
    for command in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        subprocess.run([*command, "--", str(folder)], check=False, stdin=subprocess.DEVNULL, capture_output=True)
