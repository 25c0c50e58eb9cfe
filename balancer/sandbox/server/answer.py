"""Answers to run requests: SandboxFusion's request to a run of a program, and the execution to its answer.

Also converts the limits of a request. Pure, except that `answer_to` runs the program.
"""

import base64
import binascii
import codecs
import time
from collections.abc import Mapping
from typing import Protocol

from pydantic import ValidationError

from balancer.errors import EndpointError
from balancer.program import Execution, Executor, Limits, Program, Status
from balancer.sandbox.http.builds import encoded, utf8_text
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.run_code import (
    CommandResult,
    CommandStatus,
    FusionRun,
    RunCodeAnswer,
    RunCodeRequest,
    RunStatus,
)
from balancer.values.json_size import json_values_in

__all__ = ["StoppableExecutor", "answer_of", "answer_to", "is_json", "is_of_web_page", "read_request", "run_of"]

_MEBIBYTE = 2**20
_LARGEST_OUTPUT_BYTES = 32 * 2**20  # what a request may ask for, of stdout, and of stderr
_NO_LIMIT_BYTES = 4 * 2**30  # for memory_limit_MB = -1: a program may not use all memory
_KILLED = -9
_MOST_VALUES = 50_000
_FEW_BYTES = 2**18  # a smaller body cannot have enough values to matter
_MOST_FILES = 4096
_ARGUMENT_BYTES, _ARGUMENTS_BYTES = 2**17 - 2**12, 2**20  # Linux takes 128 KiB and, with the environment, 2 MiB

_COMMAND_STATUS = {
    Status.FINISHED: CommandStatus.FINISHED,
    Status.MEMORY_LIMIT: CommandStatus.FINISHED,
    Status.OUTPUT_LIMIT: CommandStatus.FINISHED,
    Status.TIME_LIMIT: CommandStatus.TIME_LIMIT,
}


class StoppableExecutor(Executor, Protocol):
    """An executor whose runs can be stopped: see `LocalExecutor.run`."""

    def run(
        self,
        program: Program,
        stdin: bytes,
        limits: Limits,
        files: Mapping[str, bytes],
        *,
        stop: int | None = None,
    ) -> Execution:
        """Run `program`; kill it when the file descriptor `stop` becomes readable."""
        ...


def is_of_web_page(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sent a request for a page of another site; of `headers` the names are in lower case."""
    return "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def is_json(headers: Mapping[str, str]) -> bool:
    """Return whether `headers` announce JSON, which no form of a web page can send without asking first."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def read_request(body: bytes | bytearray) -> RunCodeRequest:
    """Return the request in `body`.

    Raises:
        ValueError: it is none, or has too many values; in one line.
    """
    values = json_values_in(body, at_most=_MOST_VALUES) if len(body) > _FEW_BYTES else 0
    if values > _MOST_VALUES:
        raise ValueError(f"the body has {values} values or more; at most {_MOST_VALUES} are allowed")
    try:
        return RunCodeRequest.model_validate_json(body)
    except ValidationError as error:
        first, *more = error.errors(include_url=False, include_context=False, include_input=False)
        where = ".".join(str(part) for part in first["loc"][:4])
        also = f" (and {len(more)} more)" if more else ""
        raise ValueError(f"{where[:200] or 'the body'}: {first['msg']}{also}") from None


def answer_to(request: RunCodeRequest, executor: StoppableExecutor, *, stop: int | None = None) -> RunCodeAnswer:
    """Run the program of `request` and return the answer.

    Args:
        request: from the client.
        executor: runs the program.
        stop: a file descriptor that becomes readable when the client has gone.

    Raises:
        ValueError: the request asks for something that cannot be done.
    """
    run = run_of(request)
    if request.language not in executor.languages:
        raise ValueError(f"language {request.language!r} is not known; known are {sorted(executor.languages)}")
    began_s = time.monotonic()
    try:
        execution = executor.run(run.program, run.stdin, run.limits, run.files, stop=stop)
    except EndpointError as error:
        return RunCodeAnswer(status=RunStatus.SANDBOX_ERROR, message=error.reason)
    answer = answer_of(execution, request.language)
    return answer.model_copy(update={"server_s": time.monotonic() - began_s})


def run_of(request: RunCodeRequest) -> FusionRun:
    """Return the run that `request` asks for.

    Raises:
        ValueError: it asks for something that cannot be done.
    """
    _check(request)
    code, stdin = request.code, (request.stdin or "").encode()
    if request.source_base64 is not None:
        code = _decoded("source_base64", request.source_base64).decode("utf-8", "surrogateescape")
    if request.stdin_base64 is not None:
        stdin = _decoded("stdin_base64", request.stdin_base64)
    extras = tuple((name, _decoded(f"file {name!r}", content)) for name, content in request.extras.items())
    files = {n: _decoded(f"file {n!r}", content) for n, content in request.files.items() if content is not None}
    return FusionRun(Program(request.language, code, "", tuple(request.args), extras), stdin, _limits(request), files)


def _check(request: RunCodeRequest) -> None:
    """Raise ValueError for a request that no machine could run, so that it does not count as a failure of this one."""
    if request.fetch_files:
        raise ValueError("fetch_files has names; this server returns no files, so print them instead")
    names = len(request.files) + len(request.extras)
    if names > _MOST_FILES:
        raise ValueError(f"{names} files are named; at most {_MOST_FILES} are allowed")
    sizes = [len(each.encode()) for each in request.args]
    if sizes and (max(sizes) > _ARGUMENT_BYTES or sum(sizes) > _ARGUMENTS_BYTES):
        raise ValueError(
            f"the longest argument has {max(sizes)} bytes, all together have {sum(sizes)}; "
            f"allowed are {_ARGUMENT_BYTES} and {_ARGUMENTS_BYTES}"
        )
    if request.output_limit is not None and request.output_limit > _LARGEST_OUTPUT_BYTES:
        raise ValueError(
            f"output_limit is {request.output_limit}; it must be at most {_LARGEST_OUTPUT_BYTES} bytes here"
        )


def _limits(request: RunCodeRequest) -> Limits:
    """Return the limits that `request` names.

    `run_timeout` limits CPU time, which is measured here. `wall_timeout` limits wall time. Without `wall_timeout`,
    `run_timeout` limits wall time.
    """
    memory = request.memory_limit_MB
    return Limits(
        cpu_s=request.run_timeout,
        wall_s=request.wall_timeout or request.run_timeout,
        compile_s=request.compile_timeout,
        memory_bytes=memory * _MEBIBYTE if memory > 0 else _NO_LIMIT_BYTES,
        output_bytes=request.output_limit or Limits().output_bytes,
    )


def _decoded(what: str, content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{what} is not base64: {error}") from error


def answer_of(execution: Execution, language: str) -> RunCodeAnswer:
    """Return the answer for `execution` of a program in `language`."""
    known = known_languages().get(language)
    compiled = known is not None and bool(known.compile)
    built: CommandResult | None = None
    ran: CommandResult | None = None
    if execution.status is Status.COMPILE_ERROR:
        built = _command(None if execution.doubtful else 1, execution.compile_s, stderr=_text(execution.stderr))
    else:
        built = _command(0, execution.compile_s) if compiled else None
        ran = _run_result(execution)
    well = all(result.went_well for result in (built, ran) if result is not None)
    return RunCodeAnswer(
        status=RunStatus.SUCCESS if well else RunStatus.FAILED,
        message=execution.message,
        compile_result=built,
        run_result=ran,
    )


def _command(return_code: int | None, took_s: float, *, stderr: str = "") -> CommandResult:
    """Return the result of a compiler. No return code means that it ran out of time."""
    status = CommandStatus.TIME_LIMIT if return_code is None else CommandStatus.FINISHED
    return CommandResult(status=status, execution_time=took_s, return_code=return_code, stdout="", stderr=stderr)


def _run_result(execution: Execution) -> CommandResult:
    cut = execution.status is Status.OUTPUT_LIMIT
    stdout = _text(execution.stdout, cut=cut)
    return CommandResult(
        status=_COMMAND_STATUS[execution.status],
        execution_time=execution.time_s,
        return_code=_KILLED if cut else execution.exit_code,
        stdout=stdout,
        stderr=_text(execution.stderr, cut=cut),
        cpu_time=execution.time_s if execution.cpu_measured else None,
        peak_memory=execution.memory_bytes,
        output_cut=cut,
        stdout_base64=encoded(execution.stdout) if utf8_text(execution.stdout) is None else None,
    )


def _text(data: bytes, *, cut: bool = False) -> str:
    """Return `data` as text, as SandboxFusion does. A character that was cut at the end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError as error:
        return f"[DecodeError] {error}"
