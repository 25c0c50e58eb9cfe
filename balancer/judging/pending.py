"""Pending program runs, their results, and the spans that are recorded of them. Data.

Who decides which runs are made knows no thread and no task: it yields a `PendingRun` for each, and is sent what came
of it. A runner carries them out, by waiting in a thread or in a task.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, TypeVar

from balancer.program import Execution, Limits, Program

__all__ = ["NOTHING", "PendingRun", "PendingRuns", "ProgramResult", "ProgramRun", "RunStage", "Span", "Stopped"]

NOTHING = frozenset[str]()

T = TypeVar("T")


class Stopped(Exception):
    """The run was asked to stop; what was under way is done again by the next session."""


class RunStage(Enum):
    """Which part of the pipeline a program run belongs to, in the order a case goes through them."""

    GENERATE = "generate"  # a generator's own programs
    VALIDATE_INPUT = "validate_input"
    REFERENCE = "reference"
    AGREE = "agree"  # the other accepted submissions
    VALIDATE_SOLUTION = "validate_solution"  # the wrong ones


@dataclass(frozen=True, slots=True)
class Span:
    """One lease: which program ran where and when.

    Attributes:
        endpoint: its name.
        problem, stage, subject: what ran; `subject` is a submission or validator.
        case: the case's id in its problem.
        started_s, ended_s: seconds since the session began.
        outcome: value of the lease's `Outcome`.
    """

    endpoint: str
    problem: str
    stage: RunStage
    subject: str
    case: int
    started_s: float
    ended_s: float
    outcome: str


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A run of a program that is wanted: what to run (see `Executor.run`) and, to be recorded, what for.

    `expected` is what it should print, where one answer is right: the beginning of it, printed as time ran out, makes a
    time limit suspect. `odd` says of an execution whether it may be the endpoint's fault: see `Runner.run_twice`. What
    a `witness` says counts against an endpoint that says otherwise: a wrong submission may say anything, and is none.
    """

    program: Program
    stdin: bytes
    limits: Limits
    problem: str
    stage: RunStage
    subject: str
    case: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    expected: bytes | None = None
    odd: Callable[[Execution], bool] | None = None
    witness: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What came of a program run: an execution or, if every try failed, None and why; and where it was tried last.

    `verified`: another endpoint said the same.
    """

    execution: Execution | None
    note: str = ""
    at: str = field(default="", compare=False)
    verified: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A program run that is to be made, over all its tries.

    Attributes:
        wanted: what to run.
        prefers: labels that an endpoint should have, if there is one.
        shuns: endpoints to avoid, while others will do.
        slots: of an endpoint, to have them to itself.
        only: the endpoints to be asked, a few times; None: all.
    """

    wanted: ProgramRun
    prefers: frozenset[str] = NOTHING
    shuns: frozenset[str] = NOTHING
    slots: int = 1
    only: frozenset[str] | None = None


PendingRuns: TypeAlias = Generator[PendingRun, ProgramResult, T]  # what is run, one after the other, to know T
