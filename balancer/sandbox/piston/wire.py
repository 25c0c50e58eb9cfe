"""Piston's API: its requests and answers as pydantic models, and their conversion from runs and to executions.

Decides the files of a job, which inputs can be sent, and whether an answer is an `Execution` or an `EndpointError`.
Pure. An answer that does not fit the models is malformed. Times are in ms, sizes in bytes.

The server's packages compile with their own flags, without optimisation. For C and C++ they name all sources by a
pattern. A compiler replaces the argument "@NAME" by the content of the file NAME, so our flags are in such a file.

Piston adds a line break at the end of an input that has none, and accepts only text. Of what the program has not read
at once, it passes on only as much as a socket holds (219 264 bytes were measured). Any other input is sent as a file.
Code before the program's own makes it the standard input.

| stage | means |
|---|---|
| compile: code 0 | see run |
| compile: a code, or words cut that name an error | COMPILE_ERROR |
| compile: TO with its CPU time spent | COMPILE_ERROR |
| compile: anything else | unknown |
| run: TO | TIME_LIMIT, unless the server allowed less than was asked for |
| run: OL, EL | OUTPUT_LIMIT if more came than asked for, else unknown: it keeps less |
| run: SIGKILL, or code 137 | MEMORY_LIMIT if memory was full, else unknown |
| run: RE, SG, or code 0 | FINISHED |
| run: FINISHED, and bytes in its output that are not text | unknown: they are lost |
"""

import base64
import math
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.answers import AnswerContext, RunReport, execution_of_report
from balancer.sandbox.http.builds import Build, utf8_text

__all__ = [
    "NAMES",
    "ExecuteAnswer",
    "ExecuteRequest",
    "Runtime",
    "Runtimes",
    "execution_of_answer",
    "request_for",
]

_MS = 1000
_UNUSED_FLAGS = "balancer: flags not used"  # printed if the compiler did not get our flags

# -- requests --------------------------------------------------------------------------------------

# Ours -> Piston's. Java and Go are compiled while they run, on the program's time; Rust and Haskell unoptimised.
NAMES: Mapping[str, str] = {
    "bash": "bash",
    "c": "c",
    "cpp": "c++",
    "javascript": "javascript",
    "kotlin": "kotlin",
    "python": "python",
}
_ADDED = {"c": ".c", "cpp": ".cpp", "kotlin": ".kt"}  # by the package, to the names of code files

_INPUT = ".stdin"
_SAFE_BYTES = 2**16  # an input up to this size is passed on unchanged
_STARTERS = {
    "python": """\
import os, sys
file = os.open(".stdin", os.O_RDONLY)
os.dup2(file, 0)
os.close(file)
os.execv(sys.executable, [sys.executable, "{file}", *sys.argv[1:]])
""",
    "bash": 'exec bash {file} "$@" <.stdin\n',
}
# A further source of C and C++ programs: it checks that the compiler has our flags, and reads the input's file.
_PART = f"""\
#ifndef __OPTIMIZE__
#error {_UNUSED_FLAGS}
#endif
"""
_OPENED = """\
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void balancer_input(void) {
    int file = open(".stdin", O_RDONLY);
    if (file < 0 || dup2(file, 0) < 0) _exit(127);
    close(file);
}
"""


class Runtime(BaseModel):
    """One version of a language that the server has."""

    language: str
    version: str


class Runtimes(RootModel[list[Runtime]]):
    """Answer to `GET /api/v2/runtimes`."""


class JobFile(BaseModel):
    """A file of a job. Files in utf8 are code: the compiler gets them, and the first one is started."""

    name: str
    content: str
    encoding: Literal["utf8", "base64"] = "utf8"


class ExecuteRequest(BaseModel):
    """Body of `POST /api/v2/execute`. A limit above the server's own is refused."""

    language: str
    version: str
    files: list[JobFile]
    stdin: str
    args: list[str]
    compile_timeout: int
    compile_cpu_time: int
    run_timeout: int
    run_cpu_time: int
    run_memory_limit: int


def request_for(
    build: Build, stdin: bytes, limits: Limits, runtime: Runtime, most: Mapping[str, float]
) -> ExecuteRequest:
    """Return the request that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        limits: of the run.
        runtime: the server's version of its language.
        most: the known limits of the server, by the name of the request's field.

    Raises:
        ValueError: the program or its input cannot be sent.
    """
    by_file = not _is_sendable(stdin)
    data = {**build.layout.extras, **build.given, **({_INPUT: stdin} if by_file else {})}
    if build.language.name in ("c", "cpp"):
        data |= _parts_of(build, by_file=by_file)
    return ExecuteRequest(
        language=runtime.language,
        version=runtime.version,
        files=_code_of(build, by_file=by_file) + [_encoded(each, content) for each, content in data.items()],
        stdin="\n" if by_file else stdin.decode("utf-8"),
        args=list(build.args),
        **{field: int(min(value, most.get(field, value))) for field, value in _limits(limits).items()},
    )


def _is_sendable(stdin: bytes) -> bool:
    """Return whether Piston passes `stdin` on unchanged."""
    return len(stdin) <= _SAFE_BYTES and stdin.endswith(b"\n") and utf8_text(stdin) is not None


def _code_of(build: Build, *, by_file: bool) -> list[JobFile]:
    """Return the code files. The first one is started."""
    name = build.language.name
    main = build.language.file.removesuffix(_ADDED.get(name, ""))
    source = build.main
    code = []
    if by_file and name in _STARTERS:
        code.append(JobFile(name="start", content=_STARTERS[name].replace("{file}", build.language.file)))
    elif by_file and name not in ("c", "cpp"):
        raise ValueError(
            f"Piston cannot give a program in {name!r} an input that is long, not text, or has no line break at its end"
        )
    text = utf8_text(source)
    if text is None and not code:  # one file must be text: it is the one that is started
        raise ValueError("Piston takes no source that is not UTF-8")
    code.append(_encoded(main, source) if text is None else JobFile(name=main, content=text))
    return code


def _parts_of(build: Build, *, by_file: bool) -> dict[str, bytes]:
    """Return the further files of a C or C++ program: its flags, and a source that applies them and reads the input.

    Warnings are off, so that every message of a compiler is an error, even if only a part of it is kept.
    """
    ending = _ADDED[build.language.name]
    found = {f"./{each}" for each in build.layout.extras if "/" not in each and each.endswith(ending)}
    sources = [each.replace("\\", "\\\\").replace('"', '\\"') for each in build.layout.further if each not in found]
    flags = f".balancer{ending}"  # the pattern of the package does not match it
    return {
        f"@{flags}": b"",
        flags: "\n".join([*build.flags, "-w", *(f'"{each}"' for each in sources), ""]).encode(),
        f"balancer_part{ending}": (_PART + (_OPENED if by_file else "")).encode(),
    }


def _limits(limits: Limits) -> dict[str, int]:
    return {
        "compile_timeout": _milliseconds(limits.compile_wall_s),
        "compile_cpu_time": _milliseconds(limits.compile_s),
        "run_timeout": _milliseconds(limits.wall_s),
        "run_cpu_time": _milliseconds(limits.cpu_s),
        "run_memory_limit": limits.memory_bytes,
    }


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * _MS))


def _encoded(name: str, content: bytes) -> JobFile:
    return JobFile(name=name, content=base64.b64encode(content).decode("ascii"), encoding="base64")


# -- answers ---------------------------------------------------------------------------------------

_TRUNCATED = ("OL", "EL")
_REPLACED = "\ufffd"


class PistonStage(BaseModel):
    """Result of the compiler or the program. Older servers have no `status` and no times."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    stdout: str
    stderr: str
    code: int | None = None
    signal: str | None = None
    message: str | None = None
    status: str | None = None
    cpu_time: float | None = Field(None, ge=0)
    wall_time: float | None = Field(None, ge=0)
    memory: int | None = Field(None, ge=0)


class ExecuteAnswer(BaseModel):
    """Answer to `POST /api/v2/execute`. For a program that is not compiled, `run` repeats `compile`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    compile: PistonStage | None = None
    run: PistonStage


def execution_of_answer(answer: ExecuteAnswer, request: ExecuteRequest, context: AnswerContext) -> Execution:
    """Return the end of the run. `request` has its limits.

    Raises:
        EndpointError: the server failed; `CannotTell` if its answer does not say how the program ended.
    """
    for stage in (answer.compile, answer.run):
        if stage is not None and stage.status == "XX":
            raise context.failed(f"the sandbox failed: {context.one_line(stage.message or '')}")
    if answer.compile is not None and answer.compile.code != 0:
        return _compile_error(answer.compile, context)
    run, limits = answer.run, context.limits
    printed = max(len(run.stdout.encode()), len(run.stderr.encode()))
    given = replace(
        limits,
        cpu_s=min(limits.cpu_s, request.run_cpu_time / _MS),
        wall_s=min(limits.wall_s, request.run_timeout / _MS),
        memory_bytes=min(limits.memory_bytes, request.run_memory_limit),
        output_bytes=min(limits.output_bytes, printed) if run.status in _TRUNCATED else limits.output_bytes,
    )
    execution = execution_of_report(_report(run, context), context, given)
    if execution.status is Status.FINISHED and _REPLACED in run.stdout:
        raise context.cannot_tell("the program printed bytes that are not text, and the server lost them")
    return execution


def _report(stage: PistonStage, context: AnswerContext) -> RunReport:
    name = stage.signal or ""
    killed = signal.Signals.__members__.get(name)
    if name and killed is None:
        raise context.failed(f"the answer names a signal {name[:20]!r}")
    return RunReport(
        stdout=stage.stdout.encode(),
        stderr=stage.stderr.encode(),
        exit_code=stage.code,
        signal=killed,
        timed_out=stage.status == "TO",
        truncated=stage.status in _TRUNCATED,
        cpu_s=None if stage.cpu_time is None else stage.cpu_time / _MS,
        wall_s=None if stage.wall_time is None else stage.wall_time / _MS,
        memory_bytes=stage.memory,
        message=stage.message or "",
    )


def _compile_error(stage: PistonStage, context: AnswerContext) -> Execution:
    messages = context.compiler_messages(stage.stderr or stage.stdout)
    if _UNUSED_FLAGS.encode() in messages:
        raise context.cannot_tell("its package ignores the flags of the compiler; remove this language from languages")
    if stage.status == "TO":
        compile_s = context.limits.compile_s
        if (stage.cpu_time or 0.0) < compile_s * _MS:
            raise context.cannot_tell("it stopped the compiler before its time was over")
        late = f"the compiler was stopped after {compile_s:g} s"
        return Execution(Status.COMPILE_ERROR, stderr=messages, message=late)
    if stage.status in _TRUNCATED and b"error" in messages:
        return Execution(Status.COMPILE_ERROR, stderr=messages, message="the messages of the compiler were cut")
    refusal = context.compile_error(messages)
    if stage.code is None or stage.status in _TRUNCATED:
        reason = stage.message or f"it ended with {stage.signal or stage.status}"
        raise context.cannot_tell(f"cannot compile: {context.one_line(reason)}")
    return refusal
