"""A large case that kills gets a smaller one beside it that kills the same submission."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from balancer.pipeline.generators.learn import knowledge
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import result_of
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Origin, Problem, Proposal, Verdict
from balancer.program import Execution
from tests.unit.pipeline.bench import Bench, Own, make_problem
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, finished
from tests.unit.pipeline.test_resume import Died, mortal


def numbers(data: bytes) -> list[int] | None:
    """Return the numbers of an input: how many, and then they; None if it is not valid."""
    try:
        count, rest = data.split(b"\n", 1)
        found = [int(word) for word in rest.split()]
    except ValueError:
        return None
    return found if int(count) == len(found) >= 1 and all(0 <= n < 1000 for n in found) else None


class Long:
    """Proposes one long list of numbers, some of which are odd ones, below how many they are."""

    name: ClassVar[str] = "long"

    def __init__(self, count: int, odd: Mapping[int, int]) -> None:
        self.count, self.odd = count, odd

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterator[Proposal]:
        values = [self.odd.get(at, rng.randrange(100, 700)) for at in range(self.count)]
        text = f"{self.count}\n{' '.join(map(str, values))}\n"
        yield Proposal(text.encode(), Origin(self.name, f"{self.count} numbers"))


@pytest.fixture
def summing(monkeypatch):
    """Let the programs add up numbers; one of them is wrong if there is a 777, another one if there are many."""

    def program(is_wrong: Callable[[list[int]], bool]) -> Callable[[bytes, object], Execution]:
        return lambda data, files: finished(b"%d" % (-1 if is_wrong(found := numbers(data) or []) else sum(found)))

    monkeypatch.setitem(PROGRAMS, "check input", lambda data, files: finished(code=42 if numbers(data) else 43))
    for name in ("double", "add"):
        monkeypatch.setitem(PROGRAMS, name, program(lambda values: False))
    monkeypatch.setitem(PROGRAMS, "wrong", program(lambda values: 777 in values))
    monkeypatch.setitem(PROGRAMS, "late", program(lambda values: len(values) > 70))


def bench_of(folder: Path, *wrong: str) -> Bench:
    data = tuple(
        Proposal(each, Origin("data", f"{n}.in"), answer, sample=True)
        for n, (each, answer) in enumerate([(b"2\n1 2\n", b"3"), (b"1\n5\n", b"5"), (b"3\n2 7 2\n", b"11")])
    )  # enough to learn the format
    problem = replace(make_problem(wrong=[], own=[]), data=data)
    made = make_problem(wrong=list(wrong))
    return Bench(folder, replace(problem, submissions=made.submissions), (Own(), Long(80, {53: 777})))


def judge(bench: Bench, *, allowed_s: float | None = 1e6, kind: type[Store] = Store) -> None:
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}, kind) as sample:
        judge_problem(replace(sample, allowed_s=allowed_s))


@pytest.mark.usefixtures("summing")
def test_the_smaller_case_kills_the_same_one_and_stands_beside_the_larger(tmp_path):
    bench = bench_of(tmp_path, "wrong", "late")
    judge(bench)
    with bench.open({}) as sample:
        cases = sample.store.of("doubling").cases(CaseState.READY)
        verdicts = sample.store.of("doubling").verdicts()
        (large,) = [case for case in cases if case.origin.generator == "long"]
        by_data = {case.data: case for case in cases if case.origin.generator == "shrink"}
        assert len(by_data) == 2, "one for each submission that only the large one killed"
        small = by_data[b"1\n777\n"]
        assert small.answer == b"777"
        assert verdicts["wrong", small.id].verdict is Verdict.WRONG_ANSWER
        assert verdicts["late", small.id].verdict is Verdict.ACCEPTED, "the larger one killed it too"
        assert small.origin.detail == f"case {large.id}, {len(large.data)} bytes, smaller: still rejects wrong"
        result = result_of(sample.store.of("doubling"), sample.problem)
        assert len(result.ready) == 3 + 1 + 2


@pytest.mark.usefixtures("summing")
def test_inputs_that_are_not_understood_stay_as_they_are(tmp_path, monkeypatch, caplog):
    def fail(*args: object) -> None:
        raise ValueError("no number")

    monkeypatch.setattr(knowledge, "gathered", fail)
    caplog.set_level("DEBUG", logger="balancer")
    judge(bench_of(tmp_path, "wrong", "late"))
    with bench_of(tmp_path).open({}) as sample:
        ready = sample.store.of("doubling").cases(CaseState.READY)
        assert [case.origin.generator for case in ready] == ["data"] * 3 + ["long"]
    assert "no knowledge of the inputs of doubling" in caplog.text


@pytest.mark.usefixtures("summing")
def test_cases_stay_as_they_are_without_a_time_budget(tmp_path):
    judge(bench_of(tmp_path, "wrong"), allowed_s=None)
    with bench_of(tmp_path).open({}) as sample:
        assert all(case.origin.generator != "shrink" for case in sample.store.of("doubling").cases())


@pytest.mark.usefixtures("summing")
def test_the_search_is_bounded_and_not_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr("balancer.pipeline.round.shell._MOST_TRIES", 10)
    bench = bench_of(tmp_path, "wrong")
    executor = FakeExecutor()
    with bench.open({"a": executor}) as sample:
        sample = replace(sample, allowed_s=1e6)
        judge_problem(sample)
        assert len(executor.calls) < 4 * 4 + 10 * 4 + 8
        calls = len(executor.calls)
        judge_problem(sample)
        assert len(executor.calls) == calls


@pytest.mark.usefixtures("summing")
def test_a_death_while_cases_are_made_smaller(tmp_path):
    judge(bench_of(tmp_path / "whole", "wrong"))
    with bench_of(tmp_path / "whole", "wrong").open({}) as sample:
        whole = [(c.data, c.state) for c in sample.store.of("doubling").cases()]
    for after in range(8, 40, 2):
        bench = bench_of(tmp_path / str(after), "wrong")
        with suppress(Died):
            judge(bench, kind=mortal(after))
        judge(bench)
        with bench.open({}) as sample:
            assert [(c.data, c.state) for c in sample.store.of("doubling").cases()] == whole
