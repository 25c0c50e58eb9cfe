"""From an answer of a go-judge server to an execution, or to an error of the endpoint.

Decides between an `Execution` and an `EndpointError`. Pure. It must not know how answers are fetched.

| status | of a program | of a compiler |
|---|---|---|
| Accepted, Nonzero Exit Status | FINISHED with its code | made, or COMPILE_ERROR |
| Signalled, Dangerous Syscall | FINISHED, killed by that signal | by SIGKILL: the endpoint failed; else COMPILE_ERROR |
| Time Limit Exceeded | TIME_LIMIT | COMPILE_ERROR if its CPU time is spent, else the endpoint is busy |
| Memory Limit Exceeded | MEMORY_LIMIT | COMPILE_ERROR |
| Output Limit Exceeded, or more output than asked for | OUTPUT_LIMIT | COMPILE_ERROR |
| File Error | the endpoint failed | COMPILE_ERROR if only the program is missing, else the endpoint failed |
| Internal Error | the endpoint failed | the endpoint failed |
"""

import signal
from collections.abc import Callable

from balancer.errors import CannotTell, EndpointError, EndpointOverloaded
from balancer.program import Execution, Limits, Status
from balancer.sandbox.gojudge.wire import GoJudgeStatus, Result
from balancer.sandbox.http.builds import PROGRAM
from balancer.sandbox.http.inconclusive import doubt_of_compiler
from balancer.sandbox.local.status import died_of_memory_limit

__all__ = ["execution_of_result", "is_altered", "refusal_of_result"]

_NANO = 10**9
_REASON_CHARS = 200
_KEPT_BYTES = 2**14
_TOO_LONG = "CollectSizeExceeded"
_NOT_THERE = "CopyOutOpen"
_REPLACED = "\ufffd"  # what JSON has where the bytes are no text


def is_altered(result: Result, limits: Limits) -> bool:
    """Tell whether the output may have been other bytes than JSON has, and is needed whole."""
    return _REPLACED in (result.files or {}).get("stdout", "") and not _too_much(result, b"", b"", limits)


def execution_of_result(
    result: Result, stdout: bytes | None, *, language: str, limits: Limits, endpoint: str, redact: Callable[[str], str]
) -> Execution:
    """Return what came of a run.

    Args:
        result: what the server said.
        stdout: the output where the server kept it as a file, else None.
        language: the program's language.
        limits: what was asked for.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        EndpointError: the server failed.
    """
    _check(result, endpoint, redact)
    printed = result.files or {}
    out = printed.get("stdout", "").encode() if stdout is None else stdout
    err = printed.get("stderr", "").encode()
    code = _exit_code(result)
    status = _status(result, out, err, code, language, limits)
    return Execution(
        status=status,
        stdout=out[: limits.output_bytes],
        stderr=redact(err.decode("utf-8", "replace")).encode()[: limits.output_bytes],
        exit_code=code if _ended_by_itself(status, result) else None,
        time_s=result.time / _NANO,
        cpu_measured=True,
        memory_bytes=result.memory,
        message=redact(result.error),
    )


def refusal_of_result(
    result: Result, *, compile_s: float, endpoint: str, redact: Callable[[str], str]
) -> Execution | None:
    """Return the compile error that `result` is; None if the compiler made a program.

    Raises:
        EndpointError: the compiler could not do its part, so nothing is known about the program; `CannotTell` if only
            its words say so, and `EndpointOverloaded` if it had too little of the CPU.
    """
    if result.status is GoJudgeStatus.ACCEPTED and (result.fileIds or {}).get(PROGRAM):
        return None
    printed = result.files or {}
    text = redact(printed.get("stderr") or printed.get("stdout") or "")
    words = text.encode()[:_KEPT_BYTES]
    unmade = all(each.name == PROGRAM and each.type == _NOT_THERE for each in result.fileError or ())
    message = {
        GoJudgeStatus.TIME_LIMIT: f"the compiler was stopped after {compile_s:g} s",
        GoJudgeStatus.MEMORY_LIMIT: "the compiler was stopped for its memory",
        GoJudgeStatus.OUTPUT_LIMIT: "the compiler was stopped for its messages",
        GoJudgeStatus.FILE_ERROR: "the compiler made no program",
    }.get(result.status, "")
    if result.status is GoJudgeStatus.TIME_LIMIT and result.time < compile_s * _NANO:
        raise EndpointOverloaded(f"too busy to compile within {result.runTime / _NANO:.1f} s", endpoint=endpoint)
    if result.status is not GoJudgeStatus.FILE_ERROR or not unmade:
        _check(result, endpoint, redact)
    if result.status is GoJudgeStatus.SIGNALLED and result.exitStatus == signal.SIGKILL:
        raise EndpointError("the compiler was killed from outside; is the machine out of memory?", endpoint=endpoint)
    if result.status is GoJudgeStatus.ACCEPTED:
        raise EndpointError("the answer contradicts itself: a compiler ended well, and its file is not there")
    if result.status is GoJudgeStatus.NONZERO and (doubt := doubt_of_compiler(words)):
        raise CannotTell(f"cannot compile: {doubt}", endpoint=endpoint)
    return Execution(Status.COMPILE_ERROR, stderr=words, message=message)


def _check(result: Result, endpoint: str, redact: Callable[[str], str]) -> None:
    if result.status in (GoJudgeStatus.INTERNAL_ERROR, GoJudgeStatus.FILE_ERROR):
        reason = " ".join(redact(result.error).split())[:_REASON_CHARS] or "no reason given"
        raise EndpointError(f"the sandbox failed: {result.status.value}: {reason}", endpoint=endpoint)


def _exit_code(result: Result) -> int:
    if result.status is GoJudgeStatus.SYSCALL:
        return -signal.SIGSYS
    return -result.exitStatus if result.status is GoJudgeStatus.SIGNALLED else result.exitStatus


def _ended_by_itself(status: Status, result: Result) -> bool:
    return status is Status.FINISHED or (
        status is Status.MEMORY_LIMIT and result.status is not GoJudgeStatus.MEMORY_LIMIT
    )


def _status(result: Result, out: bytes, err: bytes, code: int, language: str, limits: Limits) -> Status:
    if _too_much(result, out, err, limits):
        return Status.OUTPUT_LIMIT
    if result.status is GoJudgeStatus.TIME_LIMIT or result.time >= limits.cpu_s * _NANO:
        return Status.TIME_LIMIT
    if result.status is GoJudgeStatus.MEMORY_LIMIT or (code and died_of_memory_limit(language, code, err)):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _too_much(result: Result, out: bytes, err: bytes, limits: Limits) -> bool:
    if result.status is GoJudgeStatus.OUTPUT_LIMIT or max(len(out), len(err)) > limits.output_bytes:
        return True
    return any(each.type == _TOO_LONG for each in result.fileError or ())
