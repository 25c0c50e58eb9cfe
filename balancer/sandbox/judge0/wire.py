"""Judge0's API: its requests and answers as pydantic models, and their conversion from runs and to executions.

Decides the server's language for each of ours, what a submission cannot hold, and whether an answer is an `Execution`
or an `EndpointError`. Pure. An answer that does not fit the models is malformed. Texts are base64, times are seconds,
sizes are kilobytes of 1024 bytes.

| status | means |
|---|---|
| Accepted, Runtime Error | FINISHED with its code; but see the next three |
| output as long as a file may be | OUTPUT_LIMIT, unless the server allows less than was asked for |
| SIGKILL, or code 137 | MEMORY_LIMIT if memory was full, else unknown |
| SIGXFSZ with little output | unknown: another file was larger than it allows |
| Time Limit Exceeded | TIME_LIMIT, unless the server allows less than was asked for |
| Compilation Error | COMPILE_ERROR, unless the compiler ran out of time or could not work |
| Wrong Answer, Internal Error, Exec Format Error | the endpoint failed |
"""

import base64
import binascii
import io
import math
import re
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from pydantic import BaseModel, ConfigDict, Field, RootModel

from balancer.program import Execution, Limits
from balancer.sandbox.http.answers import AnswerContext, RunReport, ServerSignal, execution_of_report
from balancer.sandbox.http.builds import Build, newest

__all__ = [
    "NAMES",
    "Created",
    "Judge0Request",
    "Judge0Status",
    "Languages",
    "ServedLanguage",
    "ServerLimits",
    "SubmissionAnswer",
    "execution_of_answer",
    "served_languages",
    "submission_for",
    "text_of",
]

_KILO = 1024

# -- languages -------------------------------------------------------------------------------------

# Ours -> how Judge0 names its versions; ids differ from one server to another.
NAMES: Mapping[str, str] = {
    "bash": r"Bash \(([\d.]+)\)",
    "c": r"C \(GCC ([\d.]+)\)",
    "cpp": r"C\+\+ \(GCC ([\d.]+)\)",
    "go": r"Go \(([\d.]+)\)",
    "java": r"Java \((?:Open)?JDK ([\d.]+)\)",
    "javascript": r"JavaScript \(Node\.js ([\d.]+)\)",
    "kotlin": r"Kotlin \(([\d.]+)\)",
    "python": r"Python \((3\.[\d.]+)\)",
}
_FLAGGED = {"c": "C", "cpp": "C++"}  # without our flags they would not be optimised; as the server's settings name them
_OLD_GCC = 10
# Older compilers know later standards by these names.
_OLD_STANDARDS = {"-std=gnu++20": "-std=gnu++2a", "-std=c++20": "-std=c++2a", "-std=gnu17": "-std=gnu11"}


class Judge0Language(BaseModel):
    """One version of a language that the server has."""

    id: int
    name: str


class Languages(RootModel[list[Judge0Language]]):
    """Answer to `GET /languages`."""


class ServerLimits(BaseModel):
    """The part of `GET /config_info` that limits a run."""

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

    def takes_flags(self, name: str) -> bool:
        """Return whether compilers of the server's language `name` accept flags."""
        allowed = self.allowed_languages_for_compile_options
        return self.enable_compiler_options and (not allowed or name in allowed)


@dataclass(frozen=True, slots=True)
class ServedLanguage:
    """A language of the server.

    Attributes:
        id: its number.
        version: of its compiler or interpreter; "" if the config chose it by number.
        flagged: whether its compiler gets our flags.
    """

    id: int
    version: str
    flagged: bool

    def flags(self, build: Build) -> list[str]:
        """Return the flags for this version of the compiler."""
        if not self.flagged:
            return []
        major = int(self.version.partition(".")[0] or _OLD_GCC)
        flags = [_OLD_STANDARDS.get(flag, flag) if major < _OLD_GCC else flag for flag in build.flags]
        # They come before the source: there a linker drops libraries that nothing has needed so far.
        libraries = any(flag.startswith("-l") for flag in flags)
        return [*(["-Wl,--no-as-needed"] if libraries else []), *flags, *build.layout.further]


def served_languages(
    languages: list[Judge0Language], limits: ServerLimits, chosen: Mapping[str, str]
) -> Mapping[str, ServedLanguage]:
    """Return the server's language for each of ours.

    Args:
        languages: that the server has.
        limits: of the server; C and C++ are left out if their compilers accept no flags.
        chosen: ids that the config chose, by our names of languages.
    """
    found = {}
    for name, pattern in NAMES.items():
        if name in _FLAGGED and not limits.takes_flags(_FLAGGED[name]):
            continue
        if name in chosen:
            found[name] = ServedLanguage(int(chosen[name]), _version(languages, chosen[name]), name in _FLAGGED)
            continue
        versions = {match[1]: each.id for each in languages if (match := re.fullmatch(pattern, each.name))}
        if versions:
            version = newest(versions)
            found[name] = ServedLanguage(versions[version], version, name in _FLAGGED)
    return found


def _version(languages: list[Judge0Language], number: str) -> str:
    """Return the version in the name of the language with that number, "" if it has none."""
    name = next((each.name for each in languages if str(each.id) == number), "")
    match = re.search(r"([\d.]+)\)$", name)
    return match[1] if match else ""


# -- requests --------------------------------------------------------------------------------------

_LEAST_WALL_S = 1.0
_LEAST_MEMORY = 2048
_MOST_CHARS = 512  # of arguments, and of options
_TAKEN_OUT = frozenset("$&;<>|`")  # Judge0 removes them from both, because it puts both into a script
_ITS_OWN = frozenset({"compile.sh", "run.sh", "additional_files.zip"})
_SHELL = 2  # processes: the script's own


class Judge0Submission(BaseModel):
    """Body of `POST /submissions`."""

    source_code: str
    language_id: int
    compiler_options: str | None = None
    command_line_arguments: str | None = None
    stdin: str
    cpu_time_limit: float
    wall_time_limit: float
    memory_limit: int
    stack_limit: int
    max_processes_and_or_threads: int
    max_file_size: int
    additional_files: str | None = None


@dataclass(frozen=True, slots=True)
class Judge0Request:
    """A submission, and its limits."""

    body: Judge0Submission
    given: Limits


def submission_for(
    build: Build, stdin: bytes, limits: Limits, served: ServedLanguage, most: ServerLimits
) -> Judge0Request:
    """Return the submission that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        limits: of the run.
        served: the server's version of its language.
        most: the server's own limits.

    Raises:
        ValueError: the program cannot be sent.
    """
    if build.layout.sources.get("entry", b"Main") != b"Main":
        raise ValueError("Judge0 starts only a class named Main; rename the class")
    given = replace(
        limits,
        cpu_s=min(limits.cpu_s, most.max_cpu_time_limit),
        wall_s=max(_LEAST_WALL_S, min(limits.wall_s, most.max_wall_time_limit)),
        memory_bytes=min(limits.memory_bytes, most.max_memory_limit * _KILO),
        output_bytes=min(limits.output_bytes, most.max_max_file_size * _KILO),
    )
    memory = max(_LEAST_MEMORY, given.memory_bytes // _KILO)
    processes = limits.processes + build.language.runtime_processes + _SHELL
    body = Judge0Submission(
        source_code=_encoded(build.main),
        language_id=served.id,
        compiler_options=_joined(served.flags(build)),
        command_line_arguments=_joined(list(build.args)),
        stdin=_encoded(stdin),
        cpu_time_limit=given.cpu_s,
        wall_time_limit=given.wall_s,
        memory_limit=memory,
        stack_limit=min(most.max_stack_limit, memory),
        max_processes_and_or_threads=min(processes, most.max_max_processes_and_or_threads),
        # One byte more than is allowed, so that an excess is visible.
        max_file_size=min(most.max_max_file_size, math.ceil((limits.output_bytes + 1) / _KILO)),
        additional_files=_archive({**build.layout.extras, **build.given}, most),
    )
    if body.command_line_arguments and not most.enable_command_line_arguments:
        raise ValueError("this Judge0 server allows no command line arguments")
    return Judge0Request(body, given)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _joined(words: list[str]) -> str | None:
    """Return `words` quoted for Judge0's script; None for none."""
    if not words:
        return None
    text = shlex.join(words)
    if _TAKEN_OUT & set(text) or len(text) > _MOST_CHARS or text != text.strip():
        raise ValueError(
            f"Judge0 cannot take the arguments {text[:80]!r}; it takes up to {_MOST_CHARS} characters, and none of "
            f"{' '.join(sorted(_TAKEN_OUT))}"
        )
    return text


def _archive(files: Mapping[str, bytes], most: ServerLimits) -> str | None:
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
    return _encoded(packed.getvalue())


# -- answers ---------------------------------------------------------------------------------------

_OUT_OF_TIME = b"Compilation time limit exceeded"


class Judge0Status(IntEnum):
    """Status of a submission."""

    IN_QUEUE = 1
    PROCESSING = 2
    ACCEPTED = 3  # it ended with code 0; nothing was compared
    WRONG_ANSWER = 4
    TIME_LIMIT = 5
    COMPILATION_ERROR = 6
    SIGSEGV = 7
    SIGXFSZ = 8
    SIGFPE = 9
    SIGABRT = 10
    NONZERO = 11
    OTHER = 12
    INTERNAL_ERROR = 13
    EXEC_FORMAT_ERROR = 14


_FAILED = (Judge0Status.WRONG_ANSWER, Judge0Status.INTERNAL_ERROR, Judge0Status.EXEC_FORMAT_ERROR)


class Created(BaseModel):
    """Answer to `POST /submissions`."""

    token: str = Field(min_length=1, pattern=r"^[\w-]+$")


class Judge0StatusId(BaseModel):
    """The number of a status."""

    id: Judge0Status


class SubmissionAnswer(BaseModel):
    """Answer to `GET /submissions/TOKEN`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    status: Judge0StatusId
    stdout: str | None = None
    stderr: str | None = None
    compile_output: str | None = None
    message: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    time: float | None = Field(None, ge=0)  # text in JSON
    wall_time: float | None = Field(None, ge=0)
    memory: float | None = Field(None, ge=0)

    @property
    def is_over(self) -> bool:
        """Whether the submission was run."""
        return self.status.id not in (Judge0Status.IN_QUEUE, Judge0Status.PROCESSING)


def execution_of_answer(answer: SubmissionAnswer, request: Judge0Request, context: AnswerContext) -> Execution:
    """Return the end of the run of a submission that is over.

    Raises:
        EndpointError: the server failed; `CannotTell` if its answer does not say how the program ended.
    """
    state = answer.status.id
    message = text_of(answer.message, context).decode("utf-8", "replace")
    if state in _FAILED or not answer.is_over:
        name = state.name.lower().replace("_", " ")
        raise context.failed(f"the sandbox failed: {name}: {context.one_line(message)}")
    if state is Judge0Status.COMPILATION_ERROR:
        printed = text_of(answer.compile_output, context).decode("utf-8", "replace")
        messages = context.compiler_messages(printed)
        if messages.strip().startswith(_OUT_OF_TIME):
            raise context.cannot_tell("the server's own time limit stopped the compiler")
        return context.compile_error(messages)
    stdout = text_of(answer.stdout, context)
    most = request.body.max_file_size * _KILO
    killed = answer.exit_signal or None
    if ServerSignal.SIGXFSZ in (killed, (answer.exit_code or 0) - 128) and len(stdout) < most:
        raise context.cannot_tell(f"cannot tell how the program ended: it wrote more than {most} bytes")
    report = RunReport(
        stdout=stdout,
        stderr=text_of(answer.stderr, context),
        exit_code=None if killed else answer.exit_code,
        signal=killed,
        timed_out=state is Judge0Status.TIME_LIMIT,
        truncated=len(stdout) >= most,
        cpu_s=answer.time,
        wall_s=answer.wall_time,
        memory_bytes=None if answer.memory is None else int(answer.memory * _KILO),
        message=message,
    )
    return execution_of_report(report, context, request.given)


def text_of(encoded: str | None, context: AnswerContext) -> bytes:
    """Return the bytes of a text. Raises EndpointError if it is not base64."""
    try:
        return base64.b64decode("".join((encoded or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise context.failed("the answer is malformed: a text is not base64") from None
