"""What goes over the wire to and from a Judge0 server, as pydantic models.

An answer that does not fit these models is malformed; what a well-formed one means is decided in `answer`. Texts are
base64, times are seconds, sizes are kilobytes of 1024 bytes.
"""

from enum import IntEnum

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = [
    "Created",
    "Judge0Language",
    "Judge0Status",
    "Judge0StatusId",
    "Judge0Submission",
    "Languages",
    "ServerLimits",
    "SubmissionAnswer",
]


class Judge0Status(IntEnum):
    """How a submission stands."""

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


class Judge0Language(BaseModel):
    """One version of a language that the server has."""

    id: int
    name: str


class Languages(RootModel[list[Judge0Language]]):
    """Answer to `GET /languages`."""


class ServerLimits(BaseModel):
    """What of `GET /config_info` bounds a run."""

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
        """Whether the submission has been run."""
        return self.status.id not in (Judge0Status.IN_QUEUE, Judge0Status.PROCESSING)
