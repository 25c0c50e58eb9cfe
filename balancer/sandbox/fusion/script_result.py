"""Read the report of a script on a SandboxFusion server: what it means for the program that it ran.

Decides how far they are believed. Pure. A program can forge its exit code and its CPU time, so these are believed where
they are to its own cost: CPU time beyond the limit is a time limit. A program whose wall time is beyond the limit is
never taken for one that was fast enough on its own word: that is a late time limit, which does not count until another
look says more (`balancer.judging.suspicion`). The wall time is what the server measured, less what compiling
took, which was said before the program began.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Status
from balancer.sandbox.fusion.script import OUTPUT, WORDS
from balancer.sandbox.fusion.wire import CommandResult, CommandStatus
from balancer.sandbox.local.status import died_of_memory_limit

__all__ = ["ScriptResult", "has_words", "script_result_of"]

_HONEST, _START_S = 1.1, 0.1  # an honest run takes so many times the limit at most, and so many seconds to start
_KILLED = 137
_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What a script has told.

    Attributes:
        execution: what came of the run.
        sha256: hash of the binary that was made, or found; "" if there is none.
    """

    execution: Execution
    sha256: str = ""


def script_result_of(
    result: CommandResult,
    files: Mapping[str, str],
    *,
    language: str,
    compiles: bool,
    limits: Limits,
    endpoint: str,
    redact: Callable[[str], str] = str,
) -> ScriptResult:
    """Return what came of a run by a script.

    Args:
        result: what the server says of the script.
        files: those that it fetched, in base64.
        language: of the program.
        compiles: whether the script had to compile it.
        limits: of the run.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        EndpointError: the server did not run the script.
    """
    words = _words(result)
    output = _file(files, OUTPUT)
    said = redact(_file(files, WORDS).decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    total_s = result.execution_time or 0.0
    late = result.status is CommandStatus.TIME_LIMIT
    compiled, *words = words if compiles and words else [[], *words]
    if compiles:
        refused = _refused(compiled, said, late=late, total_s=total_s, limits=limits)
        if refused is not None:
            return ScriptResult(refused)
    elif not words and not late and not _went_or_was_killed(result.return_code):
        raise EndpointError(f"the script did not run: exit code {result.return_code}", endpoint=endpoint)
    compile_s = _number(compiled, 2)
    wall_s = max(0.0, total_s - compile_s)
    # A script that was killed has said nothing, whatever stands there.
    whole = result.return_code == 0 and len(words) == 1 and words[0][:1] == ["ran"] and len(words[0]) == 7
    ran = words[0] if whole else []
    status, exit_code, message = _end(ran, said, language, limits, wall_s=wall_s, late=late)
    used_s = _number(ran, 3) + _number(ran, 4)
    measured = bool(ran) and not (status is Status.TIME_LIMIT and used_s < limits.cpu_s and _number(ran, 1) != _KILLED)
    return ScriptResult(
        Execution(
            status=status,
            stdout=output[: limits.output_bytes],
            stderr=said[: limits.output_bytes],
            exit_code=exit_code,
            time_s=used_s if measured else wall_s,
            cpu_measured=measured,
            message=message,
            compile_s=compile_s,
            doubtful=not ran and not late,  # somebody killed the script: the program, or a machine without memory
            server_s=result.execution_time,
        ),
        compiled[5] if len(compiled) == 6 else "",
    )


def has_words(result: CommandResult) -> bool:
    """Return whether a script has said anything: one that came to its end has."""
    return bool(_words(result))


def _words(result: CommandResult) -> list[list[str]]:
    return [line.split()[1:] for line in (result.stdout or "").splitlines() if line.startswith("balancer ")]


def _refused(compiled: list[str], said: bytes, *, late: bool, total_s: float, limits: Limits) -> Execution | None:
    """Return the end of a program that was not compiled; None if it was."""
    if compiled[:2] == ["compiled", "0"]:
        return None
    used_s = _number(compiled, 3) + _number(compiled, 4)
    took_s = _number(compiled, 2) or total_s
    message, doubtful = "", False
    if used_s >= limits.compile_s:
        message = f"the compiler took too long: {used_s:.1f} s of CPU time, and {limits.compile_s:g} s are allowed"
    elif late:
        message, doubtful = f"the compiler was stopped after {total_s:.1f} s", True
    elif not compiled or _number(compiled, 1) == _KILLED:
        message, doubtful = "the compiler was killed, as for memory", True
    return Execution(Status.COMPILE_ERROR, stderr=said, message=message, compile_s=took_s, doubtful=doubtful)


def _end(
    ran: list[str], said: bytes, language: str, limits: Limits, *, wall_s: float, late: bool
) -> tuple[Status, int | None, str]:
    """Return status, exit code and message of a program that was started."""
    if not ran:
        return (Status.TIME_LIMIT, None, f"wall time: {wall_s:.1f} s") if late else (Status.FINISHED, -9, "killed")
    code, used_s = int(_number(ran, 1)), _number(ran, 3) + _number(ran, 4)
    if max(_number(ran, 5), _number(ran, 6)) > limits.output_bytes:
        return Status.OUTPUT_LIMIT, None, f"output: more than {limits.output_bytes} bytes"
    if used_s >= limits.cpu_s:
        return Status.TIME_LIMIT, None, f"CPU time: {used_s:.3f} s of {limits.cpu_s:g} s"
    if code == _KILLED and wall_s >= limits.wall_s:
        return Status.TIME_LIMIT, None, f"wall time: {limits.wall_s:g} s"
    if wall_s > _HONEST * limits.cpu_s + _START_S:
        return Status.TIME_LIMIT, None, f"wall time: {wall_s:.2f} s, of which it says that {used_s:.2f} s were its own"
    exit_code = 128 - code if code in _SIGNALS else code
    if exit_code and died_of_memory_limit(language, exit_code, said):
        return Status.MEMORY_LIMIT, exit_code, f"memory: {limits.memory_bytes} bytes were not enough"
    return Status.FINISHED, exit_code, ""


def _went_or_was_killed(code: int | None) -> bool:
    """Return whether a script that said nothing may have been silenced by its program, by whatever signal."""
    return not code or code < 0 or code in _SIGNALS


def _number(words: list[str], index: int) -> float:
    """Return a number among `words`; 0 if there is none, and never one below 0."""
    try:
        number = float(words[index].replace(",", "."))  # some locales have a comma
    except (IndexError, ValueError):
        return 0.0
    return number if 0 <= number < 1e12 else 0.0


def _file(files: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(files.get(name, ""), validate=True)
    except binascii.Error:
        return b""
