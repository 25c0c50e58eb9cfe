"""Jobs and their results. Data.

Decides what the verdicts of the cases add up to. A case that the infrastructure kept from being judged is `UNJUDGED`,
and then so is the program, unless another case shows that it is wrong: then it is, whatever the rest says. What is
unjudged has no score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from balancer.judge.cases import AnyCase, cases_in, cases_of
from balancer.judge.extract import program_in
from balancer.problem import Checker, Verdict
from balancer.program import Limits, Program

__all__ = ["CaseVerdict", "Job", "Judged"]

NO_CODE = "the completion holds no program"


@dataclass(frozen=True, slots=True)
class Job:
    """A program, and what it is judged on.

    Args:
        program: None if a completion held none.
        cases: its tests, in the order in which they are run; a generator is read at once.
        checker: how outputs are compared; None: as the judge was told.
        limits: what each run may use, or its CPU seconds; None: likewise.
        stop_at_first: whether nothing is run any more once a case was not accepted; None: likewise.
        tag: whatever tells its caller which one it is.

    Raises:
        TypeError: `program` is no program, or `cases` are none.
    """

    program: Program | None
    cases: Sequence[AnyCase]
    checker: Checker | Program | None = None
    limits: Limits | float | None = None
    stop_at_first: bool | None = None
    tag: Any = None

    def __post_init__(self) -> None:
        if self.program is not None and not isinstance(self.program, Program):
            kind = type(self.program).__name__
            raise TypeError(f"program is a {kind}; a Job takes a Program or None, and Job.of(completion, tests) a text")
        object.__setattr__(self, "cases", cases_in(self.cases))

    @classmethod
    def of(
        cls, completion: str, tests: Any, *, language: str = "python", function: str | None = None, **more: Any
    ) -> Self:
        """Return the job of judging what a model wrote by the tests of a data set.

        Args:
            completion: what the model wrote; see `code_in`.
            tests: see `cases_of`.
            language: which the program is written in.
            function: what is called, where the tests do not say.
            more: as for the class.

        Raises:
            ValueError: the form of the tests is not known.
        """
        return cls(program_in(completion, language), cases_of(tests, function), **more)


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What one case says of a program.

    Attributes:
        verdict: see `Verdict`.
        note: one line on why, with the last words of the program or its compiler; "" if it was accepted.
        time_s: what the run took: CPU seconds where they can be measured, else wall seconds.
        endpoint: where the run was made that counts.
    """

    verdict: Verdict
    note: str = ""
    time_s: float = 0.0
    endpoint: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether it was accepted; None: it is not judged."""
        return None if self.verdict is Verdict.UNJUDGED else self.verdict is Verdict.ACCEPTED


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a program.

    Attributes:
        cases: the verdicts of the cases that were run, in order; the rest was not, as it would have changed nothing.
        total: how many cases there are.
        tag: of its job.
        number: of its job, from 0, in the order in which jobs were taken in.
        without: why nothing was run, if that says something of the program, e.g. that there is none.
    """

    cases: tuple[CaseVerdict, ...]
    total: int
    tag: Any = None
    number: int = 0
    without: str = ""

    @property
    def verdict(self) -> Verdict:
        """ACCEPTED if all cases are, else the first verdict that says it is wrong, else UNJUDGED."""
        if self.without:
            return Verdict.COMPILE_ERROR
        wrong = next((case.verdict for case in self.cases if case.verdict.kills), None)
        if wrong is not None:
            return wrong
        return Verdict.ACCEPTED if self.cases and self._accepted == self.total else Verdict.UNJUDGED

    @property
    def unjudged(self) -> bool:
        """Whether the infrastructure kept it from being judged: then there is no score."""
        return self.verdict is Verdict.UNJUDGED

    @property
    def score(self) -> float | None:
        """1 if all cases are accepted, 0 if one is not; None if that is not known."""
        return None if self.unjudged else float(self.verdict is Verdict.ACCEPTED)

    @property
    def share(self) -> float | None:
        """The part of the cases that is accepted; None if some case is unjudged.

        What was not run any more counts as not accepted: for the true share let all run (`stop_at_first=False`).
        """
        if self.without:
            return 0.0
        if not self.total or any(case.verdict is Verdict.UNJUDGED for case in self.cases):
            return None
        return self._accepted / self.total

    @property
    def note(self) -> str:
        """One line on why, from the case that decided; "" if it was accepted."""
        if self.without:
            return self.without
        if not self.total:
            return "there is no case to judge it by"
        decided = self.verdict
        return next((case.note for case in self.cases if case.verdict is decided), "")

    @property
    def _accepted(self) -> int:
        return sum(case.verdict is Verdict.ACCEPTED for case in self.cases)
