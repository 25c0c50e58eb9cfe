"""Score of one sample, for trainers and evaluations that have no adapter of their own: `score(completion, tests)`.

A few lines of the user's code bring it to the interface of the trainer. What the trainer does with a sample without a
score differs, so the default is to raise.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from balancer.judge.judge import Judge
from balancer.judge.trainers.scoring import RAISE, Scoring, Unjudged, completion_text, known_language

__all__ = ["async_sample_score", "sample_score"]


def sample_score(
    judge: Judge, *, unjudged: Unjudged = RAISE, partial: bool = False, language: str = "python"
) -> Callable[..., float | None]:
    """Return `score(completion, tests, function=None)`. Its attribute `counts` has the number of unjudged samples.

    `completion` is a text or a list of messages, `tests` is what `cases_of` reads, and `function` is the name of the
    function to call, if the tests do not name it.

    Args:
        judge: judges the programs.
        unjudged: score of a sample that could not be judged: a number, or None. "raise": `Unscored` is raised.
        partial: True: the score is the share of accepted cases. False: 1 or 0.
        language: of the programs.
    """
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)
    language = known_language(judge, language)

    def score(completion: Any, tests: Any, function: str | None = None) -> float | None:
        job = scoring.job(completion_text(completion), tests, language, function)
        return scoring.rewards([judge.run_job(job)])[0][0]

    return scoring.published(score)


def async_sample_score(
    judge: Judge, *, unjudged: Unjudged = RAISE, partial: bool = False, language: str = "python"
) -> Callable[..., Awaitable[float | None]]:
    """Return the same score as a coroutine function. Arguments as for `sample_score`."""
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)
    language = known_language(judge, language)

    async def score(completion: Any, tests: Any, function: str | None = None) -> float | None:
        job = scoring.job(completion_text(completion), tests, language, function)
        return scoring.rewards([await judge.arun_job(job)])[0][0]

    return scoring.published(score)
