"""What goes over the wire to and from a SandboxFusion server, as pydantic models.

An answer that does not fit these models is malformed; what a well-formed one means is decided in `answer`. Fields
that SandboxFusion does not have are ours: its servers ignore them in requests (their models allow extra fields) and
leave them out of answers.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CommandResult", "CommandStatus", "RunCodeAnswer", "RunCodeRequest", "RunStatus"]


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

    `run_timeout` is wall time on a SandboxFusion server and CPU time on ours. `wall_timeout` and `output_limit`
    (bytes of stdout, and of stderr) are ours.
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


class CommandResult(BaseModel):
    """What one command did. `cpu_time` (s), `peak_memory` (bytes) and `output_cut` are ours."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    status: CommandStatus
    execution_time: float | None = Field(None, ge=0)
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    cpu_time: float | None = Field(None, ge=0)
    peak_memory: int | None = Field(None, ge=0)
    output_cut: bool | None = None

    @property
    def went_well(self) -> bool:
        """Whether it ended by itself with code 0."""
        return self.status is CommandStatus.FINISHED and self.return_code == 0


class RunCodeAnswer(BaseModel):
    """Answer to `POST /run_code`."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    status: RunStatus
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
