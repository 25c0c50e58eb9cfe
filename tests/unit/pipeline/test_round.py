"""A round is pure: whatever the order of events, no program is judged twice on a case, and none is forgotten."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.judging.pending import RunStage
from balancer.pipeline.results.problem_log import CaseState, ProblemLog, ProposalBatch
from balancer.pipeline.round.acts import (
    Act,
    ActEnd,
    Answer,
    Execute,
    JudgeCase,
    Propose,
    RunAgain,
    Validate,
)
from balancer.pipeline.round.known import Known, ProblemClock
from balancer.pipeline.round.round import Round
from balancer.problem import Origin, Problem, Proposal, Verdict
from balancer.settings.pipeline import PipelineSettings
from tests.unit.pipeline.bench import make_problem
from tests.unit.pipeline.programs import TRUTH

RIGHT = {"double": lambda n: Verdict.ACCEPTED, "add": lambda n: Verdict.ACCEPTED}
DOUBTFUL = {"double, but 13": lambda n: Verdict.WRONG_ANSWER if n == 13 else Verdict.ACCEPTED}
HOSTILE = "crashes the judge from 2"  # a wrong program on whose output no judge has a verdict
STOPPED = ("slow from 20", HOSTILE)  # run on no more cases after some
FATES = {**RIGHT, **DOUBTFUL, **TRUTH, HOSTILE: lambda n: Verdict.JUDGE_ERROR if n > 1 else Verdict.ACCEPTED}


class World:
    """Ends the acts of a round as it likes: `draw` says which of those under way is next."""

    def __init__(
        self,
        problem: Problem,
        log: ProblemLog,
        chosen: PipelineSettings,
        inputs: list[int],
        draw: Callable[[int], int],
        allowed_s: float | None = None,
        run_s: float = 0.0,
    ) -> None:
        self.clock = ProblemClock(log, allowed_s, lambda: self.now_s)
        self.known = Known(problem, log, chosen, self.clock, frozenset({"python"}))
        self.inputs, self.draw, self.run_s, self.now_s = inputs, draw, run_s, 0.0
        self.round = Round(self.known, refines=True)
        self.ran: Counter[tuple[str, int]] = Counter()
        self.most = 0
        self.killed = False

    def play(self, most: int | None = None) -> None:
        """Go on until the round is done, or a deadlock, or as if killed after `most` events."""
        under_way, left = self.round.start(), most
        while under_way and left != 0:
            left = None if left is None else left - 1
            self.killed = left == 0  # after the first of what is written of this event
            self.most = max(self.most, len(under_way))
            act = under_way.pop(self.draw(len(under_way)))
            self.now_s += self.run_s
            under_way += self.round.on(self.end(act))

    def end(self, act: Act) -> ActEnd:
        log = self.known.log
        match act:
            case Validate():
                valid = int(act.case.data) <= 50
                log.set_case(act.case.id, CaseState.VALID if valid else CaseState.INVALID, "")
            case Answer() | JudgeCase():
                name, n = act.submission.name, int(act.case.data)
                self.ran[name, act.case.id] += not (self.killed and isinstance(act, Answer))  # its output is lost
                verdict = FATES[name](n)
                log.judged(name, act.case.id, verdict, 0.1 * self.draw(3), "")
                if isinstance(act, Answer) and verdict is Verdict.ACCEPTED and not self.killed:
                    log.set_case(act.case.id, CaseState.VALID, "", b"%d" % (2 * n))
                assert isinstance(act, Answer) or act.case.answer is not None
            case Propose():
                some = [self.inputs.pop(0) for _ in range(min(len(self.inputs), 4))]
                batch = ProposalBatch([Proposal(b"%d" % n, Origin("made up", "")) for n in some])
                if act.replaced is not None:
                    log.propose(act.number, batch, act.replaced)
                else:
                    log.propose(act.number, batch)
                return ActEnd(act, more=bool(some))
            case _:
                assert isinstance(act, RunAgain | Execute)
        return ActEnd(act)


def problem_of(right: list[str], *, by_agreement: bool = False) -> Problem:
    made = make_problem(accepted=right, wrong=[*TRUTH, HOSTILE], own=[1, 13], validators=("check input",))
    return replace(made, packaged=not by_agreement)


_LIVES = given(
    inputs=st.lists(st.integers(0, 60), unique=True, max_size=14),
    doubtful=st.booleans(),
    allowed_s=st.none() | st.floats(1, 60),
    workers=st.integers(1, 6),
    data=st.data(),
)


@settings(max_examples=150)
@_LIVES
def test_whatever_the_order_of_events_nothing_is_judged_twice_and_nothing_forgotten(**drawn):
    _live(**drawn)


@pytest.mark.more
@settings(max_examples=1500, deadline=None)
@_LIVES
def test_so_it_is_in_many_lives(**drawn):
    _live(**drawn)


def _live(inputs, doubtful, allowed_s, workers, data):
    problem = problem_of([*RIGHT, *(DOUBTFUL if doubtful else ())])
    chosen = PipelineSettings(
        problems="-", max_inputs=6, generators=["data", "made up"],
        output_generation_workers=workers, solution_validation_workers=workers,
    )  # fmt: skip
    log, left, ran = ProblemLog(problem.id), list(inputs), Counter[tuple[str, int]]()
    for most in (*data.draw(st.lists(st.integers(0, 60), max_size=2)), None):  # sessions that are killed, and the last
        world = World(problem, log, chosen, left, lambda many: data.draw(st.integers(0, many - 1)), allowed_s, 0.5)
        known = world.known
        world.play(most)
        ran += world.ran
    assert world.round.done, "every act is answered, so nothing is waited for"
    assert world.most <= workers
    assert max(ran.values()) == 1, "no program is judged twice on a case"
    alive = known.surviving()
    assert not log.cases(CaseState.PROPOSED, CaseState.VALID, CaseState.UNJUDGED)
    for case in log.cases(CaseState.READY):
        if allowed_s is None or not known.clock.over:
            assert all(known.verdict(each, case) for each in alive if each.name not in STOPPED), "none is forgotten"
        assert known.verdict(known.jury[0], case) is Verdict.ACCEPTED
    for name, cases in known.killed().items():
        assert all(FATES[name](int(case.data)).kills for case in cases)
    assert HOSTILE not in known.killed()
    made_up = [case for case in log.cases(CaseState.READY, CaseState.CONTESTED) if not case.sample]
    spoilt = [case for case in made_up if (v := log.verdict(HOSTILE, case.id)) and v.verdict is Verdict.JUDGE_ERROR]
    assert len(spoilt) <= 8, "it contests no more than a few cases"
    assert all(case.state is CaseState.CONTESTED for case in spoilt)
    again = World(problem, log, chosen, [], lambda many: 0, allowed_s)
    again.play()
    assert again.ran.keys().isdisjoint(ran.keys()), "a session that goes on repeats nothing"


def test_what_kills_goes_to_the_jury_before_other_inputs_do():
    problem = problem_of([*RIGHT, *DOUBTFUL])
    chosen = PipelineSettings(problems="-", max_inputs=9, generators=["data"], output_generation_workers=1)
    world = World(problem, ProblemLog(problem.id), chosen, [3, 5, 6, 7, 8, 9, 20], lambda many: 0, 60.0)
    order: list[tuple[RunStage, str, int]] = []
    ended = world.end

    def end(act: Act) -> ActEnd:
        if isinstance(act, JudgeCase) and not act.case.sample:
            order.append((act.stage, act.submission.name, int(act.case.data)))
        return ended(act)

    world.end = end
    world.play()
    largest = [(stage, name) for stage, name, n in order if n == 20]
    first_kill = largest.index((RunStage.VALIDATE_SOLUTION, "slow from 20"))
    assert largest[first_kill + 1] == (RunStage.AGREE, "add"), "a case that kills goes to the jury at once"
