"""SandboxFusion's API `/run_code`, as we call it and as `balancer sandbox` serves it.

Some fields are our own: SandboxFusion ignores them in requests (its models allow extra fields) and leaves them out of
answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from balancer.program import Limits, Program

__all__ = ["About", "CommandResult", "CommandStatus", "FusionRun", "RunCodeAnswer", "RunCodeRequest", "RunStatus"]


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
