"""Shell of a round: carries out what it asks for, in threads, and ends with the first error."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

from balancer.judging.pending import RunStage
from balancer.judging.trust import said
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.write.reduce import smaller_inputs
from balancer.pipeline.proposing import PutOff
from balancer.pipeline.results.problem_log import CaseState, StoredCase
from balancer.pipeline.round.acts import (
    Act,
    ActEnd,
    Answer,
    Execute,
    JudgeCase,
    Propose,
    Reduce,
    RunAgain,
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

__all__ = ["judge_problem"]

_MOST_TRIES = 120  # of a case that is made smaller


def judge_problem(sample: Sample) -> None:
    """Take one problem through all its rounds.

    Raises:
        Stopped: the runner was stopped.
    """
    problem, log = sample.problem, sample.log
    log.reopen()
    log.forget_troubles()
    sample.progress.plan(problem.id, None, "checking the data of")
    sample.validators.meet()
    try:
        with suppress(CannotJudge):  # already reported
            if problem.by_agreement:
                log.add_own(problem.data)
                leave_out_row_programs(sample)
            _Shell(sample).play()
    finally:
        sample.clock.spend(False)
        sample.clock.keep(0.0)
    sample.progress.finish(problem.id)


class _Shell:
    """Carries out the acts of one problem's rounds."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._batches = ProposalBatches(sample, SampleToolbox(sample))
        self._round = Round(sample.known, refines=self._batches.can_refine)

    def play(self) -> None:
        """Carry out all acts of a round. The first error stops the rest and is raised."""
        ended: SimpleQueue[ActEnd | BaseException] = SimpleQueue()
        under_way, errors = 0, list[BaseException]()
        acts = self._round.start()
        while True:
            for act in acts:
                self._sample.threads.submit(self._do, act, ended)
                under_way += 1
            if not under_way:
                break
            event, acts = ended.get(), []
            under_way -= 1
            if isinstance(event, BaseException):
                errors.append(event)
            elif not errors:
                judged = self._round.judged
                acts = self._round.on(event)
                self._tell(judged)
        if errors:
            raise errors[0]

    def _tell(self, judged: int) -> None:
        sample = self._sample
        sample.clock.keep()
        if self._round.judged != judged:
            sample.progress.stands(sample.problem.id, partial(status_after, sample.known, self._round.judged))

    def _do(self, act: Act, ended: "SimpleQueue[ActEnd | BaseException]") -> None:
        try:
            ended.put(self._carry_out(act))
        except BaseException as error:
            ended.put(error)

    # -- acts of a round -----------------------------------------------------------------------------

    def _carry_out(self, act: Act) -> ActEnd:
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
            case Reduce():
                self._reduce(act)
            case Propose():
                return self._propose(act)
        return ActEnd(act)

    def _validate(self, case: StoredCase) -> None:
        if self._sample.clock.late:
            return
        state, note = self._sample.validators.check(case)
        if state is not CaseState.UNJUDGED or not self._sample.clock.late:
            self._sample.log.set_case(case.id, state, note)
            self._sample.progress.advance(self._sample.problem.id)

    def _answer(self, reference: Submission, case: StoredCase) -> None:
        """Run an accepted submission on a case, and store its output if it is the first one."""
        if self._sample.clock.late:
            return
        judgement, ran = self._sample.settle(reference, case, RunStage.REFERENCE)
        if ran.execution is not None and judgement.verdict is Verdict.ACCEPTED:
            answer = ran.execution.stdout if case.answer is None else case.answer
            if case.answer is None:
                self._sample.keep_unconfirmed(reference, case, ran)
            self._sample.log.set_case(case.id, CaseState.VALID, "", answer)
        self._sample.progress.advance(self._sample.problem.id)

    def _look_again(self, submission: Submission, case: StoredCase, stage: RunStage) -> bool:
        """Run `submission` on `case` again elsewhere. Return whether the result was wrong.

        Nothing is run if the result is confirmed already, or is from an earlier session.
        """
        ran = self._sample.unconfirmed.pop((submission.name, case.id), None)
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
        execution = self._sample.tried(act.submission, act.case, RunStage.AGREE, limits)[1].execution
        return execution.time_s if execution is not None and execution.status is Status.FINISHED else None

    def _propose(self, act: Propose) -> ActEnd:
        try:
            return ActEnd(act, more=self._batches.ask(act))
        except PutOff as error:
            return ActEnd(act, put_off=str(error))

    # -- smaller cases -------------------------------------------------------------------------------

    def _reduce(self, act: Reduce) -> None:
        """Look for the smallest input that kills a submission. After each success, large parts are tried first."""
        case, best, left = act.case, act.case.data, _MOST_TRIES
        known, tried = knowledge_of(self._sample.problem), {act.case.data}
        found = known is not None
        while found:
            found = False
            for data in smaller_inputs(known, best) if known else ():
                if data in tried:
                    continue
                if left <= 0 or self._sample.clock.left_s <= act.until_s:
                    break
                left -= 1
                tried.add(data)
                if self._kills(act.victim, replace(case, id=0, data=data, answer=None, sample=False)):
                    best, found = data, True
                    break
        detail = f"case {case.id}, {len(case.data)} bytes, smaller: still rejects {act.victim.name}"
        self._sample.log.shrunk(case.id, act.victim.name, best if best != case.data else None, detail)

    def _kills(self, victim: Submission, case: StoredCase) -> bool:
        """Return whether an input is valid, the accepted submissions agree on it, and the victim fails on it."""
        sample, (reference, *others) = self._sample, self._sample.known.jury
        if sample.validators.check(case)[0] is not CaseState.VALID:
            return False
        own, ran = sample.tried(reference, case, RunStage.REFERENCE)
        if own is not Verdict.ACCEPTED or ran.execution is None:
            return False
        answered = replace(case, answer=ran.execution.stdout)
        verdict = sample.tried(victim, answered, RunStage.AGREE)[0]
        if not verdict.kills or verdict is Verdict.TIME_LIMIT:
            return False
        return agreed([own, *(sample.tried(each, answered, RunStage.AGREE)[0] for each in others)]) is CaseState.READY
