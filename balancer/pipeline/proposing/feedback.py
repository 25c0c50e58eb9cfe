"""What a round has shown, for those who propose the next inputs. Plain frozen data; it decides nothing."""

from dataclasses import dataclass

from balancer.problem import Origin, Submission

__all__ = ["CaseFeedback", "Feedback", "UnusedInput", "ValidatorFeedback"]


@dataclass(frozen=True, slots=True)
class CaseFeedback:
    """What a case did.

    Attributes:
        id, origin, data: the case.
        rejected, let_live: names of the wrong submissions that it rejects, and of those that pass it.
        time_s: seconds that the slowest right solution took for it.
        survivor_s: seconds that the slowest of the wrong ones that pass it took.
    """

    id: int
    origin: Origin
    data: bytes
    rejected: tuple[str, ...]
    let_live: tuple[str, ...]
    time_s: float = 0.0
    survivor_s: float = 0.0


@dataclass(frozen=True, slots=True)
class UnusedInput:
    """An input that is no case, or not yet, and why, in one line."""

    origin: Origin
    data: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is known of a problem after some rounds.

    Attributes:
        round: the number of the round to come, 1 for the second.
        cases: those that are used, with what they did.
        failed: inputs on which the reference solution does not end well.
        disagreed: inputs on which too few right solutions agree.
        refused: inputs that a validator refuses, with its words.
        complaints: what went wrong with generator programs and the like, a line each.
        survivors: wrong submissions that no case rejects.
        limit_s: seconds that a run may take.
    """

    round: int
    cases: tuple[CaseFeedback, ...]
    failed: tuple[UnusedInput, ...]
    disagreed: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]
    complaints: tuple[str, ...]
    survivors: tuple[Submission, ...]
    limit_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ValidatorFeedback:
    """What the validators have said of a round's inputs so far, for those who propose more of them in the same round.

    Attributes:
        valid: inputs that are valid, in the order in which they were proposed.
        refused: inputs that a validator refuses, with its words, likewise.
    """

    valid: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]
