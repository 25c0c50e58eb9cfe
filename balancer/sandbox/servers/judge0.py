"""Judge0: submissions, which are polled until they are over.

Texts are base64, times are seconds, sizes are kilobytes of 1024 bytes. A query of the URL chooses languages by their
ids, e.g. "judge0+http://10.0.0.1:2358/?cpp=105". An answer that does not fit the models is malformed.

| status | means |
|---|---|
| Accepted, Runtime Error | FINISHED with its code; but see the next three |
| output as long as a file may be | OUTPUT_LIMIT, unless the server allows less than was asked for |
| SIGKILL, or code 137 | MEMORY_LIMIT if memory was full, else unknown |
| SIGXFSZ with little output | unknown: another file was larger than it allows |
| Time Limit Exceeded | TIME_LIMIT, unless the server allows less than was asked for |
| Compilation Error | COMPILE_ERROR, unless the compiler ran out of time or could not work |
| Wrong Answer, Internal Error, Exec Format Error | the endpoint failed |
| still queued at the deadline | the endpoint is busy |
"""

import io
import math
import re
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, RootModel

from balancer.errors import ConfigError
from balancer.program import Execution, Limits
from balancer.sandbox.http.adapter import ServerExecutor, ServerRun, executor_hook, json_bytes
from balancer.sandbox.http.answers import RunReport, ServerSignal, execution_of_report
from balancer.sandbox.http.builds import encoded, newest, versions_in
from balancer.sandbox.http.client import AnswerModel

__all__ = ["Judge0Executor", "balancer_executors"]

_KILO = 1024
_FLAGGED = {"c": "C", "cpp": "C++"}  # without our flags they would not be optimised; as the server's settings name them
_OLD_GCC = 10
# Older compilers know later standards by these names.
_OLD_STANDARDS = {"-std=gnu++20": "-std=gnu++2a", "-std=c++20": "-std=c++2a", "-std=gnu17": "-std=gnu11"}
_LEAST_WALL_S, _LEAST_MEMORY = 1.0, 2048
_MOST_CHARS = 512  # of arguments, and of options
_TAKEN_OUT = frozenset("$&;<>|`")  # Judge0 removes them from both, because it puts both into a script
_ITS_OWN = frozenset({"compile.sh", "run.sh", "additional_files.zip"})
_SHELL = 2  # processes: the script's own
_MOST_PAUSE_S, _PAUSE_FACTOR = 1.0, 1.5
_FIELDS = "status,stdout,stderr,compile_output,message,exit_code,exit_signal,time,wall_time,memory"
_QUEUED, _PROCESSING, _TIME_LIMIT, _COMPILATION_ERROR = 1, 2, 5, 6
_FAILED = {4: "wrong answer", 13: "internal error", 14: "exec format error"}  # nothing was to be compared


class _Language(AnswerModel):
    id: int
    name: str


class _Languages(RootModel[list[_Language]]):
    pass


class _ServerLimits(AnswerModel):
    max_cpu_time_limit: float = Field(gt=0)
    max_wall_time_limit: float = Field(gt=0)
    max_memory_limit: int = Field(gt=0)
    max_stack_limit: int = Field(gt=0)
    max_max_processes_and_or_threads: int = Field(gt=0)
    max_max_file_size: int = Field(gt=0)
    max_extract_size: int = Field(10_240, gt=0)
    enable_compiler_options: bool = True
    enable_command_line_arguments: bool = True
    enable_additional_files: bool = True
    allowed_languages_for_compile_options: list[str] = Field(default_factory=list)


class _Created(AnswerModel):
    token: str = Field(min_length=1, pattern=r"^[\w-]+$")


class _Status(AnswerModel):
    id: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]


class _Submission(AnswerModel):
    status: _Status
    stdout: str | None = None
    stderr: str | None = None
    compile_output: str | None = None
    message: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    time: float | None = Field(None, ge=0)  # text in JSON
    wall_time: float | None = Field(None, ge=0)
    memory: float | None = Field(None, ge=0)


class Judge0Executor(ServerExecutor[_Language]):
    """Runs programs on a Judge0 server. Thread-safe. CPU time is measured; bytes that are not text pass unchanged."""

    names: ClassVar = {  # how Judge0 names its versions; ids differ from one server to another
        "bash": r"Bash \(([\d.]+)\)",
        "c": r"C \(GCC ([\d.]+)\)",
        "cpp": r"C\+\+ \(GCC ([\d.]+)\)",
        "go": r"Go \(([\d.]+)\)",
        "java": r"Java \((?:Open)?JDK ([\d.]+)\)",
        "javascript": r"JavaScript \(Node\.js ([\d.]+)\)",
        "kotlin": r"Kotlin \(([\d.]+)\)",
        "python": r"Python \((3\.[\d.]+)\)",
    }
    first_pause_s: ClassVar[float] = 0.05  # before the first look at a result

    def _set_up(self) -> None:
        self._chosen = versions_in(self._url, self._possible_languages())
        for name, number in self._chosen.items():
            if not number.isdecimal():
                found = f"endpoint url is {self._url!r}: {name} is {number!r}"
                raise ConfigError(f"{found}; it must be the id of a language")

    def _ask(self) -> Mapping[str, _Language]:
        """Ask for the languages, and for the server's limits. C and C++ are left out if compilers take no flags."""
        self._most = most = self._get("/config_info", _ServerLimits)
        languages, found = self._get("/languages", _Languages).root, {}
        allowed = most.allowed_languages_for_compile_options
        for name in self._possible_languages():
            if name in _FLAGGED and (not most.enable_compiler_options or (allowed and _FLAGGED[name] not in allowed)):
                continue
            versions = {match[1]: each for each in languages if (match := re.fullmatch(self.names[name], each.name))}
            if name in self._chosen:
                number = int(self._chosen[name])
                found[name] = next((each for each in languages if each.id == number), _Language(id=number, name=""))
            elif versions:
                found[name] = versions[newest(versions)]
        return found

    def _run(self, run: ServerRun) -> Execution:
        language, most = self._served(run.language), self._most
        given = replace(
            run.limits,
            cpu_s=min(run.limits.cpu_s, most.max_cpu_time_limit),
            wall_s=max(_LEAST_WALL_S, min(run.limits.wall_s, most.max_wall_time_limit)),
            memory_bytes=min(run.limits.memory_bytes, most.max_memory_limit * _KILO),
            output_bytes=min(run.limits.output_bytes, most.max_max_file_size * _KILO),
        )
        # One byte more than is allowed, so that an excess is visible.
        file_size = min(most.max_max_file_size, math.ceil((run.limits.output_bytes + 1) / _KILO))
        body = _submission(run, language, most, given) | {"max_file_size": file_size}
        compile_s = most.max_wall_time_limit if run.build.compile else 0.0  # compilers have the server's own limits
        until_s = self._clock() + given.wall_s + compile_s + self.margin_s
        path, within_s = "/submissions?base64_encoded=true&wait=false", self._left_s(until_s)
        created = self._server.post(path, body, _Created, within_s=within_s, at_most=2**16, good=201)
        answer = self._result(created.token, until_s, json_bytes(run.limits.output_bytes))
        return _execution(answer, run, given, file_size * _KILO)

    def _result(self, token: str, until_s: float, at_most: int) -> _Submission:
        """Poll a submission until it is over, with growing pauses."""
        pause_s = self.first_pause_s
        path = f"/submissions/{token}?base64_encoded=true&fields={_FIELDS}"
        while True:
            if self._closing.wait(pause_s):
                raise self._server.failed("the executor is closed")
            content = self._server.get(path, within_s=self._left_s(until_s), at_most=at_most)
            answer = self._server.read(content, _Submission)
            if answer.status.id not in (_QUEUED, _PROCESSING):
                return answer
            pause_s = min(pause_s * _PAUSE_FACTOR, _MOST_PAUSE_S)
            if self._clock() + pause_s >= until_s:
                if answer.status.id == _QUEUED:
                    raise self._server.busy("the program did not start in time")
                raise self._server.failed("the program started but did not end in time")

    def ping(self) -> None:
        """Return if the server answers and accepts the request. Raises EndpointError."""
        self._get("/languages", _Languages)


def _submission(run: ServerRun, language: _Language, most: _ServerLimits, given: Limits) -> dict[str, object]:
    """Return the body of a submission. Raises ValueError if the program cannot be sent."""
    build = run.build
    if build.layout.sources.get("entry", b"Main") != b"Main":
        raise ValueError("Judge0 starts only a class named Main; rename the class")
    if build.args and not most.enable_command_line_arguments:
        raise ValueError("this Judge0 server allows no command line arguments")
    memory = max(_LEAST_MEMORY, given.memory_bytes // _KILO)
    processes = run.limits.processes + build.language.runtime_processes + _SHELL
    body = {
        "source_code": encoded(build.main),
        "language_id": language.id,
        "compiler_options": _joined(_flags(run, language)),
        "command_line_arguments": _joined(list(build.args)),
        "stdin": encoded(run.stdin),
        "cpu_time_limit": given.cpu_s,
        "wall_time_limit": given.wall_s,
        "memory_limit": memory,
        "stack_limit": min(most.max_stack_limit, memory),
        "max_processes_and_or_threads": min(processes, most.max_max_processes_and_or_threads),
        "additional_files": _archive({**build.layout.extras, **build.given}, most),
    }
    return {name: value for name, value in body.items() if value is not None}


def _flags(run: ServerRun, language: _Language) -> list[str]:
    """Return the flags for this version of the compiler."""
    if run.language not in _FLAGGED:
        return []
    version = re.search(r"(\d+)[\d.]*\)$", language.name)
    old = version is not None and int(version[1]) < _OLD_GCC
    flags = [_OLD_STANDARDS.get(flag, flag) if old else flag for flag in run.build.flags]
    # They come before the source: there a linker drops libraries that nothing has needed so far.
    libraries = any(flag.startswith("-l") for flag in flags)
    return [*(["-Wl,--no-as-needed"] if libraries else []), *flags, *run.build.layout.further]


def _joined(words: list[str]) -> str | None:
    """Return `words` quoted for Judge0's script; None for none."""
    text = shlex.join(words)
    if _TAKEN_OUT & set(text) or len(text) > _MOST_CHARS or text != text.strip():
        raise ValueError(
            f"Judge0 cannot take the arguments {text[:80]!r}; it takes up to {_MOST_CHARS} characters, and none of "
            f"{' '.join(sorted(_TAKEN_OUT))}"
        )
    return text or None


def _archive(files: Mapping[str, bytes], most: _ServerLimits) -> str | None:
    """Return the files beside the program, in Judge0's form; None for none."""
    if not files:
        return None
    if not most.enable_additional_files:
        raise ValueError("this Judge0 server allows no additional files")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if name in _ITS_OWN:
                raise ValueError(f"file name {name!r} belongs to Judge0; rename the file")
            if len(content) > most.max_extract_size * _KILO:
                allowed = f"this Judge0 server unpacks {most.max_extract_size * _KILO} at most"
                raise ValueError(f"file {name!r} has {len(content)} bytes; {allowed}")
            archive.writestr(zipfile.ZipInfo(name), content)
    return encoded(packed.getvalue())


def _execution(answer: _Submission, run: ServerRun, given: Limits, most_bytes: int) -> Execution:
    """Return the end of a submission, of which files may have `most_bytes`. Raises EndpointError, CannotTell."""
    server, state, message = run.server, answer.status.id, run.decoded(answer.message).decode("utf-8", "replace")
    if state in _FAILED:
        raise server.failed(f"the sandbox failed: {_FAILED[state]}: {server.one_line(message)}")
    if state == _COMPILATION_ERROR:
        messages = run.compiler_messages(run.decoded(answer.compile_output).decode("utf-8", "replace"))
        if messages.strip().startswith(b"Compilation time limit exceeded"):
            raise server.cannot_tell("the server's own time limit stopped the compiler")
        return run.compile_error(messages)
    stdout, killed = run.decoded(answer.stdout), answer.exit_signal or None
    if ServerSignal.SIGXFSZ in (killed, (answer.exit_code or 0) - 128) and len(stdout) < most_bytes:
        raise server.cannot_tell(f"cannot tell how the program ended: it wrote more than {most_bytes} bytes")
    report = RunReport(
        stdout=stdout,
        stderr=run.decoded(answer.stderr),
        exit_code=None if killed else answer.exit_code,
        signal=killed,
        timed_out=state == _TIME_LIMIT,
        truncated=len(stdout) >= most_bytes,
        cpu_s=answer.time,
        wall_s=answer.wall_time,
        memory_bytes=None if answer.memory is None else int(answer.memory * _KILO),
        message=message,
    )
    return execution_of_report(report, run, given)


balancer_executors = executor_hook(
    Judge0Executor, "judge0+http", "judge0+https", summary="runs programs on a Judge0 server"
)
