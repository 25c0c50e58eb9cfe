"""Feedback of a problem's rounds, from its log: for generators that propose the next inputs, and for watchers. Pure."""

from collections.abc import Mapping

from balancer.pipeline.progress import ProblemStatus
from balancer.pipeline.proposing import CaseFeedback, Feedback, UnusedInput
from balancer.pipeline.results.problem_log import StoredCase, StoredVerdict, replaced_by
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.known import Known
from balancer.problem import Verdict

__all__ = ["feedback_before", "status_after"]

_SAY_NOTHING = (Verdict.JUDGE_ERROR, Verdict.UNJUDGED)


def status_after(known: Known, number: int) -> ProblemStatus:
    """Return the problem's status after round `number`."""
    wrong = len(known.usable(accepted=False))
    ready = len(known.log.cases(CaseState.READY))
    return ProblemStatus(number, ready, len(known.surviving()), wrong)


def feedback_before(known: Known, number: int) -> Feedback:
    """Return the feedback before round `number`."""
    log, verdicts = known.log, known.log.verdicts()
    wrong, ready = known.usable(accepted=False), _ready_before(known, number)
    judged = {
        case.id: {
            each.name: stored.verdict.kills
            for each in wrong
            if (stored := verdicts.get((each.name, case.id))) and stored.verdict not in _SAY_NOTHING
        }
        for case in ready
    }
    rejected = {case: tuple(name for name, kills in said.items() if kills) for case, said in judged.items()}
    killed = {name for names in rejected.values() for name in names}
    failed, disagreed = _contested(known, verdicts, number)
    return Feedback(
        round=number,
        cases=tuple(CaseFeedback(case.id, case.origin, case.data, rejected[case.id]) for case in ready),
        failed=failed,
        disagreed=disagreed,
        refused=tuple(
            UnusedInput(case.origin, case.data, case.note)
            for case in log.cases(CaseState.INVALID)
            if case.round < number
        ),
        complaints=tuple(log.notes(number - 1)),
        survivors=tuple(
            each for each in wrong if each.name not in killed and any(each.name in said for said in judged.values())
        ),
    )


def _ready_before(known: Known, number: int) -> list[StoredCase]:
    """Return the cases that were ready when round `number` began, with those it replaced."""
    cases = known.log.cases(CaseState.READY, CaseState.REPLACED)
    made_room = replaced_by(number)
    return [
        case
        for case in cases
        if (case.sample or case.round < number) and (case.state is CaseState.READY or case.note == made_room)
    ]


def _contested(
    known: Known, verdicts: Mapping[tuple[str, int], StoredVerdict], number: int
) -> tuple[tuple[UnusedInput, ...], tuple[UnusedInput, ...]]:
    """Return the inputs on which the reference solution fails, and those with too little agreement."""
    accepted = list(dict.fromkeys(each.name for each in (*known.jury, *known.usable(accepted=True))))
    failed, disagreed = [], []
    for case in known.log.cases(CaseState.CONTESTED):
        if case.round >= number:
            continue
        said = {name: verdicts[name, case.id] for name in accepted if (name, case.id) in verdicts}
        against = {
            name: stored
            for name, stored in said.items()
            if stored.verdict.kills or stored.verdict is Verdict.JUDGE_ERROR
        }
        if accepted and accepted[0] in against:
            failed.append(_unused(case, {accepted[0]: against[accepted[0]]}))
        else:
            disagreed.append(_unused(case, against))
    return tuple(failed), tuple(disagreed)


def _unused(case: StoredCase, against: dict[str, StoredVerdict]) -> UnusedInput:
    words = (f"{name}: {v.verdict.value}{f' ({v.note})' if v.note else ''}" for name, v in against.items())
    return UnusedInput(case.origin, case.data, "; ".join(words))
