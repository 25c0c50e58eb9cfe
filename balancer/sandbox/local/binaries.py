"""The files of compiled programs: their digests, and how they get from one folder to another.

Decides what identifies a binary, and that it appears in one step, sealed. It must not know how it is made.
A binary is never opened for writing in this process: a thread that forks in that moment would keep it open, and
starting it would fail ("text file busy").
"""

import contextlib
import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.language import Language
from balancer.sandbox.languages.layout import ProgramLayout
from balancer.sandbox.local.isolation.base import tool
from balancer.sandbox.local.toolchain import version_of

__all__ = ["digest_of", "locked", "make_store", "move", "seal", "share"]

_LOCKS = 64  # lock files in a shared folder: enough that two programs rarely wait for each other


def digest_of(language: Language, layout: ProgramLayout) -> str:
    """Return what identifies a compiled program: all that the compiler is told and given, and the compiler."""
    return layout.digest(language.name, version_of(language))


def seal(binary: Path) -> None:
    """Make the compiler's output ours, and read-only."""
    if os.geteuid() == 0:
        os.chown(binary, 0, 0)
    binary.chmod(0o555)


def move(source: Path, target: Path) -> None:
    """Move `source` to `target` atomically, across file systems as well."""
    try:
        source.rename(target)
    except OSError:
        share(source, target)


def share(source: Path, target: Path) -> None:
    """Make `target` the same binary as `source`: by a link, or by a copy if they lie on different file systems."""
    with contextlib.suppress(FileExistsError):
        try:
            target.hardlink_to(source)
        except FileExistsError:
            raise
        except OSError:
            _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        # By a process of its own: see the module's docstring.
        subprocess.run(
            [tool("cp"), "-p", "--", str(source), str(part)], check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
        part.rename(target)
    except (OSError, subprocess.CalledProcessError) as error:
        part.unlink(missing_ok=True)
        raise EndpointError(f"cannot copy a compiled program to {target.parent}: {error}") from error


def make_store(store: Path) -> None:
    """Make the folder `store` if it is not there. Raises ConfigError if it cannot be used."""
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cache_dir is {str(store)!r}: {error.strerror}; it must be a folder we may write") from error
    if not os.access(store, os.W_OK | os.X_OK):
        raise ConfigError(f"cache_dir is {str(store)!r}, which we may not write; name another folder")


@contextmanager
def locked(store: Path, digest: str) -> Iterator[None]:
    """Keep other processes (and threads) from `digest` in `store`; the system frees the lock when its holder dies."""
    path = store / f"lock-{int(digest, 16) % _LOCKS:02}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
