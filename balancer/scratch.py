"""Temporary folders: removed when they are closed or, after a kill, at the next start.

Each folder has a marker file that its process keeps locked. The system releases the lock when the process dies. So a
folder is swept if it belongs to this user and has a marker that no process locks. A folder without a marker, a folder
of another user, and a link are left alone. On Windows there are no markers, so nothing is swept.
"""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

__all__ = ["Scratch", "remove_tree", "sweep"]

_PREFIX = "balancer-"
_MARK = ".held"
_NEW = ".held.new"  # it becomes the marker only when it is locked
_SAFELY = 0
if sys.platform != "win32":
    _SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_swept: set[Path] = set()  # by this process


class Scratch:
    """A new folder at `path`. Close it, or use it in a `with` block. The first one in a place sweeps that place.

    Args:
        prefix: the start of its name.
        place: the parent folder; None: the system's folder for temporary files.

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
        with contextlib.suppress(OSError):  # a file system without locks: it will never be swept
            self._mark = _held(self.path)

    def close(self) -> None:
        """Remove the folder with its content. May be called twice."""
        self._folder.cleanup()
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def sweep(place: Path) -> list[Path]:
    """Remove what dead processes of this user have left in `place`, and return it. Skips what cannot be removed."""
    swept: list[Path] = []
    if sys.platform == "win32":
        return swept
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


def _held(folder: Path) -> int | None:
    """Put the marker into `folder`, and return its file descriptor. It is locked before it gets the marker's name."""
    if sys.platform == "win32":
        return None
    import fcntl

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
    """Yield True if `folder` belongs to this user and no process holds it.

    Then no other process can claim it in the block.
    """
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    with contextlib.ExitStack() as stack:
        home = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
        stack.callback(os.close, home)
        mark = os.open(_MARK, os.O_RDWR | _SAFELY, dir_fd=home)
        stack.callback(os.close, mark)
        ours = all(os.fstat(each).st_uid == os.geteuid() for each in (home, mark))
        if not ours or not stat.S_ISREG(os.fstat(mark).st_mode):
            yield False
            return
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError if its process is alive
        # Another sweeper may have removed it, and the name may belong to a new folder.
        yield _same(os.stat(_MARK, dir_fd=home, follow_symlinks=False), os.fstat(mark)) and _same(
            os.stat(folder, follow_symlinks=False), os.fstat(home)
        )


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _remove(folder: Path) -> None:
    """Remove `folder`, its marker last. If this sweeper is killed, the next one finds the rest."""
    for entry in sorted(folder.iterdir(), key=lambda path: path.name == _MARK):
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            entry.unlink()
    folder.rmdir()


def remove_tree(folder: Path) -> None:
    """Remove `folder`, even if programs have changed it in odd ways. What cannot be removed stays."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    # Programs may leave folders without permissions, or thousands deep: chmod and rm can handle them.
    for command in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        subprocess.run([*command, "--", str(folder)], check=False, stdin=subprocess.DEVNULL, capture_output=True)
