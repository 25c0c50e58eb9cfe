"""From an answer of a Piston server to an execution, or to an error of the endpoint.

Decides between an `Execution` and an `EndpointError`. Pure. It must not know how answers are fetched.

| stage | means |
|---|---|
| compile: code 0 | see run |
| compile: a code, or words cut that name an error | COMPILE_ERROR |
| compile: TO with its CPU time spent | COMPILE_ERROR |
| compile: anything else | nobody can tell |
| run: TO | TIME_LIMIT, unless the server allowed less than was asked for |
| run: OL, EL | OUTPUT_LIMIT if more came than asked for, else nobody can tell: it keeps less |
| run: SIGKILL, or code 137 | MEMORY_LIMIT if memory was full, else nobody can tell |
| run: RE, SG, or code 0 | FINISHED |
| run: FINISHED, and bytes in its output that are no text | nobody can tell: they are lost |
"""

import signal
from collections.abc import Callable
from dataclasses import replace

from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.inconclusive import doubt_of_compiler
from balancer.sandbox.http.isolated import RunReport, execution_of_report
from balancer.sandbox.piston.stdin import UNFED
from balancer.sandbox.piston.wire import ExecuteAnswer, ExecuteRequest, PistonStage

__all__ = ["execution_of_answer"]

_MS = 1000
_CUT = ("OL", "EL")
_REPLACED = "\ufffd"
_REASON_CHARS = 200
_KEPT_BYTES = 2**14


def execution_of_answer(
    answer: ExecuteAnswer,
    request: ExecuteRequest,
    *,
    language: str,
    limits: Limits,
    endpoint: str,
    redact: Callable[[str], str],
) -> Execution:
    """Return what came of the run.

    Args:
        answer: what the server said.
        request: what it was sent, with the limits that it gave.
        language: the program's own language.
        limits: what was asked for.
        endpoint: named in errors.
        redact: takes out of a text what must not be shown; for all but the standard output.

    Raises:
        EndpointError: the server failed; `CannotTell` if its answer does not say how the program ended.
    """
    for stage in (answer.compile, answer.run):
        if stage is not None and stage.status == "XX":
            raise EndpointError(f"the sandbox failed: {_one_line(redact(stage.message or ''))}", endpoint=endpoint)
    if answer.compile is not None and answer.compile.code != 0:
        return _compile_error(answer.compile, limits, endpoint, redact)
    run = answer.run
    printed = max(len(run.stdout.encode()), len(run.stderr.encode()))
    given = replace(
        limits,
        cpu_s=min(limits.cpu_s, request.run_cpu_time / _MS),
        wall_s=min(limits.wall_s, request.run_timeout / _MS),
        memory_bytes=min(limits.memory_bytes, request.run_memory_limit),
        output_bytes=min(limits.output_bytes, printed) if run.status in _CUT else limits.output_bytes,
    )
    execution = execution_of_report(
        _report(run, endpoint), language=language, asked=limits, given=given, endpoint=endpoint, redact=redact
    )
    if execution.status is Status.FINISHED and _REPLACED in run.stdout:
        raise CannotTell("the program printed bytes that are no text, and they are lost", endpoint=endpoint)
    return execution


def _report(stage: PistonStage, endpoint: str) -> RunReport:
    name = stage.signal or ""
    killed = signal.Signals.__members__.get(name)
    if name and killed is None:
        raise EndpointError(f"the answer names a signal {name[:20]!r}", endpoint=endpoint)
    return RunReport(
        stdout=stage.stdout.encode(),
        stderr=stage.stderr.encode(),
        exit_code=stage.code,
        signal=killed,
        timed_out=stage.status == "TO",
        cut=stage.status in _CUT,
        cpu_s=None if stage.cpu_time is None else stage.cpu_time / _MS,
        wall_s=None if stage.wall_time is None else stage.wall_time / _MS,
        memory_bytes=stage.memory,
        message=stage.message or "",
    )


def _compile_error(stage: PistonStage, limits: Limits, endpoint: str, redact: Callable[[str], str]) -> Execution:
    words = redact(stage.stderr or stage.stdout).encode()[:_KEPT_BYTES]
    if UNFED in words:
        raise CannotTell(
            "its package compiles without the flags it is given; leave this language out of languages",
            endpoint=endpoint,
        )
    if stage.status == "TO":
        if (stage.cpu_time or 0.0) >= limits.compile_s * _MS:
            return Execution(
                Status.COMPILE_ERROR, stderr=words, message=f"the compiler was stopped after {limits.compile_s:g} s"
            )
        raise CannotTell("it stopped the compiler before its time was over", endpoint=endpoint)
    if stage.status in _CUT and b"error" in words:
        return Execution(Status.COMPILE_ERROR, stderr=words, message="the compiler's words were cut")
    doubt = doubt_of_compiler(words)
    if doubt or stage.code is None or stage.status in _CUT:
        reason = doubt or stage.message or f"it ended with {stage.signal or stage.status}"
        raise CannotTell(f"cannot compile: {_one_line(redact(reason))}", endpoint=endpoint)
    return Execution(Status.COMPILE_ERROR, stderr=words)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARS] or "no reason given"
