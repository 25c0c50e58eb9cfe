"""Piston: one request for each run, within limits of the server that its refusals tell.

Times are in ms, sizes in bytes. A query of the URL chooses versions, e.g. "piston+http://10.0.0.1:2000/?python=3.12.0".
An answer that does not fit the models is malformed.

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

It never says that it is busy; a proxy before it may, by a status.
"""

import math
import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field, RootModel

from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.adapter import ServerExecutor, ServerRun, executor_hook, json_bytes
from balancer.sandbox.http.answers import RunReport, execution_of_report
from balancer.sandbox.http.builds import encoded, newest, utf8_text, versions_in
from balancer.sandbox.http.client import AnswerModel, UnexpectedStatus

__all__ = ["PistonExecutor", "balancer_executors"]

_MS = 1000
_LIMIT = re.compile(r"(\w+) cannot exceed the configured limit of (\d+)")
_KEPT_BYTES = 2**24  # bytes of a stream that a server set up for judging keeps, for any limit of a run
_UNUSED_FLAGS = "balancer: flags not used"  # printed if the compiler did not get our flags
_TRUNCATED = ("OL", "EL")

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


class _Runtime(AnswerModel):
    language: str
    version: str


class _Runtimes(RootModel[list[_Runtime]]):
    pass


class _Stage(AnswerModel):
    """Result of the compiler or the program. Older servers have no `status` and no times."""

    stdout: str
    stderr: str
    code: int | None = None
    signal: str | None = None
    message: str | None = None
    status: str | None = None
    cpu_time: float | None = Field(None, ge=0)
    wall_time: float | None = Field(None, ge=0)
    memory: int | None = Field(None, ge=0)


class _Answer(AnswerModel):
    """For a program that is not compiled, `run` repeats `compile`."""

    compile: _Stage | None = None
    run: _Stage


class PistonExecutor(ServerExecutor[_Runtime]):
    """Runs programs on a Piston server. Thread-safe. CPU time is measured."""

    # Java and Go are compiled while they run, on the program's time; Rust and Haskell unoptimised.
    names: ClassVar = {name: name for name in ("bash", "c", "javascript", "kotlin", "python")} | {"cpp": "c++"}

    def _set_up(self) -> None:
        self._chosen = versions_in(self._url, self._possible_languages())
        self._most: dict[str, Mapping[str, int]] = {}  # the known limits of the server, by its language and the field

    def _ask(self) -> Mapping[str, _Runtime]:
        reported, found = self._get("/api/v2/runtimes", _Runtimes).root, {}
        for name in self._possible_languages():
            version = self._chosen.get(name) or newest(x.version for x in reported if x.language == self.names[name])
            if version:
                found[name] = _Runtime(language=self.names[name], version=version)
        return found

    def _run(self, run: ServerRun) -> Execution:
        """Send the run; a limit that the server refuses is lowered. Then read the answer."""
        runtime = self._served(run.language)
        job = {"language": runtime.language, "version": runtime.version, **_job(run)}
        at_most = 2 * json_bytes(max(run.limits.output_bytes, _KEPT_BYTES))  # the answer has both streams twice
        while True:
            most = self._most.get(runtime.language, {})
            limits = {field: min(value, most.get(field, value)) for field, value in _limits(run.limits).items()}
            within_s = self._left_s(run.until_s)
            try:
                answer = self._server.post("/api/v2/execute", job | limits, _Answer, within_s=within_s, at_most=at_most)
            except UnexpectedStatus as refusal:
                limit = _LIMIT.search(refusal.words) if refusal.status == 400 else None
                if limit is None or limits.get(limit[1], 0) <= int(limit[2]):
                    if "entity too large" in refusal.words:
                        raise self._server.cannot_tell(refusal.reason) from None
                    if "runtime is unknown" in refusal.words:
                        self._reported = None  # the server has other versions now
                    raise
                self._most[runtime.language] = {**most, limit[1]: int(limit[2])}
            else:
                return _execution(answer, limits, run)

    def ping(self) -> None:
        """Return if the server answers. Raises EndpointError."""
        self._get("/api/v2/runtimes", _Runtimes)


def _limits(limits: Limits) -> dict[str, int]:
    times = {
        "compile_timeout": limits.compile_wall_s,
        "compile_cpu_time": limits.compile_s,
        "run_timeout": limits.wall_s,
        "run_cpu_time": limits.cpu_s,
    }
    in_ms = {field: max(1, math.ceil(seconds * _MS)) for field, seconds in times.items()}
    return {**in_ms, "run_memory_limit": limits.memory_bytes}


def _job(run: ServerRun) -> dict[str, object]:
    """Return the files, input and arguments of a job. Its first file is started.

    Raises:
        ValueError: the program or its input cannot be sent.
    """
    build, name, stdin = run.build, run.language, run.stdin
    by_file = len(stdin) > _SAFE_BYTES or not stdin.endswith(b"\n") or utf8_text(stdin) is None
    data = {**build.layout.extras, **build.given, **({_INPUT: stdin} if by_file else {})}
    main, text = build.language.file.removesuffix(_ADDED.get(name, "")), utf8_text(build.main)
    code = []
    if by_file and name in _STARTERS:
        code.append({"name": "start", "content": _STARTERS[name].replace("{file}", build.language.file)})
    elif by_file and name not in ("c", "cpp"):
        raise ValueError(
            f"Piston cannot give a program in {name!r} an input that is long, not text, or has no line break at its end"
        )
    if text is None and not code:  # one file must be text: it is the one that is started
        raise ValueError("Piston takes no source that is not UTF-8")
    code.append(_file(main, build.main) if text is None else {"name": main, "content": text})
    if name in ("c", "cpp"):
        data |= _parts(run, by_file=by_file)
    return {
        "files": code + [_file(each, content) for each, content in data.items()],
        "stdin": "\n" if by_file else stdin.decode("utf-8"),
        "args": list(build.args),
    }


def _parts(run: ServerRun, *, by_file: bool) -> dict[str, bytes]:
    """Return the further files of a C or C++ program: its flags, and a source that applies them and reads the input.

    Warnings are off, so that every message of a compiler is an error, even if only a part of it is kept.
    """
    ending, layout = _ADDED[run.language], run.build.layout
    found = {f"./{each}" for each in layout.extras if "/" not in each and each.endswith(ending)}
    sources = [each.replace("\\", "\\\\").replace('"', '\\"') for each in layout.further if each not in found]
    flags = f".balancer{ending}"  # the pattern of the package does not match it
    return {
        f"@{flags}": b"",
        flags: "\n".join([*run.build.flags, "-w", *(f'"{each}"' for each in sources), ""]).encode(),
        f"balancer_part{ending}": (_PART + (_OPENED if by_file else "")).encode(),
    }


def _file(name: str, content: bytes) -> dict[str, str]:
    """Return a file. One without an encoding is code: the compiler gets it."""
    return {"name": name, "content": encoded(content), "encoding": "base64"}


def _execution(answer: _Answer, allowed: Mapping[str, int], run: ServerRun) -> Execution:
    """Return the end of a run that had the limits `allowed`. Raises EndpointError, CannotTell."""
    server, limits, stage = run.server, run.limits, answer.run
    for each in (answer.compile, stage):
        if each is not None and each.status == "XX":
            raise server.failed(f"the sandbox failed: {server.one_line(each.message or '')}")
    if answer.compile is not None and answer.compile.code != 0:
        return _compile_error(answer.compile, run)
    killed = signal.Signals.__members__.get(stage.signal or "")
    if stage.signal and killed is None:
        raise server.failed(f"the answer names a signal {stage.signal[:20]!r}")
    cut = stage.status in _TRUNCATED
    printed = max(len(stage.stdout.encode()), len(stage.stderr.encode()))
    given = replace(
        limits,
        cpu_s=min(limits.cpu_s, allowed["run_cpu_time"] / _MS),
        wall_s=min(limits.wall_s, allowed["run_timeout"] / _MS),
        memory_bytes=allowed["run_memory_limit"],
        output_bytes=min(limits.output_bytes, printed) if cut else limits.output_bytes,
    )
    report = RunReport(
        stdout=stage.stdout.encode(),
        stderr=stage.stderr.encode(),
        exit_code=stage.code,
        signal=killed,
        text_only=True,
        timed_out=stage.status == "TO",
        truncated=cut,
        cpu_s=None if stage.cpu_time is None else stage.cpu_time / _MS,
        wall_s=None if stage.wall_time is None else stage.wall_time / _MS,
        memory_bytes=stage.memory,
        message=stage.message or "",
    )
    return execution_of_report(report, run, given)


def _compile_error(stage: _Stage, run: ServerRun) -> Execution:
    server, compile_s = run.server, run.limits.compile_s
    messages, cut = run.compiler_messages(stage.stderr or stage.stdout), stage.status in _TRUNCATED
    if _UNUSED_FLAGS.encode() in messages:
        raise server.cannot_tell("its package ignores the flags of the compiler; remove this language from languages")
    if stage.status == "TO":
        if (stage.cpu_time or 0.0) < compile_s * _MS:
            raise server.cannot_tell("it stopped the compiler before its time was over")
        late = f"the compiler was stopped after {compile_s:g} s"
        return Execution(Status.COMPILE_ERROR, stderr=messages, message=late)
    if cut and b"error" in messages:
        return Execution(Status.COMPILE_ERROR, stderr=messages, message="the messages of the compiler were cut")
    refusal = run.compile_error(messages)
    if stage.code is None or cut:
        reason = stage.message or f"it ended with {stage.signal or stage.status}"
        raise server.cannot_tell(f"cannot compile: {server.one_line(reason)}")
    return refusal


balancer_executors = executor_hook(
    PistonExecutor, "piston+http", "piston+https", summary="runs programs on a Piston server"
)
