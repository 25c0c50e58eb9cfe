"""A generator that cannot propose now: its round is left to the next session, and nothing is decided without it."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import ClassVar

import pytest

from balancer.judging.runner import Stopped
from balancer.pipeline.proposing import PutOff, ended
from balancer.pipeline.results.problem_result import result_of
from balancer.pipeline.results.run_result import settle
from balancer.pipeline.results.store import SeenBefore
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Problem, Proposal
from balancer.program import Execution, Status
from tests.unit.pipeline.bench import Bench, Numbers, Own, end_of, judged, make_problem
from tests.unit.pipeline.fakes import FakeExecutor


class Unable:
    """Raises what it is told to, as often as it is told to, and then proposes as `Numbers` does."""

    name: ClassVar[str] = Numbers.name

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        if self.errors:
            raise self.errors.pop(0)
        return Numbers().propose(problem, rng, budget)


@pytest.mark.parametrize("times", [1, 2])
def test_a_round_that_is_put_off_is_made_up_for(tmp_path, times):
    whole = judged(Bench(tmp_path / "whole"))
    bench = Bench(tmp_path / "parts", generators=(Own(), Unable(*[PutOff("nobody answers")] * times)))
    for _ in range(times):
        with bench.open({"a": FakeExecutor()}) as sample:
            judge_problem(sample)
            assert not sample.store.of(bench.problem.id).has_begun(0)
            why = "round 0 has not begun: nobody answers; run again to go on"
            assert sample.store.of(bench.problem.id).why_put_off == why
            assert why in result_of(sample.store.of(bench.problem.id), bench.problem).notes
    assert judged(bench) == whole
    with bench.open({"a": FakeExecutor()}) as sample:
        assert sample.store.of(bench.problem.id).why_put_off == ""


@pytest.mark.parametrize("error", [None, PutOff("nobody answers")])
def test_a_problem_with_a_round_to_come_is_not_done(tmp_path, error):
    """Whoever judges its own tests in full has not heard the model yet."""
    row = replace(make_problem(validators=()), by_agreement=True)
    bench = Bench(tmp_path, row, generators=(Own(), Unable(*[error] if error else [])))
    with bench.open({"a": FakeExecutor()}) as sample:
        assert sample.store.problems.meet(bench.problem, 0, "as it is") is SeenBefore.NEW
        judge_problem(sample)
        settle(sample.store, bench.problem)
        assert result_of(sample.store.of(bench.problem.id), bench.problem).not_judged == ()
        assert sample.store.problems.meet(bench.problem, 0, "as it is") is (
            SeenBefore.KNOWN if error else SeenBefore.DONE
        )


def test_a_stop_amid_the_proposals_begins_no_round(tmp_path):
    whole = judged(Bench(tmp_path / "whole"))
    bench = Bench(tmp_path / "parts", generators=(Own(), Unable(Stopped())))
    with bench.open({"a": FakeExecutor()}) as sample:
        with pytest.raises(Stopped):
            judge_problem(sample)
        assert not sample.store.of(bench.problem.id).has_begun(0)
        assert end_of(sample.store, bench.problem).cases == ()
    assert judged(bench) == whole


_GCC = b"a.cpp: In function 'int main()':\na.cpp:1:12: error: expected expression\n    1 | int main( {\n      | ^\n"


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (Execution(Status.COMPILE_ERROR, stderr=_GCC), "compile error: a.cpp:1:12: error: expected expression"),
        (
            Execution(Status.FINISHED, exit_code=3, stderr=b"Traceback\n  x\nValueError: no\n"),
            "exit code 3: ValueError: no",
        ),
        (Execution(Status.FINISHED, exit_code=-9), "exit code -9"),
        (Execution(Status.TIME_LIMIT), "time limit"),
        (Execution(Status.MEMORY_LIMIT, exit_code=1, stderr=b"\xff" * 999), "memory limit: " + "\ufffd" * 160),
    ],
)
def test_how_a_program_ended_in_one_line(execution, words):
    assert ended(execution) == words
    assert ended(replace(execution, stderr=b"")) == words.partition(":")[0]
