"""Hold the accepted submissions of a package against the package's own data, before anything else.

Decides which of them are believed. A package's authors judge with this data and this checker: what fails on it is too
slow here, or in a language that has changed, or wrong. It is left out and named, so that it contests no case. What the
infrastructure has prevented is no failure. It must not know rounds or generators.
"""

from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.results.store import StoredVerdict
from balancer.pipeline.round.own_tests import OwnDataVerdict
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.steps import judge_on, validate_inputs
from balancer.problem import Verdict

__all__ = ["settle_own_data"]


def settle_own_data(sample: Sample) -> OwnDataVerdict:
    """Judge every accepted submission on the own data that has answers, and leave out those that fail.

    If none is left, that is noted, and nothing of the package can be judged.
    """
    store, problem = sample.store, sample.problem
    store.rounds.add_own(problem.id, problem.data)
    validate_inputs(sample, 0, own=True)
    known = store.cases(problem.id, CaseState.VALID, CaseState.READY, CaseState.CONTESTED)
    own = [case for case in known if case.sample and case.answer is not None]
    judge_on(sample, sample.usable(accepted=True), own, RunStage.AGREE, sample.settings.output_generation_workers)
    names = {case.id: case.origin.detail for case in own}
    accepted = {submission.name for submission in sample.usable(accepted=True)}
    failed: dict[str, StoredVerdict] = {}
    for stored in sorted(store.verdicts(problem.id).values(), key=lambda verdict: verdict.case):
        kills = stored.verdict.kills and stored.verdict is not Verdict.COMPILE_ERROR
        if stored.submission in accepted and stored.case in names and kills:
            failed.setdefault(stored.submission, stored)
    for name, stored in failed.items():
        why = f"called accepted, but {stored.verdict.value.replace('_', ' ')} on the package's own {names[stored.case]}"
        store.leave_out(problem.id, name, f"{why}{f': {stored.note}' if stored.note else ''}")
    if sample.usable(accepted=True):
        return OwnDataVerdict.SOUND
    why = "no accepted submission passes the package's own data"
    if not any(submission.program.language in sample.runner.languages for submission in problem.accepted):
        why = "no endpoint can run any of its accepted submissions"
    if not store.rounds.has_begun(problem.id, 0):
        store.rounds.begin(problem.id, 0, (), [*problem.notes, why])
    return OwnDataVerdict.NONE
