"""Acts that a round asks for, and the events that end them. Pure.

Every act ends with one event. What was found stands in the log of the problem by then, but for what nobody needs later.
"""

from dataclasses import dataclass

from balancer.judging.pending import RunStage
from balancer.pipeline.results.problem_log import StoredCase
from balancer.problem import Submission

__all__ = ["Act", "ActEnd", "Answer", "Execute", "JudgeCase", "Propose", "Reduce", "RunAgain", "Validate"]


@dataclass(frozen=True, slots=True)
class Validate:
    """Have the input validators check the input of a case."""

    case: StoredCase


@dataclass(frozen=True, slots=True)
class Answer:
    """Run an accepted submission on a case, and let its output be the answer if there is none."""

    submission: Submission
    case: StoredCase


@dataclass(frozen=True, slots=True)
class JudgeCase:
    """Run a submission on a case that has an answer, and judge its output."""

    submission: Submission
    case: StoredCase
    stage: RunStage


@dataclass(frozen=True, slots=True)
class RunAgain:
    """Repeat a run elsewhere that only one endpoint has made, if this session made it. `changed`: it was wrong."""

    submission: Submission
    case: StoredCase
    stage: RunStage


@dataclass(frozen=True, slots=True)
class Execute:
    """Run an accepted submission with another time limit. `seconds`: what it took, if it ended within that."""

    submission: Submission
    case: StoredCase
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask the generators for a batch of a round. `more`: there are new inputs. `put_off`: why they cannot propose now.

    Attributes:
        number: of the round.
        wanted: valid inputs beyond the problem's own.
        replaced: cases that the first inputs of a round replace; None: the round has begun.
    """

    number: int
    wanted: int
    replaced: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reduce:
    """Look for a smaller case that still kills a submission, until no more than `until_s` are left."""

    case: StoredCase
    victim: Submission
    until_s: float = 0.0


Act = Validate | Answer | JudgeCase | RunAgain | Execute | Propose | Reduce


@dataclass(frozen=True, slots=True)
class ActEnd:
    """The end of an act. What else it tells is said at the act."""

    act: Act
    more: bool = False
    changed: bool = False
    seconds: float | None = None
    put_off: str = ""
