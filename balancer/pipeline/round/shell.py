"""Shell of a round: carries out what it asks for, in threads, and tells it the time."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

from balancer.judging.compare import compare, parse_flags
from balancer.judging.trust import said
from balancer.judging.verdict import judge_end
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.write.reduce import smaller_inputs
from balancer.pipeline.proposing import PutOff
from balancer.pipeline.results.problem_log import StoredCase
from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.round.acts import (
    Act,
    ActEnd,
    Answer,
    Equip,
    Execute,
    JudgeCase,
    Precision,
    Propose,
    Reduce,
    RunAgain,
    TryRowPrograms,
    Validate,
)
from balancer.pipeline.round.checking import CannotJudge
from balancer.pipeline.round.judging import agreed
from balancer.pipeline.round.known import status_after
from balancer.pipeline.round.proposal_batches import ProposalBatches
from balancer.pipeline.round.round import Round
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.toolbox import SampleToolbox, leave_out_row_programs
from balancer.problem import Submission, Verdict
from balancer.program import Status

__all__ = ["CaseReduction", "Shell", "judge_problem"]

_PARTS = (2, 20, 200)  # of the tolerance


def judge_problem(sample: Sample) -> bool:
    """Take one problem through all its rounds.

    Returns:
        Whether it is hungry: its time ended, and more time might kill a survivor.

    Raises:
        Stopped: the runner was stopped.
    """
    sample.log.reopen()
    sample.log.forget_troubles()
    sample.progress.now(sample.problem.id, "checking the data of")
    sample.validators.meet()
    round_ = Round(sample.known)
    try:
        with suppress(CannotJudge):  # already reported
            Shell(sample).play(round_)
    finally:
        sample.clock.spend(False)
        sample.clock.keep()
    sample.progress.finish(sample.problem.id)
    return round_.hungry


class Shell:
    """Carries out the acts of one problem's rounds.

    Args:
        sample: the problem.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._batches: ProposalBatches | None = None

    def play(self, round_: Round) -> None:
        """Carry out all acts of a round. The first error stops the rest and is raised."""
        ended: SimpleQueue[ActEnd | BaseException] = SimpleQueue()
        under_way, judged, errors = 0, round_.judged, list[BaseException]()
        self._sample.known.now = self._sample.clock.now
        acts = round_.start()
        while True:
            self._sample.clock.spend(self._sample.known.spending)
            self._tell(round_)
            if round_.judged != judged:
                judged = round_.judged
                self._sample.clock.keep()
                self._sample.progress.stands(self._sample.problem.id, partial(status_after, self._sample.known, judged))
            for act in acts if not errors else ():
                self._sample.threads.submit(self._do, act, ended)
                under_way += 1
            if not under_way:
                break
            event = ended.get()
            under_way -= 1
            if isinstance(event, BaseException):
                errors.append(event)
            elif not errors:
                acts = round_.on(replace(event, now=self._sample.clock.now))
                continue
            acts = []
        if errors:
            raise errors[0]

    def _do(self, act: Act, ended: "SimpleQueue[ActEnd | BaseException]") -> None:
        try:
            ended.put(self.carry_out(act))
        except BaseException as error:
            ended.put(error)

    def _tell(self, round_: Round) -> None:
        """Tell the progress how many runs are ahead, what is done next, and how much of the time budget is left."""
        known = round_.known
        if known.doing:
            most_s = max(known.left_s, 0.1) if self._sample.allowed_s is not None and known.spending else None
            self._sample.progress.plan(self._sample.problem.id, known.ahead, known.doing, most_s)
            known.doing = ""

    # -- acts of a round -----------------------------------------------------------------------------

    def carry_out(self, act: Act) -> ActEnd:
        """Do what a round asks for, and tell how it ended."""
        match act:
            case Validate():
                self._validate(act.case)
            case Answer():
                self._answer(act.submission, act.case)
            case JudgeCase():
                self._sample.judge(act.submission, act.case, act.stage)
            case RunAgain():
                return ActEnd(act, changed=self._look_again(act.submission, act.case, act.stage))
            case Execute():
                return ActEnd(act, seconds=self._time(act))
            case Precision():
                return ActEnd(act, missed=self._missed(act))
            case TryRowPrograms():
                leave_out_row_programs(self._sample)
            case Reduce():
                self._reduce(act)
            case Equip():
                self._batches = ProposalBatches(
                    self._sample, SampleToolbox(self._sample, many_answers=act.many_answers)
                )
                return ActEnd(act, more=self._batches.can_refine)
            case Propose():
                return self._propose(act)
        return ActEnd(act)

    def _validate(self, case: StoredCase) -> None:
        if self._sample.late:
            return
        state, note = self._sample.validators.check(case)
        if state is not CaseState.UNJUDGED or not self._sample.late:
            self._sample.log.set_case(case.id, state, note)
            self._sample.progress.advance(self._sample.problem.id)

    def _answer(self, reference: Submission, case: StoredCase) -> None:
        """Run an accepted submission on a case, and store its output if it is the first one."""
        if self._sample.late:
            return
        judgement, ran = self._sample.settle(reference, case, RunStage.REFERENCE)
        if ran.execution is not None and judgement.verdict is Verdict.ACCEPTED:
            answer = ran.execution.stdout if case.answer is None else case.answer
            if case.answer is None:
                self._sample.unconfirmed.add(reference, case, ran)
            self._sample.log.set_case(case.id, CaseState.VALID, "", answer)
        self._sample.progress.advance(self._sample.problem.id)

    def _look_again(self, submission: Submission, case: StoredCase, stage: RunStage) -> bool:
        """Run `submission` on `case` again elsewhere. Return whether the result was wrong.

        Nothing is run if the result is confirmed already, or is from an earlier session.
        """
        ran = self._sample.unconfirmed.take(submission, case)
        if ran is None:
            return False
        again = self._sample.runner.confirm(self._sample.wanted(submission, case, stage), ran)
        if again.execution is None or ran.execution is None or said(again.execution) == said(ran.execution):
            return False
        if stage is RunStage.VALIDATE_SOLUTION:
            self._sample.settle(submission, case, stage, again)
        return True

    def _time(self, act: Execute) -> float | None:
        limits = self._sample.known.limits_at(act.cpu_s)
        execution = self._sample.execute(act.submission, act.case, RunStage.AGREE, limits).execution
        return execution.time_s if execution is not None and execution.status is Status.FINISHED else None

    def _missed(self, act: Precision) -> int:
        """Return how many parts of the tolerance are too small for some output of an accepted submission."""
        flags, missed = parse_flags(self._sample.known.checker.flags), 0
        if not flags.numeric:
            return 0
        parts = [
            replace(
                flags,
                relative=flags.relative and flags.relative / part,
                absolute=flags.absolute and flags.absolute / part,
            )
            for part in _PARTS
        ]
        for case in act.cases:
            ran = self._sample.execute(act.submission, case, RunStage.AGREE).execution
            if ran is not None and case.answer is not None:
                missed = max(missed, sum(not compare(ran.stdout, case.answer, part).accepted for part in parts))
        return missed

    def _reduce(self, act: Reduce) -> None:
        found = CaseReduction(self._sample, act.victim, act.until_s).smallest(act.case)
        detail = f"case {act.case.id}, {len(act.case.data)} bytes, smaller: still rejects {act.victim.name}"
        self._sample.log.shrunk(act.case.id, act.victim.name, found, detail)

    def _propose(self, act: Propose) -> ActEnd:
        assert self._batches is not None, "a round equips the generators first"
        try:
            return ActEnd(act, more=self._batches.ask(act))
        except PutOff as error:
            return ActEnd(act, put_off=str(error))


# -- smaller cases -------------------------------------------------------------------------------------


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
