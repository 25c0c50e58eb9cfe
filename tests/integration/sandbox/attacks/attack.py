"""What a hostile program is in the tables beside this file, how it is run, and what it must get."""

import textwrap
import time
from dataclasses import dataclass, field, replace

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.compile import CompileJob
from balancer.sandbox.local.executor import LocalExecutor
from tests.patience import stretched

__all__ = [
    "BUSY",
    "CALL",
    "EVERYWHERE",
    "ISOLATED",
    "LIMITS",
    "MEMORY",
    "OUTPUT",
    "SLEEPY",
    "TIME",
    "Attack",
    "faults_of",
    "in_force",
    "run",
]

# Enough for programs that are to end by themselves, or by their CPU time, even when others keep the machine busy.
LIMITS = Limits(cpu_s=4.0, wall_s=60.0, memory_bytes=128 * 2**20, output_bytes=100_000, processes=16)
BUSY = replace(LIMITS, cpu_s=0.3)  # for programs that use up their CPU time
SLEEPY = replace(LIMITS, wall_s=0.5)  # for programs that use up their wall time
OVERTIME_S = 2.0
OVERRUN_S = 0.25  # of CPU time: two looks of all cores, and what dies meanwhile; more where the looks come late

TIME, MEMORY, OUTPUT = (frozenset({s}) for s in (Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT))
ISOLATED = frozenset({"bubblewrap"})
EVERYWHERE = ISOLATED | {"rlimits"}

# Any system call by its number on x86-64: what it returned, or the name of the error.
CALL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    got = libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *args)))
    return got if got >= 0 else errno.errorcode[ctypes.get_errno()]
"""


@dataclass(frozen=True)
class Attack:
    """A hostile program and how it has to end.

    Args:
        ends: the statuses it may get.
        prints: its whole stdout, if it gets to print.
        exits: the exit codes it may get, if it ends by itself; empty for any.
        message: what the message begins with.
        on: the isolations for which the promise holds.
        needs: the protections without which it does not hold: "calls" (the filter), "groups" (control groups).
        peak_bytes: the most memory that all of it may have had together, where a control group counts.
    """

    name: str
    source: str
    ends: frozenset[Status] = frozenset({Status.FINISHED})
    prints: str | None = None
    exits: tuple[int, ...] = ()
    message: str = ""
    language: str = "python"
    limits: Limits = field(default=LIMITS)
    on: frozenset[str] = ISOLATED
    needs: frozenset[str] = frozenset()
    peak_bytes: int = 256 * 2**20

    @property
    def by_number(self) -> bool:
        """Whether it names system calls by their numbers on x86-64."""
        return "call(" in self.source or "int $0x80" in self.source


def run(executor: LocalExecutor, attack: Attack, marker: str, stdin: bytes = b"") -> Execution:
    """Run it; it is stopped in time. A machine that is too busy to start it in time gets more."""
    source = textwrap.dedent(attack.source).replace("CALL\n", CALL)
    program = Program(attack.language, source, args=(marker,))
    limits = attack.limits
    if attack.language == "cpp":  # that takes its own time
        cpp = executor._toolchain.languages["cpp"]
        executor._compiler.compile(CompileJob(cpp, lay_out(cpp, program), limits))
    for _ in range(6):
        started_s = time.monotonic()
        try:
            execution = executor.run(program, stdin, limits, {})
        except EndpointError as error:
            if "no start within the wall time limit" not in error.reason:
                raise
            limits = replace(limits, wall_s=limits.wall_s * 2)
            continue
        assert time.monotonic() - started_s < limits.wall_s + stretched(OVERTIME_S)
        return execution
    raise AssertionError(f"not started within {limits.wall_s} s")


def faults_of(attack: Attack, execution: Execution) -> list[str]:
    """Return what is not as it must be."""
    faults = []
    if execution.status not in attack.ends:
        faults.append(f"status {execution.status}")
    ended = execution.status is Status.FINISHED
    if attack.exits and ended and execution.exit_code not in attack.exits:
        faults.append(f"exit code {execution.exit_code}")
    if not execution.message.startswith(attack.message):
        faults.append(f"message {execution.message!r}")
    if max(len(execution.stdout), len(execution.stderr)) > attack.limits.output_bytes:
        faults.append("too much output")
    if attack.prints is not None and (ended or execution.status is Status.OUTPUT_LIMIT):
        printed = execution.stdout.decode("utf-8", "replace")
        if printed != attack.prints:
            faults.append(f"printed {printed[:300]!r}, {execution.stderr[-300:]!r}")
    if execution.time_s > attack.limits.cpu_s + stretched(OVERRUN_S) and execution.cpu_measured:
        faults.append(f"{execution.time_s} s of CPU time")
    if execution.memory_bytes is not None and execution.memory_bytes > attack.peak_bytes:
        faults.append(f"{execution.memory_bytes} bytes of memory")
    return [f"{fault}: {execution}" for fault in faults]


def in_force(executor: LocalExecutor) -> frozenset[str]:
    """Return which of "calls" and "groups" this machine has for `executor`."""
    words = "; ".join(executor.protections[0])
    found = {"calls": "system calls are filtered", "groups": "for CPU time, memory and processes"}
    return frozenset(name for name, phrase in found.items() if phrase in words)
