"""Hold the right solutions of a row against the row's own tests, before anything else.

Decides which of them are believed, and whether the problem probably has several right outputs. Data sets call programs
right that are not: those that fail on the row's own tests are left out and named, so that they do not contest every
case. It must not know rounds or generators.
"""

from enum import Enum

from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.results.store import StoredVerdict
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.steps import generate_test_outputs, judge_on, validate_inputs
from balancer.problem import Verdict

__all__ = ["OwnDataVerdict", "settle_own_tests"]

_FEW = 1 / 3  # a smaller part of the right solutions that prints something else is wrong; a larger one has a point


class OwnDataVerdict(Enum):
    """What the own tests say."""

    SOUND = "sound"  # the right solutions that are left agree with them
    MANY_ANSWERS = "many answers"  # so many disagree that several outputs are probably right
    NONE = "none"  # no right solution is left


def settle_own_tests(sample: Sample) -> OwnDataVerdict:
    """Judge every right solution on the own tests, leave out those that fail, and say what the rest means."""
    store, problem = sample.store, sample.problem
    store.rounds.add_own(problem.id, problem.data)
    validate_inputs(sample, 0, own=True)
    own = [case for case in store.cases(problem.id) if case.sample and case.state is not CaseState.INVALID]
    workers = sample.settings.output_generation_workers
    judge_on(sample, sample.usable(accepted=True), own, RunStage.AGREE, workers)
    names = {case.id: case.origin.detail for case in own}
    verdicts = [v for v in store.verdicts(problem.id).values() if v.case in names]
    right = {submission.name for submission in sample.usable(accepted=True)}
    wrong: dict[str, StoredVerdict] = {}
    for stored in sorted(verdicts, key=lambda v: v.case):
        if stored.submission in right and stored.verdict.kills and stored.verdict is not Verdict.COMPILE_ERROR:
            if stored.verdict is Verdict.WRONG_ANSWER:
                wrong.setdefault(stored.submission, stored)
            else:
                _leave_out(sample, stored, names)
                right.discard(stored.submission)
    wrong = {name: stored for name, stored in wrong.items() if name in right}
    if len(wrong) >= _FEW * len(right) and wrong:
        return OwnDataVerdict.MANY_ANSWERS
    for stored in wrong.values():
        _leave_out(sample, stored, names)
    if not sample.usable(accepted=True):
        return OwnDataVerdict.NONE
    generate_test_outputs(sample)
    return OwnDataVerdict.SOUND


def _leave_out(sample: Sample, stored: StoredVerdict, names: dict[int, str]) -> None:
    why = f"called right, but {stored.verdict.value.replace('_', ' ')} on the own test {names[stored.case]!r}"
    sample.store.leave_out(sample.problem.id, stored.submission, f"{why}{f': {stored.note}' if stored.note else ''}")
