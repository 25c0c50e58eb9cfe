"""go-judge: programs are compiled once and kept on the server, and compiled again if it has lost one. Its option
-file-timeout deletes the old ones.

Times are nanoseconds, sizes bytes. An answer that does not fit the models is malformed. A queue that is full means that
the endpoint is busy.

| status | of a program | of a compiler |
|---|---|---|
| Accepted, Nonzero Exit Status | FINISHED with its code | made, or COMPILE_ERROR |
| Signalled, Dangerous Syscall | FINISHED, killed by that signal | by SIGKILL: the endpoint failed; else COMPILE_ERROR |
| Time Limit Exceeded | TIME_LIMIT | COMPILE_ERROR if its CPU time is spent, else the endpoint is busy |
| Memory Limit Exceeded | MEMORY_LIMIT | COMPILE_ERROR |
| Output Limit Exceeded, or more output than asked for | OUTPUT_LIMIT | COMPILE_ERROR |
| text with U+FFFD, and FINISHED | unknown: bytes that are not text are lost | |
| File Error | the endpoint failed | COMPILE_ERROR if only the program is missing, else the endpoint failed |
| Internal Error | the endpoint failed | the endpoint failed |
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, RootModel

from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, ServerRun, executor_hook, json_bytes
from balancer.sandbox.http.answers import RunReport, ServerSignal, execution_of_report
from balancer.sandbox.http.builds import PROGRAM, utf8_text
from balancer.sandbox.http.client import AnswerModel, UnexpectedStatus
from balancer.sandbox.languages.layout import ENVIRONMENT

__all__ = ["GoJudgeExecutor", "balancer_executors"]

_NANO = 10**9
_COMPILE_BYTES, _BINARY_BYTES, _PROCESSES = 2 * 2**30, 256 * 2**20, 32
_PROBE_LIMITS = Limits(cpu_s=2.0, wall_s=5.0, memory_bytes=2**28, output_bytes=2**16)
_PROBE = 'for tool; do command -v "$tool" >/dev/null && echo "$tool $(command -v "$tool")"; done; exit 0'
_PROBE_S = 10.0
_ANSWER_BYTES = 2**16
_MOST_BINARIES = 256
_File = Mapping[str, str]  # {"content": text}, or {"fileId": name} of a file that the server keeps


class _Said(StrEnum):
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


class _FileError(AnswerModel):
    model_config = ConfigDict(strict=True)

    name: str = ""
    type: str | int = ""


class _Result(AnswerModel):
    """Result of one command."""

    status: _Said
    exitStatus: int = Field(strict=True)  # noqa: N815 (the API's names)
    error: str = ""
    time: int = Field(ge=0, strict=True)
    runTime: int = Field(0, ge=0, strict=True)  # noqa: N815
    memory: int = Field(ge=0, strict=True)
    files: dict[str, str] | None = None
    fileIds: dict[str, str] | None = None  # noqa: N815
    fileError: list[_FileError] | None = None  # noqa: N815

    def text(self, name: str) -> str:
        """Return the content of a file in the answer; "" if it has none."""
        return (self.files or {}).get(name, "")

    @property
    def is_cut(self) -> bool:
        """Whether there was more output than the limits allow."""
        cut = any(each.type == "CollectSizeExceeded" for each in self.fileError or ())
        return cut or self.status is _Said.OUTPUT_LIMIT


class _Answer(RootModel[list[_Result]]):
    root: list[_Result] = Field(min_length=1, max_length=1)


class _FileId(RootModel[str]):
    pass


@dataclass(slots=True, eq=False)
class _Binary:
    """A compiled program: its name on the server, or the compile error. The thread that has the turn makes it."""

    made: str | Execution = ""
    turn: threading.Lock = field(default_factory=threading.Lock)


class GoJudgeExecutor(ServerExecutor[str]):
    """Runs programs on a go-judge server. Thread-safe. CPU time is measured."""

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._binaries = OrderedDict[str, _Binary]()  # the one used last is last

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(self._known)

    def _reported_languages(self) -> frozenset[str]:
        paths = self._all_served()
        return frozenset(name for name, language in self._known.items() if paths.keys() >= {*language.tools})

    def _ask(self) -> Mapping[str, str]:
        """Return the paths of the server's tools."""
        tools = sorted({tool for language in self._known.values() for tool in language.tools})
        probe = _cmd(["/bin/sh", "-c", _PROBE, "probe", *tools], {"content": ""}, _PROBE_LIMITS, _PROCESSES)
        result = self._go(probe, self._clock() + _PROBE_S, _ANSWER_BYTES)
        if result.status is not _Said.ACCEPTED:
            raise self._server.failed(f"cannot list its tools: {result.status.value}")
        lines = (line.partition(" ") for line in result.text("stdout").splitlines())
        return {tool: path for tool, _, path in lines if path.startswith("/")}

    def _run(self, run: ServerRun) -> Execution:
        """Run a program. If the server has lost the compiled one, it is made again, once."""
        if not run.build.compile:
            return self._ended(run, {})
        binary, lost = self._binary(run), False
        while True:
            with binary.turn:
                made = binary.made = binary.made or self._compiled(run)
            if isinstance(made, Execution):
                return made
            try:
                return self._ended(run, {PROGRAM: {"fileId": made}})
            except UnexpectedStatus as refusal:
                if "does not exist" not in refusal.words or lost:  # "file does not exists with id: ..."
                    raise
                lost = True
                with binary.turn:
                    binary.made = "" if binary.made == made else binary.made

    def _binary(self, run: ServerRun) -> _Binary:
        """Return the place of a compiled program. The one that was used longest ago is forgotten."""
        key = run.build.layout.digest(run.language, *run.build.compile, str(run.limits.compile_s))
        with self._lock:
            binary = self._binaries.setdefault(key, _Binary())
            self._binaries.move_to_end(key)
            if len(self._binaries) > _MOST_BINARIES:
                self._binaries.popitem(last=False)
        return binary

    def _ended(self, run: ServerRun, binary: Mapping[str, _File]) -> Execution:
        build, limits = run.build, run.limits
        data = {**({} if binary else build.layout.sources), **build.layout.extras, **build.given}
        given = {name: self._file(content, run.until_s) for name, content in data.items()}
        processes = limits.processes + build.language.runtime_processes
        cmd = _cmd(self._placed(build.run), self._file(run.stdin, run.until_s), limits, processes)
        cmd |= {"copyIn": {**given, **binary}, "copyOutMax": limits.output_bytes + 1}
        result = self._go(cmd, run.until_s, json_bytes(limits.output_bytes))
        _check(result, run)
        return execution_of_report(_report(result), run)

    def _placed(self, command: tuple[str, ...]) -> list[str]:
        return [self._all_served().get(command[0], command[0]), *command[1:]]

    def _compiled(self, run: ServerRun) -> str | Execution:
        """Return the server's name for the compiled program, or the compile error of the usual command."""
        made = self._make(run, run.build.compile)
        if isinstance(made, Execution) and run.build.pragmatic:
            again = self._make(run, run.build.pragmatic)
            return made if isinstance(again, Execution) else again
        return made

    def _make(self, run: ServerRun, command: tuple[str, ...]) -> str | Execution:
        limits = Limits(cpu_s=run.limits.compile_s, wall_s=run.limits.compile_wall_s, memory_bytes=_COMPILE_BYTES)
        processes = _PROCESSES + run.build.language.runtime_processes
        cmd = _cmd(self._placed(command), {"content": ""}, limits, processes)
        files = {name: self._file(data, run.until_s) for name, data in run.build.layout.files.items()}
        cmd |= {"copyIn": files, "copyOutCached": [PROGRAM], "copyOutMax": _BINARY_BYTES}
        result = self._go(cmd, run.until_s, json_bytes(limits.output_bytes))
        name = (result.fileIds or {}).get(PROGRAM, "")
        return name if result.status is _Said.ACCEPTED and name else _refusal(result, run)

    def _go(self, cmd: Mapping[str, object], until_s: float, at_most: int) -> _Result:
        try:
            answer = self._server.post("/run", {"cmd": [cmd]}, _Answer, within_s=self._left_s(until_s), at_most=at_most)
        except UnexpectedStatus as refusal:
            if "queue is full" in refusal.words:
                raise self._server.busy(refusal.reason) from None
            raise
        return answer.root[0]

    def _file(self, data: bytes, until_s: float) -> _File:
        """Return `data` as a file of a request. Bytes that are not text are uploaded first."""
        text = utf8_text(data)
        if text is not None:
            return {"content": text}
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n\r\n'
        content = self._server.call(
            "POST",
            "/file",
            body=b"%b%b\r\n--%b--\r\n" % (head.encode(), data, boundary.encode()),
            kind=f"multipart/form-data; boundary={boundary}",
            within_s=self._left_s(until_s),
            at_most=_ANSWER_BYTES,
        )
        return {"fileId": self._server.read(content, _FileId).root}

    def ping(self) -> None:
        """Return if the server answers and accepts the token. Raises EndpointError."""
        content = self._server.get("/version", within_s=PING_S, at_most=PING_BYTES)
        if b'"buildVersion"' not in content:
            raise self._server.failed("did not answer /version with a version; is it a go-judge server?")
        # The version needs no token. A missing file gives "not found" only with the right token.
        self._server.call("DELETE", "/file/ping", within_s=PING_S, at_most=PING_BYTES, good=404)


def _cmd(args: list[str], stdin: _File, limits: Limits, processes: int) -> dict[str, Any]:
    # With "pipe" the server reads along, so that endless output ends soon.
    streams = [{"name": name, "max": limits.output_bytes, "pipe": True} for name in ("stdout", "stderr")]
    return {
        "args": args,
        "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
        "files": [stdin, *streams],
        "cpuLimit": max(1, round(limits.cpu_s * _NANO)),
        "clockLimit": max(1, round(limits.wall_s * _NANO)),
        "memoryLimit": limits.memory_bytes,
        "stackLimit": limits.memory_bytes,
        "procLimit": processes,
        "copyOut": ["stdout", "stderr"],
    }


def _report(result: _Result) -> RunReport:
    said, killed = result.status, None
    if said is _Said.SYSCALL or said is _Said.SIGNALLED:
        killed = ServerSignal.SIGSYS if said is _Said.SYSCALL else result.exitStatus
    return RunReport(
        result.text("stdout").encode(),
        result.text("stderr").encode(),
        text_only=True,
        exit_code=None if said is _Said.MEMORY_LIMIT else result.exitStatus,
        signal=killed,
        timed_out=said is _Said.TIME_LIMIT,
        truncated=result.is_cut,
        starved=said is _Said.MEMORY_LIMIT,
        by_script=False,
        cpu_s=result.time / _NANO,
        memory_bytes=result.memory,
        message=result.error,
    )


def _refusal(result: _Result, run: ServerRun) -> Execution:
    """Return the compile error of a compiler that made no program.

    Raises:
        EndpointError: the compiler could not work, so nothing is known about the program; `CannotTell` if only its
            words say so, and `EndpointOverloaded` if it got too little CPU time.
    """
    said, server = result.status, run.server
    if said is _Said.TIME_LIMIT and result.time < run.limits.compile_s * _NANO:
        raise server.busy(f"too busy to compile within {result.runTime / _NANO:.1f} s")
    unmade = all(each.name == PROGRAM and each.type == "CopyOutOpen" for each in result.fileError or ())
    if said is not _Said.FILE_ERROR or not unmade:
        _check(result, run)
    if said is _Said.SIGNALLED and result.exitStatus == ServerSignal.SIGKILL:
        raise server.failed("the compiler was killed from outside; is the machine out of memory?")
    if said is _Said.ACCEPTED:
        raise server.failed("the answer contradicts itself: the compiler succeeded, but its file is missing")
    messages = run.compiler_messages(result.text("stderr") or result.text("stdout"))
    if said is _Said.NONZERO:
        return run.compile_error(messages)
    message = "the compiler made no program" if said is _Said.FILE_ERROR else f"the compiler ended with {said.value}"
    return Execution(Status.COMPILE_ERROR, stderr=messages, message=message)


def _check(result: _Result, run: ServerRun) -> None:
    if result.status in (_Said.INTERNAL_ERROR, _Said.FILE_ERROR):
        raise run.server.failed(f"the sandbox failed: {result.status.value}: {run.server.one_line(result.error)}")


balancer_executors = executor_hook(
    GoJudgeExecutor, "gojudge+http", "gojudge+https", summary="runs programs on a go-judge server"
)
