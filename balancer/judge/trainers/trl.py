"""The reward function of TRL's trainers (GRPO, RLOO): `reward(prompts, completions, completion_ids, **columns)`.

Decides which columns of the data set are read. TRL leaves a sample out whose reward is None: it is NaN in its sums, and
gets no advantage. It calls with keywords only, and awaits coroutine functions.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from balancer.judge.judge import Judge
from balancer.judge.judged import Job
from balancer.judge.trainers.scoring import Scoring, Unjudged, completion_text

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
    """Return a reward function for `reward_funcs=`; its attribute `counts` tells how many samples had no reward.

    Args:
        judge: judges.
        tests: the column with the tests of each sample; see `cases_of`.
        function: the column with the name of the function that is called, where there is such a column.
        language: which programs are written in.
        partial: whether the reward is the part of the cases that is accepted.
        unjudged: what a sample scores that could not be judged: None leaves it out, "raise" ends the training.
        name: what the trainer logs it as.
    """
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)

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
    """Return one that is a coroutine function, which TRL runs beside its others. Arguments as for `trl_reward`."""
    scoring = Scoring(unjudged, partial=partial, none_allowed=True)

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
