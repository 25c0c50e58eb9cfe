"""Code rewards of open-r1: `code_reward(completions, num_parallel, provider_type, enforce_same_language, **kw)`.

They read the column `verification_info`, with the language and the test cases. They ignore the other arguments: the
judge decides where programs run, and how many at once. Both return None for a sample that could not be judged.
"""

from collections.abc import Callable, Sequence
from typing import Any

from balancer.judge.judge import Judge
from balancer.judge.trainers.scoring import Scoring, Unjudged, completion_text

__all__ = ["open_r1_binary_code_reward", "open_r1_code_reward"]


def open_r1_code_reward(judge: Judge, *, unjudged: Unjudged = None) -> Callable[..., list[float | None]]:
    """Return a replacement for `open_r1.rewards.code_reward`: the share of test cases that passed.

    Args:
        judge: judges the programs.
        unjudged: reward of a sample that could not be judged. None leaves it out; "raise" ends the training.
    """
    return _reward("code_reward", judge, Scoring(unjudged, partial=True, none_allowed=True))


def open_r1_binary_code_reward(judge: Judge, *, unjudged: Unjudged = None) -> Callable[..., list[float | None]]:
    """Return a replacement for `open_r1.rewards.binary_code_reward`: 1 if all test cases passed, else 0.

    Args:
        judge, unjudged: as for `open_r1_code_reward`.
    """
    return _reward("binary_code_reward", judge, Scoring(unjudged, partial=False, none_allowed=True))


def _reward(name: str, judge: Judge, scoring: Scoring) -> Callable[..., list[float | None]]:
    def reward(
        completions: Sequence[Any],
        num_parallel: int = 2,
        provider_type: str = "",
        enforce_same_language: bool = False,
        **kwargs: Any,
    ) -> list[float | None]:
        infos = kwargs.get("verification_info")
        if infos is None:
            raise ValueError(f"the data set has no column 'verification_info' with the tests; it has {sorted(kwargs)}")
        languages = {info["language"] for info in infos}
        if enforce_same_language and len(languages) > 1:
            raise ValueError(f"verification_info is in {sorted(languages)}; all of it must be in one language")
        jobs = [
            scoring.job(completion_text(each), info, info["language"])
            for each, info in zip(completions, infos, strict=True)
        ]
        return scoring.rewards(judge.run_many(jobs))[0]

    return scoring.published(reward, name)
