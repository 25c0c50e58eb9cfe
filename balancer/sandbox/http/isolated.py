"""From isolate's report of a program that a shell script started, as Judge0 and Piston hand it on, to an execution.

Decides what such an end means for the program, and when it may be the server's own doing. Pure. It must not know how
either API writes it.

A script answers for its program: one that a signal killed ends with 128 and the number of the signal, and so does one
that ends with that code by itself. Both are run-time errors.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from balancer.errors import CannotTell
from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.inconclusive import doubt_of_compiler, doubt_of_limits
from balancer.sandbox.local.status import died_of_memory_limit

__all__ = ["RunReport", "execution_of_report"]

_SHELL_SIGNAL = 128
_MOST_SIGNAL = 31  # the last one that means something
_FULL = 0.95  # of its memory, and a program that the kernel killed was killed for it


@dataclass(frozen=True, slots=True)
class RunReport:
    """How one run ended.

    Attributes:
        stdout, stderr: what it printed.
        exit_code: the script's; None if it has none.
        signal: what killed the script, if something did.
        timed_out: whether isolate stopped it for CPU or wall time.
        cut: whether the server cut what it printed.
        cpu_s: CPU time; None if the server does not say.
        wall_s: wall time; None if the server does not say.
        memory_bytes: peak memory; None if the server does not say.
        message: the server's words.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    signal: int | None = None
    timed_out: bool = False
    cut: bool = False
    cpu_s: float | None = None
    wall_s: float | None = None
    memory_bytes: int | None = None
    message: str = ""


def execution_of_report(
    report: RunReport, *, language: str, asked: Limits, given: Limits, endpoint: str, redact: Callable[[str], str]
) -> Execution:
    """Return what came of the run.

    Args:
        report: how it ended.
        language: the program's language.
        asked: what it may use.
        given: what the server let it use at most.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        CannotTell: the end may be the server's doing.
    """
    code = _exit_code(report)
    status = _status(report, code, language, asked, given.memory_bytes)
    execution = Execution(
        status=status,
        stdout=report.stdout[: asked.output_bytes],
        stderr=redact(report.stderr.decode("utf-8", "replace")).encode()[: asked.output_bytes],
        exit_code=code if status in (Status.FINISHED, Status.MEMORY_LIMIT) else None,
        time_s=(report.wall_s or 0.0) if report.cpu_s is None else report.cpu_s,
        cpu_measured=report.cpu_s is not None,
        memory_bytes=report.memory_bytes,
        message=redact(report.message),
    )
    if doubt := doubt_of_limits(execution, asked, given) or _doubt_of_death(report, execution):
        raise CannotTell(f"cannot tell how the program ended: {redact(doubt)}", endpoint=endpoint)
    return execution


def _exit_code(report: RunReport) -> int | None:
    if report.signal:
        return -report.signal
    code = report.exit_code
    if code is not None and _SHELL_SIGNAL < code <= _SHELL_SIGNAL + _MOST_SIGNAL:
        return _SHELL_SIGNAL - code
    return code


def _status(report: RunReport, code: int | None, language: str, asked: Limits, memory_bytes: int) -> Status:
    if report.cut or max(len(report.stdout), len(report.stderr)) > asked.output_bytes:
        return Status.OUTPUT_LIMIT
    if report.timed_out or code == -signal.SIGXCPU or (report.cpu_s or 0.0) >= asked.cpu_s:
        return Status.TIME_LIMIT
    full = report.memory_bytes is not None and report.memory_bytes >= _FULL * memory_bytes
    if full and code == -signal.SIGKILL:
        return Status.MEMORY_LIMIT
    if code and died_of_memory_limit(language, code, report.stderr):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _doubt_of_death(report: RunReport, execution: Execution) -> str:
    """Return why the program may have died of something else than its own doing; "" if nothing says so."""
    if execution.status is not Status.FINISHED or execution.exit_code == 0:
        return ""
    if execution.exit_code is None:
        return "it has neither an exit code nor a signal"
    if execution.exit_code == -signal.SIGKILL:
        return "it was killed, and not for its time or memory; is the machine out of memory?"
    return doubt_of_compiler(report.stderr) if execution.exit_code in (126, 127) else ""
