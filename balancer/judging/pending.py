"""Pending program runs, with their options, results and spans. Data.

The code that decides on runs is a generator: it yields a `PendingRun` for each, and receives the result. A runner
carries out the runs, in a thread or in a task.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from balancer.judging.suspicion import Recheck, Suspicion
from balancer.judging.trust import Trust
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
    """The run was asked to stop. The next session repeats what was under way."""


class RunStage(Enum):
    """The stage of a program run, in the order in which a case passes them."""

    GENERATE = "generate"  # programs of generators
    VALIDATE_INPUT = "validate_input"
    REFERENCE = "reference"
    AGREE = "agree"  # the other accepted submissions
    VALIDATE_SOLUTION = "validate_solution"  # the wrong submissions


@dataclass(frozen=True, slots=True)
class Span:
    """One lease: which program ran where and when.

    Attributes:
        endpoint: its name.
        problem, stage, subject: of the run; `subject` is a submission or validator.
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
    """A wanted run of a program: what to run (see `Executor.run`), and its place in the pipeline, for the records.

    Attributes:
        expected: the expected output, if only one output is right. A time limit after a beginning of it is suspect.
        odd: returns whether the endpoint may have caused an execution's end; see `Runner.run_twice`.
        witness: whether the result counts against an endpoint with another result. A wrong submission is no witness.
        key: for strategies that place by key; None: the key of `RunnerOptions.asked`.
        holder: of its leases; "": the holder of `RunnerOptions.asked`.
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
    holder: str = ""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The result of a program run.

    Attributes:
        execution: None if every try failed.
        note: why every try failed.
        at: the endpoint of the last try.
        verified: whether another endpoint had the same result.
        unable: whether it was not tried, because no endpoint runs the language.
    """

    execution: Execution | None
    note: str = ""
    at: str = field(default="", compare=False)
    verified: bool = field(default=False, compare=False)
    unable: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A program run that is to be made, with all its tries.

    Attributes:
        wanted: what to run.
        prefers: labels that an endpoint should have, if one has them.
        shuns: endpoints to avoid, if there are others.
        slots: of an endpoint, for this run alone.
        only: the endpoints to ask, with few tries; None: all.
    """

    wanted: ProgramRun
    prefers: frozenset[str] = NOTHING
    shuns: frozenset[str] = NOTHING
    slots: int = 1
    only: frozenset[str] | None = None


PendingRuns: TypeAlias = Generator[PendingRun, ProgramResult, T]  # yields runs one after the other, and returns a T


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """Options of program runs.

    Attributes:
        attempts: tries before a program run is given up.
        quiet_label: endpoints with this label are preferred for reruns of suspect time limits.
        outage_s: seconds for which runs are tried beyond `attempts`, while nothing in the run succeeds.
        compile_s: CPU seconds for compiling, for all runs; None: as each run says.
        verify: which runs are repeated on another endpoint; None: none.
        trust: the record of the endpoints, if other runners on them share it; None: a new one.
        asked: the request of every lease, e.g. its labels; the runner sets slots and exclusions.
        clock: seconds, for spans and outages.
    """

    attempts: int
    quiet_label: str = "quiet"
    outage_s: float = 0.0
    compile_s: float | None = None
    verify: VerifySettings | None = None
    trust: Trust | None = None
    asked: LeaseRequest = field(default_factory=LeaseRequest)
    clock: Callable[[], float] = time.monotonic


class VerificationStore(Protocol):
    """What the verifier needs of a store that outlives the process."""

    def believed(self, endpoint: str, problem: str) -> None:
        """Remember that an unverified result of `endpoint` counts for `problem`."""
        ...

    def trusted(self, endpoint: str) -> None:
        """Forget the unverified results of the endpoint: they are believed now."""
        ...

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, under `what`."""
        ...

    def eject(self, endpoint: str, why: str) -> int:
        """Remember that `endpoint` lied. Return the number of problems that are judged again because of it."""
        ...


@dataclass(slots=True, kw_only=True)
class RunnerHooks:
    """Callbacks about program runs.

    Attributes:
        on_span: called when a lease has ended, by the thread that ran the program.
        on_recheck: called for each suspect end, with its reason and the result of the recheck.
        on_compile: called for each program that compiled slowly or by an older standard, with its run and endpoint.
        say: called at once with a line about each endpoint that lies.
        verification: records the runs of the verifier; None: nothing is recorded.
    """

    on_span: Callable[[Span], object] = lambda span: None
    on_recheck: Callable[[ProgramRun, Suspicion, Recheck], object] = lambda wanted, why, found: None
    on_compile: Callable[[Program, Execution, str], object] = lambda program, execution, endpoint: None
    say: Callable[[str], object] = lambda line: None
    verification: VerificationStore | None = None

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, under `what`."""
        if self.verification is not None:
            self.verification.made_again(what)
