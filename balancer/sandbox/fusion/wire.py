"""What goes over the wire to and from a SandboxFusion server, as pydantic models.

An answer that does not fit these models is malformed; what a well-formed one means is decided in `answer`. Fields
that SandboxFusion does not have are ours: its servers ignore them in requests (their models allow extra fields) and
leave them out of answers.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["About", "CommandResult", "CommandStatus", "RunCodeAnswer", "RunCodeRequest", "RunStatus"]


class RunStatus(StrEnum):
    """How a request ended as a whole."""

    SUCCESS = "Success"  # every command ended with code 0
    FAILED = "Failed"  # some command did not
    SANDBOX_ERROR = "SandboxError"  # the server's own fault


class CommandStatus(StrEnum):
    """How one command ended."""

    FINISHED = "Finished"
    ERROR = "Error"  # it could not be started
    TIME_LIMIT = "TimeLimitExceeded"


class RunCodeRequest(BaseModel):
    """Body of `POST /run_code`.

    `run_timeout` is wall time on a SandboxFusion server and CPU time on ours, as `compile_timeout` is. Ours are
    `wall_timeout`, `output_limit` (bytes of stdout, and of stderr), `args`, `extras` (files that the program is made
    of, name -> base64), and `stdin_base64` and `source_base64`, for bytes that are no text.
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


class CommandResult(BaseModel):
    """What one command did.

    Ours are `cpu_time` (s), `peak_memory` (bytes), `output_cut`, and `stdout_base64` where `stdout` cannot say it all.
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
    """Answer to `GET /v1/about`, which only our own servers have: that all of this page's own fields are understood."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    server: Literal["balancer sandbox"] = "balancer sandbox"
    languages: list[str]


class RunCodeAnswer(BaseModel):
    """Answer to `POST /run_code`. Ours is `server_s`: seconds that the server was at it, from the request to here."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True, allow_inf_nan=False)

    status: RunStatus
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    server_s: float | None = Field(None, ge=0)
