"""Jury: with a time budget, some accepted submissions run on every made-up input, and all of them on what kills."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from balancer.judging.pending import RunStage
from balancer.pipeline.proposing import Feedback
from balancer.pipeline.results.problem_log import CaseState, StoredCase
from balancer.pipeline.results.problem_result import result_of
from balancer.pipeline.round import judging
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Origin, Problem, Proposal, Submission
from balancer.program import Execution
from tests.patience import PATIENCE_S
from tests.unit.pipeline.bench import Bench, Own, make_problem
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, finished
from tests.unit.pipeline.test_turns import Further

RIGHT = tuple(f"right {number}" for number in range(9))
LAST = RIGHT[-1]


def doubling(time_s: float, wrong_at: int = -1) -> Callable[[bytes, Mapping[str, bytes]], Execution]:
    return lambda data, _: replace(finished(b"%d\n" % (2 * int(data) + (int(data) == wrong_at))), time_s=time_s)


@pytest.fixture(autouse=True)
def right_programs(monkeypatch):
    """Make them slower from the first to the last one."""
    for number, name in enumerate(RIGHT):
        monkeypatch.setitem(PROGRAMS, name, doubling(0.01 * (number + 1)))


class Once(Further):
    """Counts on, each number once."""

    end = 51

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterator[Proposal]:
        for n in range(self.first + 4 * feedback.round, min(self.first + 4 * feedback.round + 4, self.end)):
            yield Proposal(b"%d" % n, Origin(self.name, "-"))


def judged(folder: Path, allowed_s: float | None) -> tuple[dict[int, set[str]], set[str], dict[int, CaseState]]:
    """Return which submissions ran on each made-up input, which wrong ones are killed, and the state of each."""
    problem = make_problem(accepted=RIGHT, wrong=("killed at 8",), languages={LAST: "cpp"})
    bench = Bench(folder, problem, (Own(), Once()), max_inputs=8)
    ran = defaultdict(set)
    with bench.open({"a": FakeExecutor(languages=("python", "cpp"))}) as sample:
        judge_problem(replace(sample, allowed_s=allowed_s))
        made = {case.id: int(case.data) for case in sample.store.of("doubling").cases() if not case.sample}
        for name, case in sample.store.of("doubling").verdicts():
            if case in made:
                ran[made[case]].add(name)
        states = {made[case.id]: case.state for case in sample.store.of("doubling").cases() if case.id in made}
        result = result_of(sample.store.of("doubling"), problem)
    assert len(result.kept) == len(RIGHT)
    assert any("jury" in line for line in result.notes) == (allowed_s is not None)
    return ran, {each.name for each in result.killed}, states


def test_a_jury_runs_on_all_and_everybody_on_what_kills(tmp_path):
    ran, killed, _ = judged(tmp_path, 50.0)
    assert killed == {"killed at 8"}
    assert ran[8] == {*RIGHT, "killed at 8"}, "it kills"
    others = [names & set(RIGHT) for n, names in ran.items() if n != 8]
    assert others
    assert all(names == {*RIGHT[:5], LAST} for names in others), "the quickest, and one of each language"


def test_what_one_outside_the_jury_contests_kills_nobody(tmp_path, monkeypatch):
    monkeypatch.setitem(PROGRAMS, "right 7", doubling(0.5, wrong_at=8))
    ran, killed, states = judged(tmp_path, 50.0)
    assert not killed
    ready = [n for n, state in states.items() if state is CaseState.READY]
    assert all("killed at 8" in ran[n] for n in ready), "it runs on all others then"
    assert states[8] is CaseState.CONTESTED
    assert max(states) > 10, "something survives again, so rounds go on"


def test_who_was_killed_only_by_what_is_contested_runs_on_the_rest_though_no_round_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "_AT_ONCE", 1)  # else it has run on all of a round
    monkeypatch.setattr(Once, "end", 11)
    monkeypatch.setitem(PROGRAMS, "right 7", doubling(0.5, wrong_at=8))
    ran, killed, states = judged(tmp_path, 50.0)
    assert not killed
    assert states[9] is states[10] is CaseState.READY
    assert all("killed at 8" in ran[n] for n in (9, 10))


@pytest.mark.parametrize("allowed_s", [50.0, None])
def test_the_quickest_so_far_gives_the_answers_if_time_is_short(tmp_path, monkeypatch, allowed_s):
    """The first one is quick on the problem's own data, and slow later on."""

    def grows(data: bytes, files: Mapping[str, bytes]) -> Execution:
        return doubling(0.001 if int(data) < 3 else 5.0)(data, files)

    gave: dict[int, str] = {}
    settle = Sample.settle

    def recorded(self: Sample, submission: Submission, case: StoredCase, stage: RunStage, *rest: Any) -> Any:
        if stage is RunStage.REFERENCE:
            gave[int(case.data)] = submission.name
        return settle(self, submission, case, stage, *rest)

    monkeypatch.setattr(Sample, "settle", recorded)
    monkeypatch.setitem(PROGRAMS, RIGHT[0], grows)
    problem = make_problem(accepted=RIGHT[:3], wrong=("right after all",))
    bench = Bench(tmp_path, problem, (Own(), Once()), max_inputs=8)
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=allowed_s))
    assert gave[3] == RIGHT[0], "nothing is known yet"
    assert {name for n, name in gave.items() if n > 10} == {RIGHT[1] if allowed_s else RIGHT[0]}


def after(event: threading.Event, waits_at: int, tells: Callable[[int], bool]) -> Callable[..., Execution]:
    """Return a program that doubles: it waits on one input until another one `tells`."""

    def run(data: bytes, _: Mapping[str, bytes]) -> Execution:
        if int(data) == waits_at:
            assert event.wait(PATIENCE_S), "it stopped the others"
        if tells(int(data)):
            event.set()
        return finished(b"%d\n" % (2 * int(data)))

    return run


def test_others_agree_on_the_first_inputs_while_the_last_answer_is_found(tmp_path, monkeypatch):
    event = threading.Event()
    monkeypatch.setitem(PROGRAMS, "right 0", after(event, 6, lambda n: False))
    monkeypatch.setitem(PROGRAMS, "right 1", after(event, -1, lambda n: n == 3))
    bench = Bench(tmp_path, make_problem(accepted=RIGHT[:2], wrong=("killed at 8",)), (Own(), Once()), max_inputs=4)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        cases = sample.store.of("doubling").cases(CaseState.READY, CaseState.REPLACED)
        made = [case for case in cases if not case.sample]
        assert {int(case.data) for case in made} >= {3, 4, 5, 6}


def test_no_case_waits_for_the_slowest_program_on_the_one_before(tmp_path, monkeypatch):
    event = threading.Event()
    monkeypatch.setitem(PROGRAMS, "right after all", after(event, 3, lambda n: False))
    monkeypatch.setitem(PROGRAMS, "also right", after(event, -1, lambda n: n == 6))
    problem = make_problem(accepted=RIGHT[:2], wrong=("right after all", "also right"))
    with Bench(tmp_path, problem, (Own(), Once()), max_inputs=4).open(
        {"a": FakeExecutor(), "b": FakeExecutor()}
    ) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        ran = {(name, case) for name, case in sample.store.of("doubling").verdicts()}
        cases = sample.store.of("doubling").cases(CaseState.READY, CaseState.REPLACED)
        made = [case for case in cases if not case.sample]
        assert {int(case.data) for case in made} >= {3, 4, 5, 6}
        assert {(name, case.id) for case in made for name in ("right after all", "also right")} <= ran
