"""What else a person should know of each problem: what was left out and why, and notes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.pipeline.results.missing_languages import left_out_for
from balancer.pipeline.results.run_result import ProblemResult, RunResult

__all__ = ["Note", "notes"]


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a problem, or on its `subject` (a submission or a validator) unless that is empty."""

    problem: str
    subject: str
    words: str


def notes(result: RunResult) -> tuple[Note, ...]:
    """Return all of them, by problem."""
    return tuple(note for problem in result.problems for note in _notes(problem))


def _notes(problem: ProblemResult) -> Iterator[Note]:
    for subject, why in problem.left_out.items():
        if not left_out_for(why):  # these are told once for the whole run, in the headline
            yield Note(problem.id, subject, f"left out: {why}")
    for submission in problem.submissions:
        if not submission.compiles:
            yield Note(problem.id, submission.name, "does not compile: not counted")
    for words in problem.notes:
        yield Note(problem.id, "", words)
