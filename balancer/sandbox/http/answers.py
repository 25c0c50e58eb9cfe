"""Reading of a server's answer: how the program ended, and when the end says nothing about it.

An end that may be the server's own doing (its own limit, an unfit compiler) never becomes a verdict. Pure. A program
can forge the words that are searched for, but only to its own cost: it is not judged.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import IntEnum

from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.languages.memory import died_of_memory_limit

__all__ = ["AnswerContext", "RunReport", "ServerSignal", "execution_of_report"]

_COMPILER_BYTES = 2**14  # of a compiler's messages
_TAIL_BYTES = 2**14
_UNFIT = re.compile(
    rb"unrecognized command[- ]line option"  # a compiler too old for our flags
    rb"|Killed signal terminated program"  # the compiler does not say by what
    rb"|virtual memory exhausted|[Oo]ut of memory|[Cc]annot allocate memory|No space left on device"
    rb"|^\S*(?:run|compile)(?:\.sh)?: line \d+: .*(?:command not found|No such file or directory|cannot execute)",
    re.MULTILINE,
)
_SHELL_SIGNAL = 128
_REPLACED = "\ufffd".encode()
_MOST_SIGNAL = 31  # the last signal with a meaning
_FULL = 0.95  # share of its memory: above it, a program that the kernel killed was out of memory


class ServerSignal(IntEnum):
    """Numbers of signals on Linux, where servers run programs. This process may run elsewhere."""

    SIGKILL = 9
    SIGXCPU = 24
    SIGXFSZ = 25
    SIGSYS = 31


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """Facts about a run that are needed to read its answer: the program's language, its limits, and the server."""

    language: str
    limits: Limits
    server: ServerClient

    def stderr(self, text: str) -> bytes:
        """Return the standard error without secrets."""
        return self.server.redact(text).encode()[: self.limits.output_bytes]

    def compiler_messages(self, text: str) -> bytes:
        """Return the compiler's messages without secrets."""
        return self.server.redact(text).encode()[:_COMPILER_BYTES]

    def decoded(self, text: str | None) -> bytes:
        """Return the bytes of a base64 text, which may have line breaks. Raises EndpointError if it is none."""
        try:
            return base64.b64decode("".join((text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.server.failed("the answer is malformed: a text is not base64") from None

    def compile_error(self, messages: bytes) -> Execution:
        """Return the end of a program that the compiler refuses. Raises CannotTell if `messages` show an unfit
        compiler.
        """
        if doubt := _unfit_compiler(messages):
            raise self.server.cannot_tell(f"cannot compile: {doubt}")
        return Execution(Status.COMPILE_ERROR, stderr=messages)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A server's report of the end of a program.

    Judge0 and Piston return what isolate says of a shell script that starts the program. The exit code is the script's.
    If a signal killed the program, it is 128 plus the number of the signal. A program that exits with such a code looks
    the same. Both are run-time errors.

    Attributes:
        stdout, stderr: output of the program.
        exit_code: of the program or its script; None if it has none.
        signal: that killed it, if one did.
        timed_out: whether the server stopped it for CPU or wall time.
        truncated: whether the server cut the output.
        starved: whether the server stopped it for its memory.
        by_script: whether it is about a script, so that the server's own limits may look like the program's doing.
        text_only: whether the server replaces bytes that are not text by U+FFFD.
        cpu_s: CPU time; None if the server does not say.
        wall_s: wall time; None if the server does not say.
        memory_bytes: peak memory; None if the server does not say.
        message: the server's words.
        compile_s, server_s: wall time of compiling, and of the whole request; None if the server does not say.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    signal: int | None = None
    timed_out: bool = False
    truncated: bool = False
    starved: bool = False
    by_script: bool = True
    text_only: bool = False
    cpu_s: float | None = None
    wall_s: float | None = None
    memory_bytes: int | None = None
    message: str = ""
    compile_s: float = 0.0
    server_s: float | None = None


def execution_of_report(report: RunReport, context: AnswerContext, given: Limits | None = None) -> Execution:
    """Return the end of the run. `given` are the limits that the server applied, if they may differ from the run's.

    Raises:
        CannotTell: the server may have caused the end.
    """
    given = given or context.limits
    code = _exit_code(report)
    status = _status(report, code, context, given.memory_bytes)
    context.server.check_output(report.stdout)
    execution = Execution(
        status=status,
        stdout=report.stdout[: context.limits.output_bytes],
        stderr=context.stderr(report.stderr.decode("utf-8", "replace")),
        exit_code=code if status in (Status.FINISHED, Status.MEMORY_LIMIT) else None,
        time_s=(report.wall_s or 0.0) if report.cpu_s is None else report.cpu_s,
        cpu_measured=report.cpu_s is not None,
        memory_bytes=report.memory_bytes,
        message=context.server.redact(report.message),
        compile_s=report.compile_s,
        server_s=report.server_s,
    )
    doubt = _doubt_of_limits(execution, context.limits, given) or _doubt_of_death(report, execution)
    if report.by_script and doubt:
        raise context.server.cannot_tell(f"cannot tell how the program ended: {doubt}")
    if report.text_only and status is Status.FINISHED and _REPLACED in report.stdout:
        raise context.server.cannot_tell("the program printed bytes that are not text, and the server lost them")
    return execution


def _exit_code(report: RunReport) -> int | None:
    if report.signal:
        return -report.signal
    code = report.exit_code
    if report.by_script and code is not None and _SHELL_SIGNAL < code <= _SHELL_SIGNAL + _MOST_SIGNAL:
        return _SHELL_SIGNAL - code
    return code


def _status(report: RunReport, code: int | None, context: AnswerContext, memory_bytes: int) -> Status:
    limits = context.limits
    if report.truncated or max(len(report.stdout), len(report.stderr)) > limits.output_bytes:
        return Status.OUTPUT_LIMIT
    if report.timed_out or code == -ServerSignal.SIGXCPU or (report.cpu_s or 0.0) >= limits.cpu_s:
        return Status.TIME_LIMIT
    full = report.memory_bytes is not None and report.memory_bytes >= _FULL * memory_bytes
    if report.starved or (full and report.by_script and code == -ServerSignal.SIGKILL):
        return Status.MEMORY_LIMIT
    if code and died_of_memory_limit(context.language, code, report.stderr):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _unfit_compiler(messages: bytes) -> str:
    """Return why the compiler, or the script that starts a program, could not work; "" if there is no sign of that."""
    found = _UNFIT.search(messages[-_TAIL_BYTES:])
    return found[0].decode("utf-8", "replace").strip() if found else ""


def _doubt_of_limits(execution: Execution, asked: Limits, given: Limits) -> str:
    """Return why the end says nothing: `given` is less than `asked`; "" if it says something."""
    limits = {
        Status.TIME_LIMIT: [("cpu_s", "s of CPU time"), ("wall_s", "s of wall time")],
        Status.MEMORY_LIMIT: [("memory_bytes", "bytes of memory")],
        Status.OUTPUT_LIMIT: [("output_bytes", "bytes of output")],
    }
    if execution.status is Status.TIME_LIMIT and execution.cpu_measured and execution.time_s >= asked.cpu_s:
        return ""
    for name, unit in limits.get(execution.status, []):
        if (most := getattr(given, name)) < (wanted := getattr(asked, name)):
            return f"its limit is {most:g} {unit}; {wanted:g} were requested"
    return ""


def _doubt_of_death(report: RunReport, execution: Execution) -> str:
    """Return why something else may have ended the program; "" if there is no sign of that."""
    if execution.status is not Status.FINISHED or execution.exit_code == 0:
        return ""
    if execution.exit_code is None:
        return "it has neither an exit code nor a signal"
    if execution.exit_code == -ServerSignal.SIGKILL:
        return "it was killed, but not by its limits of time or memory; is the machine out of memory?"
    return _unfit_compiler(report.stderr) if execution.exit_code in (126, 127) else ""
