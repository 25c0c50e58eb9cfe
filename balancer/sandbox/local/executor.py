"""The executor for `local://` endpoints: programs run isolated on this machine.

Brings together the toolchain, an isolation, the compile cache and the meaning of ends. It must not know how
any of them works.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from balancer.errors import EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local.choice import choose_isolation, open_to_others
from balancer.sandbox.local.compile import Compiler
from balancer.sandbox.local.ending import execution_of
from balancer.sandbox.local.gate import Gate
from balancer.sandbox.local.jail import IsolatedCommand, Jail
from balancer.sandbox.local.language import Language
from balancer.sandbox.local.languages import LANGUAGES, find_toolchain

__all__ = ["LocalExecutor"]

_PING = IsolatedCommand(("true",), Limits(cpu_s=1.0, wall_s=10.0))


class LocalExecutor:
    """Runs programs isolated on this machine. Thread-safe.

    Args:
        url: the endpoint, e.g. "local://here"; the name says nothing, it only tells endpoints apart.
        options: `isolation` and `cache_dir` count.

    Raises:
        ConfigError: the isolation does not work here, or `cache_dir` cannot be used.
    """

    def __init__(self, url: str, options: ExecutorOptions | None = None) -> None:
        options = options or ExecutorOptions()
        self._url = url
        self._toolchain = find_toolchain()
        self._allowed = options.languages
        self._isolation = choose_isolation(options.isolation)
        self._gate = Gate()
        self._folder = tempfile.TemporaryDirectory(prefix="balancer-", ignore_cleanup_errors=True)
        try:
            self._jail, self._compiler = self._furnish(options.cache_dir)
        except BaseException:
            self.close()
            raise

    def _furnish(self, cache_dir: str | None) -> tuple[Jail, Compiler]:
        base = open_to_others(Path(self._folder.name))
        live = base / "programs"
        live.mkdir()
        open_to_others(live)
        jail = Jail(self._isolation, base, endpoint=self._url, stop=self._gate.signal)
        store = Path(cache_dir) if cache_dir else None
        return jail, Compiler(jail, self._toolchain.compiler, live=live, store=store)

    @property
    def languages(self) -> frozenset[str]:
        """The languages this machine can run, and the config allows."""
        known = self._toolchain.languages
        return known if self._allowed is None else known & self._allowed

    @property
    def isolation(self) -> str:
        """The name of the isolation in use."""
        return self._isolation.name

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        `time_s` is the CPU time of the program, its children and the set-up (about 7 ms): never too little.

        Raises:
            EndpointError: the set-up failed, or the executor was closed.
            ValueError: the language is not known here, or a file name is not allowed.
        """
        language = self._language(program.language)
        if language.file in files:
            raise ValueError(f"file name {language.file!r} is taken by the program itself; name the file otherwise")
        with self._gate.enter() as admitted:
            if not admitted:
                raise EndpointError("the executor is closed", endpoint=self._url)
            return self._run(language, program, stdin, limits, files)

    def _run(
        self, language: Language, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]
    ) -> Execution:
        source = program.source.encode("utf-8", "surrogateescape")
        binary = None
        if language.compile:
            compiled = self._compiler.compile(language, source, limits)
            if compiled.binary is None:
                return Execution(Status.COMPILE_ERROR, stderr=compiled.words, message=compiled.message)
            binary = compiled.binary
        memory = f"{max(1, limits.memory_bytes // 2**20)}"
        wanted = IsolatedCommand(
            template=tuple(
                part.replace("{python}", self._toolchain.python).replace("{memory}", memory) for part in language.run
            ),
            args=program.args,
            stdin=stdin,
            files=files if binary else {**files, language.file: source},
            limits=_with_runtime(limits, language),
            program=binary,
            trees=self._toolchain.trees,
        )
        return execution_of(self._jail.run(wanted), language.name, limits)

    def _language(self, name: str) -> Language:
        if name in self._toolchain.languages:
            return LANGUAGES[name]
        reason = self._toolchain.missing.get(name, f"known are {', '.join(sorted(self._toolchain.languages))}")
        raise ValueError(f"{self._url} cannot run language {name!r}: {reason}")

    def ping(self) -> None:
        """Return if programs can be started here.

        Raises:
            EndpointError: they cannot, and why.
        """
        with self._gate.enter() as admitted:
            if not admitted:
                raise EndpointError("the executor is closed", endpoint=self._url)
            self._jail.run(_PING)

    def close(self) -> None:
        """Kill what still runs and remove all temporary files. May be called twice."""
        if self._gate.shut():
            self._folder.cleanup()

    def __repr__(self) -> str:
        state = "closed" if self._gate.is_shut else f"isolation {self.isolation}, {', '.join(sorted(self.languages))}"
        return f"<LocalExecutor {self._url}: {state}>"


def _with_runtime(limits: Limits, language: Language) -> Limits:
    """Return `limits` with room for the language's own runtime, which is not the program's."""
    return replace(
        limits,
        memory_bytes=limits.memory_bytes + language.runtime_bytes,
        processes=limits.processes + language.runtime_processes,
    )
