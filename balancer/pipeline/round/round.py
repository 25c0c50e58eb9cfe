"""Round after round of one problem, from its own data to the last one: events in, acts out.

Decides how a round begins, when it has enough inputs, and whether there is another one. There is another one while a
wrong submission survives, a generator has inputs, and rounds and time are left. Cases that killed stay, so no round
kills fewer than the one before.

Pure: it knows no thread or pool. The shell carries out the acts.
"""

import math
from collections.abc import Generator

from balancer.pipeline.generators.draw.largest import SHORTFALL, shortfall
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.results.problem_log import CaseState, StoredCase
from balancer.pipeline.results.problem_result import why_left_out
from balancer.pipeline.round.acts import Act, ActEnd, Propose, Reduce
from balancer.pipeline.round.judging import (
    CHOSEN,
    Steps,
    ask_everybody,
    generate_test_outputs,
    validate_inputs,
    validate_solutions,
    work,
)
from balancer.pipeline.round.known import Known, feedback_before
from balancer.pipeline.round.own_data import settle_own
from balancer.problem import Submission, Verdict

__all__ = ["Round"]

_MOST_ROUNDS = 100  # with a time budget
_MOST_IN_VAIN = 3  # rounds in a row without a new case
_ROUND = 0.4  # with a time budget: share of the time left for a round, so that searches begin in time
_SHRINKING = 0.2  # with a time budget: share of it for smaller cases, as other problems may use the rest
_SMALL = 4096  # bytes of cases that are all read, as a short one may have a large value
_LARGEST, _MOST_READ = 3, 8 * 2**20  # cases that are read to see how large inputs became, and bytes of one
_JUDGED = (CaseState.READY, CaseState.CONTESTED, CaseState.REPLACED, CaseState.INVALID)
_SPENT = "its time for made-up inputs is spent"
_LARGE, _MOST_LARGE = 60, 2**20  # bytes: smaller cases are readable already, larger ones are slow to reduce
_MOST_REDUCED = 16  # cases of a problem
_FIRST, _LEAST = 6, 2  # inputs between two looks at the clock: the first time, and at least
_HALF = 2  # the next look is after at most 1/2 of the time left


class Round:
    """The rounds of one problem in this session.

    Args:
        known: of the problem. Everything found stands in its log.
        refines: whether some generator can propose in later rounds.

    Attributes:
        judged: the last round that was judged; -1: none.
        done: whether nothing is left to do, or not in this session.
    """

    def __init__(self, known: Known, *, refines: bool) -> None:
        self.judged = -1
        self.done = False
        self._known = known
        self._refines = refines
        self._in_vain = 0  # rounds in a row that brought no case
        self._until_s = 0.0  # the present round ends when no more seconds than these are left
        self._steps = self._all()

    def start(self) -> list[Act]:
        """Return the first acts."""
        return self._went(None)

    def on(self, event: ActEnd) -> list[Act]:
        """Return the acts that follow from the end of one."""
        return self._went(event)

    def _went(self, event: ActEnd | None) -> list[Act]:
        try:
            return next(self._steps) if event is None else self._steps.send(event)
        except StopIteration:
            self.done = True
            return []

    # -- all rounds ----------------------------------------------------------------------------------

    def _all(self) -> Steps:
        known = self._known
        for submission in known.problem.submissions:
            if submission.program.language not in known.languages:
                known.log.leave_out(submission.name, why_left_out(submission.program.language))
        known.plan(None, "checking the data of")
        if not (yield from settle_own(known)) or not (yield from self._rounds()):
            return
        yield from self._spent(ask_everybody(known))
        self._remark(len(known.surviving()))
        if known.timed:
            yield from self._spent(self._shrink())

    def _rounds(self) -> Generator[list[Act], ActEnd, bool]:
        """Play all rounds. Return False if the problem cannot be judged, or not further in this session."""
        known = self._known
        for number in range(self._most):
            event = yield from self._begin(number)
            if event.put_off:  # judge what there is; the next session continues here
                known.log.put_off(f"round {known.log.rounds} has not begun: {event.put_off}; run again to go on")
                yield from validate_solutions(known)
                return False
            if not event.more:
                break
            # With many answers and no checker from a generator, right and wrong are not told apart.
            if known.many_answers and (not (yield from settle_own(known)) or known.many_answers):
                return False
            yield from self._play(number)
            if not known.surviving():  # else it is soon enough at the end
                yield from self._spent(ask_everybody(known))
            self.judged = number
        return True

    @property
    def _most(self) -> int:
        return self._known.settings.max_rounds if not self._known.timed else _MOST_ROUNDS

    def _spent(self, steps: Steps) -> Steps:
        """Take steps whose time is spent on made-up inputs."""
        self._known.clock.spend(True)
        yield from steps
        self._known.clock.spend(False)

    def _any_judged(self) -> bool:
        """Return whether a made-up input was refused, or run by accepted submissions until all was known of it."""
        log = self._known.log
        return any(log.count_made_up(number, *_JUDGED) for number in range(log.rounds))

    def _remark(self, alive: int) -> None:
        """Note for the report what may be why wrong submissions survive: no large input, or no time."""
        known, log = self._known, self._known.log
        line = ""
        if alive and (found := knowledge_of(known.problem)) is not None:
            refusals = [case.note for case in log.cases(CaseState.INVALID)]
            ready = sorted(log.cases(CaseState.READY), key=lambda case: -len(case.data))
            read = [case.data for case in ready[:_LARGEST] if len(case.data) <= _MOST_READ]
            read += [case.data for case in ready[_LARGEST:] if len(case.data) <= _SMALL]
            line = shortfall(found, refusals, read)
        log.remark(line, SHORTFALL)
        survive = "1 wrong submission survives" if alive == 1 else f"{alive} wrong submissions survive"
        clock, spent = known.clock, f"{known.clock.spent_s:.0f} s"
        if clock.left_s > 0:
            spent += f" of {clock.allowed_s or 0:.0f} s: a run takes longer than what is left"
        vain = "" if self._any_judged() else " before a made-up input was judged"
        log.remark(f"{_SPENT} ({spent}){vain}, and {survive}" if clock.over and alive else "", _SPENT)

    # -- one round -----------------------------------------------------------------------------------

    def _begin(self, number: int) -> Generator[list[Act], ActEnd, ActEnd]:
        """Give round `number` its first inputs, if it has none yet. The event tells whether there is such a round."""
        known = self._known
        first = Propose(number, known.settings.max_inputs, self._replaced() if number else ())
        if known.log.has_begun(number):
            return ActEnd(first, more=True)
        if number:
            able = self._refines and self._in_vain < _MOST_IN_VAIN and not known.clock.over and known.tellable()
            if not able or not feedback_before(known, number).survivors:
                return ActEnd(first)
        known.clock.spend(True)
        event = yield [first]
        known.clock.spend(False)
        return event if number or event.put_off else ActEnd(first, more=True)

    def _replaced(self) -> tuple[int, ...]:
        """Return the cases to take out: made up, and without a kill."""
        killers = self._known.killers()
        ready = self._known.log.cases(CaseState.READY)
        return tuple(case.id for case in ready if not case.sample and case.id not in killers)

    def _play(self, number: int) -> Steps:
        """Check, judge and ask for more, until round `number` has its inputs or there are no more."""
        known, log = self._known, self._known.log
        if log.has_begun(number + 1):
            yield from self._make_good(number)
            return
        yield from validate_inputs(known, number, own=True)
        if number == 0:  # errors of a checker show here, before inputs are made up for it
            yield from generate_test_outputs(known)
            yield from validate_solutions(known)
        yield from self._spent(self._made_up(number))
        ready = log.count_made_up(number, CaseState.READY, CaseState.REPLACED)
        self._in_vain = 0 if ready else self._in_vain + 1

    def _make_good(self, number: int) -> Steps:
        """Finish the checks and answers of a round that an earlier session left open. The last round judges all."""
        if self._known.log.is_open(number):
            yield from validate_inputs(self._known, number)
            self._known.log.spare(number)
            yield from generate_test_outputs(self._known)

    def _made_up(self, number: int) -> Steps:
        known, log = self._known, self._known.log
        further = number + 1 < self._most and self._refines and known.tellable()
        self._until_s = known.clock.left_s * (1 - _ROUND) if further else 0.0
        if known.timed and not self._any_judged():
            log.want_again(number)
        more = True
        while more:
            more = yield from self._fill(number)
            if not more:
                log.spare(number)
            yield from generate_test_outputs(known)
            yield from validate_solutions(known)
            more = more and not known.clock.over and not self._is_long()
        log.spare(number)
        if known.clock.late:
            ready = log.count_made_up(number, CaseState.READY, CaseState.REPLACED)
            log.bring_back(number, max(0, known.settings.max_inputs - ready))

    def _is_long(self) -> bool:
        """Return whether the present round has had its share of the time, and some submission is left for others."""
        known = self._known
        return known.timed and known.clock.left_s <= self._until_s and bool(known.surviving())

    def _fill(self, number: int) -> Generator[list[Act], ActEnd, bool]:
        """Check inputs until enough are valid to judge. Return whether the round may have more after that."""
        known, log = self._known, self._known.log
        chosen = log.count_made_up(number, *CHOSEN)
        judged = log.count_made_up(number, CaseState.READY, CaseState.CONTESTED)
        wanted = known.settings.max_inputs - chosen
        left_s = max(0.0, known.clock.left_s - self._until_s)
        target = chosen + max(0, _chunk(left_s, known.clock.spent_s, judged, wanted))
        while True:
            yield from validate_inputs(known, number, most=target)
            wanted = target - log.count_made_up(number, *CHOSEN)
            if wanted <= 0:
                return target < known.settings.max_inputs
            # Lost inputs may be valid. How many are wanted is known after they were tried again.
            if log.count_made_up(number, CaseState.UNJUDGED) or known.clock.over:
                return False
            event = yield [Propose(number, wanted)]
            if event.put_off:
                log.put_off(f"{event.put_off}; run again to go on")
            if not event.more:
                return False

    # -- smaller cases -------------------------------------------------------------------------------

    def _shrink(self) -> Steps:
        """Look for smaller cases, judge them, and run all accepted submissions on those that kill."""
        known, wanted = self._known, self._reducible()
        known.plan(None, "shrinking the cases of")
        until_s = max(0.0, known.clock.left_s - _SHRINKING * (known.clock.allowed_s or 0.0))
        acts = (Reduce(*each, until_s) for each in wanted if known.clock.left_s > until_s)
        yield from work(known, known.settings.solution_validation_workers, acts, whenever=True)
        if wanted:
            yield from generate_test_outputs(known)
            yield from validate_solutions(known)
        yield from ask_everybody(known)

    def _reducible(self) -> list[tuple[StoredCase, Submission]]:
        """Return the cases to try, each with the submission that it must still kill.

        For each submission: the smallest case that kills it. Submissions with the fewest kills come first. Time limits
        need large inputs, so they are not tried.
        """
        known, found = self._known, []
        for name, cases in known.killed().items():
            (victim,) = [each for each in known.usable(accepted=False) if each.name == name]
            those = [case for case in cases if known.verdict(victim, case) is not Verdict.TIME_LIMIT]
            case = min(those, key=lambda case: (len(case.data), case.id), default=None)
            if case is None or case.sample or not _LARGE < len(case.data) <= _MOST_LARGE:
                continue
            if case.id not in known.log.parents and (case.id, name) not in known.log.tried:
                found.append((len(those), name, case, victim))
        found.sort(key=lambda each: each[:2])
        return [(case, victim) for *_, case, victim in found[:_MOST_REDUCED]]


def _chunk(left_s: float, spent_s: float, inputs: int, most: int) -> int:
    """Return how many of `most` inputs to judge before the next look at the clock, if some took `spent_s`."""
    if math.isinf(left_s):
        return most
    if not inputs or spent_s <= 0:
        return min(most, _FIRST)
    return min(most, max(_LEAST, int(left_s / _HALF / (spent_s / inputs))))
