"""From an answer of a SandboxFusion server to an execution, or to an error of the endpoint.

Decides between an `Execution` and an `EndpointError`. Pure. It must not know how answers are fetched, nor what the
words of a script mean (`told`).

| answer | means |
|---|---|
| SandboxError, or any command "Error" | the endpoint failed |
| an answer that contradicts itself | the endpoint failed |
| compile_result not finished with 0 | COMPILE_ERROR; doubtful if time ran out, as that was wall time |
| run_result TimeLimitExceeded | TIME_LIMIT, partial output kept |
| run_result Finished | FINISHED with its code, or MEMORY_LIMIT by its last words |
| more output than the server can be trusted with | OUTPUT_LIMIT, whatever else it says |

Output that is not UTF-8 comes as the text "[DecodeError] ..." with Success, from a server that runs the program
natively. It stays what it is: the program printed something that no text checker takes for the answer, and the verdict
is a wrong answer. Scripts and our own servers pass any bytes.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Status
from balancer.sandbox.fusion.wire import CommandResult, CommandStatus, RunCodeAnswer, RunStatus
from balancer.sandbox.local.status import died_of_memory_limit

__all__ = ["TRUSTED_BYTES", "execution_of_answer", "flaw_in"]

# SandboxFusion reads a pipe through asyncio, which stops reading once it holds more than twice its limit of
# 64 KiB, and then takes only what it holds. What is printed beyond is lost without a word, at a length that
# depends on timing (135 168 to 303 104 bytes seen; 219 264 if all comes in one write), and a program that
# prints much more hangs until its time limit. Up to twice the limit nothing is ever lost.
TRUSTED_BYTES = 2 * 2**16

_REASON_CHARS = 200


def execution_of_answer(
    answer: RunCodeAnswer,
    *,
    language: str,
    limits: Limits,
    endpoint: str,
    redact: Callable[[str], str] = str,
) -> Execution:
    """Return what came of the run.

    Args:
        answer: what the server said.
        language: the program's own language.
        limits: what was asked for.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        EndpointError: the server failed, or its answer makes no sense.
    """
    flaw = flaw_in(answer, redact)
    if flaw:
        raise EndpointError(flaw, endpoint=endpoint)
    built = answer.compile_result
    if built is not None and not built.went_well:
        return replace(_compile_error(built, answer.message, redact), server_s=_server_s(answer))
    assert answer.run_result is not None  # else it has a flaw
    compile_s = built.execution_time or 0.0 if built is not None else 0.0
    execution = _execution(answer.run_result, answer.message, language, limits, redact)
    return replace(execution, compile_s=compile_s, server_s=_server_s(answer))


def _server_s(answer: RunCodeAnswer) -> float | None:
    """Return how long the server says that it took; None if it does not say.

    SandboxFusion tells wall time by command. One that tells CPU time as well, as ours of an earlier version does, means
    that by both.
    """
    if answer.server_s is not None:
        return answer.server_s
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    told = [each.execution_time for each in results if each.execution_time is not None and each.cpu_time is None]
    return sum(told) if len(told) == len(results) else None


def flaw_in(answer: RunCodeAnswer, redact: Callable[[str], str]) -> str:
    """Return what is wrong with the server or its answer; "" if it says something about the program."""
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    if answer.status is RunStatus.SANDBOX_ERROR:
        return f"the sandbox failed: {_one_line(redact(answer.message))}"
    if any(result.status is CommandStatus.ERROR for result in results):
        return f"the sandbox could not start a command: {_one_line(redact(results[-1].stderr or ''))}"
    if any((result.return_code is None) != (result.status is CommandStatus.TIME_LIMIT) for result in results):
        return "the answer contradicts itself: a command has a return code exactly if it finished"
    if answer.run_result is None and (answer.compile_result is None or answer.compile_result.went_well):
        return "the answer has no run_result"
    if (answer.status is RunStatus.SUCCESS) != all(result.went_well for result in results):
        return f"the answer contradicts itself: status {answer.status.value} with other results"
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARS] or "no reason given"


def _compile_error(result: CommandResult, message: str, redact: Callable[[str], str]) -> Execution:
    late = result.status is CommandStatus.TIME_LIMIT
    took_s = result.execution_time or 0.0
    return Execution(
        Status.COMPILE_ERROR,
        stderr=redact(result.stderr or result.stdout or "").encode(),
        message=redact(message) or (f"the compiler was stopped after {took_s:.1f} s" if late else ""),
        compile_s=took_s,
        doubtful=late,
    )


def _execution(
    result: CommandResult, message: str, language: str, limits: Limits, redact: Callable[[str], str]
) -> Execution:
    stdout, stderr = _printed(result), (result.stderr or "").encode()
    status = _status(result, stdout, stderr, language, limits)
    return Execution(
        status=status,
        stdout=stdout[: limits.output_bytes],
        stderr=redact(result.stderr or "").encode()[: limits.output_bytes],
        exit_code=result.return_code if status in (Status.FINISHED, Status.MEMORY_LIMIT) else None,
        time_s=result.execution_time or 0.0 if result.cpu_time is None else result.cpu_time,
        cpu_measured=result.cpu_time is not None,
        memory_bytes=result.peak_memory,
        message=redact(message),
    )


def _printed(result: CommandResult) -> bytes:
    """Return the standard output: its bytes, from a server that tells them."""
    if result.stdout_base64 is not None:
        try:
            return base64.b64decode(result.stdout_base64, validate=True)
        except binascii.Error:
            pass
    return (result.stdout or "").encode()


def _status(result: CommandResult, stdout: bytes, stderr: bytes, language: str, limits: Limits) -> Status:
    if _too_much(result, max(len(stdout), len(stderr)), limits):
        return Status.OUTPUT_LIMIT
    if result.status is CommandStatus.TIME_LIMIT:
        return Status.TIME_LIMIT
    if result.return_code and died_of_memory_limit(language, result.return_code, stderr):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _too_much(result: CommandResult, printed: int, limits: Limits) -> bool:
    """Tell whether output was cut: as the server says, or as it must be feared of one that does not say."""
    if printed > limits.output_bytes:
        return True
    return printed > TRUSTED_BYTES if result.output_cut is None else result.output_cut
