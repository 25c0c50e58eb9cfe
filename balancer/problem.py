"""The nouns of judging: problem, submission, case, verdict.

Plain frozen data. It must not know files, threads, endpoints or databases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from balancer.program import Program

__all__ = ["Case", "Checker", "Origin", "Problem", "Proposal", "Submission", "Verdict"]


class Verdict(Enum):
    """What a case says about a submission. `UNJUDGED` says only that the infrastructure failed."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    TIME_LIMIT = "time_limit"
    RUN_TIME_ERROR = "run_time_error"
    COMPILE_ERROR = "compile_error"
    UNJUDGED = "unjudged"

    @property
    def kills(self) -> bool:
        """True when the program did run and was not accepted."""
        return self not in (Verdict.ACCEPTED, Verdict.UNJUDGED)


@dataclass(frozen=True, slots=True)
class Submission:
    """One program someone wrote for a problem.

    Args:
        name: unique in its problem, e.g. "wrong_answer/greedy.cpp".
        program: what to run.
        accepted: True if it is known to be right, False if it is known to be wrong.
        expected: the folder it came from: "accepted", "wrong_answer", "time_limit_exceeded", "run_time_error".
    """

    name: str
    program: Program
    accepted: bool
    expected: str


@dataclass(frozen=True, slots=True)
class Checker:
    """How answers are compared: the problem's own output validator, or the default one with its flags.

    Args:
        program: the problem's own output validator, or None for the default one.
        flags: `validator_flags` of the package, split at white space, e.g. ("float_tolerance", "1e-6").
    """

    program: Program | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an input came from: the generator, and what it did, e.g. ("mutate", "token 0 -> 0")."""

    generator: str
    detail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An input that a generator proposes, not yet known to be valid.

    Args:
        data: the input, byte for byte.
        origin: who proposed it.
        answer: the expected output, where the package has one (`data/**/*.ans`).
        sample: True for the problem's own data: what the submissions were judged on before.
    """

    data: bytes
    origin: Origin
    answer: bytes | None = None
    sample: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """An input and its expected output."""

    id: int
    data: bytes
    answer: bytes
    origin: Origin
    sample: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """One programming problem with its accepted and wrong submissions.

    Args:
        id: the package's folder name; unique in a run.
        name: for people.
        path: where the package lies.
        time_limit_s: CPU seconds for one run, or None if the package names none.
        memory_bytes: memory for one run, or None if the package names none.
        data: known inputs, sample data first, in a stable order.
        input_validators: programs that exit with 42 on a valid input; all must agree.
        checker: how outputs are compared.
        submissions: accepted ones first; the first accepted one is the reference solution.
        left_out: submissions that cannot be used, name -> why (an unknown language, say).
        by_agreement: True if it has no input validator, and what enough right solutions agree on counts as valid.
        statement: what a person is told, in Markdown or TeX; "" if that is not known.
    """

    id: str
    name: str
    path: Path
    time_limit_s: float | None
    memory_bytes: int | None
    data: tuple[Proposal, ...]
    input_validators: tuple[Program, ...]
    checker: Checker
    submissions: tuple[Submission, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    statement: str = ""
    by_agreement: bool = False

    @property
    def accepted(self) -> tuple[Submission, ...]:
        """Submissions known to be right, the reference solution first."""
        return tuple(s for s in self.submissions if s.accepted)

    @property
    def wrong(self) -> tuple[Submission, ...]:
        """Submissions known to be wrong."""
        return tuple(s for s in self.submissions if not s.accepted)
