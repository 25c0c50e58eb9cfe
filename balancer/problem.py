"""Data of judging: problem, submission, case, verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from balancer.program import Program

__all__ = [
    "FEWEST_AGREEING",
    "CaseOptions",
    "Checker",
    "Origin",
    "Problem",
    "Proposal",
    "Recipe",
    "Submission",
    "Verdict",
]


FEWEST_AGREEING = 2  # accepted submissions that must agree on a made-up input without a validator


class Verdict(Enum):
    """What a case says about a submission.

    `JUDGE_ERROR`: the output validator could not judge its output; only in the pipeline. `UNJUDGED`: the infrastructure
    failed.
    """

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    TIME_LIMIT = "time_limit"
    RUN_TIME_ERROR = "run_time_error"
    COMPILE_ERROR = "compile_error"
    JUDGE_ERROR = "judge_error"
    UNJUDGED = "unjudged"

    kills: bool
    """True if the program ran and was not accepted."""

    def __init__(self, value: str) -> None:
        self.kills = value not in ("accepted", "judge_error", "unjudged")


@dataclass(frozen=True, slots=True)
class Submission:
    """One program that somebody wrote for a problem.

    Args:
        name: unique in its problem, e.g. "wrong_answer/greedy.cpp".
        program: what to run.
        accepted: True if it is known to be right, False if it is known to be wrong.
        expected: its expected verdict, mostly the folder it came from: "accepted", "wrong_answer",
            "time_limit_exceeded", "run_time_error", "rejected", ...
    """

    name: str
    program: Program
    accepted: bool
    expected: str


@dataclass(frozen=True, slots=True)
class Checker:
    """How answers are compared: by the problem's own output validator, or by the default one with its flags.

    Args:
        program: the problem's own output validator, or None for the default one.
        flags: `validator_flags` of the package, split at white space, e.g. ("float_tolerance", "1e-6").
        values: True if outputs are values, as JSON, and are compared as such.
        instead: flags of the default one, which is used if the program fails its trial; None: it is not tried first.
    """

    program: Program | None = None
    flags: tuple[str, ...] = ()
    values: bool = False
    instead: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of an input: the generator, and a detail, e.g. ("mutate", "token 0 -> 0")."""

    generator: str
    detail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An input that a generator proposes, not yet known to be valid.

    Args:
        data: the input, as bytes.
        origin: the generator.
        answer: the expected output, if the package has one (`data/**/*.ans`).
        sample: True for the problem's own data, on which the submissions were judged before.
    """

    data: bytes
    origin: Origin
    answer: bytes | None = None
    sample: bool = False


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """Arguments and files for one known input, if they differ from those for other inputs.

    Args:
        validators: arguments of the input validators, by `Program.name`.
        checker: flags of the checker.
        args: arguments of the submissions.
        files: (name, content) of files beside a submission, or an input validator, while it runs.
    """

    validators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checker: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a package makes inputs.

    Args:
        name: for people.
        program: prints an input.
        args: of the program; "{seed}" in one stands for a number below 2**31.
    """

    name: str
    program: Program
    args: tuple[str, ...]

    def command(self, seed: int) -> Program:
        """Return the program with its arguments for `seed`."""
        return replace(self.program, args=tuple(arg.replace("{seed}", str(seed)) for arg in self.args))


@dataclass(frozen=True, slots=True)
class Problem:
    """One programming problem with its accepted and wrong submissions.

    Args:
        id: the package's folder name; unique in a run.
        name: for people.
        path: the path of the package.
        time_limit_s: CPU seconds for one run, or None if the package has no limit.
        memory_bytes: memory for one run, or None if the package has no limit.
        data: known inputs, sample data first, in a stable order.
        input_validators: programs that exit with 42 on a valid input; all must agree.
        checker: how outputs are compared.
        submissions: accepted ones first; the first accepted one is the reference solution.
        left_out: submissions that cannot be used, name -> why (an unknown language, say).
        grammars: validators that are grammars, by file name, e.g. "input_validators/format.ctd" -> its text. Rules
            about an input can be read from them.
        by_agreement: True if it has no input validator, so that an input is valid if enough accepted submissions agree.
        statement: the problem's text for people, in Markdown or TeX; "" if unknown.
        options: detail of a known input's origin -> its own arguments and files.
        recipes: how the package makes its inputs.
        notes: further remarks of its reader, a line each.
        function: the function that its programs call; "" if they do not. Then each line of an input is an argument, as
            JSON, and an output is the value.
        packaged: True if its own data and checker are those that its authors judge with, so that what fails on them is
            wrong. False if that is not sure, as in rows of a data set.
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
    function: str = ""
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
        """Return the arguments and files for one input, or None. Only the problem's own inputs (`sample`) have any."""
        return self.options.get(origin.detail) if sample else None
