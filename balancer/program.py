"""One run of a program: the protocol that every executor keeps.

Says what goes in (a program, its input, limits) and what comes out (how it ended, what it printed).
It must not know where the program runs, nor what its output means: judging is the pipeline's business.

An executor is bound to one endpoint and is used by many threads at once. It either returns an
`Execution`, which says something about *the program*, or raises `EndpointError`, which says
something about *the endpoint*. It never mixes the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from balancer.language import Language

__all__ = ["Execution", "Executor", "ExecutorOptions", "Limits", "Program", "Status"]


class Status(Enum):
    """How a program ended."""

    FINISHED = "finished"  # it ended by itself; `exit_code` tells how (negative: killed by that signal)
    TIME_LIMIT = "time_limit"  # CPU or wall time ran out
    MEMORY_LIMIT = "memory_limit"  # it was killed, or gave up, for memory
    OUTPUT_LIMIT = "output_limit"  # it printed more than allowed; stdout holds the allowed part
    COMPILE_ERROR = "compile_error"  # it never ran; stderr holds the compiler's words


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

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
        """Wall-clock seconds for compiling: ample, as a compiler does not sleep and a machine may be busy."""
        return 3 * self.compile_s + 10


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run.

    Args:
        language: the name of a language, e.g. "python" or "cpp" (`Executor.languages` says which an executor runs).
        source: its text.
        name: for people only, e.g. "submissions/accepted/sum.py".
        args: command-line arguments. File arguments are relative to the working directory.
        extras: other files it is made of, (relative name, content): headers, further sources, modules. They lie beside
            the source when it is built, and in the working directory when it runs.
    """

    language: str
    source: str
    name: str = ""
    args: tuple[str, ...] = ()
    extras: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of one run.

    Attributes:
        status: how it ended.
        stdout, stderr: what it printed, possibly cut at the limit.
        exit_code: None when the run has none (time limit, compile error).
        time_s: CPU seconds where the endpoint can measure them, else wall seconds.
        cpu_measured: whether `time_s` is CPU time. A time limit hit on wall time alone may be the
            endpoint's fault (see `balancer.judging.suspicion`).
        memory_bytes: peak memory, if known.
        message: one line for people, e.g. why it was killed.
        compile_s: wall seconds that compiling took in this run; 0 if nothing was compiled.
        server_s: wall seconds that the server says it took, if it does; what the call took besides was on the way.
        doubtful: the endpoint itself may be why it ended so, e.g. a compiler ran out of wall time with CPU time to
            spare: it does not count until another run finds the same.
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
    server_s: float | None = field(default=None, compare=False)  # of the server, not of the program


@dataclass(frozen=True, slots=True)
class ExecutorOptions:
    """What the config says about one endpoint's executor.

    Args:
        isolation: for local endpoints: "auto" (bubblewrap, else unshare), "bubblewrap", "unshare" or
            "rlimits" (no isolation: must be asked for by name).
        headers: for HTTP endpoints: headers to send, plain text; never log or print them.
        cache_dir: where compiled programs are kept, or None for a private temporary folder.
        languages: what the endpoint runs, where the config says so; None: the executor finds out.
        known: all languages there are, by name; None: those of everything installed.
    """

    isolation: str = "auto"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache_dir: str | None = None
    languages: frozenset[str] | None = None
    known: Mapping[str, Language] | None = None


@runtime_checkable
class Executor(Protocol):
    """Run programs on one endpoint. Thread-safe; blocks until the run is over.

    An executor for which it takes long to find out all of `languages` may also have a method `runs(language) -> bool`,
    which finds out about one. One that isolates programs itself may have `protections`: what protects the runs, and
    what does not, each with what to do, as two tuples of phrases; `balancer check` prints them.
    """

    @property
    def languages(self) -> frozenset[str]:
        """The languages it can run, e.g. {"python", "cpp"}; found out once, cheaply."""
        ...

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once with `stdin`; `files` lie in its working directory.

        Raises:
            EndpointError: the endpoint failed; nothing is known about the program. `CannotTell` if that may be the
                program's own doing, or a limit of the endpoint: it is tried elsewhere, and held against nobody.
            ValueError: the endpoint cannot be asked for this, e.g. as it takes no such file; likewise.
        """
        ...

    def ping(self) -> None:
        """Return if the endpoint is there.

        Raises:
            EndpointError: it is not, and why.
        """
        ...

    def close(self) -> None:
        """Let go of connections and temporary files. May be called twice."""
        ...
