"""Own data check: hold the right solutions of a problem against its own data, before anything else.

Decides which of them are believed, and whether the problem probably has several right outputs. A package's authors
judge with this data and this checker: what fails on it is too slow here, or in a language that has changed, or wrong.
Data sets call programs right that are not. Those that fail are left out and named, so that they contest no case. What
the infrastructure has prevented is no failure. It must not know rounds or generators.
"""

from enum import Enum

from balancer.pipeline.results.rounds import ProposalBatch
from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.results.store import StoredCase, StoredVerdict
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.steps import generate_test_outputs, judge_on, validate_inputs
from balancer.problem import Verdict

__all__ = ["OwnDataVerdict", "settle_own_data", "settle_own_tests"]

_FEW = 1 / 3  # a smaller part of the right solutions that prints something else is wrong; a larger one has a point


class OwnDataVerdict(Enum):
    """What the own data says."""

    SOUND = "sound"  # the right solutions that are left agree with it
    MANY_ANSWERS = "many answers"  # so many disagree that several outputs are probably right
    NONE = "none"  # no right solution is left


def settle_own_data(sample: Sample) -> OwnDataVerdict:
    """Judge every accepted submission on a package's own data that has answers, and leave out those that fail.

    If none is left, that is noted, and nothing of the package can be judged.
    """
    store, problem = sample.store, sample.problem
    _check_own(sample)
    known = store.cases(problem.id, CaseState.VALID, CaseState.READY, CaseState.CONTESTED)
    own = [case for case in known if case.sample and case.answer is not None]
    names = {case.id: case.origin.detail for case in own}
    failed: dict[str, StoredVerdict] = {}
    for stored in _rejections(sample, own):
        failed.setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(sample, stored, "called accepted", f"the package's own {names[stored.case]}")
    if sample.usable(accepted=True):
        return OwnDataVerdict.SOUND
    why = "no accepted submission passes the package's own data"
    if not any(submission.program.language in sample.runner.languages for submission in problem.accepted):
        why = "no endpoint can run any of its accepted submissions"
    if not store.rounds.has_begun(problem.id, 0):
        store.rounds.begin(problem.id, 0, ProposalBatch(notes=(*problem.notes, why)))
    return OwnDataVerdict.NONE


def settle_own_tests(sample: Sample) -> OwnDataVerdict:
    """Judge every right solution of a row on its own tests, leave out those that fail, and say what the rest means."""
    _check_own(sample)
    known = sample.store.cases(sample.problem.id)
    own = [case for case in known if case.sample and case.state is not CaseState.INVALID]
    names = {case.id: case.origin.detail for case in own}
    wrong: dict[str, StoredVerdict] = {}
    failed: dict[str, StoredVerdict] = {}  # otherwise than by what they print
    for stored in _rejections(sample, own):
        (wrong if stored.verdict is Verdict.WRONG_ANSWER else failed).setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(sample, stored, "called right", f"the own test {names[stored.case]!r}")
    wrong = {name: stored for name, stored in wrong.items() if name not in failed}
    if wrong and len(wrong) >= _FEW * len(sample.usable(accepted=True)):
        return OwnDataVerdict.MANY_ANSWERS
    for stored in wrong.values():
        _leave_out(sample, stored, "called right", f"the own test {names[stored.case]!r}")
    if not sample.usable(accepted=True):
        return OwnDataVerdict.NONE
    generate_test_outputs(sample)
    return OwnDataVerdict.SOUND


def _check_own(sample: Sample) -> None:
    sample.store.rounds.add_own(sample.problem.id, sample.problem.data)
    validate_inputs(sample, 0, own=True)


def _rejections(sample: Sample, own: list[StoredCase]) -> list[StoredVerdict]:
    """Judge all right solutions on their own data; return the verdicts that are against one, by case."""
    judge_on(sample, sample.usable(accepted=True), own, RunStage.AGREE, sample.settings.output_generation_workers)
    right = {submission.name for submission in sample.usable(accepted=True)}
    cases = {case.id for case in own}
    return sorted(
        (
            stored
            for stored in sample.store.verdicts(sample.problem.id).values()
            if stored.submission in right
            and stored.case in cases
            and stored.verdict.kills
            and stored.verdict is not Verdict.COMPILE_ERROR
        ),
        key=lambda stored: stored.case,
    )


def _leave_out(sample: Sample, stored: StoredVerdict, called: str, where: str) -> None:
    why = f"{called}, but {stored.verdict.value.replace('_', ' ')} on {where}"
    sample.store.leave_out(sample.problem.id, stored.submission, f"{why}{f': {stored.note}' if stored.note else ''}")
