"""Judging a problem from proposals to verdicts, with programs whose verdicts are known beforehand."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import ClassVar
from weakref import WeakSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.results.problem_log import CaseState, ProblemLog
from balancer.pipeline.round.acts import Act, ActEnd, Propose
from balancer.pipeline.round.judging import agreed, work
from balancer.pipeline.round.known import Known, ProblemClock
from balancer.pipeline.round.proposal_batches import ProposalBatches
from balancer.pipeline.round.shell import judge_problem
from balancer.pipeline.round.toolbox import SampleToolbox
from balancer.problem import Checker, Origin, Problem, Proposal, Verdict
from balancer.program import Execution, Executor, Limits, Program, Status
from balancer.settings.pipeline import PipelineSettings
from tests.unit.pipeline.bench import Bench, Numbers, Own, end_of, judged, make_problem
from tests.unit.pipeline.fakes import DOWN, FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, TRUTH, finished

SLOW = "slow from 20"


def judged_slow(inputs: list[int], own: int = 2) -> list[int]:
    """Return the inputs of ready cases that `SLOW` is run on: of each four, unless one before was too slow."""
    parts = [inputs[:own], *(inputs[at : at + 4] for at in range(own, len(inputs), 4))]
    found: list[int] = []
    for part in parts:
        if all(n < 20 for n in found):
            found += part
    return found


CHECKER = Checker(Program("python", "check output", "check output"))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def with_problem(tmp_path: Path, **changes: object) -> Bench:
    return Bench(tmp_path, make_problem(**changes))


# -- acts ----------------------------------------------------------------------------------------------


def test_what_follows_from_an_act_comes_before_the_rest_and_is_not_kept():
    kept = WeakSet[Iterator[Act]]()

    def then(event: ActEnd) -> Iterator[Act]:
        follows = (each for each in [replace(event.act, wanted=-1)] if event.act.wanted >= 0)
        kept.add(follows)
        return follows

    acts = [Propose(0, wanted) for wanted in range(50)]
    log, settings = ProblemLog("p"), PipelineSettings(problems=".")
    steps = work(Known(make_problem(), log, settings, ProblemClock(log, None, lambda: 0.0)), 2, acts, then)
    under_way, done = next(steps), []
    with suppress(StopIteration):
        while True:
            done.append(under_way.pop(0))
            under_way += steps.send(ActEnd(done[-1]))
            assert len(kept) <= 2, "a chain of what follows from each is as deep as there are acts"
    assert [act.wanted for act in done[:6]] == [0, 1, -1, -1, 2, 3]
    assert len(done) == 2 * len(acts)


# -- a whole problem -----------------------------------------------------------------------------------


def test_every_verdict_is_the_true_one(bench):
    end = judged(bench)
    inputs = end.inputs(CaseState.READY)
    assert inputs[:2] == [1, 2]
    assert len(inputs) == 2 + bench.max_inputs
    assert all(n <= 50 for n in inputs)
    for n in inputs:
        for name in ("double", "add"):
            assert end.verdict(name, n) is Verdict.ACCEPTED
        for name, truth in TRUTH.items():
            if name != SLOW or n in judged_slow(inputs):
                assert end.verdict(name, n) is truth(n), (name, n)
    assert len(end.verdicts) == len(inputs) * (1 + len(TRUTH)) + len(judged_slow(inputs))
    assert end.left_out == end.notes == ()
    assert all(case[2] == b"%d\n" % (2 * int(case[1])) for case in end.cases if case[5] is CaseState.READY)


def test_the_inputs_are_the_first_valid_ones(bench):
    end = judged(bench)
    proposed = [int(case[1]) for case in end.cases[2:]]
    assert proposed == [n for n in seen(bench) if n not in (1, 2)]
    valid = [n for n in proposed if n <= 50]
    assert end.inputs(CaseState.READY)[2:] == valid[: bench.max_inputs]
    last = proposed.index(valid[bench.max_inputs - 1])
    assert end.inputs(CaseState.INVALID) == [n for n in proposed[: last + 1] if n > 50]
    assert end.inputs(CaseState.SPARE) == proposed[last + 1 :], "nothing more is checked once there are enough"


def seen(bench: Bench) -> list[int]:
    """Return what the generator proposes when it is asked as the pipeline asks: no more than is needed."""
    asked: list[int] = []

    class Spy(Numbers):
        def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
            for proposal in super().propose(problem, rng, budget):
                asked.append(int(proposal.data))
                yield proposal

    spied = Bench(bench.folder / "spied", bench.problem, (Own(), Spy()))
    judged(spied)
    return asked[: bench.max_proposals]


# -- accepted submissions that disagree ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "at"),
    [(("slow from 20", "add"), 30), (("crash at 0", "add"), 0), (("wordy at 9", "add"), 9), (("add", "wordy at 9"), 9)],
)
def test_case_on_which_one_accepted_program_fails_is_contested_and_not_used(tmp_path, accepted, at):
    end = judged(with_problem(tmp_path, accepted=accepted, own=[1, at], answers={}))
    assert at in end.inputs(CaseState.CONTESTED)
    assert at not in end.inputs(CaseState.READY)
    for name in accepted:
        assert name == "add" or end.verdict(name, at) is TRUTH[name](at)
    contested = next(case[0] for case in end.cases if case[1] == b"%d" % at)
    assert {name for name, case, _ in end.verdicts if case == contested} <= set(accepted)


# -- how many must agree -------------------------------------------------------------------------------


RIGHT, WRONG, LOST, LATE = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.UNJUDGED, Verdict.TIME_LIMIT


@pytest.mark.parametrize(
    ("found", "state", "abstains"),
    [
        ([RIGHT], CaseState.READY, CaseState.READY),
        ([RIGHT, WRONG, LOST], CaseState.CONTESTED, CaseState.CONTESTED),
        ([RIGHT, RIGHT, LOST], CaseState.UNJUDGED, CaseState.UNJUDGED),
        ([RIGHT, RIGHT, None], CaseState.UNJUDGED, CaseState.UNJUDGED),
        ([LATE, RIGHT], CaseState.CONTESTED, CaseState.READY),
        ([RIGHT, LATE, LATE], CaseState.CONTESTED, CaseState.CONTESTED),
        ([RIGHT, LATE, Verdict.RUN_TIME_ERROR], CaseState.CONTESTED, CaseState.CONTESTED),
        ([RIGHT, LATE, None], CaseState.CONTESTED, CaseState.UNJUDGED),
    ],
)
def test_case_is_ready_if_all_agree_and_a_slow_one_may_abstain_on_made_up_inputs(found, state, abstains):
    assert agreed(found) is state
    assert agreed(found, slow_abstain=True) is abstains


@given(st.lists(st.sampled_from([RIGHT, WRONG, LATE, LOST, None]), min_size=1, max_size=6))
def test_an_abstention_never_hides_another_failure(found):
    if WRONG in found:
        assert agreed(found, slow_abstain=True) is CaseState.CONTESTED
    if LATE not in found:
        assert agreed(found, slow_abstain=True) is agreed(found)
    if agreed(found, slow_abstain=True) is CaseState.READY:
        assert 2 * found.count(LATE) <= len(found)
        assert RIGHT in found


@pytest.mark.parametrize("accepted", [["slow from 20", "add"], ["add", "slow from 20"]])
def test_a_slow_accepted_submission_does_not_blind_the_rest(tmp_path, accepted):
    bench = with_problem(tmp_path, accepted=accepted, wrong=["square"], own=[1], answers={})
    end = judged(bench)
    large = [n for n in end.inputs(CaseState.READY) if n >= 20]
    assert large
    assert end.inputs(CaseState.CONTESTED) == []
    assert {end.verdict("square", n) for n in large} == {Verdict.WRONG_ANSWER}
    assert {end.verdict("slow from 20", n) for n in large} == {Verdict.TIME_LIMIT}


class Timed(FakeExecutor):
    """Programs named in `takes_s` take so many seconds on inputs from 20."""

    def __init__(self, takes_s: Mapping[str, float]) -> None:
        super().__init__()
        self._takes_s = takes_s

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        ended = super().run(program, stdin, limits, files)
        takes_s = self._takes_s.get(program.source, 0.0) if stdin.isdigit() and int(stdin) >= 20 else 0.0
        if takes_s > limits.cpu_s:
            return Execution(Status.TIME_LIMIT, time_s=limits.cpu_s, cpu_measured=True)
        return replace(ended, time_s=takes_s)


@pytest.mark.parametrize(
    ("takes_s", "limit_s", "left_out"),
    [
        ({"double": 1.4, "add": 1.2}, 2.1, ()),
        ({"double": 0.6, "add": 1.4}, 2.1, ()),
        ({"double": 0.6, "add": 3.9}, 4.0, ()),
        ({"double": 0.3, "add": 1.4}, 2.1, ()),
        ({"double": 0.8, "add": 5.0}, None, ("add",)),
        ({"double": 0.9, "add": 0.9}, None, ()),
    ],
    ids=["both", "one near it", "at most four times", "one of two is half", "too slow", "within"],
)
def test_a_limit_that_accepted_submissions_meet_on_own_data_is_scaled_once(tmp_path, takes_s, limit_s, left_out):
    bench = with_problem(tmp_path, wrong=["square"], own=[1, 30])
    bench = replace(bench, problem=replace(bench.problem, packaged=True))
    for _ in range(2):  # a later session keeps it
        executors = {"a": Timed(takes_s), "b": Timed(takes_s)}
        with bench.open(executors) as sample:
            judge_problem(sample)
            assert sample.store.of(bench.problem.id).limit_s == limit_s
            assert sample.known.limits.cpu_s == (limit_s or 1.0)
            assert end_of(sample.store, bench.problem).left_out == left_out


@pytest.mark.parametrize("broken", [["broken"], ["broken", "broken 2"]])
def test_a_reference_that_does_not_compile_is_left_out_for_the_next(tmp_path, broken, monkeypatch):
    monkeypatch.setitem(PROGRAMS, "broken 2", PROGRAMS["broken"])
    end = judged(with_problem(tmp_path, accepted=[*broken, "double", "add"]))
    good = judged(with_problem(tmp_path / "good", accepted=["double", "add"]))
    assert end.left_out == tuple(broken)
    assert end.cases == good.cases
    assert end.verdicts == good.verdicts


@pytest.mark.parametrize(
    ("changes", "left_out", "why", "ready"),
    [
        ({"accepted": ["double", "broken"], "wrong": ["square"]}, ["broken"], "does not compile: line 1: syntax", 8),
        ({"accepted": ["broken"]}, ["broken"], "does not compile: line 1: syntax", 0),
        (
            {"accepted": ["add", "double"], "languages": {"add": "cobol", "square": "ada"}},
            ["add", "square"],
            "no endpoint runs cobol",
            8,
        ),
    ],
    ids=["one that does not compile", "without a reference nothing is judged", "a language that nobody runs"],
)
def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path, changes, left_out, why, ready):
    bench = with_problem(tmp_path, **changes)
    end = judged(bench)
    assert list(end.left_out) == left_out
    assert len(end.inputs(CaseState.READY)) == ready
    assert bool(end.verdicts) is bool(ready)
    with bench.open({}) as sample:
        assert sample.store.of("doubling").left_out[left_out[0]] == why


# -- generators ----------------------------------------------------------------------------------------


class Fixed:
    """Proposes what it is told to."""

    name: ClassVar[str] = "fixed"

    def __init__(self, *inputs: int | Exception) -> None:
        self.inputs = inputs

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
        """Yield them, whatever the budget; raise those that are exceptions."""
        for item in self.inputs:
            if isinstance(item, Exception):
                raise item
            yield Proposal(b"%d" % item, Origin(self.name, "told"))


@pytest.mark.parametrize(
    ("generators", "cases"),
    [
        ((Own(), Fixed(2, 5, 1, 5), Fixed(5, 7)), "1 own, 2 own, 5, 7"),
        ((Fixed(2, 5), Own()), "1 own, 2 own, 5"),
        ((Own(), Fixed(*range(10, 1000))), "1 own, 2 own, 10, 11, 12, 13, 14"),
        ((Fixed(5, ValueError("no idea")), Own(), Fixed(6)), "1 own, 2 own, 5, 6"),
    ],
    ids=[
        "no input is proposed twice",
        "its own come first, wherever `data` stands",
        "one without end is cut at its budget",
        "one that raises costs the others nothing",
    ],
)
def test_what_becomes_of_what_is_proposed(tmp_path, generators, cases):
    end = judged(Bench(tmp_path, generators=generators, max_proposals=5))
    assert ", ".join(f"{int(case[1])} own" if case[4] else f"{int(case[1])}" for case in end.cases) == cases
    assert len(end.inputs(CaseState.READY)) == len(end.cases)
    assert end.cases[1][3] == Origin("data", "2.in")
    raised = any(isinstance(item, Exception) for each in generators for item in getattr(each, "inputs", ()))
    assert end.notes == (("generator 'fixed' failed: ValueError: no idea",) if raised else ())


def test_each_problem_and_each_seed_has_its_own_inputs(tmp_path):
    def proposed(name: str, seed: int) -> list[int]:
        bench = Bench(tmp_path / f"{name}-{seed}", make_problem(name), (Numbers(),))
        with bench.open({"a": FakeExecutor()}) as sample:
            settings = bench.settings.model_copy(update={"seed": seed})
            sample = replace(sample, settings=settings)
            ProposalBatches(sample, SampleToolbox(sample)).ask(Propose(0, bench.max_inputs, ()))
            return [int(case.data) for case in sample.store.of(name).cases()]

    assert proposed("p", 1) != proposed("q", 1)
    assert proposed("p", 2) != proposed("p", 1)


def test_what_a_generator_proposes_does_not_depend_on_the_others(tmp_path):
    alone = Bench(tmp_path / "alone", generators=(Numbers(),))
    with_others = Bench(tmp_path / "others", generators=(Own(), Fixed(76, 77), Numbers()))
    own = {76, 77, 1, 2}
    found = [judged(bench).inputs(*CaseState) for bench in (alone, with_others)]
    first, second = ([n for n in inputs if n not in own] for inputs in found)
    asked = min(len(first), len(second))
    assert asked >= alone.max_inputs
    assert first[:asked] == second[:asked]


def test_the_budget_does_not_cut_the_problem_s_own_data(tmp_path):
    """What the submissions were judged on before is the measure of what comes after."""
    own = list(range(1, 31))
    end = judged(Bench(tmp_path, make_problem(own=own), max_proposals=4, max_inputs=2))
    ready = end.inputs(CaseState.READY)
    assert ready[:30] == own
    assert len(ready) <= 32


def test_without_a_validator_only_its_own_inputs_are_used(tmp_path):
    bench = with_problem(tmp_path, validators=[], own=[1, 60])
    end = judged(bench)
    assert end.inputs(*CaseState) == end.inputs(CaseState.READY) == [1, 60]
    assert end.notes == (
        "it has no input validator, and fewer than 2 accepted ones to agree, so no made-up input is used",
    )


def test_an_own_input_that_is_not_valid_is_not_used(tmp_path):
    bench = with_problem(tmp_path, own=[1, 60])
    end = judged(bench)
    assert end.inputs(CaseState.INVALID)[0] == 60
    with bench.open({}) as sample:
        assert sample.store.of("doubling").cases()[1].note == "check input refuses it"


def test_all_validators_must_agree(tmp_path, monkeypatch):
    def even(data: bytes, _: Mapping[str, bytes]) -> Execution:
        return finished(code=42 if int(data) % 2 == 0 else 43)

    monkeypatch.setitem(PROGRAMS, "even", even)
    end = judged(with_problem(tmp_path, validators=["check input", "even"], own=[2]))
    assert all(n % 2 == 0 and n <= 50 for n in end.inputs(CaseState.READY))
    assert any(n % 2 and n <= 50 for n in end.inputs(CaseState.INVALID))


# -- output validators ---------------------------------------------------------------------------------


def test_an_output_validator_that_crashes_on_a_case_contests_it(tmp_path):
    """It crashes on the input 3: nobody, right or wrong, is judged there, and no later session tries again."""
    bench = with_problem(tmp_path, checker=CHECKER, own=[1, 3])
    end = judged(bench)
    assert end.inputs(CaseState.CONTESTED) == [3]
    assert end.verdict("double", 3) is Verdict.JUDGE_ERROR
    with bench.open({}) as sample:
        note = sample.store.of("doubling").verdicts()["double", 2].note
    assert note == "the output validator failed (exit code 1): IndexError: 3; it must exit with 42 or 43"
    assert judged(bench, {"a": FakeExecutor(always=DOWN)}) == end, "a complete run runs nothing"


def test_a_program_that_died_is_not_shown_to_the_output_validator(tmp_path):
    executor = FakeExecutor()
    bench = with_problem(tmp_path, checker=CHECKER, own=[0], accepted=["double"], wrong=["crash at 0"])
    judged(Bench(tmp_path, bench.problem, (Own(),)), {"a": executor})
    assert [program.source for program in executor.calls] == ["check input", "double", "check output", "crash at 0"]


# -- when the infrastructure fails ---------------------------------------------------------------------


def flaky(seed: int, *, failing: float = 0.3) -> dict[str, Executor]:
    """Return two endpoints that fail now and then, in ways that do not depend on threads."""

    def one(url: str) -> FakeExecutor:
        rng = Random(f"{seed}/{url}")
        script = [DOWN if rng.random() < failing else None for _ in range(2000)]
        return FakeExecutor(script=script)

    return {"a": one("a"), "b": one("b")}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_was_lost_the_end_is_the_same_once_all_is_well(tmp_path, seed):
    """Runs fail at random, with a single try each; sessions follow each other; the last is undisturbed."""
    undisturbed = judged(Bench(tmp_path / "undisturbed"))
    bench = Bench(tmp_path / "flaky", attempts=1)
    ends = [judged(bench, flaky(seed * 10 + session, failing=0.4)) for session in range(2)]
    assert any(Verdict.UNJUDGED in [v for *_, v in end.verdicts] or end.inputs(CaseState.UNJUDGED) for end in ends)
    assert judged(bench) == undisturbed


# -- threads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_end_does_not_depend_on_which_thread_was_faster(tmp_path, seed):
    undisturbed = judged(Bench(tmp_path / "undisturbed", workers=1))
    rng = Random(seed)
    lock = threading.Lock()

    def some_time() -> float:
        with lock:
            return rng.choice((0.0, 0.0, 0.001, 0.004))

    executors = {name: FakeExecutor(call_s=some_time) for name in "abcde"}
    assert judged(Bench(tmp_path / "timed", workers=5), executors) == undisturbed


@pytest.mark.parametrize(
    ("answers", "noted"),
    [
        (
            {1: b"7\n", 2: b"4\n"},
            "right solutions fail its own tests, so it is not judged: add on '1.in': wrong answer: token 1 (line 1): "
            "expected '7', found '2'; so do 1 more",
        ),
        ({1: b"2\n", 2: b"4\n"}, None),
    ],
    ids=["both fail", "both pass"],
)
def test_a_row_whose_right_solutions_fail_its_own_tests_says_which_on_what_and_how(tmp_path, answers, noted):
    problem = replace(make_problem(validators=(), answers=answers), by_agreement=True)
    notes = [note for note in judged(Bench(tmp_path, problem, generators=[Own()])).notes if "own tests" in note]
    assert notes == ([] if noted is None else [noted])
