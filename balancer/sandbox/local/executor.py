"""Executor for `local://` endpoints: programs run isolated on this machine.

Combines the toolchain, an isolation and the compile cache. It also converts the end of a run to a `Status`, from exit
code, outputs and measured times. That part is pure. A limit is named only if the end shows it; otherwise the status is
`FINISHED` with the exit code.
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from balancer.errors import EndpointError
from balancer.program import Execution, ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.languages.layout import check_name, check_together, filled, lay_out
from balancer.sandbox.languages.memory import died_of_memory_limit
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.compile import Compiled, CompileJob, Compiler
from balancer.sandbox.local.headers import own_headers
from balancer.sandbox.local.isolation import SandboxSpec
from balancer.sandbox.local.jail import TRUE, Jail, choose_isolation, open_to_others, protections_of
from balancer.sandbox.local.prepared import IsolatedCommand
from balancer.sandbox.local.shutdown import GracefulShutdown
from balancer.sandbox.local.toolchain import find_toolchain, trees_of
from balancer.sandbox.probes import HELLO_LIMITS, Trials
from balancer.scratch import Scratch

__all__ = ["LocalExecutor", "execution_of"]

_TRIED: dict[
    str, dict[Language, bool]
] = {}  # by isolation: whether this machine runs a language; its tools do not change meanwhile

# Sandboxes prepared ahead, so that a program need not wait. Each takes some MiB of memory.
_PREPARED = min(2 * (os.cpu_count() or 1), 32)
_CROWDED = 0.25  # share of its wall time; a sleeping program does not wait for a core


class LocalExecutor:
    """Runs programs isolated on this machine. Thread-safe.

    Args:
        url: of the endpoint, e.g. "local://here"; the name only distinguishes endpoints.
        options: all except `headers` are used.

    Raises:
        ConfigError: the isolation does not work here, or `cache_dir` cannot be used.
    """

    def __init__(self, url: str, options: ExecutorOptions | None = None) -> None:
        options = options or ExecutorOptions()
        self._url = url
        known = known_languages() if options.known is None else options.known
        self._toolchain = find_toolchain(known.values())
        self._allowed = options.languages
        self._isolation = choose_isolation(options.isolation)
        self._shutdown = GracefulShutdown()
        tried = _TRIED.setdefault(self._isolation.name, {})
        self._trials = Trials(lambda program: self.run(program, b"", HELLO_LIMITS, {}), tried)
        self._folder = Scratch()
        try:
            self._jail, self._compiler = self._prepare(options.cache_dir)
        except BaseException:
            self._shutdown.shut()
            self._shutdown.close()
            self._folder.close()
            raise

    def _prepare(self, cache_dir: str | None) -> tuple[Jail, Compiler]:
        base = open_to_others(self._folder.path)
        live = base / "programs"
        live.mkdir()
        open_to_others(live)
        jail = Jail(self._isolation, base, endpoint=self._url, stop=self._shutdown.signal, prepared=_PREPARED)
        store = Path(cache_dir) if cache_dir else None
        headers = own_headers() if self._isolation.nested else None
        return jail, Compiler(jail, live=live, store=store, headers=headers)

    @property
    def languages(self) -> frozenset[str]:
        """The languages whose tools this machine has, and that the config allows."""
        known = frozenset(self._toolchain.languages)
        return known if self._allowed is None else known & self._allowed

    def runs(self, language: str) -> bool:
        """Return whether this machine runs `language`: its tools are here and passed one trial."""
        return language in self.languages and self._trials.works(self._toolchain.languages[language]) is not False

    @property
    def isolation(self) -> str:
        """Name of the isolation in use."""
        return self._isolation.name

    @property
    def protections(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What protects the runs here, and what does not, with what to do: a phrase for each."""
        return protections_of(self._isolation)

    def run(
        self,
        program: Program,
        stdin: bytes,
        limits: Limits,
        files: Mapping[str, bytes],
        *,
        stop: int | None = None,
    ) -> Execution:
        """Run `program` once, as the protocol says. When the file descriptor `stop` becomes readable, it is killed.

        `time_s` is CPU time. With control groups it covers all processes of the program, and the last steps of its
        start (a shell). Without them it covers the program, the set-up, and all processes below that were
        waited for or seen. Then only short-lived children that nobody waited for are missed. `memory_bytes` is the peak
        memory of all processes together, with the files they kept in memory, if control groups count it.

        Raises:
            EndpointError: the set-up failed, or the executor was closed; `RunAbandoned`, because of `stop`.
            ValueError: the language is not known here, or a file name is not allowed.
        """
        language = self._language(program.language)
        layout = lay_out(language, program)
        for name in layout.own & files.keys():
            raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")
        check_together((*map(check_name, files), *layout.files))
        with self._shutdown.enter() as admitted:
            if not admitted:
                raise EndpointError("the executor is closed", endpoint=self._url)
            compiled = Compiled(None)
            if layout.compile:
                compiled = self._compiler.compile(CompileJob(language, layout, limits, stop))
                if compiled.binary is None:
                    return _refused(compiled)
            places = {"{memory}": f"{max(1, limits.memory_bytes // 2**20)}"}
            command = IsolatedCommand(
                template=filled(layout.run, places),
                args=program.args,
                stdin=stdin,
                files={**(dict(program.extras) if compiled.binary else layout.files), **files},
                limits=_with_runtime(limits, language),
                program=compiled.binary,
                spec=SandboxSpec(trees=trees_of(language)),
            )
            ended = self._jail.run(command, stop=stop)
        execution = execution_of(ended, language.name, limits)
        return replace(execution, compile_s=compiled.took_s, standard=compiled.standard)

    def _language(self, name: str) -> Language:
        if name in self._toolchain.languages:
            return self._toolchain.languages[name]
        reason = self._toolchain.missing.get(name, f"known are {', '.join(sorted(self._toolchain.languages))}")
        raise ValueError(f"{self._url} cannot run language {name!r}: {reason}")

    def ping(self) -> None:
        """Return if programs can be started here.

        Raises:
            EndpointError: they cannot, and why.
        """
        with self._shutdown.enter() as admitted:
            if not admitted:
                raise EndpointError("the executor is closed", endpoint=self._url)
            self._jail.run(TRUE)

    def close(self) -> None:
        """Kill all runs and remove all temporary files. May be called twice."""
        if self._shutdown.shut():
            try:
                self._jail.close()  # it prepares sandboxes, which read the signal
            finally:
                self._shutdown.close()
                self._folder.close()

    def __repr__(self) -> str:
        state = (
            "closed" if self._shutdown.is_shut else f"isolation {self.isolation}, {', '.join(sorted(self.languages))}"
        )
        return f"<LocalExecutor {self._url}: {state}>"


def _refused(compiled: Compiled) -> Execution:
    return Execution(
        Status.COMPILE_ERROR,
        stderr=compiled.words,
        message=compiled.message,
        compile_s=compiled.took_s,
        doubtful=compiled.doubtful,
    )


def _with_runtime(limits: Limits, language: Language) -> Limits:
    """Return `limits` with extra room for the runtime of the language."""
    return replace(
        limits,
        memory_bytes=limits.memory_bytes + language.runtime_bytes,
        processes=limits.processes + language.runtime_processes,
    )


def execution_of(ended: ProcessResult, language: str, limits: Limits) -> Execution:
    """Return the result of a local run that did start.

    Output is checked first, as endless output may also use up the time. Then CPU time, which is measured and so comes
    before wall time; then memory.
    """
    status, message = _status(ended, language, limits)
    return Execution(
        status=status,
        stdout=ended.stdout,
        stderr=ended.stderr,
        exit_code=None if status is Status.TIME_LIMIT else ended.exit_code,
        time_s=limits.wall_s if ended.cpu_s is None else ended.cpu_s,
        cpu_measured=ended.cpu_s is not None,
        memory_bytes=ended.peak_bytes,
        message=message,
        doubtful=status is Status.TIME_LIMIT and _was_crowded_out(ended, limits),
    )


def _was_crowded_out(ended: ProcessResult, limits: Limits) -> bool:
    """Return whether wall time ran out because the machine had no free core: otherwise it might have ended."""
    return ended.stopped_by is StopReason.WALL and ended.waited_s >= _CROWDED * limits.wall_s


def _status(ended: ProcessResult, language: str, limits: Limits) -> tuple[Status, str]:
    if ended.stopped_by is StopReason.OUTPUT:
        return Status.OUTPUT_LIMIT, f"output: more than {limits.output_bytes} bytes"
    # The measured time counts even if the program ended by itself in the meantime. SIGXCPU comes from the kernel's
    # own limit, which lies above ours.
    spent = (ended.cpu_s or 0.0) >= limits.cpu_s
    if spent or ended.stopped_by is StopReason.CPU or ended.exit_code == -signal.SIGXCPU:
        used = "" if ended.cpu_s is None else f"{ended.cpu_s:.3f} s of "
        return Status.TIME_LIMIT, f"CPU time: {used}{limits.cpu_s:g} s"
    if ended.starved:  # before wall time: other processes may have waited for the killed one
        return Status.MEMORY_LIMIT, f"memory: {limits.memory_bytes} bytes were not enough for all its processes"
    if ended.stopped_by is StopReason.WALL:
        return Status.TIME_LIMIT, f"wall time: {limits.wall_s:g} s"
    if ended.tampered:
        return Status.FINISHED, "the program tampered with the report of its end"
    if ended.exit_code and died_of_memory_limit(language, ended.exit_code, ended.stderr):
        return Status.MEMORY_LIMIT, f"memory: {limits.memory_bytes} bytes were not enough"
    if ended.exit_code == -signal.SIGXFSZ:
        return Status.FINISHED, "killed for writing too large a file"
    return Status.FINISHED, _death(ended.exit_code)


def _death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-exit_code}"
