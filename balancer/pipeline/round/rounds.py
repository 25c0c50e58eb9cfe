"""Rounds of one problem, from its own data to the last round.

Decides how a round begins, when it has enough inputs, and whether there is another one. There is another one while a
wrong submission survives, a generator has inputs, and rounds and time are left. Cases that killed stay, so no round
kills fewer than the one before.

Also builds the feedback for generators, from the log of the problem.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from balancer.pipeline.generators.draw.largest import SHORTFALL, shortfall
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.progress import ProblemStatus
from balancer.pipeline.proposing import CaseFeedback, Feedback, PutOff, UnusedInput
from balancer.pipeline.results.missing_languages import why_left_out
from balancer.pipeline.results.problem_log import StoredCase, StoredVerdict, replaced_by
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.checking import CannotJudge
from balancer.pipeline.round.proposal_batches import ProposalBatches
from balancer.pipeline.round.sample import Sample, chunk
from balancer.pipeline.round.shrinking import shrink_cases
from balancer.pipeline.round.steps import (
    CHOSEN,
    OwnDataVerdict,
    add_own,
    ask_everybody,
    generate_test_outputs,
    killers_of,
    settle_own_data,
    settle_own_tests,
    surviving,
    validate_inputs,
    validate_solutions,
)
from balancer.pipeline.round.toolbox import SampleToolbox, leave_out_row_programs
from balancer.problem import Verdict

__all__ = ["begin_round", "feedback_before", "judge_problem", "killers_of", "status_after"]

_DATA = "data"  # the generator that proposes a problem's own data
_MOST_ROUNDS = 100  # with a time budget
_MOST_IN_VAIN = 3  # rounds in a row without a new case
_ROUND = 0.4  # with a time budget: share of the time left for a round, so that searches begin in time
_SMALL = 4096  # bytes of cases that are all read, as a short one may have a large value
_LARGEST, _MOST_READ = 3, 8 * 2**20  # cases that are read to see how large inputs became, and bytes of one
_JUDGED = (CaseState.READY, CaseState.CONTESTED, CaseState.REPLACED, CaseState.INVALID)
_SPENT = "its time for made-up inputs is spent"


def judge_problem(sample: Sample) -> bool:
    """Take one problem through all its rounds.

    Returns:
        Whether it is hungry: its time ended, and more time might kill a survivor.

    Raises:
        Stopped: the runner was stopped.
    """
    sample.log.reopen()
    sample.log.forget_troubles()
    _leave_out_unknown_languages(sample)
    sample.progress.now(sample.problem.id, "checking the data of")
    sample.validators.meet()
    hungry = False
    try:
        with suppress(CannotJudge):  # already reported
            hungry = _judge_rounds(sample)
    finally:
        sample.clock.keep()
    sample.progress.finish(sample.problem.id)
    return hungry


def _judge_rounds(sample: Sample) -> bool:
    own = _settle_own(sample)
    if own is OwnDataVerdict.NONE:
        return False
    rounds = _Rounds(sample, many_answers=own is OwnDataVerdict.MANY_ANSWERS)
    if not _play_rounds(sample, rounds, own):
        return False
    with sample.clock.spending():
        ask_everybody(sample)
    alive = len(surviving(sample))
    over = sample.left_s <= 0 or (sample.over and not _any_judged(sample))  # else a run takes longer than what is left
    hungry = over and bool(alive) and rounds.in_vain < _MOST_IN_VAIN
    _remark(sample, alive)
    if sample.shrinks:
        with sample.clock.spending():
            shrink_cases(sample, lambda: sample.left_s <= 0)
            ask_everybody(sample)
    return hungry


def _play_rounds(sample: Sample, rounds: "_Rounds", own: OwnDataVerdict) -> bool:
    """Play all rounds. Return False if the problem cannot be judged, or not further in this session."""
    try:
        for number in range(rounds.most):
            if not rounds.begin(number):
                break
            if (
                own is OwnDataVerdict.MANY_ANSWERS
            ):  # without a checker from a generator, right and wrong cannot be told apart
                own = settle_own_tests(sample)
                if own is not OwnDataVerdict.SOUND:
                    return False
            rounds.play(number)
            if not surviving(sample):  # else it is soon enough at the end
                with sample.clock.spending():
                    ask_everybody(sample)
            sample.progress.stands(sample.problem.id, partial(status_after, sample, number))
    except PutOff as error:  # judge what there is; the next session continues here
        why = f"round {sample.log.rounds} has not begun: {error}; run again to go on"
        sample.log.put_off(why)
        validate_solutions(sample)
        return False
    return True


def _any_judged(sample: Sample) -> bool:
    """Return whether a made-up input was refused, or run by accepted submissions until all was known of it."""
    return any(sample.log.count_made_up(number, *_JUDGED) for number in range(sample.log.rounds))


def _remark(sample: Sample, alive: int) -> None:
    """Note for the report what may be why wrong submissions survive: no large input, or no time."""
    log, problem = sample.log, sample.problem
    line = ""
    if alive and (found := knowledge_of(problem)) is not None:
        refusals = [case.note for case in log.cases(CaseState.INVALID)]
        ready = sorted(log.cases(CaseState.READY), key=lambda case: -len(case.data))
        read = [case.data for case in ready[:_LARGEST] if len(case.data) <= _MOST_READ]
        read += [case.data for case in ready[_LARGEST:] if len(case.data) <= _SMALL]
        line = shortfall(found, refusals, read)
    log.remark(line, SHORTFALL)
    survive = "1 wrong submission survives" if alive == 1 else f"{alive} wrong submissions survive"
    spent = f"{sample.clock.spent_s:.0f} s"
    if sample.left_s > 0:
        spent += f" of {sample.allowed_s or 0:.0f} s: a run takes longer than what is left"
    vain = "" if _any_judged(sample) else " before a made-up input was judged"
    line = f"{_SPENT} ({spent}){vain}, and {survive}" if sample.over and alive else ""
    log.remark(line, _SPENT)


def _settle_own(sample: Sample) -> OwnDataVerdict:
    """Decide which accepted submissions are believed, by runs on this machine; before that, which programs of a row."""
    if sample.problem.by_agreement:
        add_own(sample)
        leave_out_row_programs(sample)
    if sample.problem.packaged:
        return settle_own_data(sample) if _DATA in sample.settings.generators else OwnDataVerdict.SOUND
    return settle_own_tests(sample) if sample.problem.by_agreement else OwnDataVerdict.SOUND


def begin_round(sample: Sample, number: int) -> bool:
    """Give a round its first inputs, if it has none yet. Return False if there is no such round."""
    return _Rounds(sample, many_answers=False).begin(number)


def _leave_out_unknown_languages(sample: Sample) -> None:
    for submission in sample.problem.submissions:
        language = submission.program.language
        if not sample.runner.runs(language):
            sample.log.leave_out(submission.name, why_left_out(language))


class _Rounds:
    """The rounds of one problem in this session.

    Attributes:
        most: largest number of rounds.
        in_vain: rounds in a row that brought no case.
    """

    def __init__(self, sample: Sample, *, many_answers: bool) -> None:
        self._sample = sample
        self._asking = ProposalBatches(sample, SampleToolbox(sample, many_answers=many_answers))
        self.most = sample.settings.max_rounds if sample.allowed_s is None else _MOST_ROUNDS
        self.in_vain = 0
        self._until_s = 0.0  # the present round ends when no more seconds than these are left

    def begin(self, number: int) -> bool:
        """Give round `number` its first inputs, if it has none yet. Return False if there is no such round."""
        sample = self._sample
        if sample.log.has_begun(number):
            return True
        if number and (sample.over or self.in_vain >= _MOST_IN_VAIN or not self._asking.can(number)):
            return False
        if number and not self._asking.tellable():
            return False
        feedback = feedback_before(sample, number) if number else None
        if feedback is not None and not feedback.survivors:
            return False
        with sample.clock.spending():
            some = self._asking.begin(number, sample.settings.max_inputs, feedback, self._replaced)
        return some or not number

    def play(self, number: int) -> None:
        """Check, judge and ask for more, until round `number` has its inputs or there are no more."""
        sample = self._sample
        if sample.log.has_begun(number + 1):
            self._make_good(number)
            return
        validate_inputs(sample, number, own=True)
        if number == 0:  # errors of a checker show here, before inputs are made up for it
            generate_test_outputs(sample)
            validate_solutions(sample)
        with sample.clock.spending():
            further = number + 1 < self.most and self._asking.can(number + 1) and self._asking.tellable()
            self._until_s = sample.left_s * (1 - _ROUND) if further else 0.0
            if sample.allowed_s is not None and not _any_judged(sample):
                sample.log.want_again(number)
            more = True
            while more:
                more = self._fill(number)
                if not more:
                    sample.log.spare(number)
                generate_test_outputs(sample)
                validate_solutions(sample)
                sample.clock.keep()
                more = more and not sample.over and not self._is_long()
            sample.log.spare(number)
            ready = sample.log.count_made_up(number, CaseState.READY, CaseState.REPLACED)
            if sample.late:
                sample.log.bring_back(number, max(0, sample.settings.max_inputs - ready))
        self.in_vain = 0 if ready else self.in_vain + 1

    # -- inside --------------------------------------------------------------------------------------

    def _is_long(self) -> bool:
        """Return whether the present round has had its share of the time, and some submission is left for others."""
        sample = self._sample
        return sample.allowed_s is not None and sample.left_s <= self._until_s and bool(surviving(sample))

    def _make_good(self, number: int) -> None:
        """Finish the checks and answers of a round that an earlier session left open. The last round judges all."""
        sample = self._sample
        if sample.log.is_open(number):
            validate_inputs(sample, number)
            sample.log.spare(number)
            generate_test_outputs(sample)

    def _fill(self, number: int) -> bool:
        """Check inputs until enough are valid to judge. Return whether the round may have more after that."""
        sample, log = self._sample, self._sample.log
        chosen = log.count_made_up(number, *CHOSEN)
        judged = log.count_made_up(number, CaseState.READY, CaseState.CONTESTED)
        wanted = sample.settings.max_inputs - chosen
        left_s = sample.left_s if sample.allowed_s is None else max(0.0, sample.left_s - self._until_s)
        target = chosen + max(0, chunk(left_s, sample.clock.spent_s, judged, wanted))
        while True:
            validate_inputs(sample, number, most=target)
            wanted = target - log.count_made_up(number, *CHOSEN)
            if wanted <= 0:
                return target < sample.settings.max_inputs
            lost = log.count_made_up(number, CaseState.UNJUDGED)
            # Lost inputs may be valid. How many are wanted is known after they were tried again.
            if lost or sample.over:
                return False
            if not self._asking.go_on(number, wanted, lambda: self._feedback(number)):
                return False

    def _feedback(self, number: int) -> Feedback | None:
        return feedback_before(self._sample, number) if number else None

    def _replaced(self) -> list[int]:
        """Return the cases to take out: made up, and without a kill."""
        sample = self._sample
        killers = killers_of(sample)
        ready = sample.log.cases(CaseState.READY)
        return [case.id for case in ready if not case.sample and case.id not in killers]


def status_after(sample: Sample, number: int) -> ProblemStatus:
    """Return the problem's status after round `number`."""
    wrong = len(sample.usable(accepted=False))
    ready = len(sample.log.cases(CaseState.READY))
    return ProblemStatus(number, ready, len(surviving(sample)), wrong)


def feedback_before(sample: Sample, number: int) -> Feedback:
    """Return the feedback before round `number`."""
    log = sample.log
    verdicts = log.verdicts()
    wrong = [submission.name for submission in sample.usable(accepted=False)]
    right = [submission.name for submission in sample.usable(accepted=True)]
    ready = _ready_before(sample, number)
    rejected: dict[int, list[str]] = defaultdict(list)
    passed: dict[int, list[str]] = defaultdict(list)
    for case in ready:
        for name in wrong:
            stored = verdicts.get((name, case.id))
            if stored is not None and stored.verdict not in (Verdict.JUDGE_ERROR, Verdict.UNJUDGED):
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
            for case in log.cases(CaseState.INVALID)
            if case.round < number
        ),
        complaints=tuple(log.notes(number - 1)),
        survivors=tuple(
            submission
            for submission in sample.usable(accepted=False)
            if submission.name not in killed and any(submission.name in names for names in passed.values())
        ),
        limit_s=sample.limits.cpu_s,
    )


def _ready_before(sample: Sample, number: int) -> list[StoredCase]:
    """Return the cases that were ready when round `number` began, with those it replaced."""
    cases = sample.log.cases(CaseState.READY, CaseState.REPLACED)
    made_room = replaced_by(number)
    return [
        case
        for case in cases
        if (case.sample or case.round < number) and (case.state is CaseState.READY or case.note == made_room)
    ]


def _contested(
    sample: Sample, verdicts: dict[tuple[str, int], StoredVerdict], number: int
) -> tuple[tuple[UnusedInput, ...], tuple[UnusedInput, ...]]:
    """Return the inputs on which the reference solution fails, and those with too little agreement."""
    accepted = list(dict.fromkeys(each.name for each in (*sample.jury, *sample.usable(accepted=True))))
    failed, disagreed = [], []
    for case in sample.log.cases(CaseState.CONTESTED):
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
