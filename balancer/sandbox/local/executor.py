"""The executor for `local://` endpoints: programs run isolated on this machine.

Brings together the toolchain, an isolation, the compile cache and the meaning of ends. It must not know how
any of them works.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from balancer.errors import EndpointError
from balancer.language import Language
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.languages.layout import check_name, check_together, filled, lay_out
from balancer.sandbox.local.compile import Compiled, CompileJob, Compiler
from balancer.sandbox.local.isolation.view import SandboxSpec
from balancer.sandbox.local.jail import TRUE, Jail, choose_isolation, open_to_others, protections_of
from balancer.sandbox.local.prepared import IsolatedCommand
from balancer.sandbox.local.shutdown import GracefulShutdown
from balancer.sandbox.local.status import execution_of
from balancer.sandbox.local.toolchain import find_toolchain, trees_of
from balancer.sandbox.trial import HELLO_LIMITS, Trials
from balancer.scratch import Scratch

__all__ = ["LocalExecutor"]

_TRIED: dict[str, dict[Language, bool]] = {}  # by isolation: what this machine runs; its tools do not change meanwhile

# Sandboxes that wait for a program, so that it need not wait for one. They cost some MiB of memory each.
_PREPARED = min(2 * (os.cpu_count() or 1), 32)


class LocalExecutor:
    """Runs programs isolated on this machine. Thread-safe.

    Args:
        url: the endpoint, e.g. "local://here"; the name says nothing, it only tells endpoints apart.
        options: all but `headers` count.

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
        return jail, Compiler(jail, live=live, store=store)

    @property
    def languages(self) -> frozenset[str]:
        """The languages whose tools this machine has, and the config allows."""
        known = frozenset(self._toolchain.languages)
        return known if self._allowed is None else known & self._allowed

    def runs(self, language: str) -> bool:
        """Return whether this machine runs `language`: its tools are here and, tried once, they work."""
        return language in self.languages and self._trials.works(self._toolchain.languages[language]) is not False

    @property
    def isolation(self) -> str:
        """The name of the isolation in use."""
        return self._isolation.name

    @property
    def protections(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What protects the runs here, and what does not, each with what to do: a phrase for each."""
        return protections_of(self._isolation)

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        `time_s` is CPU time: where control groups count, of all processes of the program, its last steps to the start
        (a shell, `prlimit`) included; else of the program, of all that was waited for below it or was seen there, and
        of the set-up. Only children that lived for an instant and that nobody waited for are missed then.
        `memory_bytes` is the most that all its processes had together, with the files they kept in memory, where
        control groups count, else that of the largest process.

        Raises:
            EndpointError: the set-up failed, or the executor was closed.
            ValueError: the language is not known here, or a file name is not allowed.
        """
        return self.run_and_fetch(program, stdin, limits, files, ())[0]

    def run_and_fetch(
        self,
        program: Program,
        stdin: bytes,
        limits: Limits,
        files: Mapping[str, bytes],
        fetch: Sequence[str],
        *,
        stop: int | None = None,
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """Run `program` as `run` does; return also those of the files `fetch` that lie in its working directory then.

        Together they may be as long as the standard output may be; longer ones are an output limit. Links are not
        followed. There is nothing to fetch from isolation "rlimits". When the file descriptor `stop` becomes readable,
        everything of the run is killed.

        Raises:
            EndpointError: the set-up failed, or the executor was closed; `RunAbandoned`, because of `stop`.
            ValueError: the language is not known here, or a file name is not allowed.
        """
        language = self._language(program.language)
        layout = lay_out(language, program)
        for name in layout.own & files.keys():
            raise ValueError(f"file name {name!r} is taken by the program itself; name the file otherwise")
        check_together((*map(check_name, files), *layout.files))
        with self._shutdown.enter() as admitted:
            if not admitted:
                raise EndpointError("the executor is closed", endpoint=self._url)
            compiled = Compiled(None)
            if layout.compile:
                compiled = self._compiler.compile(CompileJob(language, layout, limits, stop))
                if compiled.binary is None:
                    return _refused(compiled), {}
            places = {"{python}": self._toolchain.python, "{memory}": f"{max(1, limits.memory_bytes // 2**20)}"}
            command = IsolatedCommand(
                template=filled(layout.run, places),
                args=program.args,
                stdin=stdin,
                files={**(dict(program.extras) if compiled.binary else layout.files), **files},
                limits=_with_runtime(limits, language),
                program=compiled.binary,
                fetch=tuple(fetch),
                spec=SandboxSpec(trees=self._toolchain.trees + trees_of(language)),
            )
            ended = self._jail.run(command, stop=stop)
        fetched = {name: data for name, data in zip(fetch, ended.fetched, strict=False) if data is not None}
        return replace(execution_of(ended, language.name, limits), compile_s=compiled.took_s), fetched

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
        """Kill what still runs and remove all temporary files. May be called twice."""
        if self._shutdown.shut():
            try:
                self._jail.close()  # it prepares sandboxes, which look at the signal
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
    """Return `limits` with room for the language's own runtime, which is not the program's."""
    return replace(
        limits,
        memory_bytes=limits.memory_bytes + language.runtime_bytes,
        processes=limits.processes + language.runtime_processes,
    )
