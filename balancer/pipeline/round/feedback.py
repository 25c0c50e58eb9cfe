"""Feedback for generators, read from the store: what they are told of the rounds so far. It decides nothing."""

from collections import defaultdict
from collections.abc import Iterable

from balancer.pipeline.progress.progress import ProblemStatus
from balancer.pipeline.proposing.feedback import CaseFeedback, Feedback, UnusedInput
from balancer.pipeline.results.rounds import replaced_by
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.results.store import StoredCase, StoredVerdict
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.steps import surviving
from balancer.problem import Verdict

__all__ = ["feedback_before", "killers_of", "status_after"]


def killers_of(sample: Sample) -> set[int]:
    """Return the ids of the ready cases that kill a wrong submission."""
    ready = {case.id for case in sample.store.cases(sample.problem.id, CaseState.READY)}
    wrong = {submission.name for submission in sample.usable(accepted=False)}
    verdicts = sample.store.verdicts(sample.problem.id)
    return {case for (name, case), v in verdicts.items() if name in wrong and case in ready and v.verdict.kills}


def status_after(sample: Sample, number: int) -> ProblemStatus:
    """Return how the problem stands after round `number`."""
    wrong = len(sample.usable(accepted=False))
    ready = len(sample.store.cases(sample.problem.id, CaseState.READY))
    return ProblemStatus(number, ready, len(surviving(sample)), wrong)


def feedback_before(sample: Sample, number: int) -> Feedback:
    """Return what is known as round `number` is about to begin."""
    problem, store = sample.problem, sample.store
    verdicts = store.verdicts(problem.id)
    wrong = [submission.name for submission in sample.usable(accepted=False)]
    right = [submission.name for submission in sample.usable(accepted=True)]
    ready = _ready_before(sample, number)
    rejected: dict[int, list[str]] = defaultdict(list)
    passed: dict[int, list[str]] = defaultdict(list)
    for case in ready:
        for name in wrong:
            stored = verdicts.get((name, case.id))
            if stored is not None and stored.verdict is not Verdict.UNJUDGED:
                (rejected if stored.verdict.kills else passed)[case.id].append(name)
    killed = {name for names in rejected.values() for name in names}
    failed, disagreed = _contested(sample, verdicts, number)

    def slowest(names: Iterable[str], case: int) -> float:
        return max((verdicts[name, case].time_s for name in names if (name, case) in verdicts), default=0.0)

    return Feedback(
        round=number,
        cases=tuple(
            CaseFeedback(
                case.id,
                case.origin,
                case.data,
                tuple(rejected[case.id]),
                tuple(passed[case.id]),
                slowest(right, case.id),
                slowest(passed[case.id], case.id),
            )
            for case in ready
        ),
        failed=failed,
        disagreed=disagreed,
        refused=tuple(
            UnusedInput(case.origin, case.data, case.note)
            for case in store.cases(problem.id, CaseState.INVALID)
            if case.round < number
        ),
        complaints=tuple(store.rounds.notes(problem.id, number - 1)),
        survivors=tuple(
            submission
            for submission in sample.usable(accepted=False)
            if submission.name not in killed and any(submission.name in names for names in passed.values())
        ),
        limit_s=sample.limits.cpu_s,
    )


def _ready_before(sample: Sample, number: int) -> list[StoredCase]:
    """Return the cases that were ready as round `number` began: also those that have made room for it."""
    cases = sample.store.cases(sample.problem.id, CaseState.READY, CaseState.REPLACED)
    made_room = replaced_by(number)
    return [
        case
        for case in cases
        if (case.sample or case.round < number) and (case.state is CaseState.READY or case.note == made_room)
    ]


def _contested(
    sample: Sample, verdicts: dict[tuple[str, int], StoredVerdict], number: int
) -> tuple[tuple[UnusedInput, ...], tuple[UnusedInput, ...]]:
    """Return the inputs on which the reference solution fails, and those on which too few right solutions agree."""
    accepted = [submission.name for submission in sample.usable(accepted=True)]
    failed, disagreed = [], []
    for case in sample.store.cases(sample.problem.id, CaseState.CONTESTED):
        if case.round >= number:
            continue
        said = {name: verdicts[name, case.id] for name in accepted if (name, case.id) in verdicts}
        against = {name: stored for name, stored in said.items() if stored.verdict.kills}
        if accepted and accepted[0] in against:
            failed.append(_unused(case, {accepted[0]: against[accepted[0]]}))
        else:
            disagreed.append(_unused(case, against))
    return tuple(failed), tuple(disagreed)


def _unused(case: StoredCase, against: dict[str, StoredVerdict]) -> UnusedInput:
    words = (f"{name}: {v.verdict.value}{f' ({v.note})' if v.note else ''}" for name, v in against.items())
    return UnusedInput(case.origin, case.data, "; ".join(words))
