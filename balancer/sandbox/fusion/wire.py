"""SandboxFusion's API: its requests and answers as pydantic models, and their conversion from runs and to executions.

Decides whether an answer is an `Execution` or an `EndpointError`. Pure. An answer that does not fit the models is
malformed. Some fields are our own: SandboxFusion ignores them in requests (its models allow extra fields) and leaves
them out of answers.

Our own servers accept a program with all its parts. Other servers get a "bash" script with all parts in `files` (see
`http.script`). A language that is not in our table, or whose tools are not on the server's path, is run by the server
itself: as text, with text on stdin and without arguments.

| answer | means |
|---|---|
| SandboxError, or any command "Error" | the endpoint failed |
| an answer that contradicts itself | the endpoint failed |
| compile_result not finished with 0 | COMPILE_ERROR; doubtful if time ran out, as that was wall time |
| run_result TimeLimitExceeded | TIME_LIMIT, partial output kept |
| run_result Finished | FINISHED with its code, or MEMORY_LIMIT by its last words |
| more output than the server can be trusted with | OUTPUT_LIMIT, whatever else it says |

A server that runs the program itself reports output that is not UTF-8 as the text "[DecodeError] ..." with Success.
That text is kept: no text checker accepts it, so the verdict is a wrong answer. Scripts and our own servers pass any
bytes.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from balancer.language import Language
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.http.answers import AnswerContext
from balancer.sandbox.http.builds import utf8_text
from balancer.sandbox.http.script import INPUT, OUTPUT, RESERVED, WORDS, ScriptEnd, ScriptOptions, script_for
from balancer.sandbox.languages.layout import ProgramLayout, check_name
from balancer.sandbox.languages.memory import died_of_memory_limit

__all__ = [
    "TRUSTED_BYTES",
    "About",
    "CommandResult",
    "CommandStatus",
    "FusionRequest",
    "FusionRun",
    "RunCodeAnswer",
    "RunCodeRequest",
    "RunStatus",
    "execution_of_answer",
    "native",
    "ours",
    "script_end_of",
    "scripted",
]

# -- requests --------------------------------------------------------------------------------------

_MEBIBYTE = 2**20
# SandboxFusion applies the memory limit to its compiler as well, and bits/stdc++.h takes 250 MB of address space:
# with less than this a right program would get a compile error.
_COMPILE_MEBIBYTES = 512
_SCRIPT_MEBIBYTES = 2048
_START_S = 2.0  # for the script itself, on a busy server


class RunCodeRequest(BaseModel):
    """Body of `POST /run_code`.

    `run_timeout` and `compile_timeout` are wall time on a SandboxFusion server and CPU time on ours. Our own fields are
    `wall_timeout`, `output_limit` (bytes of stdout, and of stderr), `args`, `extras` (files of the program, name ->
    base64), `stdin_base64` and `source_base64` (for bytes that are not text).
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    code: str
    language: str
    stdin: str | None = None
    compile_timeout: float = Field(10.0, gt=0, le=3600)
    run_timeout: float = Field(10.0, gt=0, le=3600)
    memory_limit_MB: int = Field(-1, ge=-1, le=2**20)  # noqa: N815 (the API's name)
    files: dict[str, str | None] = Field(default_factory=dict)  # name -> base64
    fetch_files: list[str] = Field(default_factory=list)
    wall_timeout: float | None = Field(None, gt=0, le=7200)
    output_limit: int | None = Field(None, gt=0, le=2**30)
    args: list[str] = Field(default_factory=list)
    extras: dict[str, str] = Field(default_factory=dict)
    stdin_base64: str | None = None
    source_base64: str | None = None


@dataclass(frozen=True, slots=True)
class FusionRun:
    """One run of a program: its input, its limits, and its files."""

    program: Program
    stdin: bytes
    limits: Limits
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class FusionRequest:
    """A request, and the server's longest time for it."""

    body: RunCodeRequest
    total_s: float


def ours(run: FusionRun, *, compiles: bool) -> FusionRequest:
    """Return the request for `run` to one of our own servers.

    Raises:
        ValueError: a file name is not allowed.
    """
    program, limits = run.program, run.limits
    for name in (*run.files, *(name for name, _ in program.extras)):
        check_name(name)
    text = utf8_text(run.stdin)
    sendable = _sendable(program.source)
    body = RunCodeRequest(
        code=program.source if sendable else "",
        language=program.language,
        stdin=text,
        stdin_base64=None if text is not None else _encoded(run.stdin),
        args=list(program.args),
        extras={name: _encoded(content) for name, content in program.extras},
        compile_timeout=limits.compile_s,
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=math.ceil(limits.memory_bytes / _MEBIBYTE),
        files={name: _encoded(content) for name, content in run.files.items()},
        wall_timeout=limits.wall_s,
        output_limit=limits.output_bytes,
        source_base64=None if sendable else _encoded(program.source.encode("utf-8", "surrogateescape")),
    )
    return FusionRequest(body, limits.wall_s + limits.compile_wall_s * compiles)


def native(run: FusionRun, language: str, *, compiles: bool) -> FusionRequest:
    """Return the request that lets the server run the program by itself, in its own `language`.

    Raises:
        ValueError: it has arguments, several files, or bytes that are not text; or a file name is not allowed.
    """
    program, limits = run.program, run.limits
    for each in run.files:
        check_name(each)
    text = utf8_text(run.stdin)
    if program.args or program.extras or text is None or not _sendable(program.source):
        raise ValueError(
            f"a program in {program.language!r} can be sent to this server only without arguments and further files, "
            "and only if all of it is text"
        )
    mebibytes = math.ceil(limits.memory_bytes / _MEBIBYTE)
    body = RunCodeRequest(
        code=program.source,
        language=language,
        stdin=text,
        compile_timeout=limits.compile_wall_s,  # wall time there
        # Wall time, too. With the wall limit, which is for sleeping programs, one three times too slow would pass.
        # With the CPU limit a busy server may stop one that is fast enough; that is visible, so it is run again.
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=max(mebibytes, _COMPILE_MEBIBYTES) if compiles else mebibytes,
        files={each: _encoded(content) for each, content in run.files.items()},
    )
    return FusionRequest(body, limits.wall_s + limits.compile_wall_s * compiles)


def scripted(run: FusionRun, language: Language, layout: ProgramLayout, options: ScriptOptions) -> FusionRequest:
    """Return the request for `run` by a script. `layout` is that of its program.

    Raises:
        ValueError: a file name is not allowed.
    """
    limits = run.limits
    for name in (*run.files, *layout.files):
        if check_name(name) in RESERVED or (name in run.files and name in layout.own):
            raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")
    compiles = bool(layout.compile)
    total_s = limits.wall_s + _START_S + limits.compile_wall_s * compiles
    compiler = _SCRIPT_MEBIBYTES + language.compiler_bytes // _MEBIBYTE
    runtime = math.ceil((limits.memory_bytes + language.runtime_bytes) / _MEBIBYTE)
    body = RunCodeRequest(
        code=script_for(language, layout, run.program.args, limits, options),
        language="bash",
        compile_timeout=limits.compile_wall_s,
        run_timeout=total_s,
        memory_limit_MB=max(runtime, compiler) if compiles else runtime,
        files={name: _encoded(content) for name, content in {**layout.files, **run.files, INPUT: run.stdin}.items()},
        fetch_files=[OUTPUT, WORDS],
    )
    return FusionRequest(body, total_s)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _sendable(source: str) -> bool:
    """Return whether `source` is Unicode text (lone surrogates stand for other bytes)."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# -- answers ---------------------------------------------------------------------------------------

# SandboxFusion reads a pipe through asyncio, which stops reading once it holds more than twice its limit of
# 64 KiB, and then takes only what it holds. What is printed beyond is lost without a word, at a length that
# depends on timing (135 168 to 303 104 bytes seen; 219 264 if all comes in one write), and a program that
# prints much more hangs until its time limit. Up to twice the limit nothing is ever lost.
TRUSTED_BYTES = 2 * 2**16


class RunStatus(StrEnum):
    """Status of a whole request."""

    SUCCESS = "Success"  # every command ended with code 0
    FAILED = "Failed"  # some command did not
    SANDBOX_ERROR = "SandboxError"  # the server's own fault


class CommandStatus(StrEnum):
    """Status of one command."""

    FINISHED = "Finished"
    ERROR = "Error"  # it could not be started
    TIME_LIMIT = "TimeLimitExceeded"


class CommandResult(BaseModel):
    """Result of one command.

    Our own fields are `cpu_time` (s), `peak_memory` (bytes), `output_cut`, and `stdout_base64` if `stdout` cannot hold
    the bytes.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    status: CommandStatus
    execution_time: float | None = Field(None, ge=0)
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    cpu_time: float | None = Field(None, ge=0)
    peak_memory: int | None = Field(None, ge=0)
    output_cut: bool | None = None
    stdout_base64: str | None = None

    @property
    def went_well(self) -> bool:
        """Whether it ended by itself with code 0."""
        return self.status is CommandStatus.FINISHED and self.return_code == 0


class About(BaseModel):
    """Answer to `GET /v1/about`. Only our own servers have it: they understand all of our own fields."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    server: Literal["balancer sandbox"] = "balancer sandbox"
    languages: list[str]


class RunCodeAnswer(BaseModel):
    """Answer to `POST /run_code`. Our own field is `server_s`: seconds from the request to the answer."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True, allow_inf_nan=False)

    status: RunStatus
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    server_s: float | None = Field(None, ge=0)


def execution_of_answer(answer: RunCodeAnswer, context: AnswerContext) -> Execution:
    """Return the end of a run that the server made without a script.

    Raises:
        EndpointError: the server failed, or its answer contradicts itself.
    """
    if flaw := _flaw_in(answer, context):
        raise context.failed(flaw)
    built, ran = answer.compile_result, answer.run_result
    message, server_s = context.redact(answer.message), _server_s(answer)
    compile_s = built.execution_time or 0.0 if built is not None else 0.0
    if built is not None and not built.went_well:
        late = built.status is CommandStatus.TIME_LIMIT
        return Execution(
            Status.COMPILE_ERROR,
            stderr=context.redact(built.stderr or built.stdout or "").encode(),
            message=message or (f"the compiler was stopped after {compile_s:.1f} s" if late else ""),
            compile_s=compile_s,
            doubtful=late,
            server_s=server_s,
        )
    assert ran is not None  # else it has a flaw
    stdout, limits = _printed(ran), context.limits
    status = _status(ran, stdout, context)
    return Execution(
        status=status,
        stdout=stdout[: limits.output_bytes],
        stderr=context.stderr(ran.stderr or ""),
        exit_code=ran.return_code if status in (Status.FINISHED, Status.MEMORY_LIMIT) else None,
        time_s=ran.execution_time or 0.0 if ran.cpu_time is None else ran.cpu_time,
        cpu_measured=ran.cpu_time is not None,
        memory_bytes=ran.peak_memory,
        message=message,
        compile_s=compile_s,
        server_s=server_s,
    )


def script_end_of(answer: RunCodeAnswer, context: AnswerContext) -> ScriptEnd:
    """Return the end of a script.

    Raises:
        EndpointError: as `execution_of_answer`.
    """
    result = answer.run_result
    flaw = _flaw_in(answer, context)
    if flaw or result is None:
        raise context.failed(flaw or "the answer has no run_result")
    return ScriptEnd(
        said=result.stdout or "",
        exit_code=result.return_code,
        late=result.status is CommandStatus.TIME_LIMIT,
        total_s=result.execution_time,
        output=_decoded(answer.files.get(OUTPUT, "")) or b"",
        words=_decoded(answer.files.get(WORDS, "")) or b"",
    )


def _flaw_in(answer: RunCodeAnswer, context: AnswerContext) -> str:
    """Return what is wrong with the server or its answer; "" if the answer is about the program."""
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    if answer.status is RunStatus.SANDBOX_ERROR:
        return f"the sandbox failed: {context.one_line(answer.message)}"
    if any(result.status is CommandStatus.ERROR for result in results):
        return f"the sandbox could not start a command: {context.one_line(results[-1].stderr or '')}"
    if any((result.return_code is None) != (result.status is CommandStatus.TIME_LIMIT) for result in results):
        return "the answer contradicts itself: a finished command has no return code, or another one has a return code"
    if answer.run_result is None and (answer.compile_result is None or answer.compile_result.went_well):
        return "the answer has no run_result"
    if (answer.status is RunStatus.SUCCESS) != all(result.went_well for result in results):
        return f"the answer contradicts itself: status {answer.status.value} with other results"
    return ""


def _server_s(answer: RunCodeAnswer) -> float | None:
    """Return how long the server took, in seconds; None if it does not say.

    SandboxFusion reports wall time for each command.
    """
    if answer.server_s is not None:
        return answer.server_s
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    times = [each.execution_time for each in results if each.execution_time is not None]
    return sum(times) if len(times) == len(results) else None


def _printed(result: CommandResult) -> bytes:
    """Return the bytes of the standard output."""
    printed = None if result.stdout_base64 is None else _decoded(result.stdout_base64)
    return (result.stdout or "").encode() if printed is None else printed


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _status(result: CommandResult, stdout: bytes, context: AnswerContext) -> Status:
    stderr = (result.stderr or "").encode()
    if _exceeds(result, max(len(stdout), len(stderr)), context.limits):
        return Status.OUTPUT_LIMIT
    if result.status is CommandStatus.TIME_LIMIT:
        return Status.TIME_LIMIT
    if result.return_code and died_of_memory_limit(context.language, result.return_code, stderr):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _exceeds(result: CommandResult, printed: int, limits: Limits) -> bool:
    """Return whether output was cut, as the server says, or as may be if it does not say."""
    if printed > limits.output_bytes:
        return True
    return printed > TRUSTED_BYTES if result.output_cut is None else result.output_cut
