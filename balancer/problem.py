"""The nouns of judging: problem, submission, case, verdict.

Plain frozen data. It must not know files, threads, endpoints or databases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from balancer.program import Program

__all__ = [
    "FEWEST_AGREEING",
    "Case",
    "CaseOptions",
    "Checker",
    "Origin",
    "Problem",
    "Proposal",
    "Recipe",
    "Submission",
    "Verdict",
]


FEWEST_AGREEING = 2  # right submissions that must agree on a made-up input, where nothing else says that it is valid


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
        expected: what it is said to be, mostly the folder it came from: "accepted", "wrong_answer",
            "time_limit_exceeded", "run_time_error", "rejected", ...
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
class CaseOptions:
    """What programs are told for one known input, where that differs from what they are told for the others.

    Args:
        validators: arguments of the input validators, by `Program.name`.
        checker: flags of the checker.
        args: arguments of the submissions.
        files: (name, content) of files that lie beside a submission, or an input validator, while it runs.
    """

    validators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checker: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a package makes one of its own inputs: by a program of its own, or as it stands.

    Args:
        name: the input's place, e.g. "secret/3-large.in".
        program: prints the input; None: the input is `data`.
        args: of the program; "{seed}" in one stands for a number below 2**31.
        seed: the number that the package wants.
        data: the input, if no program makes it.
        answer: the expected output, where the package says it.
        missing: True if the package's own data lacks the input, so that it must be made.
    """

    name: str
    program: Program | None = None
    args: tuple[str, ...] = ()
    seed: int = 0
    data: bytes = b""
    answer: bytes | None = None
    missing: bool = False

    @property
    def seeded(self) -> bool:
        """Whether other seeds make other inputs."""
        return self.program is not None and any("{seed}" in arg for arg in self.args)

    def command(self, seed: int) -> Program | None:
        """Return the program with its arguments for `seed`; None if there is none."""
        if self.program is None:
            return None
        return replace(self.program, args=tuple(arg.replace("{seed}", str(seed)) for arg in self.args))


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
        grammars: validators that are grammars, by file name, e.g. "input_validators/format.ctd" -> its text; what they
            say of an input can be read off them.
        by_agreement: True if it has no input validator, and what enough right solutions agree on counts as valid.
        statement: what a person is told, in Markdown or TeX; "" if that is not known.
        options: detail of a known input's origin -> what is told for it alone.
        recipes: how the package makes its inputs.
        notes: what else its reader has to say, a line each.
        packaged: True if its own data and checker are those that its authors judge with, so that what fails on
            them is wrong; False if that is not sure, as in rows of a data set.
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
    grammars: Mapping[str, str] = field(default_factory=dict)
    by_agreement: bool = False
    options: Mapping[str, CaseOptions] = field(default_factory=dict)
    recipes: tuple[Recipe, ...] = ()
    notes: tuple[str, ...] = ()
    packaged: bool = False

    @property
    def accepted(self) -> tuple[Submission, ...]:
        """Submissions known to be right, the reference solution first."""
        return tuple(s for s in self.submissions if s.accepted)

    @property
    def wrong(self) -> tuple[Submission, ...]:
        """Submissions known to be wrong."""
        return tuple(s for s in self.submissions if not s.accepted)

    def options_of(self, origin: Origin, *, sample: bool) -> CaseOptions | None:
        """Return what is told for an input alone; None: nothing. Only the problem's own inputs (`sample`) have any."""
        return self.options.get(origin.detail) if sample else None
