"""Reward functions of verl: `compute_score(data_source, solution_str, ground_truth, extra_info)`.

verl puts every score into a tensor, so no sample can be left out. So `unjudged` has no default here, and each result
has the key `unjudged`. verl passes it on as extra information, and a loss can mask the sample. verl calls with
keywords; its reward loop awaits coroutine functions.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from balancer.judge.datasets import cases_of
from balancer.judge.extract import program_in
from balancer.judge.judge import Judge
from balancer.judge.judged import CaseVerdict, Job, Judged
from balancer.judge.trainers.scoring import Scoring, Unjudged, known_language
from balancer.judging.judgements import limits_of
from balancer.problem import Verdict

__all__ = ["async_verl_score", "verl_batch_score", "verl_sandbox_fusion", "verl_score"]

_FIRST = 10  # number of cases for a continuous score
_STATUS = {
    Verdict.ACCEPTED: "success",
    Verdict.WRONG_ANSWER: "wrong_answer",
    Verdict.TIME_LIMIT: "timeout",
    Verdict.RUN_TIME_ERROR: "runtime_error",
    Verdict.COMPILE_ERROR: "compile_error",
    Verdict.UNJUDGED: "sandbox_error",
}

Score = dict[str, float]


def verl_score(
    judge: Judge, *, unjudged: Unjudged, partial: bool = False, language: str = "python"
) -> Callable[..., Score]:
    """Return a `compute_score` for `custom_reward_function`. Its attribute `counts` has the number of unjudged samples.

    Args:
        judge: judges the programs.
        unjudged: score of a sample that could not be judged: a number, or "raise".
        partial: True: the score is the share of accepted cases. False: 1 or 0.
        language: of the programs.
    """
    scoring = Scoring(unjudged, partial=partial, none_allowed=False)
    language = known_language(judge, language)

    def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None, **more: Any
    ) -> Score:
        return _scores(scoring, [judge.run_job(scoring.job(solution_str, ground_truth, language))])[0]

    return scoring.published(compute_score)


def async_verl_score(
    judge: Judge, *, unjudged: Unjudged, partial: bool = False, language: str = "python"
) -> Callable[..., Awaitable[Score]]:
    """Return the same score as a coroutine function, for the reward loop. Arguments as for `verl_score`."""
    scoring = Scoring(unjudged, partial=partial, none_allowed=False)
    language = known_language(judge, language)

    async def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None, **more: Any
    ) -> Score:
        return _scores(scoring, [await judge.arun_job(scoring.job(solution_str, ground_truth, language))])[0]

    return scoring.published(compute_score)


def verl_batch_score(
    judge: Judge, *, unjudged: Unjudged, partial: bool = False, language: str = "python"
) -> Callable[..., list[Score]]:
    """Return the same score for the reward manager "batch", for a whole batch. Arguments as for `verl_score`."""
    scoring = Scoring(unjudged, partial=partial, none_allowed=False)
    language = known_language(judge, language)

    def compute_score(
        data_sources: Sequence[str],
        solution_strs: Sequence[str],
        ground_truths: Sequence[Any],
        extra_infos: Sequence[Any] | None = None,
        **more: Any,
    ) -> list[Score]:
        jobs = [scoring.job(*each, language) for each in zip(solution_strs, ground_truths, strict=True)]
        return _scores(scoring, list(judge.run_many(jobs)))

    return scoring.published(compute_score)


def _scores(scoring: Scoring, judged: list[Judged]) -> list[Score]:
    rewards, _ = scoring.rewards(judged)
    return [
        {"score": float(reward or 0.0), "unjudged": float(scoring.is_missing(each))}
        for reward, each in zip(rewards, judged, strict=True)
    ]


def verl_sandbox_fusion(
    judge: Judge, *, unjudged: Unjudged, language: str = "python"
) -> Callable[..., tuple[float, list[dict[str, Any]]]]:
    """Return a replacement for `verl.utils.reward_score.sandbox_fusion.compute_score`, with the same arguments.

    It ignores the URL and the semaphore: the judge's pool decides where programs run, and how many at once.

    Args:
        judge: judges the programs.
        unjudged: score of a sample that could not be judged: a number, or "raise".
        language: of the programs.
    """
    scoring = Scoring(unjudged, partial=True, none_allowed=False)
    language = known_language(judge, language)

    def compute_score(
        sandbox_fusion_url: str | None,
        concurrent_semaphore: Any,
        memory_limit_mb: int | None,
        completion: str,
        test_cases: Any,
        continuous: bool = False,
        timeout: float = 10,
    ) -> tuple[float, list[dict[str, Any]]]:
        cases = cases_of(test_cases)
        limits = limits_of(timeout, memory_limit_mb * 2**20 if memory_limit_mb else None)
        cases = cases[:_FIRST] if continuous else cases
        job = Job(program_in(completion, language), cases, limits=limits, stop_at_first=False)
        judged = judge.run_job(job)
        score = _scores(scoring, [judged])[0]["score"]
        return score, [_metadata(index, case) for index, case in enumerate(judged.cases)] or [{"error": judged.note}]

    return scoring.published(compute_score)


def _metadata(index: int, case: CaseVerdict) -> dict[str, Any]:
    return {
        "case_index": index,
        "status": _STATUS[case.verdict],
        "duration": case.time_s,
        "error": case.note or None,
        "endpoint": case.endpoint,
    }
