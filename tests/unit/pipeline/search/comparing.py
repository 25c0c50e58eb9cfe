"""For tests of the generators that aim: submissions and validators that are Python functions, and a clock by hand."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from balancer.judging.verdict import judge_end, judge_output
from balancer.pipeline.proposing import CaseFeedback, Feedback
from balancer.problem import Checker, Origin, Problem, Submission
from balancer.program import Execution, Program, Status
from balancer.settings.pipeline import AimSettings
from tests.unit.pipeline.knowing import problem as problem_of

__all__ = ["Bench", "Comparing", "Ticking", "feedback", "make_problem", "took"]

Item = TypeVar("Item")
Does = Callable[[bytes], Execution | bytes | None]


def took(time_s: float, output: bytes = b"", *, limit_s: float = 1.0) -> Execution:
    """Return the execution of a program that took so long."""
    if time_s >= limit_s:
        return Execution(Status.TIME_LIMIT, time_s=time_s, cpu_measured=True)
    return Execution(Status.FINISHED, output, exit_code=0, time_s=time_s, cpu_measured=True)


@dataclass
class Comparing:
    """A comparer in memory.

    Args:
        solutions: what the right solutions do, by name, the reference solution first.
        others: what the wrong ones do. Bytes: what is printed; None: the infrastructure failed.
        accepts: what the validator says.
    """

    solutions: dict[str, Does]
    others: dict[str, Does]
    accepts: Callable[[bytes], bool | None] = lambda data: True
    limit_s: float = 1.0
    runs: int = 0
    seen: list[bytes] = field(default_factory=list)

    @property
    def accepted(self) -> Sequence[Submission]:
        return [_submission(name, accepted=True) for name in self.solutions]

    @property
    def survivors(self) -> tuple[Submission, ...]:
        return tuple(_submission(name, accepted=False) for name in self.others)

    def answers(self, submission: Submission, inputs: Sequence[bytes]) -> list[Execution | None]:
        return [self.measured(submission, data) for data in inputs]

    def measured(self, submission: Submission, data: bytes) -> Execution | None:
        self.runs += 1
        self.seen.append(data)
        done = {**self.solutions, **self.others}[submission.name](data)
        return took(0.001, done) if isinstance(done, bytes) else done

    def valid(self, inputs: Sequence[bytes]) -> list[bool | None]:
        self.runs += len(inputs)
        return [self.accepts(data) for data in inputs]

    def refusals(self, inputs: Sequence[bytes]) -> list[str | None]:
        return [None if says is None else "" if says else "refused" for says in self.valid(inputs)]

    def right(self, outputs: Sequence[tuple[bytes, Execution, bytes]]) -> list[bool | None]:
        return [
            judge_end(execution) is None and not judge_output(Checker(), execution.stdout, answer).verdict.kills
            for _, execution, answer in outputs
        ]

    def each(self, act: Callable[[Item], None], items: Iterable[Item]) -> None:
        for item in items:
            act(item)


@dataclass(frozen=True)
class Bench:
    """A toolbox with nothing in it but a comparer and what may be spent."""

    comparer: Comparing
    aim: AimSettings = field(default_factory=AimSettings)
    found: set[str] = field(default_factory=set)

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        return None, "nothing runs here"

    def now(self, what: str, most_s: float | None = None) -> None:
        pass


class Ticking:
    """A clock that goes on by itself: so much each time it is looked at."""

    def __init__(self, step_s: float = 0.0) -> None:
        self._ticks = self._go(step_s)

    def __call__(self) -> float:
        return next(self._ticks)

    def _go(self, step_s: float) -> Iterator[float]:
        now = 0.0
        while True:
            now += step_s
            yield now


def _submission(name: str, *, accepted: bool) -> Submission:
    return Submission(name, Program("python", name, name), accepted, "accepted" if accepted else "wrong_answer")


def make_problem(*inputs: str, validator: str = "pass") -> Problem:
    """Return a problem with these samples."""
    return problem_of(*inputs, validator=validator)


def feedback(problem: Problem, survivors: Sequence[Submission], *telling: bytes) -> Feedback:
    """Return what is known before the second round: the samples rejected nobody, `telling` inputs did."""
    cases = [CaseFeedback(n, each.origin, each.data, (), ()) for n, each in enumerate(problem.data)]
    cases += [CaseFeedback(99 + n, Origin("mutate", ""), data, ("dead",), ()) for n, data in enumerate(telling)]
    return Feedback(1, tuple(cases), (), (), (), (), tuple(survivors), 1.0)
