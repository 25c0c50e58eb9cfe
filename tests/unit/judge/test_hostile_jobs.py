"""What may come as a program, as cases or as jobs, and must neither end the others nor leave a lease out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from balancer.judge import CallCase, Job, Program
from balancer.judging.calls import fed
from balancer.judging.verdict import judge_value
from balancer.problem import Checker, Verdict
from balancer.program import Execution
from tests.unit.judge.judges import CASES, DOUBLE, doubling, judge_over
from tests.unit.pipeline.fakes import FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished


@pytest.mark.parametrize("source", ["\ud800", "a\udfffb" * 10, "\0" * 100, "print('\ud83d\ude00')", "x" * 1_000_000])
def test_a_strange_program_is_judged_and_ends_no_other(source):
    seen: list[str] = []

    def run(program: Program, stdin: bytes, files: object) -> Execution:
        program.source.encode()
        seen.append(program.source)
        return doubling(program, stdin, {}) if program is DOUBLE else finished(b"no")

    with judge_over({"a": FakeExecutor(run)}) as judge:
        text = f"```python\n{source}\n```"
        jobs = [Job(DOUBLE, CASES), Job.of(text, {"inputs": ["1"], "outputs": ["2"]}), Job(DOUBLE, CASES)]
        assert [each.score for each in judge.run_many(jobs)] == [1, 0, 1]
        assert judge.run(Program("python", source), CASES).score == 0
        assert no_leases_out(judge.pool)
    assert len(seen) == 3 + 1 + 3 + 1


def _is(expected: Any, output: bytes) -> bool:
    run = CallCase("f", [], expected).run_of(Program("python", ""))
    return judge_value(Checker(), output, run.answer).verdict is Verdict.ACCEPTED


def test_values_of_numpy_are_what_they_hold():
    given = [np.int64(3), np.float32(0.5), np.bool_(True), np.array([[1, 2], [3, 4]])]
    assert fed(given, {"k": np.str_("a")}) == b'{"args": [3, 0.5, true, [[1, 2], [3, 4]]], "kwargs": {"k": "a"}}'
    assert _is(np.int64(3), b"3")
    assert _is({"a": np.arange(3)}, b'{"a": [0, 1, 2]}')
    assert not _is(np.int64(3), b"4")


@pytest.mark.parametrize("depth", [10, 400, 100_000])
def test_what_is_nested(depth):
    found = b"[" * depth + b"]" * depth
    assert not _is([], found) or depth == 1
    nested: list[Any] = []
    for _ in range(depth - 1):
        nested = [nested]
    if depth <= 400:
        assert _is(nested, found)
        return
    with pytest.raises(ValueError, match="expected is a list; it must have values of JSON only: it is nested"):
        _is(nested, found)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="it must have values of JSON only: Circular reference"):
        CallCase("f", circle, 1).run_of(Program("python", ""))


@pytest.mark.parametrize("error", [RuntimeError("of the data set"), KeyboardInterrupt()])
@pytest.mark.parametrize("ordered", [True, False])
def test_an_error_of_the_iterator_is_its_own(error, ordered):
    def jobs() -> Iterator[Job]:
        for _ in range(20):
            yield Job(DOUBLE, CASES)
        raise error

    with judge_over({"a": FakeExecutor(doubling)}, at_once=1) as judge:
        with pytest.raises(type(error)):
            list(judge.run_many(jobs(), ordered=ordered))
        assert no_leases_out(judge.pool)
        assert judge.run(DOUBLE, CASES).score == 1
