"""Own data check: which accepted submissions are believed, by runs on the problem's own data on this machine. Pure.

It comes before the rounds. Those that fail are left out and named, so that they contest no case. A failure in a package
means that the submission is too slow here, uses a language that has changed, or is wrong. Data sets also call wrong
programs right. A failure of the infrastructure does not count. The check also decides whether the problem probably has
several right outputs.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from enum import Enum

from balancer.judging.pending import RunStage
from balancer.pipeline.results.problem_log import ProposalBatch, StoredCase, StoredVerdict
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.acts import Act, ActEnd, Execute, Precision, TryRowPrograms
from balancer.pipeline.round.judging import generate_test_outputs, judge_on, validate_inputs, work
from balancer.pipeline.round.known import Known
from balancer.problem import Verdict

__all__ = ["OwnDataVerdict", "settle_own", "settle_own_tests"]

_DATA = "data"  # the generator that proposes a problem's own data
_SCALED, _MARGIN = 4.0, 1.5  # a time limit is at most so many times its own, and so many times what accepted ones take
_FAIL_OWN = "right solutions fail its own tests"
_PRECISE = 3  # own cases that tell how near to the answers an accepted submission is
_FEW = 1 / 3  # from this share of wrong outputs on, several outputs are probably right


class OwnDataVerdict(Enum):
    """Result of the own data check."""

    SOUND = "sound"  # the accepted submissions that are left agree with it
    MANY_ANSWERS = "many answers"  # so many disagree that probably several outputs are right
    NONE = "none"  # no accepted submission is left


_Settling = Generator[list[Act], ActEnd, OwnDataVerdict]
_Rejecting = Generator[list[Act], ActEnd, list[StoredVerdict]]


def settle_own(known: Known) -> _Settling:
    """Decide which accepted submissions are believed; before that, which programs of a row."""
    problem = known.problem
    if problem.by_agreement:
        known.log.add_own(problem.data)
        yield from work(known, 1, [TryRowPrograms()])
    if problem.packaged:
        if _DATA in known.settings.generators:
            return (yield from _settle_own_data(known))
    elif problem.by_agreement:
        return (yield from settle_own_tests(known))
    return OwnDataVerdict.SOUND


def _settle_own_data(known: Known) -> _Settling:
    """Judge every accepted submission on a package's own data with answers, and leave out those that fail.

    If none is left, that is noted, and the package is not judged.
    """
    log, problem = known.log, known.problem
    log.add_own(problem.data)
    yield from validate_inputs(known, 0, own=True)
    checked = log.cases(CaseState.VALID, CaseState.READY, CaseState.CONTESTED)
    own = [case for case in checked if case.sample and case.answer is not None]
    failed: dict[str, StoredVerdict] = {}
    for stored in (yield from _rejections_with_margin(known, own)):
        failed.setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(known, stored, "marked as accepted", f"the package's own {_name(known, stored)}")
    if known.usable(accepted=True):
        yield from _find_imprecise(known, own[:_PRECISE])
        return OwnDataVerdict.SOUND
    why = "no accepted submission passes the package's own data"
    if not any(submission.program.language in known.languages for submission in problem.accepted):
        why = "no endpoint can run any of its accepted submissions"
    if not log.has_begun(0):
        log.propose(0, ProposalBatch(notes=(*problem.notes, why)))
    return OwnDataVerdict.NONE


def _find_imprecise(known: Known, own: list[StoredCase]) -> Generator[list[Act], ActEnd, None]:
    """Find the accepted submissions whose outputs on own data are within the tolerance, but not within parts of it.

    If one of them gave the answers, others that are as far from the true answer would be rejected.
    """
    right, checker = known.usable(accepted=True), known.checker

    def then(event: ActEnd) -> Iterator[Act]:
        if isinstance(event.act, Precision):
            known.imprecise[event.act.submission.name] = event.missed
        return iter(())

    if checker.flags and checker.program is None and not checker.values and len(right) > 1:
        acts = [Precision(each, tuple(own)) for each in right]
        yield from work(known, known.settings.output_generation_workers, acts, then)


def settle_own_tests(known: Known) -> _Settling:
    """Judge every accepted submission of a row on its own tests, leave out those that fail, and return the result."""
    known.log.add_own(known.problem.data)
    yield from validate_inputs(known, 0, own=True)
    own = [case for case in known.log.cases() if case.sample and case.state is not CaseState.INVALID]
    wrong: dict[str, StoredVerdict] = {}
    failed: dict[str, StoredVerdict] = {}  # those that fail in another way than by their output
    for stored in (yield from _rejections(known, own)):
        (wrong if stored.verdict is Verdict.WRONG_ANSWER else failed).setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(known, stored, "marked as right", f"the row's test {_name(known, stored)!r}")
    wrong = {name: stored for name, stored in wrong.items() if name not in failed}
    if wrong and len(wrong) >= _FEW * len(known.usable(accepted=True)):
        _say_who_fails(known, [*wrong.values()])
        return OwnDataVerdict.MANY_ANSWERS
    for stored in wrong.values():
        _leave_out(known, stored, "marked as right", f"the row's test {_name(known, stored)!r}")
    if not known.usable(accepted=True):
        _say_who_fails(known, [*wrong.values(), *failed.values()])
        return OwnDataVerdict.NONE
    known.log.remark("", _FAIL_OWN)
    yield from generate_test_outputs(known)
    return OwnDataVerdict.SOUND


def _say_who_fails(known: Known, failing: Sequence[StoredVerdict]) -> None:
    """Note for the report why a row is not judged: which right solution fails which of its own tests, and how."""
    if not failing:
        return
    log, first = known.log, min(failing, key=lambda stored: (stored.case, stored.submission))
    how = f"{first.verdict.value.replace('_', ' ')}{f': {first.note}' if first.note else ''}"
    line = f"{_FAIL_OWN}, so it is not judged: {first.submission} on {_name(known, first)!r}: {how}"
    line += f"; so do {len(failing) - 1} more" if len(failing) > 1 else ""
    if known.usable(accepted=True) or log.has_begun(0):
        log.remark(line, _FAIL_OWN)
    else:
        log.propose(0, ProposalBatch(notes=(*known.problem.notes, line)))


def _rejections(known: Known, own: list[StoredCase]) -> _Rejecting:
    """Judge all accepted submissions on their own data. Return the verdicts that reject one, by case.

    An output that the output validator cannot judge rejects its submission, if it can judge that of another one there.
    """
    workers = known.settings.output_generation_workers
    yield from judge_on(known, known.usable(accepted=True), own, RunStage.AGREE, workers)
    right = {submission.name for submission in known.usable(accepted=True)}
    verdicts = [each for each in known.log.verdicts(own).values() if each.submission in right]
    passed = {each.case for each in verdicts if each.verdict is Verdict.ACCEPTED}
    rejecting = [
        each
        for each in verdicts
        if (each.verdict.kills and each.verdict is not Verdict.COMPILE_ERROR)
        or (each.verdict is Verdict.JUDGE_ERROR and each.case in passed)
    ]
    return sorted(rejecting, key=lambda stored: (stored.case, stored.submission))


def _rejections_with_margin(known: Known, own: list[StoredCase]) -> _Rejecting:
    """Return the verdicts on own data that reject an accepted submission, with another time limit if need be.

    Limits are for the archive's machine. One that has no margin on this machine is scaled, once: if half of the
    accepted submissions take more than half of it on a case on which one of them meets it.
    """
    rejections = yield from _rejections(known, own)
    limit_s = known.limits.cpu_s
    slow = [stored for stored in rejections if stored.verdict is Verdict.TIME_LIMIT]
    if not slow or known.log.limit_s is not None or not known.problem.time_limit_s:
        return rejections
    right = {each.name: each for each in known.usable(accepted=True)}
    late = Counter(
        each.case
        for each in known.log.verdicts().values()
        if each.submission in right and (each.verdict is Verdict.TIME_LIMIT or each.time_s > limit_s / 2)
    )
    if not any(2 * late[stored.case] >= len(right) for stored in slow):
        return rejections
    taken_s: list[float] = []

    def then(event: ActEnd) -> Iterator[Act]:
        if event.seconds is not None:
            taken_s.append(event.seconds)
        return iter(())

    acts = [Execute(right[each.submission], known.log.case(each.case), _SCALED * limit_s) for each in slow]
    yield from work(known, known.settings.output_generation_workers, acts, then)
    if not taken_s:
        return rejections
    scaled_s = round(min(_MARGIN * max(taken_s), _SCALED * limit_s), 1)
    known.log.set_limit(max(scaled_s, limit_s))
    known.log.forget_verdicts([(stored.submission, stored.case) for stored in slow])
    return (yield from _rejections(known, own))


def _name(known: Known, stored: StoredVerdict) -> str:
    return known.log.case(stored.case).origin.detail


def _leave_out(known: Known, stored: StoredVerdict, called: str, where: str) -> None:
    why = f"{called}, but {stored.verdict.value.replace('_', ' ')} on {where}"
    known.log.leave_out(stored.submission, f"{why}{f': {stored.note}' if stored.note else ''}")
