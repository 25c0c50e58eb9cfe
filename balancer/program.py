"""Programs, languages and executors: the data of one run of a program, and the protocol of executors.

An executor is bound to one endpoint and is used by many threads at once. It returns an `Execution`, which is about the
program, or raises `EndpointError`, which is about the endpoint.

The commands of a language are templates without user data. The built-in table is `balancer.sandbox.languages.table`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

__all__ = ["Execution", "Executor", "ExecutorOptions", "Language", "Limits", "Program", "Status"]


class Status(Enum):
    """How a program ended."""

    FINISHED = "finished"  # it ended by itself; negative `exit_code`: killed by that signal
    TIME_LIMIT = "time_limit"  # CPU or wall time ran out
    MEMORY_LIMIT = "memory_limit"  # it was killed, or gave up, because of memory
    OUTPUT_LIMIT = "output_limit"  # it printed more than allowed; stdout holds the allowed part
    COMPILE_ERROR = "compile_error"  # it never ran; stderr holds the compiler's messages


@dataclass(frozen=True, slots=True)
class Language:
    """How programs of one language are built and run.

    Placeholders in templates: `{output}` is the file that a compiler makes, `{program}` the same file at run time,
    `{memory}` the memory of the program in MiB, and `{scratch}` a folder for temporary files.

    Args:
        name: as in `Program.language`.
        file: the name of its source file in the working directory.
        run: command template. The program's arguments follow it.
        compile: command template that makes `{output}` from `file`; empty if there is nothing to compile.
        pragmatic: command template for a second try if `compile` refuses a program, e.g. one without a header.
        headers: system headers worth precompiling, as `#include <...>` names them.
        precompile: command template that makes `{output}` from the file header.h, which includes one of `headers`. A
            compiler that gets `-I` with the folder of `{output}` must use it by itself where that changes nothing.
        joined: True if further sources follow the compile command as arguments. Else the compiler or interpreter finds
            them beside the first one.
        extensions: endings of its source files, with the dot, in lower case. If two languages share one, the first
            language wins.
        tools: commands it needs, which must be under /usr.
        trees: folders outside /usr that the tools read, at the same paths.
        install: what installs these, e.g. the name of a package.
        hello: a program that prints "pong", to test whether a server runs the language.
        native: its name on a SandboxFusion server, if the server has it built in.
        runtime_bytes: address space that the runtime maps beyond the program's memory, mostly unused.
        compiler_bytes: the same for the compiler, beyond 2 GiB.
        runtime_processes: threads of the runtime itself.
        files: makes the files for the compiler or interpreter from a source; None: the source as `file`.
    """

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    pragmatic: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    precompile: tuple[str, ...] = ()
    joined: bool = False
    extensions: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    install: str = ""
    hello: str = ""
    native: str = ""
    runtime_bytes: int = 0
    compiler_bytes: int = 0
    runtime_processes: int = 0
    files: Callable[[bytes], Mapping[str, bytes]] | None = None

    def sources(self, source: bytes) -> Mapping[str, bytes]:
        """Return the files that `source` is compiled, or run, from."""
        return {self.file: source} if self.files is None else self.files(source)

    def further(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the compile arguments for the further sources among the files `names`."""
        if not self.joined:
            return ()
        # "./" so that no name is taken for an option
        return tuple(f"./{name}" for name in names if name.lower().endswith(self.extensions))


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run.

    Args:
        cpu_s: CPU time in seconds; the program's own time limit.
        wall_s: wall-clock time in seconds; guards against programs that sleep.
        compile_s: CPU seconds for compiling, on endpoints that measure them; see `compile_wall_s`.
        memory_bytes: address space of one process.
        output_bytes: bytes kept from stdout, and from stderr.
        processes: processes and threads at once.
    """

    cpu_s: float = 10.0
    wall_s: float = 30.0
    compile_s: float = 30.0
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 16 * 2**20
    processes: int = 32

    @property
    def compile_wall_s(self) -> float:
        """Wall-clock seconds for compiling. Ample: a compiler does not sleep, but a machine may be busy."""
        return 3 * self.compile_s + 10


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run.

    Args:
        language: the name of a language, e.g. "python" or "cpp". `Executor.languages` has those of an executor.
        source: its text.
        name: for people only, e.g. "submissions/accepted/sum.py".
        args: command-line arguments. File arguments are relative to the working directory.
        extras: its other files, (relative name, content): headers, further sources, modules. They are beside the source
            at compile time, and in the working directory at run time.
    """

    language: str
    source: str
    name: str = ""
    args: tuple[str, ...] = ()
    extras: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Execution:
    """The result of one run.

    Attributes:
        status: how it ended.
        stdout, stderr: what it printed, possibly cut at the limit.
        exit_code: None if the run has none (time limit, compile error).
        time_s: CPU seconds if the endpoint can measure them, else wall seconds.
        cpu_measured: True if `time_s` is CPU time. A time limit by wall time alone may be the endpoint's fault (see
            `balancer.judging.suspicion`).
        memory_bytes: peak memory, if known.
        message: one line for people, e.g. why it was killed.
        compile_s: wall seconds of compiling in this run; 0 if nothing was compiled.
        standard: flag of the older standard of the language that it was compiled with in this run, e.g. "-std=gnu++17".
        server_s: wall seconds of the run as the server reports them, or None. The rest of the call's time is the
            network.
        doubtful: True if the endpoint itself may have caused this end, e.g. a compiler ran out of wall time but not of
            CPU time. It counts only if another run finds the same.
    """

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None
    time_s: float = 0.0
    cpu_measured: bool = False
    memory_bytes: int | None = None
    message: str = ""
    compile_s: float = 0.0
    doubtful: bool = False
    standard: str = field(default="", compare=False)  # like `compile_s` of the run that compiled alone
    server_s: float | None = field(default=None, compare=False)  # about the server, not the program


@dataclass(frozen=True, slots=True)
class ExecutorOptions:
    """The settings of one endpoint's executor.

    Args:
        isolation: for local endpoints: "auto" (bubblewrap, else unshare), "bubblewrap", "unshare" or "rlimits" (no
            isolation; never chosen by "auto").
        headers: for HTTP endpoints: headers to send, as plain text. Never log or print them.
        cache_dir: where compiled programs are kept; None: a private temporary folder.
        languages: the languages of the endpoint, if the config has them; None: the executor finds out.
        known: all known languages, by name; None: those of everything installed.
    """

    isolation: str = "auto"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache_dir: str | None = None
    languages: frozenset[str] | None = None
    known: Mapping[str, Language] | None = None


@runtime_checkable
class Executor(Protocol):
    """Runs programs on one endpoint. Thread-safe. Blocks until a run is over.

    If finding all of `languages` takes long, an executor may also have a method `runs(language) -> bool`, which tests
    one. If it isolates programs itself, it may have `protections`: two tuples of phrases, what protects the runs, and
    what does not, each with what to do. `balancer check` prints them.
    """

    @property
    def languages(self) -> frozenset[str]:
        """The languages it can run, e.g. {"python", "cpp"}; found out once, at low cost."""
        ...

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once with `stdin`. `files` are in its working directory.

        Raises:
            EndpointError: the endpoint failed; nothing is known about the program. `CannotTell` if the program itself,
                or a limit of the endpoint, may be the cause. Then the call is tried elsewhere, and counts against no
                endpoint.
            ValueError: the endpoint cannot run this, e.g. it takes no such file. The call is tried elsewhere.
        """
        ...

    def ping(self) -> None:
        """Return if the endpoint is up.

        Raises:
            EndpointError: it is not, and why.
        """
        ...

    def close(self) -> None:
        """Release connections and temporary files. May be called twice."""
        ...
