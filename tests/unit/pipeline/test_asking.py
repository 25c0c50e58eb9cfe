"""Inputs are asked for lazily: what the validators say of a batch decides what is asked next."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from balancer.hookspecs import Generator
from balancer.judging.runner import Stopped
from balancer.pipeline.proposing import Feedback, Toolbox, ValidatorFeedback
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.round import proposal_batches as asking
from balancer.pipeline.round.shell import judge_problem
from balancer.pipeline.round.toolbox import SampleToolbox
from balancer.problem import Origin, Problem, Proposal
from balancer.program import Execution
from tests.patience import PATIENCE_S
from tests.unit.pipeline.bench import Bench, End, Own, end_of, judged, make_problem
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, finished
from tests.unit.pipeline.test_resume import Died, Mortal, mortal, two


class Counting:
    """Counts up from 100, so many times and each after a pause, and remembers how often and how far it was asked."""

    def __init__(
        self, name: str = "counting", first: int = 100, step: int = 1, most: int | None = None, pause_s: float = 0.0
    ) -> None:
        self.name = name
        self._numbers = (first, step)
        self._most = most
        self._pause_s = pause_s
        self.asked = 0
        self.pulled = 0
        self.amid = threading.Event()

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
        self.asked += 1
        for n in itertools.islice(itertools.count(*self._numbers), self._most):
            self.pulled += 1
            time.sleep(self._pause_s)
            self.amid.set()
            yield Proposal(b"%d" % n, Origin(self.name, f"number {n}"))


@pytest.fixture
def validated(monkeypatch):
    """Return what lets the validator accept the numbers that are `valid`, and the own ones."""

    def let(valid: Callable[[int], bool]) -> None:
        def check(data: bytes, files: object) -> Execution:
            if not data.isdigit():
                return finished(code=43)
            n = int(data)
            code = 42 if n < 10 or valid(n) else 43
            return Execution(finished().status, stderr=b"" if code == 42 else b"n is %d" % n, exit_code=code)

        monkeypatch.setitem(PROGRAMS, "check input", check)

    return let


def bench_of(folder: Path, *generators: Generator, inputs: int = 30, proposals: int = 600, **changes: object) -> Bench:
    problem = make_problem(wrong=["right after all"], **changes)
    return Bench(folder, problem, (Own(), *generators), max_inputs=inputs, max_proposals=proposals)


def made_up(end: End) -> list[int]:
    return [n for n in end.inputs(CaseState.READY) if n >= 10]


# -- yield ---------------------------------------------------------------------------------------------


def test_a_validator_that_refuses_55_of_60_leaves_as_many_as_are_wanted(tmp_path, validated):
    """The issue: 55 of 60 refused left 5 cases."""
    validated(lambda n: n % 12 == 0)
    generator = Counting()
    assert len(made_up(judged(bench_of(tmp_path, generator)))) == 30
    assert generator.pulled <= 30 * 12 + 64, "and no more than a batch too many were made"


def test_nothing_is_made_that_is_not_needed(tmp_path, validated):
    validated(lambda n: True)
    generator = Counting()
    assert made_up(judged(bench_of(tmp_path, generator, proposals=10**6))) == list(range(100, 130))
    assert generator.pulled <= 46


def test_who_has_nothing_more_is_not_asked_again(tmp_path, validated):
    validated(lambda n: False)
    few = Counting(most=3)
    bench = bench_of(tmp_path, few)
    assert len(judged(bench).inputs(CaseState.INVALID)) == 3
    assert few.asked == 1
    judged(bench)
    assert few.asked == 1, "not in a later session either"


# -- asked again ---------------------------------------------------------------------------------------


class Learner:
    """Proposes any numbers, and once it has heard, those whose remainders were valid."""

    name: ClassVar[str] = "learner"

    def __init__(self) -> None:
        self.heard: list[ValidatorFeedback] = []

    def _numbers(self, rng: Random, remainders: Sequence[int]) -> Iterator[Proposal]:
        while True:
            n = 100 + 12 * rng.randrange(10_000) + rng.choice(remainders)
            yield Proposal(b"%d" % n, Origin(self.name, f"remainder {n % 12}"))

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        return itertools.islice(self._numbers(rng, range(12)), budget)

    def ask_again(self, problem: Problem, heard: ValidatorFeedback, rng: Random, budget: int) -> Iterable[Proposal]:
        self.heard.append(heard)
        known = sorted({(int(each.data) - 100) % 12 for each in heard.valid})
        return itertools.islice(self._numbers(rng, known or range(12)), budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal]:
        return self.propose(problem, rng, budget)


def test_what_is_no_proposal_is_named(tmp_path):
    class Bad(Counting):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            yield "not a proposal"

    (note, *_) = judged(bench_of(tmp_path, Bad("bad"))).notes
    why = "TypeError: it yielded 'not a proposal' (str); it must yield a Proposal"
    assert note == f"generator 'bad' failed: {why}"


def test_a_generator_hears_what_was_refused_and_why(tmp_path, validated):
    validated(lambda n: (n - 100) % 12 == 5)
    learner = Learner()
    end = judged(bench_of(tmp_path, learner, inputs=60))
    assert len(end.inputs(CaseState.READY, CaseState.REPLACED)) == 2 + 60 * 3, "in each of three rounds"
    first = learner.heard[0]
    checked = [*first.valid, *first.refused]
    assert len(checked) == 12, "in a small first batch: many may be refused for one reason"
    assert all((int(each.data) - 100) % 12 == 5 for each in first.valid)
    assert all(each.why == f"check input refuses it: n is {int(each.data)}" for each in first.refused)
    refused = len(end.inputs(CaseState.INVALID))
    assert refused < 12 + 2 * 64 + 12, "most of what came later in a round was valid"


class Shy(Learner):
    """Has nothing to say when it is asked again."""

    name: ClassVar[str] = "shy"

    def ask_again(self, problem: Problem, heard: ValidatorFeedback, rng: Random, budget: int) -> Iterable[Proposal]:
        self.heard.append(heard)
        return ()


def test_one_that_can_be_asked_again_is_done_when_it_says_nothing(tmp_path, validated):
    validated(lambda n: False)
    shy = Shy()
    end = judged(bench_of(tmp_path, shy))
    assert [len(heard.refused) for heard in shy.heard] == [12, 12 + 45, 12 + 2 * 45], "once in each round"
    assert len(end.inputs(CaseState.INVALID)) == 12 + 2 * 45


@pytest.mark.sampled(2)
@pytest.mark.parametrize("part", range(5))
def test_a_death_between_batches_comes_to_the_same_end(tmp_path, validated, part):
    validated(lambda n: n % 5 == 0)

    def bench(name: str) -> Bench:
        return bench_of(tmp_path / name, Learner(), Counting(), Shy(), Keeper(), inputs=12, proposals=60)

    with bench("whole").open(two(), mortal(10**9)) as sample:
        judge_problem(sample)
        assert isinstance(sample.store, Mortal)
        writes = sample.store.writes
        whole = end_of(sample.store, sample.problem)
        assert sample.store.of(sample.problem.id).rounds == 3
        assert len(sample.store.of(sample.problem.id).batches(0)) > 2
    for after in range(5 + part, writes, 37 * 5):
        parts = bench(f"parts {after}")
        with pytest.raises(Died), parts.open(two(), mortal(after)) as sample:
            judge_problem(sample)
        again = bench(f"parts {after}")  # what generators remembered has died, too
        assert judged(again) == whole, f"died after {after} of {writes} writes"


class Keeper(Learner):
    """Keeps of the feedback how many cases there were, and says so of each number."""

    name: ClassVar[str] = "keeper"
    kept = 0

    def ask_again(self, problem: Problem, heard: ValidatorFeedback, rng: Random, budget: int) -> Iterable[Proposal]:
        for each in super().ask_again(problem, heard, rng, budget):
            yield replace(each, origin=Origin(self.name, f"{self.kept} cases"))

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal]:
        self.kept = len(feedback.cases)
        return self.propose(problem, rng, budget)


# -- time and memory -----------------------------------------------------------------------------------


def test_a_stop_does_not_wait_for_1500_proposals(tmp_path, validated):
    """The issue: with 1500 proposals at once, ctrl-C took 49 s. Each takes 50 ms here: 75 s in all."""
    validated(lambda n: True)
    slow = Counting(pause_s=0.05)
    bench = bench_of(tmp_path, slow, inputs=1000, proposals=1500)
    with bench.open({"a": FakeExecutor()}) as sample:
        told: list[float] = []

        def stop() -> None:
            assert slow.amid.wait(PATIENCE_S)
            told.append(time.monotonic())
            sample.runner.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(Stopped):
            judge_problem(sample)
        stopper.join()
    assert time.monotonic() - told[0] < 30


def test_a_generator_that_takes_long_goes_on_in_the_next_batch(tmp_path, validated, monkeypatch):
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_MOST_S", 0.05)
    bench = bench_of(tmp_path, Counting(pause_s=0.03), inputs=10)
    assert len(made_up(judged(bench))) == 10
    with bench.open({}) as sample:
        assert len(sample.store.of(sample.problem.id).batches(0)) > 2


def test_large_inputs_come_in_small_batches_and_too_large_ones_not_at_all(tmp_path, validated, monkeypatch):
    monkeypatch.setattr(asking, "_MOST_BYTES", 1000)
    monkeypatch.setattr(asking, "_MOST_INPUT", 500)
    validated(lambda n: True)

    class Large(Counting):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            for n in itertools.count(100):
                yield Proposal(b"0" * (600 if n % 10 == 0 else 200) + b"%d" % n, Origin(self.name, "-"))

    bench = bench_of(tmp_path, Large(), inputs=12)
    end = judged(bench)
    assert len(made_up(end)) == 12
    assert all(len(case[1]) <= 500 for case in end.cases)
    assert any("of more than" in note for note in end.notes)
    with bench.open({}) as sample:
        assert len(sample.store.of(sample.problem.id).batches(0)) >= 3


def test_one_that_answers_as_a_whole_leaves_others_their_time_of_a_budget(tmp_path, validated, monkeypatch):
    """The generators of a package took all 60 s, so no input was judged."""
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PART", 0.002)

    class Whole(Counting):
        def equip(self, toolbox: Toolbox) -> Generator:
            return self

    bench = bench_of(tmp_path, Whole(most=60, pause_s=0.03))
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        first, second, *_ = sample.store.of(sample.problem.id).batches(0)
        assert not first["counting"].dry
        assert first["counting"].pulled < 60
        assert second["counting"].pulled, "it goes on in the next batch"


def test_the_runs_of_each_generator_are_counted_apart(tmp_path):
    with Bench(tmp_path).open({"a": FakeExecutor()}) as sample:
        shared = SampleToolbox(sample)
        one, other = shared.for_another(), shared.for_another()
        one.run(sample.problem.submissions[0].program, b"1")
        assert one.cpu_s == pytest.approx(0.01)
        assert other.cpu_s == 0
        one.note("a line")
        assert shared.taken_notes() == ["a line"]
