"""Reward functions of verl: `compute_score(data_source, solution_str, ground_truth, extra_info)`, with a mark.

verl puts every score into a tensor, so no sample can be left out. So `unjudged` has no default, and each result has the
key `unjudged`. verl passes it on as extra information, and a loss can mask the sample. verl calls with keywords; its
reward loop awaits coroutine functions. For other trainers, docs/judge.md has ten lines.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from balancer.judge.fences import is_tag, names_of
from balancer.judge.judge import Judge
from balancer.judge.judged import Job, Judged
from balancer.sandbox.languages.known import known_languages

__all__ = ["async_verl_score", "verl_score"]

Score = dict[str, float]

_LOGGER = logging.getLogger("balancer")


def verl_score(
    judge: Judge, *, unjudged: float, partial: bool = False, language: str = "python"
) -> Callable[..., Score]:
    """Return a `compute_score` for `custom_reward_function`.

    Args:
        judge: judges the programs.
        unjudged: score of a sample that could not be judged.
        partial: True: the score is the share of accepted cases. False: 1 or 0.
        language: of the programs.

    Raises:
        ValueError: `unjudged` is not a finite number, or no endpoint runs the language.
    """
    _check(judge, unjudged, language)

    def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None, **more: Any
    ) -> Score:
        job = Job.of(solution_str, ground_truth, language=language, stop_at_first=not partial)
        return _marked(judge.run_job(job), unjudged, partial=partial)

    return compute_score


def async_verl_score(
    judge: Judge, *, unjudged: float, partial: bool = False, language: str = "python"
) -> Callable[..., Awaitable[Score]]:
    """Return the same score as a coroutine function, for the reward loop. Arguments as for `verl_score`."""
    _check(judge, unjudged, language)

    async def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None, **more: Any
    ) -> Score:
        job = Job.of(solution_str, ground_truth, language=language, stop_at_first=not partial)
        return _marked(await judge.arun_job(job), unjudged, partial=partial)

    return compute_score


def _marked(judged: Judged, unjudged: float, *, partial: bool) -> Score:
    score = judged.share if partial else judged.score
    if score is None:
        why = judged.note or "some of its cases could not be judged"
        _LOGGER.warning("a sample could not be judged and scores %s: %s", unjudged, why)
    return {"score": float(unjudged if score is None else score), "unjudged": float(score is None)}


def _check(judge: Judge, unjudged: object, language: str) -> None:
    """Raise ValueError for an argument that would make a wrong score of every sample."""
    if isinstance(unjudged, bool) or not isinstance(unjudged, int | float) or not math.isfinite(unjudged):
        raise ValueError(f"unjudged is {unjudged!r}; it takes a finite number; this trainer needs all rewards")
    names_of(language)
    if not is_tag(language) and language not in known_languages():
        runs = judge.languages
        if runs and language not in runs:
            raise ValueError(f"language is {language!r}, which no endpoint runs; they run: {', '.join(sorted(runs))}")
