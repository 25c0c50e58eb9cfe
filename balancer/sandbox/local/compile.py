"""Cache of compiled programs, shared between threads and, with a folder, between processes.

Decides when a compiler runs, with which limits, and how long its result is kept. A refusal is kept if it would be the
same another time. Compilers run isolated like any program, because the source may be hostile.

A binary is identified by a digest. It appears in its folder in one step, read-only. This process never opens a binary
for writing: a thread that forks in that moment would keep it open, and starting it would fail ("text file busy").
"""

import fcntl
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.program import Language, Limits
from balancer.sandbox.languages.layout import ProgramLayout
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.isolation import HEADERS, SandboxSpec, tool
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import IsolatedCommand
from balancer.sandbox.local.script import MADE_FILE
from balancer.sandbox.local.shutdown import RunAbandoned, is_readable
from balancer.sandbox.local.toolchain import trees_of, version_of

__all__ = [
    "CompileJob",
    "Compiled",
    "Compiler",
    "digest_of",
    "locked",
    "make_store",
    "refusal_of",
    "share",
]

# A compiler needs more than the program it makes: bits/stdc++.h alone takes 250 MB of address space.
_COMPILER_BYTES = 2 * 2**30
_BINARY_BYTES = 256 * 2**20
_SPACE_BYTES = 512 * 2**20  # Go compiles its library each time
_PROCESSES = 32
_HEADER_S = 60.0  # CPU seconds for a precompiled header
# The compiler failed because of a precompiled header, e.g. "had to relocate PCH": g++ before 12, at times.
_OF_HEADER = re.compile(rb"^(?=.*\berror: ).*(\.gch|\bPCH)\b", re.MULTILINE)
# What a forgiving command says in the end, if the usual standard did not do.
_STANDARD = re.compile(rb"^compiled with (-std=(?!gnu\+\+20)\S+)\n\Z", re.MULTILINE)
_LOOK_S = 0.02  # how often a thread looks whether another one has compiled

PRINTED_BYTES = 4 * 2**20  # limit on a compiler's output: more than the warnings of any right program
_KEPT_BYTES = 2**14  # only the beginning is read, and the messages of all refused programs stay in memory
_TEMPORARY = re.compile(r"/tmp/cc\w+\.o\b")
_MEMORY = re.compile(
    r"(virtual )?memory exhausted|out of memory|Cannot allocate memory|std::bad_alloc|OutOfMemoryError|heap overflow",
    re.I,
)
_KILLED = re.compile(r"Killed signal terminated program|\bSIGKILL\b")
_LOCKS = 256  # lock files in a folder: enough that two programs rarely wait for each other


@dataclass(frozen=True, slots=True)
class CompileJob:
    """A program to compile.

    Args:
        language, layout: its language and its files.
        limits: of the compiler.
        stop: a file descriptor that becomes readable when nobody waits for the program any more.
    """

    language: Language
    layout: ProgramLayout
    limits: Limits
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """Result of compiling: a binary, or the compiler's messages.

    Attributes:
        binary: the compiled program, or None.
        words: the compiler's output (bytes, cleaned), if there is no binary.
        message: one line of text, e.g. that it took too long.
        lasting: whether it would be the same another time: not if time ran out, or if the compiler was killed.
        doubtful: the machine may be the cause.
        took_s: wall seconds of compiling; 0 if there was a binary.
        standard: flag of the older standard that the program needs, if it was compiled now.
    """

    binary: Path | None
    words: bytes = b""
    message: str = ""
    lasting: bool = True
    doubtful: bool = False
    took_s: float = 0.0
    standard: str = ""


class Compiler:
    """Compiles programs, each one once. Thread-safe.

    Args:
        jail: runs the compiler.
        live: folder of binaries in use; the users that programs run as must be able to pass through it.
        store: folder that outlives this process and may be shared with others, or None.
        headers: precompiled headers, or None: in that isolation programs could change them.

    Raises:
        ConfigError: `store` cannot be used.
    """

    def __init__(
        self, jail: Jail, *, live: Path, store: Path | None = None, headers: PrecompiledHeaders | None = None
    ) -> None:
        self._jail = jail
        self._live = live
        self._store = store
        self._headers = headers
        # When they were refused, and why. The keys have the seconds of the compiler, which may get more another time.
        self._refused: dict[tuple[str, float], tuple[float, Compiled]] = {}
        if store is not None:
            make_store(store)

    def compile(self, job: CompileJob) -> Compiled:
        """Return the binary of a program; compile it if there is none. One thread compiles, others wait for its result.

        When `job.stop` becomes readable, this ends at once. If other threads wait, one of them compiles again.

        Raises:
            EndpointError: the compiler could not be run; `RunAbandoned`: because of `stop`.
        """
        digest = digest_of(job.language, job.layout)
        key, asked_s = (digest, job.limits.compile_s), time.monotonic()
        if (found := self._found(key, asked_s)) is not None:
            return found
        with locked(self._store or self._live, digest, job.stop):
            if (found := self._found(key, asked_s)) is not None:
                return found
            compiled = self._make(self._live / digest, job)
            if compiled.binary is None:
                self._refused[key] = time.monotonic(), replace(compiled, took_s=0.0)
            if compiled.binary is not None and self._store is not None:
                share(compiled.binary, self._store / digest)
            return compiled

    def _found(self, key: tuple[str, float], asked_s: float) -> Compiled | None:
        """Return what is known of a program: a binary, or a refusal that lasts or came after it was asked for."""
        live = self._live / key[0]
        if not live.exists() and self._store is not None and (stored := self._store / key[0]).exists():
            share(stored, live)
        if live.exists():
            return Compiled(live)
        refused_s, refused = self._refused.get(key, (0.0, None))
        return refused if refused is not None and (refused.lasting or refused_s > asked_s) else None

    def _make(self, target: Path, job: CompileJob) -> Compiled:
        """Compile a program, and put the binary at `target` in one step."""
        headers = None
        if self._headers is not None and job.language.precompile:
            headers = self._headers.folder(job.language, job.layout.files.values(), partial(self._make_header, job))
        began_s = time.monotonic()
        chosen = first = self._with_headers(job.layout.compile, target, job, headers)
        refused = first.binary is None and first.lasting and not first.message  # a message names a limit it met
        if refused and job.layout.pragmatic:
            second = self._with_headers(job.layout.pragmatic, target, job, headers)
            # If it is refused again, the messages of the plain command tell more. A time-out is not lasting.
            chosen = first if second.binary is None and second.lasting else second
        return replace(chosen, took_s=time.monotonic() - began_s)

    def _make_header(self, job: CompileJob, header: str, target: Path) -> bool:
        """Precompile a header. Return False if it cannot be. Raises EndpointError if it was stopped."""
        file = {"header.h": f"#include <{header}>\n".encode()}
        layout = ProgramLayout(file, frozenset(file), (), (), (), ())
        of_header = CompileJob(job.language, layout, Limits(compile_s=_HEADER_S), job.stop)
        return self._try(job.language.precompile, target, of_header).binary is not None

    def _with_headers(self, command: tuple[str, ...], target: Path, job: CompileJob, headers: Path | None) -> Compiled:
        """Compile a program with the precompiled header that it begins with; without it, if that one is broken."""
        made = self._try(command, target, job, headers)
        broken = headers is not None and made.binary is None and _OF_HEADER.search(made.words)
        return self._try(command, target, job) if broken else made

    def _try(self, command: tuple[str, ...], target: Path, job: CompileJob, headers: Path | None = None) -> Compiled:
        with tempfile.TemporaryDirectory(prefix="output-", dir=self._live.parent) as folder:
            output = Path(folder)
            made = output / MADE_FILE
            made.touch()
            ended = self._jail.run(
                IsolatedCommand(
                    template=tuple(part.replace("{output}", f"{{output}}/{MADE_FILE}") for part in command),
                    args=(*job.layout.further, *(() if headers is None else (f"-I{HEADERS}",))),
                    files=job.layout.files,
                    limits=_limits(job),
                    file_bytes=_BINARY_BYTES,
                    spec=SandboxSpec(trees_of(job.language), _SPACE_BYTES, output, headers),
                ),
                stop=job.stop,
            )
            if ended.exit_code != 0:
                return refusal_of(ended, job.limits)
            if made.is_symlink() or not made.is_file() or not made.stat().st_size:
                return Compiled(None, b"", "the compiler made no program")
            if os.geteuid() == 0:
                os.chown(made, 0, 0)
            made.chmod(0o555)
            made.rename(target)
        found = _STANDARD.search(ended.stderr)
        return Compiled(target, standard=found[1].decode() if found and command == job.layout.pragmatic else "")


def _limits(job: CompileJob) -> Limits:
    return Limits(
        cpu_s=job.limits.compile_s,
        wall_s=job.limits.compile_wall_s,
        memory_bytes=_COMPILER_BYTES + job.language.compiler_bytes,
        output_bytes=PRINTED_BYTES,
        processes=_PROCESSES + job.language.runtime_processes,
    )


def refusal_of(ended: ProcessResult, limits: Limits) -> Compiled:
    """Return the messages of a compiler that made nothing, and whether the program is the cause."""
    text = _TEMPORARY.sub("main.o", (ended.stderr or ended.stdout)[:_KEPT_BYTES].decode("utf-8", "replace"))
    words = text.encode()
    spent_s = ended.cpu_s or 0.0
    if ended.stopped_by is StopReason.CPU or spent_s >= limits.compile_s:
        message = f"the compiler took too long: {spent_s:.1f} s of CPU time, and {limits.compile_s:g} s are allowed"
        return Compiled(None, words, message, lasting=False)
    if ended.stopped_by is StopReason.WALL:
        message = f"the compiler was stopped after {limits.compile_wall_s:g} s; it used {spent_s:.1f} s of CPU time"
        return Compiled(None, words, message, lasting=False, doubtful=True)
    if ended.stopped_by is StopReason.OUTPUT:
        return Compiled(None, words, f"the compiler was stopped after {PRINTED_BYTES} bytes of messages")
    if _KILLED.search(text):
        return Compiled(None, words, "the compiler was killed, probably for its memory", lasting=False, doubtful=True)
    if _MEMORY.search(text):
        return Compiled(None, words, f"the compiler ran out of memory; it had {_COMPILER_BYTES // 2**20} MiB")
    return Compiled(None, words)


def digest_of(language: Language, layout: ProgramLayout) -> str:
    """Return the digest of a compiled program: of all that the compiler gets, and of the compiler."""
    return layout.digest(language.name, version_of(language))


def share(source: Path, target: Path) -> None:
    """Make `target` the same binary as `source`: by a link, or by a copy between file systems."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        pass
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        # By another process: see the module's docstring.
        subprocess.run(
            [tool("cp"), "-p", "--", str(source), str(part)], check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
        part.rename(target)
    except (OSError, subprocess.CalledProcessError) as error:
        part.unlink(missing_ok=True)
        raise EndpointError(f"cannot copy a compiled program to {target.parent}: {error}") from error


def make_store(store: Path) -> None:
    """Make the folder `store` if it is missing. Raises ConfigError if it cannot be used."""
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cache_dir is {str(store)!r}: {error.strerror}; it must be a writable folder") from error
    if not os.access(store, os.W_OK | os.X_OK):
        raise ConfigError(f"cache_dir is {str(store)!r}, which is not writable; name another folder")


@contextmanager
def locked(folder: Path, digest: str, stop: int | None = None) -> Iterator[None]:
    """Lock `digest` in `folder` against other processes and threads. The system frees the lock when its holder dies.

    Raises:
        RunAbandoned: `stop` became readable meanwhile.
    """
    path = folder / f"lock-{int(digest, 16) % _LOCKS:03}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locks(fd):
            if stop is None:
                time.sleep(_LOOK_S)
            elif is_readable(stop, _LOOK_S):
                raise RunAbandoned("stopped, because no caller waits for it")
        yield
    finally:
        os.close(fd)


def _locks(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
