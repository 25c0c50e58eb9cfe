"""go-judge's API: its requests and answers as pydantic models, and their conversion from runs and to executions.

Decides the commands that compile and run a program, and whether an answer is an `Execution` or an `EndpointError`.
Pure. An answer that does not fit the models is malformed. Times are nanoseconds, sizes bytes.

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

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, RootModel

from balancer.errors import EndpointOverloaded
from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.answers import AnswerContext, ServerSignal
from balancer.sandbox.http.builds import PROGRAM, Build
from balancer.sandbox.languages.memory import died_of_memory_limit

__all__ = [
    "PRINTED_BYTES",
    "Cached",
    "Content",
    "File",
    "FileId",
    "GoJudgeStatus",
    "Result",
    "RunAnswer",
    "RunRequest",
    "compile_request",
    "execution_of_result",
    "is_altered",
    "probe_request",
    "refusal_of_result",
    "run_request",
]

PRINTED_BYTES = 4 * 2**20  # limit on a compiler's output
_COMPILE_BYTES = 2 * 2**30
_BINARY_BYTES = 256 * 2**20
_PROCESSES = 32
_NANO = 10**9

# A fixed hash seed makes Python's set order, and so a program's output, the same every time.
_ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "LC_ALL=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONHASHSEED=0",
]
_PROBE = 'for tool; do command -v "$tool" >/dev/null && echo "$tool $(command -v "$tool")"; done; exit 0'
_TOO_LONG = "CollectSizeExceeded"
_NOT_THERE = "CopyOutOpen"
_REPLACED = "\ufffd"  # stands in JSON for bytes that are not text


# -- requests --------------------------------------------------------------------------------------


class Content(BaseModel):
    """A file as text."""

    content: str


class Cached(BaseModel):
    """A file that the server keeps."""

    fileId: str  # noqa: N815 (the API's name, as all below)


File = Content | Cached


class StreamCollector(BaseModel):
    """A stream of which `max` bytes are kept. With `pipe` the server reads along, so that endless output ends soon."""

    name: str
    max: int
    pipe: bool = True


class Cmd(BaseModel):
    """One command and its limits."""

    args: list[str]
    env: list[str] = Field(default_factory=lambda: _ENVIRONMENT)  # a default would be copied each time
    files: list[Content | Cached | StreamCollector]
    cpuLimit: int  # noqa: N815
    clockLimit: int  # noqa: N815
    memoryLimit: int  # noqa: N815
    stackLimit: int  # noqa: N815
    procLimit: int  # noqa: N815
    copyIn: dict[str, Content | Cached] = Field(default_factory=dict)  # noqa: N815
    copyOut: list[str] = Field(default_factory=list)  # noqa: N815
    copyOutCached: list[str] = Field(default_factory=list)  # noqa: N815
    copyOutMax: int | None = None  # noqa: N815


class RunRequest(BaseModel):
    """Body of `POST /run`."""

    cmd: list[Cmd] = Field(min_length=1, max_length=1)


def compile_request(
    build: Build, command: tuple[str, ...], files: Mapping[str, File], limits: Limits, paths: Mapping[str, str]
) -> RunRequest:
    """Return the request that compiles the program of `build` and keeps it on the server.

    Args:
        build: the program.
        command: compiles it.
        files: its sources and other files, as in the request.
        limits: `compile_s` counts, as CPU time.
        paths: of the server's tools.
    """
    cmd = Cmd(
        args=_placed(command, paths),
        files=[Content(content=""), *_streams(PRINTED_BYTES)],
        cpuLimit=_nanoseconds(limits.compile_s),
        clockLimit=_nanoseconds(limits.compile_wall_s),
        memoryLimit=_COMPILE_BYTES,
        stackLimit=_COMPILE_BYTES,
        procLimit=_PROCESSES + build.language.runtime_processes,
        copyIn=dict(files),
        copyOut=["stdout", "stderr"],
        copyOutCached=[PROGRAM],
        copyOutMax=_BINARY_BYTES,
    )
    return RunRequest(cmd=[cmd])


def run_request(
    build: Build, stdin: File, files: Mapping[str, File], limits: Limits, paths: Mapping[str, str], *, cached: bool
) -> RunRequest:
    """Return the request that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        files: its working directory, the compiled program included.
        limits: of the run.
        paths: of the server's tools.
        cached: whether the server keeps the output as a file, because JSON has only text.
    """
    cmd = Cmd(
        args=_placed(build.run, paths),
        files=[stdin, *_streams(limits.output_bytes)],
        cpuLimit=_nanoseconds(limits.cpu_s),
        clockLimit=_nanoseconds(limits.wall_s),
        memoryLimit=limits.memory_bytes,
        stackLimit=limits.memory_bytes,
        procLimit=limits.processes + build.language.runtime_processes,
        copyIn=dict(files),
        copyOut=["stderr"] if cached else ["stdout", "stderr"],
        copyOutCached=["stdout"] if cached else [],
        copyOutMax=limits.output_bytes + 1,
    )
    return RunRequest(cmd=[cmd])


def probe_request(tools: list[str]) -> RunRequest:
    """Return the request for the paths of `tools` on the server, one a line."""
    cmd = Cmd(
        args=["/bin/sh", "-c", _PROBE, "probe", *tools],
        files=[Content(content=""), *_streams(2**16)],
        cpuLimit=2 * _NANO,
        clockLimit=5 * _NANO,
        memoryLimit=2**28,
        stackLimit=2**28,
        procLimit=_PROCESSES,
        copyOut=["stdout", "stderr"],
    )
    return RunRequest(cmd=[cmd])


def _streams(most_bytes: int) -> list[StreamCollector]:
    return [StreamCollector(name=name, max=most_bytes) for name in ("stdout", "stderr")]


def _placed(command: tuple[str, ...], paths: Mapping[str, str]) -> list[str]:
    return [paths.get(command[0], command[0]), *command[1:]]


def _nanoseconds(seconds: float) -> int:
    return max(1, round(seconds * _NANO))


# -- answers ---------------------------------------------------------------------------------------


class GoJudgeStatus(StrEnum):
    """Status of a command."""

    ACCEPTED = "Accepted"  # by itself, with code 0
    NONZERO = "Nonzero Exit Status"
    SIGNALLED = "Signalled"  # `exitStatus` is the signal
    SYSCALL = "Dangerous Syscall"
    TIME_LIMIT = "Time Limit Exceeded"
    MEMORY_LIMIT = "Memory Limit Exceeded"
    OUTPUT_LIMIT = "Output Limit Exceeded"
    FILE_ERROR = "File Error"
    INTERNAL_ERROR = "Internal Error"


class FileError(BaseModel):
    """Error with one file."""

    model_config = ConfigDict(strict=True)

    name: str = ""
    type: str | int = ""
    message: str = ""


class Result(BaseModel):
    """Result of one command."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    status: GoJudgeStatus
    exitStatus: int = Field(strict=True)  # noqa: N815
    error: str = ""
    time: int = Field(ge=0, strict=True)
    runTime: int = Field(0, ge=0, strict=True)  # noqa: N815
    memory: int = Field(ge=0, strict=True)
    files: dict[str, str] | None = None
    fileIds: dict[str, str] | None = None  # noqa: N815
    fileError: list[FileError] | None = None  # noqa: N815

    def text(self, name: str) -> str:
        """Return the content of a file in the answer; "" if it has none."""
        return (self.files or {}).get(name, "")

    def cached(self, name: str) -> str:
        """Return the server's name of a file that it keeps; "" if it keeps none."""
        return (self.fileIds or {}).get(name, "")

    def exceeds(self, limits: Limits, *printed: bytes) -> bool:
        """Return whether more was `printed` than the limits allow, by the status or by the length."""
        if self.status is GoJudgeStatus.OUTPUT_LIMIT or any(len(each) > limits.output_bytes for each in printed):
            return True
        return any(each.type == _TOO_LONG for each in self.fileError or ())


class RunAnswer(RootModel[list[Result]]):
    """Answer to `POST /run`: one result for each command."""

    root: list[Result] = Field(min_length=1, max_length=1)


class FileId(RootModel[str]):
    """Answer to `POST /file`."""


def is_altered(result: Result, limits: Limits) -> bool:
    """Return whether JSON may have altered the output, so that it must be fetched as a file."""
    return _REPLACED in result.text("stdout") and not result.exceeds(limits)


def execution_of_result(result: Result, stdout: bytes | None, context: AnswerContext) -> Execution:
    """Return the end of a run. `stdout` is the output if the server kept it as a file, else None.

    Raises:
        EndpointError: the server failed.
    """
    _check(result, context)
    out = result.text("stdout").encode() if stdout is None else stdout
    code = _exit_code(result)
    status = _status(result, out, code, context)
    by_itself = status is Status.FINISHED or (
        status is Status.MEMORY_LIMIT and result.status is not GoJudgeStatus.MEMORY_LIMIT
    )
    return Execution(
        status=status,
        stdout=out[: context.limits.output_bytes],
        stderr=context.stderr(result.text("stderr")),
        exit_code=code if by_itself else None,
        time_s=result.time / _NANO,
        cpu_measured=True,
        memory_bytes=result.memory,
        message=context.redact(result.error),
    )


def refusal_of_result(result: Result, context: AnswerContext) -> Execution | None:
    """Return the compile error in `result`; None if the compiler made a program.

    Raises:
        EndpointError: the compiler could not work, so nothing is known about the program; `CannotTell` if only its
            words say so, and `EndpointOverloaded` if it got too little CPU time.
    """
    if result.status is GoJudgeStatus.ACCEPTED and result.cached(PROGRAM):
        return None
    compile_s = context.limits.compile_s
    messages = context.compiler_messages(result.text("stderr") or result.text("stdout"))
    unmade = all(each.name == PROGRAM and each.type == _NOT_THERE for each in result.fileError or ())
    reason = {
        GoJudgeStatus.TIME_LIMIT: f"the compiler was stopped after {compile_s:g} s",
        GoJudgeStatus.MEMORY_LIMIT: "the compiler was stopped: it used too much memory",
        GoJudgeStatus.OUTPUT_LIMIT: "the compiler was stopped: it printed too much",
        GoJudgeStatus.FILE_ERROR: "the compiler made no program",
    }.get(result.status, "")
    if result.status is GoJudgeStatus.TIME_LIMIT and result.time < compile_s * _NANO:
        late = f"too busy to compile within {result.runTime / _NANO:.1f} s"
        raise EndpointOverloaded(late, endpoint=context.endpoint)
    if result.status is not GoJudgeStatus.FILE_ERROR or not unmade:
        _check(result, context)
    if result.status is GoJudgeStatus.SIGNALLED and result.exitStatus == ServerSignal.SIGKILL:
        raise context.failed("the compiler was killed from outside; is the machine out of memory?")
    if result.status is GoJudgeStatus.ACCEPTED:
        raise context.failed("the answer contradicts itself: the compiler succeeded, but its file is missing")
    if result.status is GoJudgeStatus.NONZERO:
        return context.compile_error(messages)
    return Execution(Status.COMPILE_ERROR, stderr=messages, message=reason)


def _check(result: Result, context: AnswerContext) -> None:
    if result.status in (GoJudgeStatus.INTERNAL_ERROR, GoJudgeStatus.FILE_ERROR):
        raise context.failed(f"the sandbox failed: {result.status.value}: {context.one_line(result.error)}")


def _exit_code(result: Result) -> int:
    if result.status is GoJudgeStatus.SYSCALL:
        return -ServerSignal.SIGSYS
    return -result.exitStatus if result.status is GoJudgeStatus.SIGNALLED else result.exitStatus


def _status(result: Result, stdout: bytes, code: int, context: AnswerContext) -> Status:
    stderr, limits = result.text("stderr").encode(), context.limits
    if result.exceeds(limits, stdout, stderr):
        return Status.OUTPUT_LIMIT
    if result.status is GoJudgeStatus.TIME_LIMIT or result.time >= limits.cpu_s * _NANO:
        return Status.TIME_LIMIT
    ran_out = result.status is GoJudgeStatus.MEMORY_LIMIT
    if ran_out or (code and died_of_memory_limit(context.language, code, stderr)):
        return Status.MEMORY_LIMIT
    return Status.FINISHED
