"""Judging as a call: verdicts, what is unjudged, many at once, and whose the pool is."""

import threading
from collections.abc import Iterator
from itertools import islice

import pytest

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError, PoolClosed
from balancer.judge import Checker, Job, Judge, Judged, Program, Verdict
from balancer.opening.pool import Pool
from balancer.program import Execution, Status
from tests.patience import PATIENCE_S
from tests.unit.judge.judges import CASES, DOUBLE, WRONG, doubling, judge_over
from tests.unit.pipeline.fakes import BUSY, DOWN, FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished


def _fake(**options: object) -> FakeExecutor:
    return FakeExecutor(doubling, **options)


def test_verdicts_of_each_case():
    with judge_over({"a": _fake()}) as judge:
        right, wrong = judge.run(DOUBLE, CASES), judge.run(WRONG, CASES)
        assert (right.verdict, right.score, right.share, right.note) == (Verdict.ACCEPTED, 1.0, 1.0, "")
        assert [case.endpoint for case in right.cases] == ["a"] * 3
        assert (wrong.verdict, wrong.score, wrong.share) == (Verdict.WRONG_ANSWER, 0.0, 0.0)
        assert len(wrong.cases) == 1
        assert "expected" in wrong.note
        whole = judge.run(WRONG, [("0", "0"), *CASES], stop_at_first=False)
        assert (len(whole.cases), whole.score, whole.share) == (4, 0.0, 0.25)
        assert no_leases_out(judge.pool)


def test_a_text_is_what_a_model_wrote():
    with judge_over({"a": _fake()}) as judge:
        assert judge.run("```python\nprint(4)\n```", [("", "print(4)")]).score == 1
        without = judge.run("I do not know.", CASES)
        assert (without.verdict, without.score, without.share) == (Verdict.COMPILE_ERROR, 0.0, 0.0)
        assert without.note == "the completion holds no program"
        assert judge.run(None, CASES).score == 0
        other = judge.run("```cpp\nint main() {}\n```\n```text\n4\n```", CASES)
        assert (other.score, other.note) == (0, "the completion holds no program in python; it has a cpp block")
        assert judge.run_job(Job.of("```python\nx\n```", [], language="cpp")).note.endswith("it has a python block")


def test_without_a_case_there_is_no_score():
    with judge_over({"a": _fake()}) as judge:
        empty = judge.run(DOUBLE, [])
        assert (empty.unjudged, empty.score, empty.share, empty.note) == (
            True, None, None, "there is no case to judge it on",
        )  # fmt: skip


@pytest.mark.parametrize("fault", [DOWN, BUSY, RuntimeError("a bug of a plugin"), ValueError("cannot be asked")])
def test_what_an_endpoint_does_is_no_verdict(fault):
    with judge_over({"a": _fake(always=fault), "b": _fake()}) as judge:
        assert judge.run(DOUBLE, CASES).score == 1
        assert judge.run(WRONG, CASES).score == 0


def test_unjudged_is_no_score():
    with judge_over({"a": _fake(always=DOWN)}, attempts=1, outage_s=0) as judge:
        judged = judge.run(DOUBLE, CASES)
        assert (judged.verdict, judged.unjudged, judged.score, judged.share) == (Verdict.UNJUDGED, True, None, None)
        assert "connection refused" in judged.note
        assert judged.cases[0].passed is None
        assert no_leases_out(judge.pool)


def test_one_case_that_shows_it_is_enough():
    script = [DOWN, None]
    with judge_over({"a": _fake(script=script)}, attempts=1, outage_s=0) as judge:
        judged = judge.run(WRONG, CASES[:2], stop_at_first=False)
        assert [case.verdict for case in judged.cases] == [Verdict.UNJUDGED, Verdict.WRONG_ANSWER]
        assert (judged.score, judged.share) == (0.0, None)
    with judge_over({"a": _fake(script=script)}, attempts=1, outage_s=0) as judge:
        judged = judge.run(DOUBLE, CASES[:2], stop_at_first=False)
        assert (judged.score, judged.share) == (None, None)


def test_an_unjudged_case_stops_as_a_wrong_one_does():
    """What failed it would fail the next one, too. A later case that is wrong is not looked for."""
    fake = _fake(script=[DOWN])
    with judge_over({"a": fake}, attempts=1, outage_s=0) as judge:
        judged = judge.run(WRONG, CASES)
        assert [case.verdict for case in judged.cases] == [Verdict.UNJUDGED]
        assert (judged.score, len(fake.calls)) == (None, 1)


def test_a_program_that_does_not_compile_is_run_once():
    broken = Execution(Status.COMPILE_ERROR, stderr=b"main.cpp:1: error")
    fake = _fake(always=broken)
    with judge_over({"a": fake}, stop_at_first=False) as judge:
        judged = judge.run(DOUBLE, CASES)
        assert (judged.verdict, judged.share, len(fake.calls)) == (Verdict.COMPILE_ERROR, 0.0, 1)


def test_a_checker_of_ones_own():
    def checking(program: Program, stdin: bytes, files: object) -> Execution:
        if program.source != "check":
            return doubling(program, stdin, {})
        assert isinstance(files, dict)
        assert program.args == ("input.txt", "answer.txt", "feedback/", "strict")
        return finished(code=42 if files["answer.txt"].split() <= stdin.split() else 43)

    checker = Checker(Program("python", "check"), ("strict",))
    with judge_over({"a": FakeExecutor(checking)}, checker=checker) as judge:
        assert judge.run(DOUBLE, CASES).score == 1
        assert judge.run(DOUBLE, [("1", "9")]).verdict is Verdict.WRONG_ANSWER
    with judge_over({"a": FakeExecutor(lambda program, stdin, files: finished(b"", 0))}, checker=checker) as judge:
        judged = judge.run(DOUBLE, CASES)
        assert judged.unjudged
        assert "output validator failed" in judged.note


# -- many ----------------------------------------------------------------------------------------------


def _jobs(count: int) -> Iterator[Job]:
    return (Job(DOUBLE if number % 3 else WRONG, CASES, tag=f"job {number}") for number in range(count))


def _right(judged: list[Judged]) -> bool:
    return all(
        (each.number, each.tag, each.score) == (number, f"job {number}", float(number % 3 > 0))
        for number, each in enumerate(judged)
    )


def test_many_in_order_and_as_they_end():
    with judge_over({"a": _fake(), "b": _fake(script=[DOWN, None] * 3)}, capacity=3) as judge:
        inorder = list(judge.run_many(_jobs(60)))
        assert len(inorder) == 60
        assert _right(inorder)
        as_they_end = list(judge.run_many(_jobs(60), ordered=False))
        assert _right(sorted(as_they_end, key=lambda each: each.number))
        assert list(judge.run_many([])) == []
        assert no_leases_out(judge.pool)


def test_few_are_in_memory():
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        while True:
            taken += 1
            yield Job(DOUBLE, CASES)

    with judge_over({"a": _fake()}, at_once=2) as judge:
        results = judge.run_many(endless())
        for handed, judged in enumerate(islice(results, 50), 1):
            assert judged.score == 1
            assert taken <= handed + 4 * 2
        results.close()
        assert taken <= 50 + 4 * 2
        assert no_leases_out(judge.pool)


def test_one_that_is_slow_holds_up_the_order_and_nothing_else():
    gate = threading.Event()

    def gated(program: Program, stdin: bytes, files: object) -> Execution:
        if program.source == "slow":
            assert gate.wait(PATIENCE_S)
        return finished(b"2")

    jobs = [Job(Program("python", "slow"), [("1", "2")]), *(Job(DOUBLE, [("1", "2")]) for _ in range(20))]
    with judge_over({"a": FakeExecutor(gated)}, capacity=2, at_once=2) as judge:
        results = judge.run_many(jobs, ordered=False)
        first = [next(results).number for _ in range(6)]
        assert 0 not in first
        gate.set()
        assert sorted([*first, *(each.number for each in results)]) == list(range(21))


def test_a_mistake_ends_the_others():
    jobs = [Job(DOUBLE, CASES), Job(DOUBLE, [3]), *(Job(DOUBLE, CASES) for _ in range(100))]
    fake = _fake()
    with judge_over({"a": fake}, at_once=1) as judge:
        with pytest.raises(TypeError, match="a case is"):
            list(judge.run_many(jobs))
        assert len(fake.calls) < 100
        assert no_leases_out(judge.pool)


# -- whose the pool is ---------------------------------------------------------------------------------


def test_the_pool_is_shared_and_stays_open():
    fake = _fake()
    closed = threading.Event()
    fake.when_closed = closed.set
    judge = judge_over({"a": fake})
    pool = judge.pool
    judge.close()
    judge.close()
    assert closed.is_set()
    with pytest.raises(PoolClosed):
        judge.run(DOUBLE, CASES)
    with pytest.raises(PoolClosed):
        list(judge.run_many([Job(DOUBLE, CASES)]))
    with pool.lease(timeout=1) as lease:
        assert lease.endpoint.name == "a"


def test_only_endpoints_with_its_labels_are_asked():
    sandbox, model = _fake(), _fake(always=EndpointError("not for you"))
    labels = {"sandbox": {"runs"}, "model": set[str]()}
    with judge_over(
        {"sandbox": sandbox, "model": model}, labels=lambda name: labels[name], capacity=2
    ) as judge, Judge(judge.pool, executors={"sandbox": sandbox}, labels={"runs"}) as picky:  # fmt: skip
        assert all(each.score == 1 for each in picky.run_many(Job(DOUBLE, CASES) for _ in range(20)))
        assert not model.calls


def test_endpoints_come_and_go():
    first, second = _fake(), _fake()
    pool = Pool(["a"], health=None)
    with Judge(pool, executors={"a": first, "b": second}, attempts=1, outage_s=0) as judge:
        assert judge.run(DOUBLE, CASES).score == 1
        pool.add(Endpoint("b"))
        pool.remove("a")
        assert [endpoint.name for endpoint in pool.endpoints()] == ["b"]
        assert judge.run(DOUBLE, CASES).score == 1
        assert second.calls
