"""What the server says about a run: from a request to an answer, in SandboxFusion's words.

Decides how limits of a request become limits here, and how an `Execution` is told. Pure but for running the
program. It must not know HTTP.
"""

import base64
import binascii
import codecs

from balancer.errors import EndpointError
from balancer.program import Execution, Executor, Limits, Program, Status
from balancer.sandbox.fusion.wire import CommandResult, CommandStatus, RunCodeAnswer, RunCodeRequest, RunStatus
from balancer.sandbox.local.languages import LANGUAGES

__all__ = ["answer_to"]

_MEBIBYTE = 2**20
_NO_LIMIT_BYTES = 4 * 2**30  # for memory_limit_MB = -1: a program cannot have all of the machine
_KILLED = -9

_COMMAND_STATUS = {
    Status.FINISHED: CommandStatus.FINISHED,
    Status.MEMORY_LIMIT: CommandStatus.FINISHED,
    Status.OUTPUT_LIMIT: CommandStatus.FINISHED,
    Status.TIME_LIMIT: CommandStatus.TIME_LIMIT,
}


def answer_to(request: RunCodeRequest, executor: Executor) -> RunCodeAnswer:
    """Run the program of `request` and return the answer.

    Raises:
        ValueError: the request asks for something that cannot be done.
    """
    if request.language not in executor.languages:
        raise ValueError(f"language {request.language!r} is not known; known are {sorted(executor.languages)}")
    if request.fetch_files:
        raise ValueError("fetch_files is not supported: a program's files vanish with it")
    program = Program(request.language, request.code)
    try:
        execution = executor.run(program, (request.stdin or "").encode(), _limits(request), _files(request))
    except EndpointError as error:
        return RunCodeAnswer(status=RunStatus.SANDBOX_ERROR, message=error.reason)
    return _answer(execution, compiled=bool(LANGUAGES[request.language].compile))


def _limits(request: RunCodeRequest) -> Limits:
    """Return the limits that `request` names.

    We can measure CPU time, so that is what `run_timeout` bounds. Wall time is bounded by `wall_timeout`; a client
    that does not know this field means wall time by `run_timeout`.
    """
    memory = request.memory_limit_MB
    return Limits(
        cpu_s=request.run_timeout,
        wall_s=request.wall_timeout or request.run_timeout,
        compile_s=request.compile_timeout,
        memory_bytes=memory * _MEBIBYTE if memory > 0 else _NO_LIMIT_BYTES,
        output_bytes=request.output_limit or Limits().output_bytes,
    )


def _files(request: RunCodeRequest) -> dict[str, bytes]:
    files = {}
    for name, content in request.files.items():
        if content is None:
            continue
        try:
            files[name] = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ValueError(f"file {name!r} is not base64: {error}") from error
    return files


def _answer(execution: Execution, *, compiled: bool) -> RunCodeAnswer:
    built: CommandResult | None = None
    ran: CommandResult | None = None
    if execution.status is Status.COMPILE_ERROR:
        built = _command(1, stderr=_text(execution.stderr))
    else:
        built = _command(0) if compiled else None
        ran = _run_result(execution)
    well = all(result.went_well for result in (built, ran) if result is not None)
    return RunCodeAnswer(
        status=RunStatus.SUCCESS if well else RunStatus.FAILED,
        message=execution.message,
        compile_result=built,
        run_result=ran,
    )


def _command(return_code: int, *, stderr: str = "") -> CommandResult:
    return CommandResult(
        status=CommandStatus.FINISHED, execution_time=0.0, return_code=return_code, stdout="", stderr=stderr
    )


def _run_result(execution: Execution) -> CommandResult:
    cut = execution.status is Status.OUTPUT_LIMIT
    return CommandResult(
        status=_COMMAND_STATUS[execution.status],
        execution_time=execution.time_s,
        return_code=_KILLED if cut else execution.exit_code,
        stdout=_text(execution.stdout, cut=cut),
        stderr=_text(execution.stderr, cut=cut),
        cpu_time=execution.time_s if execution.cpu_measured else None,
        peak_memory=execution.memory_bytes,
        output_cut=cut,
    )


def _text(data: bytes, *, cut: bool = False) -> str:
    """Return `data` as SandboxFusion would; a character that was cut in two at the end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError as error:
        return f"[DecodeError] {error}"
