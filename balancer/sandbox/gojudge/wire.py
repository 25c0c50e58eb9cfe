"""What goes over the wire to and from a go-judge server, as pydantic models.

An answer that does not fit these models is malformed; what a well-formed one means is decided in `answer`. Times are
nanoseconds, sizes are bytes.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = [
    "Cached",
    "Cmd",
    "Content",
    "FileError",
    "FileId",
    "GoJudgeStatus",
    "Result",
    "RunAnswer",
    "RunRequest",
    "StreamCollector",
]


class GoJudgeStatus(StrEnum):
    """How a command ended."""

    ACCEPTED = "Accepted"  # by itself, with code 0
    NONZERO = "Nonzero Exit Status"
    SIGNALLED = "Signalled"  # `exitStatus` is the signal
    SYSCALL = "Dangerous Syscall"
    TIME_LIMIT = "Time Limit Exceeded"
    MEMORY_LIMIT = "Memory Limit Exceeded"
    OUTPUT_LIMIT = "Output Limit Exceeded"
    FILE_ERROR = "File Error"
    INTERNAL_ERROR = "Internal Error"


class Content(BaseModel):
    """A file given as text."""

    content: str


class Cached(BaseModel):
    """A file that the server keeps."""

    fileId: str  # noqa: N815 (the API's name, as all below)


class StreamCollector(BaseModel):
    """A stream to keep `max` bytes of. With `pipe` the server reads along, so that a flood ends soon."""

    name: str
    max: int
    pipe: bool = True


class Cmd(BaseModel):
    """One command and its limits."""

    args: list[str]
    env: list[str]
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


class FileError(BaseModel):
    """What went wrong with one file."""

    model_config = ConfigDict(strict=True)

    name: str = ""
    type: str | int = ""
    message: str = ""


class Result(BaseModel):
    """What one command did."""

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


class RunAnswer(RootModel[list[Result]]):
    """Answer to `POST /run`: one result for each command."""

    root: list[Result] = Field(min_length=1, max_length=1)


class FileId(RootModel[str]):
    """Answer to `POST /file`."""
