"""Own data check: which accepted submissions are believed, by runs on the problem's own data on this machine. Pure.

It comes before the rounds. Those that fail are left out and named, so that they contest no case. A failure in a package
means that the submission is too slow here, uses a language that has changed, or is wrong. Data sets also call wrong
programs right. A failure of the infrastructure does not count. The check also decides whether a row probably has
several right outputs.
"""

from collections import Counter
from collections.abc import Generator, Sequence

from balancer.judging.pending import RunStage
from balancer.pipeline.results.problem_log import CaseState, ProposalBatch, StoredCase, StoredVerdict
from balancer.pipeline.round.acts import Act, ActEnd, Execute
from balancer.pipeline.round.judging import generate_test_outputs, judge_on, validate_inputs, work
from balancer.pipeline.round.known import Known
from balancer.problem import Verdict

__all__ = ["settle_own"]

_DATA = "data"  # the generator that proposes a problem's own data
_SCALED, _MARGIN = 4.0, 1.5  # a time limit is at most so many times its own, and so many times what accepted ones take
_FAIL_OWN = "right solutions fail its own tests"
_FEW = 1 / 3  # from this share of wrong outputs on, several outputs are probably right


def settle_own(known: Known) -> Generator[list[Act], ActEnd, bool]:
    """Judge every accepted submission on own data with answers, and leave out those that fail.

    Sets `many_answers` of `known`: so many right solutions of a row disagree that probably several outputs are right.

    Returns:
        Whether an accepted submission is left. If none is, that is noted, and the problem is not judged.
    """
    log, problem = known.log, known.problem
    row = problem.by_agreement and not problem.packaged
    if not row and not (problem.packaged and _DATA in known.settings.generators):
        return True
    log.add_own(problem.data)
    yield from validate_inputs(known, 0, own=True)
    checked = log.cases(CaseState.VALID, CaseState.READY, CaseState.CONTESTED)
    own = [case for case in checked if case.sample and case.answer is not None]
    rejections = yield from _rejections_with_margin(known, own)
    failed, wrong = dict[str, StoredVerdict](), dict[str, StoredVerdict]()  # a submission is in one of them
    for stored in sorted(rejections, key=lambda stored: stored.verdict is Verdict.WRONG_ANSWER):
        if stored.submission not in failed:
            (wrong if stored.verdict is Verdict.WRONG_ANSWER else failed).setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(known, stored)
    known.many_answers = row and bool(wrong) and len(wrong) >= _FEW * len(known.usable(accepted=True))
    if known.many_answers:
        log.remark(_who_fails(known, [*wrong.values()]), _FAIL_OWN)
        return True
    for stored in wrong.values():
        _leave_out(known, stored)
    if not known.usable(accepted=True):
        _note_why(known, [*wrong.values(), *failed.values()])
        return False
    if row:
        log.remark("", _FAIL_OWN)
        yield from generate_test_outputs(known)
    return True


def _note_why(known: Known, failing: Sequence[StoredVerdict]) -> None:
    """Note for the report why a problem is not judged."""
    log, problem = known.log, known.problem
    why = "no accepted submission passes the package's own data"
    if not problem.packaged:
        why = _who_fails(known, failing) if failing else ""
    elif not any(submission.program.language in known.languages for submission in problem.accepted):
        why = "no endpoint can run any of its accepted submissions"
    if log.has_begun(0):
        log.remark(why, why or _FAIL_OWN)
    elif why:
        log.propose(0, ProposalBatch(notes=(*problem.notes, why)))


def _who_fails(known: Known, failing: Sequence[StoredVerdict]) -> str:
    """Return which right solution of a row fails which of its own tests, and how."""
    first = min(failing, key=lambda stored: (stored.case, stored.submission))
    how = f"{first.verdict.value.replace('_', ' ')}{f': {first.note}' if first.note else ''}"
    line = f"{_FAIL_OWN}, so it is not judged: {first.submission} on {_name(known, first)!r}: {how}"
    return line + (f"; so do {len(failing) - 1} more" if len(failing) > 1 else "")


_Rejecting = Generator[list[Act], ActEnd, list[StoredVerdict]]


def _rejections(known: Known, own: list[StoredCase]) -> _Rejecting:
    """Judge all accepted submissions on their own data. Return the verdicts that reject one, by case.

    An output that the output validator cannot judge rejects its submission, if it can judge that of another one there.
    """
    yield from judge_on(known, known.usable(accepted=True), own, RunStage.AGREE)
    right = {submission.name for submission in known.usable(accepted=True)}
    verdicts = [each for each in known.log.verdicts(own).values() if each.submission in right]
    passed = {each.case for each in verdicts if each.verdict is Verdict.ACCEPTED}

    def rejects(stored: StoredVerdict) -> bool:
        if stored.verdict is Verdict.JUDGE_ERROR:
            return stored.case in passed
        return stored.verdict.kills and stored.verdict is not Verdict.COMPILE_ERROR

    return sorted(filter(rejects, verdicts), key=lambda stored: (stored.case, stored.submission))


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
    acts = [Execute(right[each.submission], known.log.case(each.case), _SCALED * limit_s) for each in slow]
    ends = yield from work(known, known.settings.output_generation_workers, acts)
    taken_s = [end.seconds for end in ends if end.seconds is not None]
    if not taken_s:
        return rejections
    scaled_s = round(min(_MARGIN * max(taken_s), _SCALED * limit_s), 1)
    known.log.set_limit(max(scaled_s, limit_s))
    known.log.forget_verdicts([(stored.submission, stored.case) for stored in slow])
    return (yield from _rejections(known, own))


def _name(known: Known, stored: StoredVerdict) -> str:
    return known.log.case(stored.case).origin.detail


def _leave_out(known: Known, stored: StoredVerdict) -> None:
    name = _name(known, stored)
    called, where = "marked as accepted", f"the package's own {name}"
    if not known.problem.packaged:
        called, where = "marked as right", f"the row's test {name!r}"
    why = f"{called}, but {stored.verdict.value.replace('_', ' ')} on {where}"
    known.log.leave_out(stored.submission, f"{why}{f': {stored.note}' if stored.note else ''}")
