"""From an answer of a Judge0 server to an execution, or to an error of the endpoint.

Decides between an `Execution` and an `EndpointError`. Pure. It must not know how answers are fetched.

| status | means |
|---|---|
| Accepted, Runtime Error | FINISHED with its code; but see the next three |
| output as long as a file may be | OUTPUT_LIMIT, unless the server allows less than was asked for |
| SIGKILL, or code 137 | MEMORY_LIMIT if memory was full, else nobody can tell |
| SIGXFSZ with little output | nobody can tell: another file was larger than it allows |
| Time Limit Exceeded | TIME_LIMIT, unless the server allows less than was asked for |
| Compilation Error | COMPILE_ERROR, unless the compiler ran out of time or could not do its part |
| Wrong Answer, Internal Error, Exec Format Error | the endpoint failed |
"""

import base64
import binascii
import signal
from collections.abc import Callable

from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.inconclusive import doubt_of_compiler
from balancer.sandbox.http.isolated import RunReport, execution_of_report
from balancer.sandbox.judge0.request import Judge0Request
from balancer.sandbox.judge0.wire import Judge0Status, SubmissionAnswer

__all__ = ["execution_of_answer", "text_of"]

_KILO = 1024
_REASON_CHARS = 200
_KEPT_BYTES = 2**14
_OUT_OF_TIME = b"Compilation time limit exceeded"
_FAILED = (Judge0Status.WRONG_ANSWER, Judge0Status.INTERNAL_ERROR, Judge0Status.EXEC_FORMAT_ERROR)


def execution_of_answer(
    answer: SubmissionAnswer,
    asked: Judge0Request,
    *,
    language: str,
    limits: Limits,
    endpoint: str,
    redact: Callable[[str], str],
) -> Execution:
    """Return what came of the run.

    Args:
        answer: what the server said of a submission that is over.
        asked: what it was sent, with the limits that it gave.
        language: the program's own language.
        limits: what was asked for.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        EndpointError: the server failed; `CannotTell` if its answer does not say how the program ended.
    """
    state = answer.status.id
    message = redact(text_of(answer.message, endpoint).decode("utf-8", "replace"))
    if state in _FAILED or not answer.is_over:
        name = state.name.lower().replace("_", " ")
        reason = " ".join(message.split())[:_REASON_CHARS] or "no reason given"
        raise EndpointError(f"the sandbox failed: {name}: {reason}", endpoint=endpoint)
    if state is Judge0Status.COMPILATION_ERROR:
        return _compile_error(text_of(answer.compile_output, endpoint), endpoint, redact)
    stdout = text_of(answer.stdout, endpoint)
    most = asked.body.max_file_size * _KILO
    killed = answer.exit_signal or None
    if signal.SIGXFSZ in (killed, (answer.exit_code or 0) - 128) and len(stdout) < most:
        raise CannotTell(f"cannot tell how the program ended: it wrote more than {most} bytes", endpoint=endpoint)
    report = RunReport(
        stdout=stdout,
        stderr=text_of(answer.stderr, endpoint),
        exit_code=None if killed else answer.exit_code,
        signal=killed,
        timed_out=state is Judge0Status.TIME_LIMIT,
        cut=len(stdout) >= most,
        cpu_s=answer.time,
        wall_s=answer.wall_time,
        memory_bytes=None if answer.memory is None else int(answer.memory * _KILO),
        message=message,
    )
    return execution_of_report(
        report, language=language, asked=limits, given=asked.given, endpoint=endpoint, redact=redact
    )


def text_of(encoded: str | None, endpoint: str) -> bytes:
    """Return the bytes of a text. Raises EndpointError if it is not base64."""
    try:
        return base64.b64decode("".join((encoded or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise EndpointError("the answer is malformed: a text is not base64", endpoint=endpoint) from None


def _compile_error(printed: bytes, endpoint: str, redact: Callable[[str], str]) -> Execution:
    words = redact(printed.decode("utf-8", "replace")).encode()[:_KEPT_BYTES]
    if words.strip().startswith(_OUT_OF_TIME):
        raise CannotTell("it stopped the compiler for its time, by its own limit", endpoint=endpoint)
    if doubt := doubt_of_compiler(words):
        raise CannotTell(f"cannot compile: {redact(doubt)}", endpoint=endpoint)
    return Execution(Status.COMPILE_ERROR, stderr=words)
