"""A run that dies or is stopped at any instant, and goes on, comes to the same end as one that was left alone."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.judging.runner import Stopped
from balancer.pipeline.results.log import Event
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Checker, Problem
from balancer.program import Program
from tests.unit.pipeline.bench import Bench, End, end_of, judged, make_problem
from tests.unit.pipeline.fakes import DOWN, FakeExecutor

WRONG = ["square", "slow from 20"]
PROBLEMS = {
    "plain": make_problem(wrong=WRONG, own=[1]),
    "reference does not compile": make_problem(accepted=["broken", "double", "add"], wrong=WRONG, own=[1]),
    "only own data, reference does not compile": make_problem(
        accepted=["broken", "double"], wrong=["square"], own=[3], validators=[]
    ),
    "wrong one does not compile": make_problem(wrong=["broken", *WRONG], own=[2]),
    "contested": make_problem(accepted=["double", "double, but 13"], wrong=WRONG, own=[13, 4], answers={}),
    "output validator that crashes": make_problem(
        checker=Checker(Program("python", "check output", "check output")), wrong=["square"], own=[3, 4]
    ),
}


class Died(BaseException):
    """The process is gone."""


class Mortal(Store):
    """A store whose process dies, or is told to stop, after so many writes. What waits to be written dies with it."""

    left: int
    stop: Callable[[], None] | None = None
    writes = 0

    def __init__(self, folder: Path) -> None:
        self._counting = threading.Lock()
        super().__init__(folder)
        write = self.log.add_all

        def counted(events: Sequence[Event], **how: Any) -> None:
            with self._counting:
                self.writes += 1
                if self.stop is not None and self.writes == self.left:
                    self.stop()
                elif self.stop is None and self.writes > self.left:
                    self.log._later.clear()
                    raise Died  # and so does every later one
            write(events, **how)

        self.log.add_all = counted


def mortal(left: int) -> type[Mortal]:
    return type("Mortal", (Mortal,), {"left": left})


def bench_of(problem: Problem, folder: Path) -> Bench:
    return Bench(folder, problem, max_inputs=2, max_proposals=5)


def two() -> dict[str, FakeExecutor]:
    return {"a": FakeExecutor(), "b": FakeExecutor()}


@cache
def undisturbed(name: str) -> tuple[End, int]:
    """Return where a problem ends if it is left alone, and how many writes that takes."""
    with (
        TemporaryDirectory(prefix="balancer-undisturbed-") as folder,
        bench_of(PROBLEMS[name], Path(folder)).open(two(), mortal(10**9)) as sample,
    ):
        judge_problem(sample)
        assert isinstance(sample.store, Mortal)
        return end_of(sample.store, PROBLEMS[name]), sample.store.writes


def die(bench: Bench, writes: int) -> None:
    """Judge, and die after so many writes, while all threads are at it."""
    with suppress(Died), bench.open(two(), mortal(writes)) as sample:
        judge_problem(sample)


def stop(bench: Bench, writes: int) -> None:
    """Judge, and be told to stop at this write; what runs is let end."""
    with suppress(Stopped), bench.open(two(), mortal(writes)) as sample:
        assert isinstance(sample.store, Mortal)
        sample.store.stop = sample.runner.stop
        judge_problem(sample)


def down(bench: Bench, _: int) -> None:
    """Judge, while nothing can be reached."""
    judged(bench, {"a": FakeExecutor(always=DOWN)})


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("disturb", [die, stop])
def test_wherever_it_is_disturbed_it_comes_to_the_same_end(tmp_path, name, disturb, in_full):
    end, writes = undisturbed(name)
    assert writes >= 8
    # To be left out takes two writes, so a death between them is the hardest part; a stop lets threads end.
    thorough = in_full or (disturb is die and "compile" in name)
    for after in range(0, writes + 1, 1 if thorough else 3):
        bench = bench_of(PROBLEMS[name], tmp_path / f"{after}")
        disturb(bench, after)
        assert judged(bench) == end, f"disturbed after {after} of {writes} writes"


@settings(max_examples=15)
@given(name=st.sampled_from(list(PROBLEMS)), lives=st.lists(st.integers(0, 25), min_size=2, max_size=6))
def test_a_run_with_many_lives_comes_to_the_same_end(tmp_path_factory, name, lives):
    bench = bench_of(PROBLEMS[name], tmp_path_factory.mktemp("lives"))
    for life, writes in enumerate(lives):
        (die, stop, down)[life % 3](bench, writes)
    assert judged(bench) == undisturbed(name)[0]
