"""What goes over the wire to and from a Piston server, as pydantic models.

An answer that does not fit these models is malformed; what a well-formed one means is decided in `answer`. Times are
milliseconds, sizes are bytes.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = ["ExecuteAnswer", "ExecuteRequest", "File", "PistonStage", "Runtime", "Runtimes"]


class Runtime(BaseModel):
    """One version of a language that the server has."""

    language: str
    version: str


class Runtimes(RootModel[list[Runtime]]):
    """Answer to `GET /api/v2/runtimes`."""


class File(BaseModel):
    """A file of a job. Those in utf8 are code: the compiler gets them, and the first of them is started."""

    name: str
    content: str
    encoding: Literal["utf8", "base64"] = "utf8"


class ExecuteRequest(BaseModel):
    """Body of `POST /api/v2/execute`. A limit above the server's own is refused."""

    language: str
    version: str
    files: list[File]
    stdin: str
    args: list[str]
    compile_timeout: int
    compile_cpu_time: int
    run_timeout: int
    run_cpu_time: int
    run_memory_limit: int


class PistonStage(BaseModel):
    """What the compiler or the program did. Older servers have no `status` and no times."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    stdout: str
    stderr: str
    code: int | None = None
    signal: str | None = None
    message: str | None = None
    status: str | None = None
    cpu_time: float | None = Field(None, ge=0)
    wall_time: float | None = Field(None, ge=0)
    memory: int | None = Field(None, ge=0)


class ExecuteAnswer(BaseModel):
    """Answer to `POST /api/v2/execute`. Where a program was not compiled, `run` repeats `compile`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    compile: PistonStage | None = None
    run: PistonStage
