"""Executions as a call: a program and what it reads, and what it printed. For tools of agents; no verdict.

Decides what a program that was run may be asked, and that a failure of the infrastructure is no output of it. It yields
the runs and does not wait for them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from balancer.errors import NotExecuted
from balancer.judge.procedure import encodable, limits_for
from balancer.judging.cases import check_names, shown, utf8_bytes
from balancer.judging.pending import PendingRuns, ProgramRun, RunStage
from balancer.judging.reruns import Reruns
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.languages.layout import lay_out

__all__ = ["ExecuteJob", "Executed", "execute_job"]


@dataclass(frozen=True, slots=True)
class ExecuteJob:
    """A program, and what it reads.

    Args:
        program: a program, or the source of one in Python.
        stdin: its standard input: text or bytes.
        files: in its working directory, text or bytes by name.
        limits: of the run; a number is CPU seconds. None: the judge's.
        tag: any value of the caller; `Executed.tag` returns it.
        holder: of its leases; "": the judge's.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """

    program: Program | str
    stdin: str | bytes = b""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    limits: Limits | float | None = None
    tag: Any = None
    holder: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.program, Program | str):
            raise TypeError(f"program is {shown(self.program)}; it takes a Program, or the source of one in Python")
        if not isinstance(self.stdin, str | bytes):
            raise TypeError(f"stdin is {shown(self.stdin)}; it takes a text, or bytes")
        if not isinstance(self.files, Mapping) or not all(
            isinstance(name, str) and isinstance(content, str | bytes) for name, content in self.files.items()
        ):
            raise TypeError(
                f"files is {shown(self.files)}; it takes texts or bytes by their name, e.g. {{'a.txt': '1'}}"
            )
        if self.limits is not None:
            limits_for(self.limits)
        self._check_names()

    def _check_names(self) -> None:
        """Raise ValueError for a name of a file that no endpoint takes, which must not count as its failure."""
        extras = () if isinstance(self.program, str) else self.program.extras
        if not self.files and not extras:
            return
        check_names([*self.files, *(name for name, _ in extras)])
        program = Program("python", self.program) if isinstance(self.program, str) else self.program
        language = known_languages().get(program.language)
        own = frozenset() if language is None else lay_out(language, encodable(program)[0]).own
        for name in sorted(own & self.files.keys()):
            raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")


@dataclass(frozen=True, slots=True)
class Executed:
    """What a program did.

    Attributes:
        execution: what the endpoint says of the run; None if every try failed. Then `error` says why, and the
            properties raise it.
        error: the failure of the infrastructure, or None.
        endpoint: name of the endpoint of the run that counts.
        number: of the job, from 0, in the order of reading.
        tag: of the job.
    """

    execution: Execution | None
    error: NotExecuted | None = None
    endpoint: str = ""
    number: int = 0
    tag: Any = None

    def ended(self) -> Execution:
        """Return the execution. Raises NotExecuted if there is none."""
        if self.execution is None:
            raise self.error or NotExecuted("it was not run")
        return self.execution

    @property
    def stdout(self) -> str:
        """What it printed; bytes that are not UTF-8 are replaced. `execution.stdout` has the bytes."""
        return self.ended().stdout.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What it printed to standard error, or the messages of the compiler; as `stdout`."""
        return self.ended().stderr.decode("utf-8", "replace")

    @property
    def status(self) -> Status:
        """How it ended: by itself, at a limit, or not compiled."""
        return self.ended().status

    @property
    def exit_code(self) -> int | None:
        """Its exit code; negative: killed by that signal. None at a time or output limit, or if it did not compile."""
        return self.ended().exit_code

    @property
    def time_s(self) -> float:
        """How long it ran: CPU seconds if they were measured, else wall seconds."""
        return self.ended().time_s

    @property
    def memory_bytes(self) -> int | None:
        """Peak memory; None if the endpoint does not measure it."""
        return self.ended().memory_bytes

    @property
    def truncated(self) -> bool:
        """Whether it printed more than `Limits.output_bytes`: it was stopped, and the rest is lost."""
        return self.ended().status is Status.OUTPUT_LIMIT

    @property
    def went_well(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.ended().status is Status.FINISHED and self.ended().exit_code == 0


def execute_job(
    reruns: Reruns, job: ExecuteJob, limits: Limits, redact: Callable[[str], str] = str, number: int = 0
) -> PendingRuns[Executed]:
    """Run the program of `job`, within `limits` if it has none. `redact` removes secrets from the error.

    Raises:
        ValueError: the input is a text that UTF-8 cannot encode.
    """
    given = Program("python", job.program) if isinstance(job.program, str) else job.program
    program, written = encodable(given)
    wanted = ProgramRun(
        program,
        utf8_bytes("stdin", job.stdin),
        limits if job.limits is None else limits_for(job.limits),
        "execute",
        RunStage.GENERATE,
        program.name,
        number,
        {name: utf8_bytes(f"file {name!r}", content) for name, content in job.files.items()},
        key=hashlib.sha256(written).hexdigest()[:16],
        holder=job.holder,
    )
    ran = yield from reruns.once(wanted)
    error = None if ran.execution is not None else NotExecuted(redact(ran.note), unable=ran.unable)
    return Executed(ran.execution, error, ran.at, number, job.tag)
