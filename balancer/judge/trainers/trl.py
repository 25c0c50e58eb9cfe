"""Reward functions of TRL's trainers (GRPO, RLOO): `reward(prompts, completions, completion_ids, **columns)`.

TRL leaves out a sample with the reward None: it is NaN in sums, and gets no advantage. TRL calls with keywords only,
and awaits coroutine functions.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from balancer.judge.judge import Judge
from balancer.judge.judged import Job
from balancer.judge.trainers.scoring import Scoring, Unjudged, completion_text, known_language

__all__ = ["async_trl_reward", "trl_reward"]

_METRIC = "unjudged"


def trl_reward(
    judge: Judge,
    *,
    tests: str = "tests",
    function: str = "fn_name",
    language: str = "python",
    partial: bool = False,
    unjudged: Unjudged = None,
    name: str = "code_reward",
) -> Callable[..., list[float | None]]:
    """Return a reward function for `reward_funcs=`. Its attribute `counts` has the number of samples without a reward.

    Args:
        judge: judges the programs.
        tests: the column with the tests of each sample; see `cases_of`.
        function: the column with the name of the function to call; it may be missing.
        language: of the programs.
        partial: True: the reward is the share of accepted cases. False: 1 or 0.
        unjudged: reward of a sample that could not be judged. None leaves it out; "raise" ends the training.
        name: of the reward in the trainer's log.
    """
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)
    language = known_language(judge, language)

    def reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        jobs = _jobs(scoring, completions, columns, tests, function, language)
        return _told(scoring, scoring.rewards(judge.run_many(jobs)), columns)

    return scoring.published(reward, name)


def async_trl_reward(
    judge: Judge,
    *,
    tests: str = "tests",
    function: str = "fn_name",
    language: str = "python",
    partial: bool = False,
    unjudged: Unjudged = None,
    name: str = "code_reward",
) -> Callable[..., Awaitable[list[float | None]]]:
    """Return the same reward as a coroutine function, which TRL runs with its others. Arguments as for `trl_reward`."""
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)
    language = known_language(judge, language)

    async def reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        jobs = _jobs(scoring, completions, columns, tests, function, language)
        judged = [each async for each in judge.arun_many(jobs)]
        return _told(scoring, scoring.rewards(judged), columns)

    return scoring.published(reward, name)


def _jobs(
    scoring: Scoring, completions: Sequence[Any], columns: dict[str, Any], tests: str, function: str, language: str
) -> list[Job]:
    if tests not in columns:
        known = sorted(name for name, column in columns.items() if isinstance(column, list))
        raise ValueError(f"the data set has no column {tests!r} with the tests; it has {known}: give tests=COLUMN")
    names = columns.get(function) or [None] * len(completions)
    return [
        scoring.job(completion_text(each), of, language, called)
        for each, of, called in zip(completions, columns[tests], names, strict=True)
    ]


def _told(scoring: Scoring, found: tuple[list[float | None], int], columns: dict[str, Any]) -> list[float | None]:
    rewards, missing = found
    log = columns.get("log_metric")
    if callable(log):
        log(_METRIC, float(missing))
    return rewards
