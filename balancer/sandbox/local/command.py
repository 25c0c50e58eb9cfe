"""The records of one sandboxed command: what to start, what it may use, why it was stopped, how it ended.

Decides nothing. What a command is to whoever wants it run, and what its end means for a program, is not said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["ProcessLimits", "ProcessResult", "SandboxCommand", "StopReason"]


class StopReason(Enum):
    """Why a command was stopped from outside."""

    CPU = "CPU time"
    WALL = "wall time"
    OUTPUT = "output"
    STOP = "stopped"


@dataclass(frozen=True, slots=True)
class SandboxCommand:
    """What to start: a sandbox that waits to be told what to run.

    Args:
        argv: program and arguments; no shell is involved.
        env: the whole environment.
        cwd: working directory.
        nested: True if the program runs in its own pid namespace, below the started process. The
            namespace's first process is then the one to kill: with it dies everything inside.
        owner: user id that may reopen the output pipes (/dev/stdout), or None for our own.
        reads: file descriptors that it inherits.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    nested: bool
    owner: int | None = None
    reads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a program may use once it has begun.

    Args:
        cpu_s: CPU seconds of all its processes together until it is killed.
        wall_s: seconds until it is killed.
        output_bytes: bytes kept from stdout, and from stderr; one more and it is killed.
        fetches: how many files it sends of its working directory; together they may be as long as an output.
        rlimits: the soft and the hard limits that its first process gets, by the names of `prlimit`.
    """

    cpu_s: float
    wall_s: float
    output_bytes: int
    fetches: int = 0
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a command ended.

    Attributes:
        ready: whether the program was started at all.
        exit_code: its exit code, negative for a signal; None if it was stopped.
        stopped_by: why it was stopped, or None if it ended by itself.
        lost: its sandbox was killed by somebody else; nothing is known about the program.
        stdout, stderr: what it printed, at most `output_bytes` each.
        waited_s: for how long it was ready to run and had no core, as far as can be told; only where wall time ran out.
        starved: the kernel killed a process of it because all together had used up their memory.
        tampered: what was told of its end is not what the sandbox says; only the program can have done that.
        cpu_s: CPU seconds of all its processes where a control group counts them, else of the command and all that it
            waited for or that was seen at work; None if they could not be told.
        peak_bytes: the most memory that all its processes had together where a control group counts it, else that of
            the largest one, where that can be told.
        fetched: the files that were asked for, in order; None for one that was not there at the end.
    """

    ready: bool
    exit_code: int | None
    stopped_by: StopReason | None
    lost: bool
    stdout: bytes
    stderr: bytes
    cpu_s: float | None
    peak_bytes: int | None
    fetched: tuple[bytes | None, ...] = ()
    waited_s: float = 0.0
    starved: bool = False
    tampered: bool = False
