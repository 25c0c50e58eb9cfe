"""Jobs and their results. Data.

Decides the verdict of a program from the verdicts of its cases. A case that the infrastructure could not judge is
`UNJUDGED`. Then the program is `UNJUDGED` too, unless another case shows that it is wrong. An unjudged program has no
score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from balancer.judge.datasets import cases_and_checker
from balancer.judge.extract import NO_PROGRAM, program_in, why_none
from balancer.judging.cases import AnyCase, cases_in
from balancer.problem import Checker, Verdict
from balancer.program import Limits, Program

__all__ = ["CaseVerdict", "Job", "Judged"]


@dataclass(frozen=True, slots=True)
class Job:
    """A program, and the cases to judge it on.

    Args:
        program: None if the completion has no program.
        cases: in the order of their runs; a generator is read at once.
        checker: compares outputs. None: the judge's.
        limits: of each run; a number is CPU seconds. None: the judge's.
        stop_at_first: whether to stop at the first case that is not accepted. None: the judge's.
        tag: any value of the caller; `Judged.tag` returns it.
        without: why there is no program.

    Raises:
        TypeError: `program` is not a program, or `cases` are not cases.
    """

    program: Program | None
    cases: Sequence[AnyCase]
    checker: Checker | Program | None = None
    limits: Limits | float | None = None
    stop_at_first: bool | None = None
    tag: Any = None
    without: str = NO_PROGRAM

    def __post_init__(self) -> None:
        if self.program is not None and not isinstance(self.program, Program):
            kind = type(self.program).__name__
            raise TypeError(f"program is a {kind}; a Job takes a Program or None, and Job.of(completion, tests) a text")
        object.__setattr__(self, "cases", cases_in(self.cases))

    @classmethod
    def of(
        cls, completion: str, tests: Any, *, language: str = "python", function: str | None = None, **more: Any
    ) -> Self:
        """Return the job that judges a completion by the tests of a data set.

        Args:
            completion: the text of the model; see `code_in`.
            tests: see `cases_of`.
            language: of the program.
            function: the function to call, if the tests do not name one.
            more: as for the class. Without a checker here, that of the row is used, if it needs no testlib.h.

        Raises:
            ValueError: the form of the tests is not known, or the language has another name here.
        """
        cases, checker = cases_and_checker(tests, function)
        program = program_in(completion, language)
        why = {} if program else {"without": why_none(completion, language)}
        return cls(program, cases, **{"checker": checker, **why, **more})


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """The verdict of one case.

    Attributes:
        verdict: see `Verdict`.
        note: one line on why, with the last line of the program or its compiler; "" if accepted.
        time_s: duration of the run in seconds: CPU time if it was measured, else wall time.
        endpoint: name of the endpoint of the run that counts.
    """

    verdict: Verdict
    note: str = ""
    time_s: float = 0.0
    endpoint: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the case was accepted; None if it is unjudged."""
        return None if self.verdict is Verdict.UNJUDGED else self.verdict is Verdict.ACCEPTED


@dataclass(frozen=True, slots=True)
class Judged:
    """The result of a job.

    Attributes:
        cases: verdicts of the cases that were run, in order; see `stop_at_first`. A compile error also stops.
        total: number of cases.
        tag: of the job.
        number: of the job, from 0, in the order of reading.
        without: why nothing was run although the program counts as wrong, e.g. there is no program; else "".
    """

    cases: tuple[CaseVerdict, ...]
    total: int
    tag: Any = None
    number: int = 0
    without: str = ""

    @property
    def verdict(self) -> Verdict:
        """ACCEPTED if all cases are, else the first verdict that shows that it is wrong, else UNJUDGED."""
        if self.without:
            return Verdict.COMPILE_ERROR
        wrong = next((case.verdict for case in self.cases if case.verdict.kills), None)
        if wrong is not None:
            return wrong
        return Verdict.ACCEPTED if self.cases and self._accepted == self.total else Verdict.UNJUDGED

    @property
    def unjudged(self) -> bool:
        """Whether the infrastructure could not judge it; then there is no score."""
        return self.verdict is Verdict.UNJUDGED

    @property
    def score(self) -> float | None:
        """1 if all cases are accepted, 0 if one is not, None if unjudged."""
        return None if self.unjudged else float(self.verdict is Verdict.ACCEPTED)

    @property
    def share(self) -> float | None:
        """The share of accepted cases, 0 to 1; None if a case is unjudged.

        Cases that were not run count as not accepted. For the true share set `stop_at_first=False`.
        """
        if self.without:
            return 0.0
        if not self.total or any(case.verdict is Verdict.UNJUDGED for case in self.cases):
            return None
        return self._accepted / self.total

    @property
    def note(self) -> str:
        """One line on why, from the deciding case; "" if accepted."""
        if self.without:
            return self.without
        if not self.total:
            return "there is no case to judge it on"
        decided = self.verdict
        return next((case.note for case in self.cases if case.verdict is decided), "")

    @property
    def _accepted(self) -> int:
        return sum(case.verdict is Verdict.ACCEPTED for case in self.cases)
