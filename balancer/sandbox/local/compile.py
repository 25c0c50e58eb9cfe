"""Compile each program once: a cache of binaries, shared between threads and, with a folder, between processes.

Decides when a binary may be used again: same language, flags, compiler and source. Compilers run isolated like
any program, since the source they read is hostile; what they say is cleaned of paths that differ from run to
run. It must not know how programs are run afterwards. A binary is never opened for writing in this process: a
thread that forks in that moment would keep it open, and starting it would fail ("text file busy").
"""

import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.program import Limits
from balancer.sandbox.local.isolation.base import tool
from balancer.sandbox.local.jail import IsolatedCommand, Jail
from balancer.sandbox.local.language import Language
from balancer.sandbox.local.process import Cut, Ended

__all__ = ["Compiled", "Compiler"]

# A compiler needs more than the program it makes: bits/stdc++.h alone takes 250 MB of address space.
_MEMORY_BYTES = 2 * 2**30
_BINARY_BYTES = 256 * 2**20
_PRINTED_BYTES = 4 * 2**20  # what a compiler may print: a right program may get many warnings, but not so many
_KEPT_BYTES = 2**14  # nobody reads more than the beginning, and the words of all refused programs are kept in memory
_PROCESSES = 32
_LOCKS = 64  # lock files in a shared folder: enough that two programs rarely wait for each other
_TEMPORARY = re.compile(r"/tmp/cc\w+\.o\b")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of compiling: a binary, or the compiler's words.

    Attributes:
        binary: the compiled program, or None.
        words: what the compiler printed (bytes, cleaned), if there is no binary.
        message: one line for people, e.g. that it took too long.
    """

    binary: Path | None
    words: bytes = b""
    message: str = ""


class Compiler:
    """Compiles programs, each one once. Thread-safe.

    Args:
        jail: where the compiler runs.
        version: what the compiler calls itself; part of the key.
        live: folder of binaries in use; must be passable for the users that programs run as.
        store: folder that outlives this process and may be shared with others, or None.

    Raises:
        ConfigError: `store` cannot be used.
    """

    def __init__(self, jail: Jail, version: str, *, live: Path, store: Path | None = None) -> None:
        self._jail = jail
        self._version = version
        self._live = live
        self._store = store
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, float], threading.Lock] = {}
        self._done: dict[tuple[str, float], Compiled] = {}
        if store is not None:
            _make_store(store)

    def compile(self, language: Language, source: bytes, limits: Limits) -> Compiled:
        """Return the binary of `source`, compiling it if nobody has; one thread compiles, others wait for it.

        Raises:
            EndpointError: the compiler could not be run.
        """
        digest = self._digest(language, source)
        key = (digest, limits.compile_s)  # a compiler that ran out of time may be given more of it later
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            compiled = self._done.get(key)
            if compiled is None:
                compiled = self._done[key] = self._find_or_make(digest, language, source, limits)
            return compiled

    def _digest(self, language: Language, source: bytes) -> str:
        recipe = "\0".join((language.name, *language.compile, self._version, ""))
        return hashlib.sha256(recipe.encode() + source).hexdigest()

    def _find_or_make(self, digest: str, language: Language, source: bytes, limits: Limits) -> Compiled:
        live = self._live / digest
        if live.exists():
            return Compiled(live)
        if self._store is None:
            return self._make(live, language, source, limits)
        stored = self._store / digest
        with _locked(self._store / f"lock-{int(digest, 16) % _LOCKS:02}"):
            if not stored.exists():
                compiled = self._make(stored, language, source, limits)
                if compiled.binary is None:
                    return compiled
        _share(stored, live)
        return Compiled(live)

    def _make(self, target: Path, language: Language, source: bytes, limits: Limits) -> Compiled:
        """Compile `source`, and put the binary at `target` in one step."""
        with tempfile.TemporaryDirectory(prefix="output-", dir=self._live.parent) as folder:
            output = Path(folder)
            ended = self._jail.run(
                IsolatedCommand(
                    template=tuple(part.replace("{output}", "{output}/main") for part in language.compile),
                    files=language.sources(source),
                    limits=_limits(limits.compile_s, language),
                    output=output,
                    file_bytes=_BINARY_BYTES,
                )
            )
            made = output / "main"
            if ended.exit_code != 0:
                return _refusal(ended, limits.compile_s)
            if made.is_symlink() or not made.is_file():
                return Compiled(None, b"", "the compiler made no program")
            _seal(made)
            _move(made, target)
        return Compiled(target)


def _limits(compile_s: float, language: Language) -> Limits:
    return Limits(
        cpu_s=compile_s,
        wall_s=compile_s,
        memory_bytes=_MEMORY_BYTES + language.runtime_bytes,
        output_bytes=_PRINTED_BYTES,
        processes=_PROCESSES + language.runtime_processes,
    )


def _refusal(ended: Ended, compile_s: float) -> Compiled:
    """Return what a compiler that made nothing has to say."""
    message = ""
    if ended.cut is Cut.WALL or (ended.cpu_s or 0.0) >= compile_s:
        message = f"the compiler was stopped after {compile_s:g} s"
    elif ended.cut is Cut.OUTPUT:
        message = f"the compiler was stopped after {_PRINTED_BYTES} bytes of messages"
    text = (ended.stderr or ended.stdout)[:_KEPT_BYTES].decode("utf-8", "replace")
    return Compiled(None, _TEMPORARY.sub("main.o", text).encode(), message)


def _seal(binary: Path) -> None:
    """Make the compiler's output ours, and read-only."""
    if os.geteuid() == 0:
        os.chown(binary, 0, 0)
    binary.chmod(0o555)


def _move(source: Path, target: Path) -> None:
    """Move `source` to `target` atomically, across file systems as well."""
    try:
        source.rename(target)
    except OSError:
        _share(source, target)


def _share(source: Path, target: Path) -> None:
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


def _make_store(store: Path) -> None:
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cache_dir is {str(store)!r}: {error.strerror}; it must be a folder we may write") from error
    if not os.access(store, os.W_OK | os.X_OK):
        raise ConfigError(f"cache_dir is {str(store)!r}, which we may not write; name another folder")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that excludes other processes (and threads); the system frees it when its holder dies."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
