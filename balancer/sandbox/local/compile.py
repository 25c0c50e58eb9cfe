"""A cache of compiled programs, shared between threads and, with a folder, between processes.

Decides when a compiler is run, with which limits, and for how long its words count: what it refuses is remembered
(`compiled` says what lasts). Compilers run isolated like any program, since the source they read is hostile. Where
binaries lie is `binaries`' business; how programs are run afterwards it must not know.
"""

import contextlib
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from balancer.errors import EndpointError
from balancer.language import Language
from balancer.program import Limits
from balancer.sandbox.languages.layout import ProgramLayout
from balancer.sandbox.local.binaries import digest_of, locked, make_store, move, seal, share
from balancer.sandbox.local.compiled import COMPILER_BYTES, PRINTED_BYTES, Compiled, refusal_of
from balancer.sandbox.local.jail import IsolatedCommand, Jail, SandboxSpec
from balancer.sandbox.local.shutdown import RunAbandoned, is_readable
from balancer.sandbox.local.toolchain import trees_of

__all__ = ["Compiler"]

_BINARY_BYTES = 256 * 2**20
_SPACE_BYTES = 512 * 2**20  # Go compiles its library each time
_PROCESSES = 32
_LOOK_S = 0.1  # how often who waits for another's compiler looks whether he is waited for


class Compiler:
    """Compiles programs, each one once. Thread-safe.

    Args:
        jail: where the compiler runs.
        live: folder of binaries in use; must be passable for the users that programs run as.
        store: folder that outlives this process and may be shared with others, or None.

    Raises:
        ConfigError: `store` cannot be used.
    """

    def __init__(self, jail: Jail, *, live: Path, store: Path | None = None) -> None:
        self._jail = jail
        self._live = live
        self._store = store
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, float], Future[Compiled]] = {}
        if store is not None:
            make_store(store)

    def compile(
        self, language: Language, program: ProgramLayout, limits: Limits, *, stop: int | None = None
    ) -> Compiled:
        """Return the binary of `program`, compiling it if nobody has; one thread compiles, others wait for it.

        When the file descriptor `stop` becomes readable this ends at once; if others wait, one of them compiles anew.

        Raises:
            EndpointError: the compiler could not be run; `RunAbandoned`: because of `stop`.
        """
        while True:
            try:
                return self._compiled(language, program, limits, stop)
            except RunAbandoned:  # perhaps by another one, for whom we waited
                if stop is not None and is_readable(stop):
                    raise

    def _compiled(self, language: Language, program: ProgramLayout, limits: Limits, stop: int | None) -> Compiled:
        digest = digest_of(language, program)
        key = (digest, limits.compile_s)  # a compiler that gave up may be given more time later
        with self._lock:
            job = self._jobs.get(key)
            ours = job is None
            if job is None:
                job = self._jobs[key] = Future()
        if ours:
            self._do(key, job, language, program, limits, stop)
        compiled = _result(job, stop)
        return compiled if ours else replace(compiled, took_s=0.0)

    def _do(
        self,
        key: tuple[str, float],
        job: "Future[Compiled]",
        language: Language,
        program: ProgramLayout,
        limits: Limits,
        stop: int | None,
    ) -> None:
        """Compile for all that wait for `job`, and forget about it unless it lasts."""
        lasting = False
        try:
            compiled = self._find_or_make(key[0], language, program, limits, stop)
            lasting = compiled.lasting
        except Exception as error:
            job.set_exception(error)
        except BaseException:
            job.set_exception(EndpointError("compiling was interrupted"))
            raise
        finally:
            if not lasting:
                with self._lock:
                    del self._jobs[key]
        if not job.done():
            job.set_result(compiled)

    def _find_or_make(
        self, digest: str, language: Language, program: ProgramLayout, limits: Limits, stop: int | None
    ) -> Compiled:
        live = self._live / digest
        if live.exists():
            return Compiled(live)
        if self._store is None:
            return self._make(live, language, program, limits, stop)
        stored, took_s = self._store / digest, 0.0
        with locked(self._store, digest):
            if not stored.exists():
                compiled = self._make(stored, language, program, limits, stop)
                if compiled.binary is None:
                    return compiled
                took_s = compiled.took_s
        share(stored, live)
        return Compiled(live, took_s=took_s)

    def _make(
        self, target: Path, language: Language, program: ProgramLayout, limits: Limits, stop: int | None
    ) -> Compiled:
        """Compile `program`, and put the binary at `target` in one step."""
        began_s = time.monotonic()
        first = self._try(program.compile, target, language, program, limits, stop)
        chosen = first
        if first.binary is None and first.lasting and program.pragmatic:
            second = self._try(program.pragmatic, target, language, program, limits, stop)
            # If it is refused again, the words of the plain command tell more; a time-out is none that lasts.
            chosen = first if second.binary is None and second.lasting else second
        return replace(chosen, took_s=time.monotonic() - began_s)

    def _try(
        self,
        command: tuple[str, ...],
        target: Path,
        language: Language,
        program: ProgramLayout,
        limits: Limits,
        stop: int | None,
    ) -> Compiled:
        with tempfile.TemporaryDirectory(prefix="output-", dir=self._live.parent) as folder:
            output = Path(folder)
            ended = self._jail.run(
                IsolatedCommand(
                    template=tuple(part.replace("{output}", "{output}/main") for part in command),
                    args=program.further,
                    files=program.files,
                    limits=_limits(limits, language),
                    file_bytes=_BINARY_BYTES,
                    kind=SandboxSpec(trees=trees_of(language), space_bytes=_SPACE_BYTES, output=output),
                ),
                stop=stop,
            )
            made = output / "main"
            if ended.exit_code != 0:
                return refusal_of(ended, limits)
            if made.is_symlink() or not made.is_file():
                return Compiled(None, b"", "the compiler made no program")
            seal(made)
            move(made, target)
        return Compiled(target)


def _result(job: "Future[Compiled]", stop: int | None) -> Compiled:
    """Return what comes of `job`; raise `RunAbandoned` if nobody waits for it here any more."""
    while stop is not None and not job.done():
        if is_readable(stop):
            raise RunAbandoned("stopped, because nobody waits for it any more")
        with contextlib.suppress(TimeoutError):
            job.exception(_LOOK_S)
    return job.result()


def _limits(limits: Limits, language: Language) -> Limits:
    return Limits(
        cpu_s=limits.compile_s,
        wall_s=limits.compile_wall_s,
        memory_bytes=COMPILER_BYTES + language.compiler_bytes,
        output_bytes=PRINTED_BYTES,
        processes=_PROCESSES + language.runtime_processes,
    )
