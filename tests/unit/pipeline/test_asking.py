"""Inputs are asked for lazily: what the validators say of a batch decides what is asked next."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.hookspecs import Generator
from balancer.judging.runner import Stopped
from balancer.pipeline.proposing import Feedback, PutOff, Toolbox, ValidatorFeedback
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round import proposal_batches as asking
from balancer.pipeline.round.bandit import AIMED, GeneratorRecord, discounted, search_part, shares
from balancer.pipeline.round.proposal_batches import batch_size
from balancer.pipeline.round.rounds import judge_problem
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


class Background(Counting):
    """May be at work while others' inputs are judged: it runs programs, and can be asked again."""

    def equip(self, toolbox: Toolbox) -> Generator:
        return self

    def ask_again(self, problem: Problem, heard: ValidatorFeedback, rng: Random, budget: int) -> Iterable[Proposal]:
        return ()


Validated = Callable[[Callable[[int], bool]], None]


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> Validated:
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
    problem = make_problem(wrong=["right after all"], **changes)  # type: ignore[arg-type]
    return Bench(folder, problem, (Own(), *generators), max_inputs=inputs, max_proposals=proposals)


def made_up(end: End) -> list[int]:
    return [n for n in end.inputs(CaseState.READY) if n >= 10]


# -- yield ---------------------------------------------------------------------------------------------


def test_a_validator_that_refuses_55_of_60_leaves_as_many_as_are_wanted(tmp_path: Path, validated: Validated) -> None:
    """The issue: 55 of 60 refused left 5 cases."""
    validated(lambda n: n % 12 == 0)
    generator = Counting()
    assert len(made_up(judged(bench_of(tmp_path, generator)))) == 30
    assert generator.pulled <= 30 * 12 + 64, "and no more than a batch too many were made"


def test_nothing_is_made_that_is_not_needed(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: True)
    generator = Counting()
    assert made_up(judged(bench_of(tmp_path, generator, proposals=10**6))) == list(range(100, 130))
    assert generator.pulled <= 46


def test_the_proposals_of_a_generator_are_bounded(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: False)
    generator = Counting()
    end = judged(bench_of(tmp_path, generator, proposals=100))
    assert made_up(end) == []
    assert len(end.inputs(CaseState.INVALID)) == 100
    assert generator.pulled <= 101


def test_who_has_nothing_more_is_not_asked_again(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: False)
    few = Counting(most=3)
    bench = bench_of(tmp_path, few)
    assert len(judged(bench).inputs(CaseState.INVALID)) == 3
    assert few.asked == 1
    judged(bench)
    assert few.asked == 1, "not in a later session either"


def test_what_the_validators_like_is_asked_for_more(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: n % 2 == 0)
    bad, good = Counting("bad", 101, 2), Counting("good", 100, 2)
    end = judged(bench_of(tmp_path, bad, good, inputs=120))
    assert len(made_up(end)) == 120
    assert bad.pulled >= 10, "it is tried again"
    assert good.pulled > 2 * bad.pulled


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


class Searcher:
    """Finds a number in each round for all survivors, if none was found before it, and says so."""

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self._numbers = itertools.count(first)
        self.left: list[list[str]] = []
        self._toolbox: Toolbox | None = None

    def equip(self, toolbox: Toolbox) -> Generator:
        self._toolbox = toolbox
        return self

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        return ()

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal]:
        assert self._toolbox is not None
        left = [each.name for each in feedback.survivors if each.name not in self._toolbox.found]
        self.left.append(left)
        self._toolbox.found.update(left)
        return [Proposal(b"%d" % next(self._numbers), Origin(self.name, ""))]


def test_in_each_round_the_first_search_looks_for_all_survivors(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: True)
    first, second = Searcher("first", 100), Searcher("second", 200)
    judged(Bench(tmp_path, make_problem(wrong=["right after all"]), (Own(), first, second)))
    assert first.left == [["right after all"]] * 2
    assert second.left == [[]] * 2


class Patient(Searcher):
    """Searches for some turns; `at`: the turn in which it finds."""

    def __init__(self, name: str, first: int, at: int) -> None:
        super().__init__(name, first)
        self._at = at
        self.turns = 0

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal | None]:  # type: ignore[override]
        assert self._toolbox is not None
        survivors = {each.name for each in feedback.survivors}
        for _turn in range(self._at):
            if survivors <= self._toolbox.found:
                return
            self.turns += 1
            time.sleep(0.001)
            yield None
        yield from super().refine(problem, feedback, rng, budget)


def test_searches_have_their_turns_so_that_none_waits_for_one_that_finds_nothing(
    tmp_path: Path, validated: Validated
) -> None:
    validated(lambda n: True)
    long, short = Patient("long", 100, 100_000), Patient("short", 200, 3)
    end = judged(Bench(tmp_path, make_problem(wrong=["right after all"]), (Own(), long, short)))
    assert [n for n in end.inputs(CaseState.READY, CaseState.REPLACED) if n >= 10] == [200, 201]
    assert short.turns == 2 * 3
    assert long.turns < 20_000


def test_one_that_is_asked_later_hears_the_validators_first(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: n % 2 == 0)

    class Later(Learner):
        asked_later: ClassVar[bool] = True

        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
            raise AssertionError("asked before anything was refused")

        def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal]:
            return ()

    later = Later()
    end = judged(bench_of(tmp_path, Counting(), later))
    assert later.heard[0].refused
    assert {case[3].generator for case in end.cases if case[5] is CaseState.READY} == {"data", "counting", "learner"}


def test_what_is_no_proposal_is_named(tmp_path: Path) -> None:
    class Bad(Counting):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            yield "not a proposal"  # type: ignore[misc]

    (note, *_) = judged(bench_of(tmp_path, Bad("bad"))).notes
    why = "TypeError: it yielded 'not a proposal' (str); it must yield a Proposal, or None"
    assert note == f"generator 'bad' failed: {why}"


def test_a_generator_hears_what_was_refused_and_why(tmp_path: Path, validated: Validated) -> None:
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


def test_one_that_can_be_asked_again_is_done_when_it_says_nothing(tmp_path: Path, validated: Validated) -> None:
    validated(lambda n: False)
    shy = Shy()
    end = judged(bench_of(tmp_path, shy))
    assert [len(heard.refused) for heard in shy.heard[:2]] == [12, 12 + 45], "once it goes on as it began"
    assert len(shy.heard) == 4, "and is done with the round; the next two begin with more"
    assert len(end.inputs(CaseState.INVALID)) == 12 + 3 * 45


@pytest.mark.sampled(2)
@pytest.mark.parametrize("part", range(5))
def test_a_death_between_batches_comes_to_the_same_end(tmp_path: Path, validated: Validated, part: int) -> None:
    validated(lambda n: n % 5 == 0)

    def bench(name: str) -> Bench:
        return bench_of(tmp_path / name, Learner(), Counting(), Shy(), Keeper(), inputs=12, proposals=60)

    with bench("whole").open(two(), mortal(10**9)) as sample:
        judge_problem(sample)
        assert isinstance(sample.store, Mortal)
        writes = sample.store.writes
        whole = end_of(sample.store, sample.problem)
        assert sample.store.rounds.count(sample.problem.id) == 3
        assert len(sample.store.rounds.batches(sample.problem.id, 0)) > 2
    for after in range(5 + part, writes, 37 * 5):
        parts = bench(f"parts {after}")
        with pytest.raises(Died), parts.open(two(), mortal(after)) as sample:
            judge_problem(sample)
        assert judged(parts) == whole, f"died after {after} of {writes} writes"


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


def test_a_stop_does_not_wait_for_1500_proposals(tmp_path: Path, validated: Validated) -> None:
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


def test_a_generator_that_takes_long_goes_on_in_the_next_batch(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_MOST_S", 0.05)
    bench = bench_of(tmp_path, Counting(pause_s=0.03), inputs=10)
    assert len(made_up(judged(bench))) == 10
    with bench.open({}) as sample:
        assert len(sample.store.rounds.batches(sample.problem.id, 0)) > 2


def test_large_inputs_come_in_small_batches_and_too_large_ones_not_at_all(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        assert len(sample.store.rounds.batches(sample.problem.id, 0)) >= 3


def test_one_that_answers_as_a_whole_leaves_others_their_time_of_a_budget(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generators of a package took all 60 s, so no input was judged."""
    validated(lambda n: True)
    monkeypatch.setattr(asking, "AIMED", 0.002)

    class Whole(Counting):
        def equip(self, toolbox: Toolbox) -> Generator:
            return self

    bench = bench_of(tmp_path, Whole(most=60, pause_s=0.03))
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        first, second, *_ = sample.store.rounds.batches(sample.problem.id, 0)
        assert not first["counting"].dry
        assert first["counting"].pulled < 60
        assert second["counting"].pulled, "it goes on in the next batch"


def test_with_a_budget_one_that_finds_nothing_in_its_part_is_done_with_the_round(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that yielded None for ever took 17 of 20 s."""
    validated(lambda n: n % 3 == 0)
    monkeypatch.setattr(asking, "AIMED", 0.002)

    class Endless(Counting):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            while True:
                time.sleep(0.005)
                yield None  # type: ignore[misc]  # a turn for the others

    bench = bench_of(tmp_path, Endless("endless"), Counting())
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        first, second, *_ = sample.store.rounds.batches(sample.problem.id, 0)
        assert first["endless"].dry
        assert "endless" not in second


# -- at once -------------------------------------------------------------------------------------------


class Meeting(Counting):
    """Counts up, when as many others as are to meet have been asked too, or after a while."""

    def __init__(self, name: str, first: int, door: threading.Barrier) -> None:
        super().__init__(name, first, most=2)
        self._door = door
        self.met: list[bool] = []

    def equip(self, toolbox: Toolbox) -> Generator:
        return self

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
        try:
            self._door.wait()
            self.met.append(True)
        except threading.BrokenBarrierError:
            self.met.append(False)
        yield from super().propose(problem, rng, budget)


@pytest.mark.parametrize(("slots", "allowed_s"), [(1, 50.0), (2, 50.0), (2, None)])
def test_with_a_budget_as_many_generators_are_at_work_at_once_as_there_are_slots(
    tmp_path: Path, validated: Validated, slots: int, allowed_s: float | None
) -> None:
    validated(lambda n: True)
    at_once = slots == 2 and allowed_s is not None
    door = threading.Barrier(2, timeout=PATIENCE_S if at_once else 0.01)
    first, second = Meeting("first", 100, door), Meeting("second", 200, door)
    with bench_of(tmp_path, first, second).open({name: FakeExecutor() for name in "ab"[:slots]}) as sample:
        judge_problem(replace(sample, allowed_s=allowed_s))
        made = sample.store.cases(sample.problem.id, CaseState.READY)
    assert first.met == second.met == [at_once]
    assert {int(case.data) for case in made} >= {100, 101, 200, 201}, "nothing is lost"


def test_what_is_found_after_a_round_had_enough_is_in_the_next_round(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0001)
    enough, ran = threading.Event(), set[int]()

    class Long(Background):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            assert enough.wait(PATIENCE_S), "too little was judged meanwhile"
            time.sleep(0.05)
            yield from super().propose(problem, rng, budget)

        def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterator[Proposal]:
            yield from ()

    def wrong(data: bytes, files: object) -> Execution:
        ran.update({int(data)} if int(data) >= 100 else ())
        if len(ran) == 3:
            enough.set()
        return finished(b"%d\n" % (2 * int(data)))

    monkeypatch.setitem(PROGRAMS, "right after all", wrong)
    bench = bench_of(tmp_path, Long("long", 300, most=3), Counting("quick", most=3), inputs=3)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        made = sample.store.cases(sample.problem.id, CaseState.READY)
        assert {(case.round, int(case.data)) for case in made if not case.sample} == {(1, 300), (1, 301), (1, 302)}
        (batch, *_) = sample.store.rounds.batches(sample.problem.id, 1)
        assert batch["long"].seconds > 0.02, "it is paid for"


def test_nothing_is_at_work_when_a_problem_is_over(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What still ran would run beyond the budget."""
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0001)
    ended = threading.Event()

    class Long(Counting):
        def equip(self, toolbox: Toolbox) -> Generator:
            return self

        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            time.sleep(0.5)
            ended.set()
            yield from ()

    bench = bench_of(tmp_path, Long("long"), Counting("quick", most=3), inputs=3)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        assert ended.is_set()


def test_threads_that_ended_meanwhile_make_room_for_the_next_round(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both had ended while inputs were judged, and nobody asked in the next round."""
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0001)
    judged_one, at_work = threading.Event(), threading.Semaphore(0)

    class Long(Background):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            assert judged_one.wait(PATIENCE_S)
            at_work.release()
            yield from ()

    class Further(Counting):
        def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterator[Proposal]:
            yield from (Proposal(b"%d" % n, Origin(self.name, "-")) for n in (500, 501))

    def wrong(data: bytes, files: object) -> Execution:
        if int(data) >= 100 and not judged_one.is_set():
            judged_one.set()
            assert at_work.acquire(timeout=PATIENCE_S)
            assert at_work.acquire(timeout=PATIENCE_S)
            time.sleep(0.05)
        return finished(b"%d\n" % (2 * int(data)))

    monkeypatch.setitem(PROGRAMS, "right after all", wrong)
    bench = bench_of(tmp_path, Further("quick", most=3), Long("a"), Long("b"), inputs=3)
    with bench.open({name: FakeExecutor() for name in "ab"}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        made = sample.store.cases(sample.problem.id, CaseState.READY)
    assert {int(case.data) for case in made} >= {500, 501}


def test_one_that_is_asked_once_a_round_is_waited_for(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may bring a validator or a checker: what is judged before that would be judged by another rule."""
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0001)

    class Whole(Counting):
        def equip(self, toolbox: Toolbox) -> Generator:
            return self

    bench = bench_of(tmp_path, Whole("whole", 300, most=3, pause_s=0.02), Counting("quick", most=3))
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        first, *_ = sample.store.rounds.batches(sample.problem.id, 0)
    assert (first["whole"].pulled, first["quick"].pulled) == (3, 3)


def test_one_at_work_that_cannot_propose_now_is_noted_when_nobody_asks_any_more(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0001)
    killed = threading.Event()

    class Unable(Background):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
            assert killed.wait(PATIENCE_S)
            time.sleep(0.2)
            raise PutOff("nobody answers")

    def wrong(data: bytes, files: object) -> Execution:
        killed.set() if int(data) >= 100 else None
        return finished(b"%d\n" % (2 * int(data) + (int(data) >= 100)))

    monkeypatch.setitem(PROGRAMS, "right after all", wrong)
    bench = bench_of(tmp_path, Unable("unable"), Counting("quick", most=3), inputs=3)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=50.0))
        assert sample.store.rounds.why_put_off(sample.problem.id) == ["nobody answers; run again to go on"]


def test_one_that_would_search_on_ends_with_the_problem(
    tmp_path: Path, validated: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(lambda n: True)
    monkeypatch.setattr(asking, "_PATIENCE", 0.0)
    monkeypatch.setattr(asking, "_MOST_S", PATIENCE_S)
    overran: list[str] = []

    class Endless(Background):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Any]:
            until_s = time.monotonic() + 30.0
            while time.monotonic() < until_s:
                time.sleep(0.01)
                yield None
            overran.append(self.name)

    monkeypatch.setitem(
        PROGRAMS,
        "right after all",
        lambda data, files: finished(b"-1" if int(data) >= 100 else b"%d" % (2 * int(data))),
    )
    bench = bench_of(tmp_path, Endless("endless"), Counting("quick", most=3), inputs=3)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(replace(sample, allowed_s=1e6))
    assert not overran


def test_the_runs_of_each_generator_are_counted_apart(tmp_path: Path) -> None:
    with Bench(tmp_path).open({"a": FakeExecutor()}) as sample:
        shared = SampleToolbox(sample, many_answers=False)
        one, other = shared.for_another(), shared.for_another()
        one.comparer.measured(sample.problem.submissions[0], b"1")
        one.run(sample.problem.submissions[0].program, b"1")
        assert (one.comparer.runs, other.comparer.runs) == (1, 0)
        assert one.cpu_s == pytest.approx(0.02)
        assert other.cpu_s == 0
        one.note("a line")
        one.found.add("a name")
        assert shared.taken_notes() == ["a line"]
        assert other.found == {"a name"}
        assert one.comparer.valid([b"1"]) == other.comparer.valid([b"1"]) == [True]
        assert other.comparer.runs == 0, "what one has heard of a validator the other one knows"


# -- shares --------------------------------------------------------------------------------------------


@given(
    size=st.integers(1, 64),
    records=st.lists(
        st.builds(
            lambda valid, refused, left, *paid: GeneratorRecord(valid + refused, valid, left, *paid),
            st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.floats(0, 50), st.floats(0, 1e4),
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_shares_add_up_and_leave_nobody_out(size: int, records: list[GeneratorRecord]) -> None:
    found = shares(size, records)
    able = [record for record in records if record.left]
    assert all(0 <= share <= record.left for share, record in zip(found, records, strict=True))
    assert all(share for share, record in zip(found, records, strict=True) if record.left)
    assert sum(found) <= max(size, len(able))
    assert sum(found) >= min(size, sum(record.left for record in records))


def test_shares_follow_what_was_valid() -> None:
    assert shares(60, [GeneratorRecord(0, 0, 999), GeneratorRecord(0, 0, 999)]) == [30, 30]
    assert shares(60, [GeneratorRecord(58, 58, 999), GeneratorRecord(58, 0, 999)]) == [54, 6]
    assert shares(60, [GeneratorRecord(58, 0, 999), GeneratorRecord(0, 0, 0)]) == [60, 0]
    assert shares(10, []) == []
    assert [batch_size(n) for n in (1, 6, 30, 1000)] == [8, 9, 45, 64]


def test_shares_follow_what_killed_for_its_time() -> None:
    idle, busy = GeneratorRecord(10, 10, 999, 0, 5.0), GeneratorRecord(10, 10, 999, 3, 5.0)
    assert shares(60, [idle, busy]) == [15, 45]
    assert shares(60, [idle, GeneratorRecord(10, 10, 999, 0, 45.0)]) == [46, 14]


paid = st.builds(lambda kills, seconds: GeneratorRecord(9, 9, 9, kills, seconds), st.floats(0, 50), st.floats(0, 1e4))


@given(paid, st.lists(paid, max_size=5), st.floats(0, 50), st.floats(0, 1e4))
def test_a_search_gets_more_for_kills_and_less_for_time_and_never_nothing(
    own: GeneratorRecord, others: list[GeneratorRecord], kills: float, seconds: float
) -> None:
    part = search_part(own, others)
    assert 0 < part <= AIMED
    assert search_part(replace(own, kills=own.kills + kills), others) >= part
    assert search_part(replace(own, seconds=own.seconds + seconds), others) <= part
    assert search_part(own, [replace(each, kills=each.kills + kills) for each in others]) <= part or not others


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 100)), st.integers(0, 9))
def test_earlier_rounds_count_less(by_round: dict[int, float], now: int) -> None:
    found = discounted(by_round, now)
    assert 0 <= found <= sum(by_round.values())
    assert discounted(by_round, now + 1) == pytest.approx(found / 2 + by_round.get(now + 1, 0.0))
