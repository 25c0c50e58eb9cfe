"""Budgets of time: rounds go on while something survives, and end with the budget."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from balancer.judging.runner import ProgramResult
from balancer.pipeline.proposing import Feedback
from balancer.pipeline.report import page
from balancer.pipeline.results.problem_log import CaseState, ProblemLog
from balancer.pipeline.results.problem_result import NOT_ALL_RUN, result_of
from balancer.pipeline.results.run_result import collect, settle
from balancer.pipeline.round.known import ProblemClock
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Origin, Problem, Proposal, Verdict
from balancer.program import Execution, Limits, Program, Status
from balancer.settings.rules import RetrySettings
from balancer.testing import ManualClock
from tests.unit.pipeline.bench import Bench, Numbers, Own, make_problem
from tests.unit.pipeline.fakes import BUSY, FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, TRUTH
from tests.unit.pipeline.test_runner_retries import Timed


class Further(Own):
    """Counts on from round to round, without end."""

    name = "further"

    def __init__(self, first: int = 3, many: int = 4, before_each: Callable[[], object] = lambda: None) -> None:
        self.first, self.many, self.before_each = first, many, before_each
        self.told: list[Feedback] = []

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
        for n in range(self.first, self.first + self.many):
            self.before_each()
            yield Proposal(b"%d" % n, Origin(self.name, "-"))

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterator[Proposal]:
        """Yield the next few: of those that are valid, again and again, with zeros before them."""
        self.told.append(feedback)
        for n in range(4):
            value = (self.first + 4 * feedback.round + n) % 51
            yield Proposal(b"0" * (1 + feedback.round // 12) + b"%d" % value, Origin(self.name, "-"))


def bench_of(folder: Path, *generators: Further, wrong: tuple[str, ...] = ("right after all", "killed at 8")) -> Bench:
    return Bench(folder, make_problem(wrong=wrong), (Own(), *generators), max_inputs=4)


# -- rounds --------------------------------------------------------------------------------------------


def test_a_later_round_runs_only_what_survives(tmp_path):
    bench = bench_of(tmp_path, Further(), wrong=("square", "killed at 8", "wordy at 9", "slow from 20"))
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(sample)
        cases = {case.id: case for case in sample.log.cases(CaseState.READY, CaseState.REPLACED)}
        verdicts = sample.log.verdicts()
        ran = {(cases[case].round, name) for (name, case) in verdicts if not cases[case].sample}
        kills = [(name, cases[case].round) for (name, case), stored in verdicts.items() if stored.verdict.kills]
        killed = {name: min(number for who, number in kills if who == name) for name, _ in kills}
    assert killed == {"square": 0, "killed at 8": 1, "wordy at 9": 1}
    wrong = {(number, name) for number, name in ran if name in TRUTH}
    every = ("square", "killed at 8", "wordy at 9", "slow from 20")
    assert wrong == {(0, name) for name in every} | {(1, name) for name in every[1:]} | {(2, "slow from 20")}
    assert {(number, "add") for number in range(3)} <= ran, "the accepted ones agree on every case"


# -- a budget ------------------------------------------------------------------------------------------


def test_rounds_go_on_while_there_is_time_and_a_survivor(tmp_path):
    """`max_rounds` is 3: with a budget it is time that counts."""
    executor = Ticking()
    with replace(bench_of(tmp_path, Further()), workers=1).open({"a": executor}) as sample:

        def rounds(allowed_s: float) -> int:
            judge_problem(replace(sample, allowed_s=allowed_s, seconds=lambda: executor.now_s))
            assert allowed_s - 10 <= sample.log.spent_s <= allowed_s + 10
            return sample.log.rounds

        first = rounds(300.0)
        assert first > 3
        assert rounds(300.0) == first, "what was spent is remembered"
        assert rounds(400.0) > first, "with more time it goes on"


def test_without_a_survivor_no_time_is_spent(tmp_path):
    with bench_of(tmp_path, Further(), wrong=("square",)).open({"a": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=60.0))
        assert sample.log.spent_s < 30
        assert sample.log.rounds == 1


class Ticking(FakeExecutor):
    """Each run takes a second of its own clock, or what `took_s` says of a program and its input."""

    def __init__(self, took_s: Callable[[str, bytes], float] = lambda name, stdin: 1.0) -> None:
        super().__init__()
        self.now_s, self.took_s = 0.0, took_s

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        self.now_s += self.took_s(program.name, stdin)
        return super().run(program, stdin, limits, files)


@pytest.mark.parametrize("budget_s", [4, 9, 15, 23, 40])
def test_no_run_begins_that_would_end_too_long_after_the_budget(tmp_path, budget_s):
    """Whenever it ends, every case that counts has run on all survivors, or says that it has not and kills."""
    bench = Bench(tmp_path, make_problem(), (Own(), Numbers()), max_inputs=20, workers=1)
    executor = Ticking()
    with bench.open({"a": executor}) as sample:
        timed = replace(sample, allowed_s=float(budget_s), seconds=lambda: executor.now_s)
        judge_problem(timed)
        assert timed.clock.spent_s <= 1.05 * budget_s + 1
        verdicts = sample.log.verdicts()
        assert Verdict.UNJUDGED not in [each.verdict for each in verdicts.values()]
        assert not sample.log.cases(CaseState.UNJUDGED, CaseState.PROPOSED, CaseState.VALID)
        alive = {each.name for each in timed.known.surviving()}
        for case in sample.log.cases(CaseState.READY):
            if not case.sample and any((name, case.id) not in verdicts for name in alive):
                assert case.note == NOT_ALL_RUN
                assert any(each.verdict.kills for each in verdicts.values() if each.case == case.id)
        found = result_of(sample.log, make_problem())
        assert {each.name for each in found.survivors} == alive or not found.ready[2:]


@pytest.mark.parametrize("used_s", [0.1, 1.0])
def test_a_run_is_cut_at_the_end_of_the_budget_and_has_a_verdict_only_if_its_own_limit_ended_it(tmp_path, used_s):
    class Endless(Ticking):
        def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
            ended = super().run(program, stdin, limits, files)
            if program.name != "right after all" or stdin in (b"1", b"2"):
                return ended
            self.now_s += limits.wall_s
            return Execution(Status.TIME_LIMIT, time_s=used_s, cpu_measured=True)

    bench = Bench(tmp_path, make_problem(wrong=("right after all",)), (Own(), Numbers()), workers=1)
    executor = Endless(lambda name, stdin: 0.1)
    with bench.open({"a": executor}) as sample:
        timed = replace(sample, allowed_s=4.0, seconds=lambda: executor.now_s)
        judge_problem(timed)
        found = [each.verdict for each in sample.log.verdicts().values() if each.verdict.kills]
    assert timed.clock.spent_s <= 1.05 * 4.0 + 0.5
    assert found == ([Verdict.TIME_LIMIT] if used_s == 1.0 else [])


def turn_of(bench: Bench, executor: Ticking, budget_s: float) -> tuple[int, list[str]]:
    """Give a problem a turn. Return the number of made-up cases that count, and its notes."""
    with bench.open({"a": executor}) as sample:
        timed = replace(sample, allowed_s=budget_s, seconds=lambda: executor.now_s)
        judge_problem(timed)
        ready = sample.log.cases(CaseState.READY)
        verdicts = sample.log.verdicts()
        assert all((each.name, case.id) in verdicts for case in ready for each in timed.known.surviving())
        return sum(not case.sample for case in ready), sample.log.notes()


def uneven_bench(folder: Path) -> Bench:
    return Bench(folder, make_problem(wrong=("right after all",)), (Own(), Further()), workers=1)


def test_compiling_does_not_tell_how_long_runs_take():
    now = ManualClock()

    def run(took_s: float, compile_s: float) -> ProgramResult:
        now.advance(took_s)
        return ProgramResult(Execution(Status.FINISHED, compile_s=compile_s))

    clock = ProblemClock(ProblemLog("p"), None, now)
    clock.timed(lambda: run(9.0, 0.0))
    assert clock.longest_s == 0, "no run on made-up inputs"
    clock.spend(True)
    clock.timed(lambda: run(42.0, 40.0))
    assert clock.longest_s == 2


def test_what_began_too_late_for_its_first_run_goes_on_with_the_time_left(tmp_path):
    slow = [15.0]  # the first run of the reference solution, which may be an endpoint that was busy

    def took_s(name: str, stdin: bytes) -> float:
        return slow.pop() if slow and (name, stdin) == ("double", b"3") else 0.1

    bench, executor = uneven_bench(tmp_path), Ticking(took_s)
    cases, notes = turn_of(bench, executor, 20.0)
    assert cases == 0
    assert notes == [
        "its time for made-up inputs is spent (15 s of 20 s: a run takes longer than what is left)"
        " before a made-up input was judged, and 1 wrong submission survives"
    ]
    assert turn_of(bench, executor, 20.0)[0], "with the inputs that it had"


def test_a_budget_that_went_before_any_run_is_told(tmp_path):
    executor = Ticking(lambda name, stdin: 30.0 if name == "check input" and stdin not in (b"1", b"2") else 1.0)
    cases, notes = turn_of(uneven_bench(tmp_path), executor, 20.0)
    assert cases == 0
    assert notes == [
        "its time for made-up inputs is spent (30 s) before a made-up input was judged, and 1 wrong submission survives"
    ]


def test_a_batch_of_the_first_round_leaves_half_the_time_to_runs(tmp_path):
    executor = Ticking()

    def search() -> None:
        executor.now_s += 5.0

    generators = (Own(), Further(many=48, before_each=search))
    bench = Bench(tmp_path, make_problem(wrong=("right after all",)), generators, max_inputs=30, workers=1)
    assert turn_of(bench, executor, 60.0)[0]


@pytest.mark.parametrize("busy_for", ["check input", "double", "add", "right after all"])
def test_runs_that_are_tried_again_end_with_the_budget(tmp_path, busy_for):
    """What they were to judge has no verdict, as if they had not begun."""
    bench = Bench(tmp_path, make_problem(wrong=("right after all",)), (Own(), Numbers()), workers=1)

    def answer(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if program.name == busy_for and stdin not in (b"1", b"2"):
            raise BUSY
        return PROGRAMS[program.source](stdin, files)

    executor = FakeExecutor(answer)
    runner = Timed({"a": executor}, RetrySettings(), outage_s=10_000.0)
    with bench.open({"a": executor}) as sample:
        timed = replace(sample, allowed_s=30.0, runner=runner, seconds=runner.now)
        judge_problem(timed)
        assert 27 <= timed.clock.spent_s <= 31.5
        assert Verdict.UNJUDGED not in [each.verdict for each in sample.log.verdicts().values()]
        assert not sample.log.cases(CaseState.UNJUDGED, CaseState.PROPOSED, CaseState.VALID)
        assert len(sample.log.cases(CaseState.READY)) == 2


@pytest.mark.parametrize(("wrong", "begun"), [("right after all", True), ("square", False)])
def test_a_long_round_leaves_time_for_what_searches_from_the_second_on(tmp_path, wrong, begun):
    generator = Further(many=48)
    bench = Bench(tmp_path, make_problem(wrong=(wrong,)), (Own(), generator), max_inputs=48, workers=1)
    turn_of(bench, Ticking(), 60.0)
    assert bool(generator.told) is begun, "it is not cut if nothing survives"


def test_a_round_without_time_for_its_cases_leaves_those_of_the_one_before(tmp_path):
    counts = []
    for budget_s in range(10, 100, 6):
        bench = bench_of(tmp_path / str(budget_s), Further(), wrong=("right after all",))
        counts.append(turn_of(replace(bench, workers=1), Ticking(), float(budget_s))[0])
    assert counts == sorted(counts), "more time leaves no fewer cases"
    assert counts[-1] == 4


def test_a_clock_goes_on_where_it_was():
    now, log = ManualClock(), ProblemLog("p")
    first = ProblemClock(log, None, now)
    first.spend(True)
    now.advance(2.0)
    first.keep()
    assert log.spent_s == 2.0, "though it is amid a round, which a process may not outlive"
    first.spend(False)
    now.advance(400.0)
    second = ProblemClock(log, None, now)
    second.spend(True)
    now.advance(1.0)
    assert second.spent_s == 3.0


# -- what each generator brought, from a run to its report ------------------------------------------------


def test_what_each_generator_brought_is_in_the_summary_and_the_report(tmp_path):
    bench = bench_of(tmp_path, Further(), wrong=("square", "killed at 8", "wordy at 9", "right after all"))
    with bench.open({"a": FakeExecutor()}) as sample:
        sample.store.problems.meet(bench.problem, 0, "-")
        session = sample.store.begin_session("fifo", 1)
        judge_problem(sample)
        settle(sample.store, bench.problem)
        sample.store.end_session(session, sample.runner._pool.stats().to_dict(), complete=True)
        result = collect(sample.store)
    by = {each.generator: each for each in result.brought}
    assert (by["data"].proposed, by["data"].cases, by["data"].first_kills) == (2, 2, 1)
    assert by["further"].first_kills == 2
    assert by["further"].proposed == by["further"].valid == 4 * 3
    # The first round is run by all: `square` fails on 3 to 6. Later ones kill one with 8, one with 9.
    assert by["further"].kills == 4 + 2
    assert [each["generator"] for each in result.summary()["generators"]] == ["further", "data"]
    assert "What each generator brought" in page(result, ())


def test_a_kill_of_what_is_left_out_counts_no_more(tmp_path):
    bench = Bench(tmp_path, make_problem(wrong=["square"]))
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(sample)
        sample.store.problems.meet(bench.problem, 0, "-")
        sample.store.begin_session("fifo", 1)
        assert sum(each.first_kills for each in collect(sample.store).brought) == 1
        sample.log.leave_out("square", "for some reason")
        assert sum(each.first_kills for each in collect(sample.store).brought) == 0
