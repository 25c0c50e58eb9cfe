"""go-judge: programs are compiled once and kept on the server, and compiled again if it has lost one.

Times are nanoseconds, sizes bytes. An answer that does not fit the models is malformed. A queue that is full means that
the endpoint is busy.

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

import contextlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, RootModel

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Status
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, ServerRun, executor_hook, json_bytes
from balancer.sandbox.http.answers import ServerSignal
from balancer.sandbox.http.builds import PROGRAM, tools_of, utf8_text
from balancer.sandbox.http.client import UnexpectedStatus
from balancer.sandbox.languages.memory import died_of_memory_limit

__all__ = ["CachedBinaries", "GoJudgeExecutor", "balancer_executors"]

_NANO = 10**9
_PRINTED_BYTES = 4 * 2**20  # limit on a compiler's output
_COMPILE_BYTES, _BINARY_BYTES, _PROCESSES = 2 * 2**30, 256 * 2**20, 32
_PROBE_LIMITS = Limits(cpu_s=2.0, wall_s=5.0, memory_bytes=2**28, output_bytes=2**16)
_PROBE = 'for tool; do command -v "$tool" >/dev/null && echo "$tool $(command -v "$tool")"; done; exit 0'
_PROBE_S, _DELETE_S = 10.0, 2.0
_ANSWER_BYTES = 2**16
_MOST_BINARIES = 256
_REPLACED = "\ufffd"  # stands in JSON for bytes that are not text
# A fixed hash seed makes Python's set order, and so a program's output, the same every time.
_ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "LC_ALL=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONHASHSEED=0",
]

_File = Mapping[str, str]  # {"content": text}, or {"fileId": name} of a file that the server keeps
_Made = str | Execution  # the server's name of a program, or the compile error


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


class _FileError(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str = ""
    type: str | int = ""
    message: str = ""


class _Result(BaseModel):
    """Result of one command."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

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

    def cached(self, name: str) -> str:
        """Return the server's name of a file that it keeps; "" if it keeps none."""
        return (self.fileIds or {}).get(name, "")

    def exceeds(self, limits: Limits, *printed: bytes) -> bool:
        """Return whether more was `printed` than the limits allow, by the status or by the length."""
        if self.status is _Said.OUTPUT_LIMIT or any(len(each) > limits.output_bytes for each in printed):
            return True
        return any(each.type == "CollectSizeExceeded" for each in self.fileError or ())


class _Answer(RootModel[list[_Result]]):
    root: list[_Result] = Field(min_length=1, max_length=1)


class _FileId(RootModel[str]):
    pass


class CachedBinaries:
    """Compiled programs that a server keeps, by what they are made from. Thread-safe.

    Args:
        drop: deletes one from the server; must not raise.
    """

    def __init__(self, drop: Callable[[str], object]) -> None:
        self._drop = drop
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def get(self, key: str, make: Callable[[], _Made]) -> _Made:
        """Return what `make` made for `key`. One thread makes it, others wait. An error of `make` is not kept."""
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if (made := self._made.get(key)) is not None:
                    self._made.move_to_end(key)
                    return made
            made = make()
            with self._lock:
                self._made[key] = made
                old = [self._made.popitem(last=False) for _ in range(len(self._made) - _MOST_BINARIES)]
                for each, _ in old:
                    self._turns.pop(each, None)
            for _, what in old:
                if isinstance(what, str):
                    self._drop(what)
            return made

    def forget(self, key: str, name: str) -> None:
        """Drop `name`, which the server has lost, unless another one was made for `key` since."""
        with self._lock:
            if self._made.get(key) == name:
                del self._made[key]

    def clear(self) -> list[str]:
        """Drop all, and return their names on the server."""
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
        return [each for each in made if isinstance(each, str)]


class GoJudgeExecutor(ServerExecutor[str]):
    """Runs programs on a go-judge server. Thread-safe. CPU time is measured; bytes that are not text pass unchanged."""

    def _set_up(self) -> None:
        self._binaries = CachedBinaries(self._delete)

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(self._known)

    def _reported_languages(self) -> frozenset[str]:
        paths = self._all_served()
        return frozenset(name for name, language in self._known.items() if tools_of(language) <= paths.keys())

    def _ask(self) -> Mapping[str, str]:
        """Return the paths of the server's tools."""
        tools = sorted(frozenset[str]().union(*map(tools_of, self._known.values())))
        probe = _cmd(["/bin/sh", "-c", _PROBE, "probe", *tools], {"content": ""}, _PROBE_LIMITS)
        result = self._go(probe, self._clock() + _PROBE_S, _ANSWER_BYTES)
        if result.status is not _Said.ACCEPTED:
            raise self._server.failed(f"cannot list its tools: {result.status.value}")
        lines = (line.partition(" ") for line in result.text("stdout").splitlines())
        return {tool: path for tool, _, path in lines if path.startswith("/")}

    def _run(self, run: ServerRun) -> Execution:
        build, limits = run.build, run.limits
        with contextlib.ExitStack() as lent:
            data = {**({} if build.compile else build.layout.sources), **build.layout.extras, **build.given}
            given = {name: self._file(content, lent, run.until_s) for name, content in data.items()}
            stdin = self._file(run.stdin, lent, run.until_s)
            processes = limits.processes + build.language.runtime_processes

            def once(*cached: str) -> _Result | Execution:
                def go(binary: Mapping[str, _File]) -> _Result:
                    cmd = _cmd(self._placed(build.run), stdin, limits, processes=processes, cached=cached)
                    cmd |= {"copyIn": {**given, **binary}, "copyOutMax": limits.output_bytes + 1}
                    return self._go(cmd, run.until_s, json_bytes(limits.output_bytes))

                return self._with_binary(run, go) if build.compile else go({})

            output, result = None, once()
            if isinstance(result, _Result) and _REPLACED in result.text("stdout") and not result.exceeds(limits):
                # JSON has only text: other output comes as a file, so the program runs again.
                result = once("stdout")
                if isinstance(result, _Result):
                    output = self._fetched(result, run, lent)
        if isinstance(result, Execution):
            return result
        self._server.check_output((output or b"").decode("latin-1") or result.text("stdout"))
        return _execution(result, output, run)

    def _placed(self, command: tuple[str, ...]) -> list[str]:
        return [self._all_served().get(command[0], command[0]), *command[1:]]

    def _with_binary(
        self, run: ServerRun, go: Callable[[Mapping[str, _File]], _Result], *, again: bool = False
    ) -> _Result | Execution:
        """Return the result of `go` with the compiled program. If the server has lost it, it is made `again`, once."""
        key = run.build.layout.digest(run.language, *run.build.compile, str(run.limits.compile_s))
        made = self._binaries.get(key, lambda: self._compiled(run))
        if isinstance(made, Execution):
            return made
        try:
            return go({PROGRAM: {"fileId": made}})
        except UnexpectedStatus as refusal:
            if "does not exist" not in refusal.words:  # "file does not exists with id: ..."
                raise
            self._binaries.forget(key, made)
            if again:
                raise
        return self._with_binary(run, go, again=True)

    def _compiled(self, run: ServerRun) -> _Made:
        """Return the server's name for the compiled program, or the compile error of the usual command."""
        made = self._make(run, run.build.compile)
        if isinstance(made, Execution) and run.build.pragmatic:
            again = self._make(run, run.build.pragmatic)
            return made if isinstance(again, Execution) else again
        return made

    def _make(self, run: ServerRun, command: tuple[str, ...]) -> _Made:
        limits = Limits(
            cpu_s=run.limits.compile_s,
            wall_s=run.limits.compile_wall_s,
            memory_bytes=_COMPILE_BYTES,
            output_bytes=_PRINTED_BYTES,
        )
        with contextlib.ExitStack() as lent:
            files = {name: self._file(data, lent, run.until_s) for name, data in run.build.layout.files.items()}
            processes = _PROCESSES + run.build.language.runtime_processes
            cmd = _cmd(self._placed(command), {"content": ""}, limits, processes=processes)
            cmd |= {"copyIn": files, "copyOutCached": [PROGRAM], "copyOutMax": _BINARY_BYTES}
            result = self._go(cmd, run.until_s, json_bytes(_PRINTED_BYTES))
        refusal, name = _refusal(result, run), result.cached(PROGRAM)
        if refusal is not None and name:
            self._delete(name)
        return name if refusal is None else refusal

    def _go(self, cmd: Mapping[str, object], until_s: float, at_most: int) -> _Result:
        try:
            answer = self._server.post("/run", {"cmd": [cmd]}, _Answer, within_s=self._left_s(until_s), at_most=at_most)
        except UnexpectedStatus as refusal:
            if "queue is full" in refusal.words:
                raise self._server.busy(refusal.reason) from None
            raise
        return answer.root[0]

    def _file(self, data: bytes, lent: contextlib.ExitStack, until_s: float) -> _File:
        """Return `data` as a file of a request. Bytes that are not text are uploaded first, and deleted with `lent`."""
        text = utf8_text(data)
        if text is not None:
            return {"content": text}
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        content = self._server.call(
            "POST",
            "/file",
            body=b"%b%b\r\n--%b--\r\n" % (head.encode(), data, boundary.encode()),
            kind=f"multipart/form-data; boundary={boundary}",
            within_s=self._left_s(until_s),
            at_most=_ANSWER_BYTES,
        )
        name = self._server.read(content, _FileId).root
        lent.callback(self._delete, name)
        return {"fileId": name}

    def _fetched(self, result: _Result, run: ServerRun, lent: contextlib.ExitStack) -> bytes | None:
        """Return the output that the server kept; None if it has none, as its own errors say."""
        name = result.cached("stdout")
        if not name:
            if result.status in (_Said.INTERNAL_ERROR, _Said.FILE_ERROR):
                return None
            raise self._server.failed("the answer has no file with the output")
        lent.callback(self._delete, name)
        at_most = run.limits.output_bytes + 2**16
        return self._server.get(_path(name), within_s=self._left_s(run.until_s), at_most=at_most)

    def _delete(self, name: str) -> bool:
        """Delete a file on the server, and return whether the server answers. Failures are ignored."""
        try:
            self._server.call("DELETE", _path(name), within_s=_DELETE_S, at_most=_ANSWER_BYTES)
        except EndpointError as error:
            return isinstance(error, UnexpectedStatus)
        return True

    def ping(self) -> None:
        """Return if the server answers and accepts the token. Raises EndpointError."""
        content = self._server.get("/version", within_s=PING_S, at_most=PING_BYTES)
        if b'"buildVersion"' not in content:
            raise self._server.failed("did not answer /version with a version; is it a go-judge server?")
        # The version needs no token. A missing file gives "not found" only with the right token.
        self._server.call("DELETE", "/file/ping", within_s=PING_S, at_most=PING_BYTES, good=404)

    def close(self) -> None:
        """Delete our files on the server, and close all connections. May be called twice."""
        # Stops at the first failure: a server that is gone is asked once.
        all(self._delete(name) for name in self._binaries.clear())
        super().close()


def _path(name: str) -> str:
    return f"/file/{quote(name, safe='')}"


def _cmd(
    args: list[str], stdin: _File, limits: Limits, *, processes: int = _PROCESSES, cached: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a command. The streams named in `cached` are kept by the server, because JSON has only text."""
    # With "pipe" the server reads along, so that endless output ends soon.
    streams = [{"name": name, "max": limits.output_bytes, "pipe": True} for name in ("stdout", "stderr")]
    return {
        "args": args,
        "env": _ENVIRONMENT,
        "files": [stdin, *streams],
        "cpuLimit": max(1, round(limits.cpu_s * _NANO)),
        "clockLimit": max(1, round(limits.wall_s * _NANO)),
        "memoryLimit": limits.memory_bytes,
        "stackLimit": limits.memory_bytes,
        "procLimit": processes,
        "copyOut": [name for name in ("stdout", "stderr") if name not in cached],
        "copyOutCached": list(cached),
    }


def _execution(result: _Result, output: bytes | None, run: ServerRun) -> Execution:
    """Return the end of a run, whose `output` the server may have kept as a file. Raises EndpointError."""
    _check(result, run)
    said, limits = result.status, run.limits
    stdout, stderr = result.text("stdout").encode() if output is None else output, result.text("stderr").encode()
    code = -ServerSignal.SIGSYS if said is _Said.SYSCALL else result.exitStatus
    code = -code if said is _Said.SIGNALLED else code
    status, own_code = Status.FINISHED, True
    if result.exceeds(limits, stdout, stderr):
        status, own_code = Status.OUTPUT_LIMIT, False
    elif said is _Said.TIME_LIMIT or result.time >= limits.cpu_s * _NANO:
        status, own_code = Status.TIME_LIMIT, False
    elif said is _Said.MEMORY_LIMIT:
        status, own_code = Status.MEMORY_LIMIT, False
    elif code and died_of_memory_limit(run.language, code, stderr):
        status = Status.MEMORY_LIMIT
    return Execution(
        status=status,
        stdout=stdout[: limits.output_bytes],
        stderr=run.stderr(result.text("stderr")),
        exit_code=code if own_code else None,
        time_s=result.time / _NANO,
        cpu_measured=True,
        memory_bytes=result.memory,
        message=run.server.redact(result.error),
    )


def _refusal(result: _Result, run: ServerRun) -> Execution | None:
    """Return the compile error in `result`; None if the compiler made a program.

    Raises:
        EndpointError: the compiler could not work, so nothing is known about the program; `CannotTell` if only its
            words say so, and `EndpointOverloaded` if it got too little CPU time.
    """
    said, server, compile_s = result.status, run.server, run.limits.compile_s
    if said is _Said.ACCEPTED and result.cached(PROGRAM):
        return None
    if said is _Said.TIME_LIMIT and result.time < compile_s * _NANO:
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
    reasons = {
        _Said.TIME_LIMIT: f"the compiler was stopped after {compile_s:g} s",
        _Said.MEMORY_LIMIT: "the compiler was stopped: it used too much memory",
        _Said.OUTPUT_LIMIT: "the compiler was stopped: it printed too much",
        _Said.FILE_ERROR: "the compiler made no program",
    }
    return Execution(Status.COMPILE_ERROR, stderr=messages, message=reasons.get(said, ""))


def _check(result: _Result, run: ServerRun) -> None:
    if result.status in (_Said.INTERNAL_ERROR, _Said.FILE_ERROR):
        raise run.server.failed(f"the sandbox failed: {result.status.value}: {run.server.one_line(result.error)}")


balancer_executors = executor_hook(
    GoJudgeExecutor, "gojudge+http", "gojudge+https", summary="runs programs on a go-judge server"
)
