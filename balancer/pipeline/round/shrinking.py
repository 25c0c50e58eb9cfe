"""Case reduction: for a large case that kills, find a smaller one that kills the same submission.

Decides which inputs are tried, and when to stop. A smaller input must pass the same checks as a case: the validators,
the reference solution, and the agreement of the accepted submissions. Inputs of a format that is not learnt stay.
"""

from dataclasses import replace

from balancer.judging.verdict import judge_end
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.write.reduce import smaller_inputs
from balancer.pipeline.results.problem_log import StoredCase
from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.round.judging import agreed
from balancer.pipeline.round.sample import Sample
from balancer.problem import Submission, Verdict

__all__ = ["CaseReduction"]

_MOST_TRIES = 120  # tries for a case


class CaseReduction:
    """The search for the smallest input that kills one submission."""

    def __init__(self, sample: Sample, victim: Submission, until_s: float) -> None:
        self._sample = sample
        self._victim = victim
        self._until_s = until_s
        self._left = _MOST_TRIES
        self._known = knowledge_of(sample.problem)

    def smallest(self, case: StoredCase) -> bytes | None:
        """Take smaller and smaller inputs. After each success, large parts are tried first again."""
        best, tried, found = case.data, {case.data}, self._known is not None
        while found:
            found = False
            for data in smaller_inputs(self._known, best) if self._known else ():
                if data in tried:
                    continue
                if self._left <= 0 or self._sample.left_s <= self._until_s:
                    break
                self._left -= 1
                tried.add(data)
                if self._kills(replace(case, id=0, data=data, answer=None, sample=False)):
                    best, found = data, True
                    break
        return best if best != case.data else None

    def _kills(self, case: StoredCase) -> bool:
        """Return whether an input is valid, the accepted submissions agree on it, and the victim fails on it."""
        sample = self._sample
        if sample.validators.check(case)[0] is not CaseState.VALID:
            return False
        right = sample.known.jury
        execution = sample.execute(right[0], case, RunStage.REFERENCE).execution
        if execution is None or judge_end(execution) is not None:
            return False
        answered = replace(case, answer=execution.stdout)
        verdict = self._verdict(self._victim, answered)
        if not verdict.kills or verdict is Verdict.TIME_LIMIT:
            return False
        own = sample.check(execution.stdout, answered, execution.stdout, RunStage.REFERENCE, right[0].name)
        found: list[Verdict | None] = [own.verdict, *(self._verdict(each, answered) for each in right[1:])]
        return agreed(found) is CaseState.READY

    def _verdict(self, submission: Submission, case: StoredCase) -> Verdict:
        sample = self._sample
        execution = sample.execute(submission, case, RunStage.AGREE).execution
        if execution is None:
            return Verdict.UNJUDGED
        assert case.answer is not None
        judgement = judge_end(execution) or sample.check(
            execution.stdout, case, case.answer, RunStage.AGREE, submission.name
        )
        return judgement.verdict
