"""Pending program runs, their options and results, and the spans that are recorded of them. Data.

Who decides which runs are made knows no thread and no task: it yields a `PendingRun` for each, and is sent what came
of it. A runner carries them out, by waiting in a thread or in a task.

The options of a runner say how often and how long runs are made, and who hears of them.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from balancer.judging.suspicion import Recheck, Suspicion
from balancer.program import Execution, Limits, Program
from balancer.settings.pipeline import VerifySettings
from balancer.shells.lease_request import LeaseRequest

__all__ = [
    "NOTHING",
    "PendingRun",
    "PendingRuns",
    "ProgramResult",
    "ProgramRun",
    "RunStage",
    "RunnerHooks",
    "RunnerOptions",
    "Span",
    "Stopped",
    "VerificationStore",
]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """How program runs are made.

    Attributes:
        attempts: tries before a program run is given up.
        quiet_label: endpoints with this label are preferred to run a program again that met a suspect time limit.
        outage_s: while nothing in the run succeeds, program runs are tried beyond their attempts for so many seconds.
        compile_s: CPU seconds for compiling, for all runs; None: as each run says.
        verify: which runs are made again on another endpoint; None: none.
        asked: what every lease is asked for, e.g. labels; slots and exclusions are the runner's own.
        clock: seconds, for spans and outages.
    """

    attempts: int
    quiet_label: str
    outage_s: float = 0.0
    compile_s: float | None = None
    verify: VerifySettings | None = None
    asked: LeaseRequest = field(default_factory=LeaseRequest)
    clock: Callable[[], float] = time.monotonic


class VerificationStore(Protocol):
    """What the verifier needs of a store, which outlives the process."""

    def believed(self, endpoint: str, problem: str) -> None:
        """Remember that something `endpoint` said of `problem` counts, and nobody has said the same."""
        ...

    def trusted(self, endpoint: str) -> None:
        """Forget it: the endpoint is believed."""
        ...

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, and what came of it."""
        ...

    def eject(self, endpoint: str, why: str) -> int:
        """Remember that `endpoint` lied; return how many problems are judged again, for it had a part in them."""
        ...


@dataclass(slots=True, kw_only=True)
class RunnerHooks:
    """Who hears of program runs.

    Attributes:
        on_span: called, by the thread that ran the program, once its lease has ended.
        on_recheck: told of each end that was looked at again: why, and what came of it.
        on_compile: told of each program that took some seconds to compile, of how many, and of the endpoint.
        say: told at once, a line each, of endpoints that lie.
        verification: what was made again, and whose word was not; None: nobody.
    """

    on_span: Callable[[Span], object] = lambda span: None
    on_recheck: Callable[[ProgramRun, Suspicion, Recheck], object] = lambda wanted, why, found: None
    on_compile: Callable[[Program, float, str], object] = lambda program, took_s, endpoint: None
    say: Callable[[str], object] = lambda line: None
    verification: VerificationStore | None = None

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, and what came of it."""
        if self.verification is not None:
            self.verification.made_again(what)
