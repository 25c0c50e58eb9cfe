"""Cache of compiled programs, shared between threads and, with a folder, between processes.

Decides when a compiler runs, with which limits, and how long its result is kept. A refusal is kept if it would be the
same another time. Compilers run isolated like any program, because the source may be hostile.

A binary is identified by a digest. It appears in its folder in one step, read-only. This process never opens a binary
for writing: a thread that forks in that moment would keep it open, and starting it would fail ("text file busy").
"""

import contextlib
import fcntl
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.program import Language, Limits
from balancer.sandbox.languages.layout import ProgramLayout
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.isolation.base import tool
from balancer.sandbox.local.isolation.view import HEADERS, MADE_FILE, SandboxSpec
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import IsolatedCommand
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
# A compiler computes, or waits for a core or a disk. One that did so for less than this share of its wall time, and is
# asleep at the end, waits for what never comes.
_AT_WORK = 0.25
_ASLEEP_S = 10.0  # of sleep, and it waits no longer
_HEADER_S = 60.0  # CPU seconds for a precompiled header
_PATIENT = ("nice", "-n", "5")  # programs go first, but on a busy machine it must end, too
# The compiler failed because of a precompiled header, e.g. "had to relocate PCH": g++ before 12, at times.
_OF_HEADER = re.compile(rb"^(?=.*\berror: ).*(\.gch|\bPCH)\b", re.MULTILINE)
# What a forgiving command says in the end, if the usual standard did not do.
_STANDARD = re.compile(rb"^compiled with (-std=(?!gnu\+\+20)\S+)\n\Z", re.MULTILINE)
_LOOK_S = 0.1  # how often a thread that waits for another's compiler checks its own `stop`

PRINTED_BYTES = 4 * 2**20  # limit on a compiler's output: more than the warnings of any right program
_KEPT_BYTES = 2**14  # only the beginning is read, and the messages of all refused programs stay in memory
_TEMPORARY = re.compile(r"/tmp/cc\w+\.o\b")
_MEMORY = re.compile(
    r"(virtual )?memory exhausted|out of memory|Cannot allocate memory|std::bad_alloc|OutOfMemoryError|heap overflow",
    re.I,
)
_KILLED = re.compile(r"Killed signal terminated program|\bSIGKILL\b")
_LOCKS = 64  # lock files in a shared folder: enough that two programs rarely wait for each other


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
    """Compiles programs, each one once. Thread-safe. Close it.

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
        self._makers: list[threading.Thread] = []  # of headers
        self._lock = threading.Lock()
        self._compiling: dict[tuple[str, float], Future[Compiled]] = {}
        if store is not None:
            make_store(store)

    def close(self) -> None:
        """Wait for the threads that make headers; the stop of the jail ends them soon. Nothing may compile any more."""
        for maker in self._makers:
            maker.join()

    def compile(self, job: CompileJob) -> Compiled:
        """Return the binary of a program; compile it if there is none. One thread compiles, others wait for it.

        When `job.stop` becomes readable, this ends at once. If other threads wait, one of them compiles again.

        Raises:
            EndpointError: the compiler could not be run; `RunAbandoned`: because of `stop`.
        """
        while True:
            try:
                return self._compiled(job)
            except RunAbandoned:  # perhaps because of the `stop` of the thread that compiled
                if job.stop is not None and is_readable(job.stop):
                    raise

    def _compiled(self, job: CompileJob) -> Compiled:
        digest = digest_of(job.language, job.layout)
        key = (digest, job.limits.compile_s)  # after a time-out, the compiler may get more time later
        with self._lock:
            result = self._compiling.get(key)
            ours = result is None
            if result is None:
                result = self._compiling[key] = Future()
        if ours:
            self._do(key, result, job)
        compiled = _result(result, job.stop)
        return compiled if ours else replace(compiled, took_s=0.0, standard="")

    def _do(self, key: tuple[str, float], result: "Future[Compiled]", job: CompileJob) -> None:
        """Compile for all that wait for `result`, and drop the result unless it lasts."""
        lasting = False
        try:
            compiled = self._find_or_make(key[0], job)
            lasting = compiled.lasting
        except Exception as error:
            result.set_exception(error)
        except BaseException:
            result.set_exception(EndpointError("compiling was interrupted"))
            raise
        finally:
            if not lasting:
                with self._lock:
                    del self._compiling[key]
        if not result.done():
            result.set_result(compiled)

    def _find_or_make(self, digest: str, job: CompileJob) -> Compiled:
        live = self._live / digest
        if live.exists():
            return Compiled(live)
        if self._store is None:
            return self._make(live, job)
        stored = self._store / digest
        with locked(self._store, digest):
            if stored.exists():
                share(stored, live)
                return Compiled(live)
            compiled = self._make(live, job)
            if compiled.binary is not None:
                share(live, stored)
        return compiled

    def _make(self, target: Path, job: CompileJob) -> Compiled:
        """Compile a program, and put the binary at `target` in one step."""
        began_s = time.monotonic()
        self._order_header(job)
        chosen = first = self._with_headers(job.layout.compile, target, job)
        refused = first.binary is None and first.lasting and not first.message  # a message names a limit it met
        if refused and job.layout.pragmatic:
            second = self._with_headers(job.layout.pragmatic, target, job)
            # If it is refused again, the messages of the plain command tell more. A time-out is not lasting.
            chosen = first if second.binary is None and second.lasting else second
        return replace(chosen, took_s=time.monotonic() - began_s)

    def _order_header(self, job: CompileJob) -> None:
        """Have a header precompiled that `job` begins with, if it is worth it now: for later programs."""
        if self._headers is None or not job.language.precompile:
            return
        if (header := self._headers.due(job.language, job.layout.files.values())) is not None:
            made = partial(self._make_header, job.language, header)
            arguments = (job.language, header, made)
            maker = threading.Thread(target=self._headers.make, args=arguments, name="balancer-headers", daemon=True)
            self._makers.append(maker)
            maker.start()

    def _make_header(self, language: Language, header: str, target: Path) -> bool:
        """Precompile a header. Return False if it cannot be. Raises EndpointError if it was stopped."""
        file = {"header.h": f"#include <{header}>\n".encode()}
        layout = ProgramLayout(file, frozenset(file), (), (), (), ())
        made = self._try(
            (*_PATIENT, *language.precompile), target, CompileJob(language, layout, Limits(compile_s=_HEADER_S))
        )
        if made.binary is None and not made.lasting:
            raise EndpointError(made.message)
        return made.binary is not None

    def _with_headers(self, command: tuple[str, ...], target: Path, job: CompileJob) -> Compiled:
        """Compile a program with the precompiled header that it begins with; without it, if that one is broken."""
        shown = None
        if self._headers is not None and job.language.precompile:
            shown = self._headers.folder(job.language, job.layout.files.values())
        made = self._try(command, target, job, shown)
        broken = shown is not None and made.binary is None and _OF_HEADER.search(made.words)
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
                    asleep_s=_ASLEEP_S,
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


def _result(result: "Future[Compiled]", stop: int | None) -> Compiled:
    """Return the result of compiling. Raises `RunAbandoned` when `stop` becomes readable."""
    while stop is not None and not result.done():
        if is_readable(stop):
            raise RunAbandoned("stopped, because no caller waits for it")
        with contextlib.suppress(TimeoutError):
            result.exception(_LOOK_S)
    return result.result()


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
    if (
        ended.stopped_by is StopReason.WALL
        and ended.asleep
        and spent_s + ended.waited_s < _AT_WORK * limits.compile_wall_s
    ):
        message = f"the compiler slept: the program makes it wait for something; {spent_s:.1f} s of CPU time were used"
        return Compiled(None, words, message)
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
def locked(store: Path, digest: str) -> Iterator[None]:
    """Lock `digest` in `store` against other processes and threads. The system frees the lock when its holder dies."""
    path = store / f"lock-{int(digest, 16) % _LOCKS:02}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
