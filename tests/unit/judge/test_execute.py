"""Programs that are run for what they print: retried elsewhere, in threads and tasks, and a failure is no output."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from balancer.errors import NotExecuted
from balancer.judge import Executed, ExecuteJob, Judge, Limits, Program, Status
from balancer.program import Execution
from tests.unit.judge.judges import DOUBLE, doubling, judge_over
from tests.unit.pipeline.fakes import BUSY, DOWN, SUSPECT, FakeExecutor, no_leases_out


def _in_thread(judge: Judge, *args: Any, **more: Any) -> Executed:
    return judge.execute(*args, **more)


def _in_task(judge: Judge, *args: Any, **more: Any) -> Executed:
    return asyncio.run(judge.aexecute(*args, **more))


BOTH = pytest.mark.parametrize("execute", [_in_thread, _in_task])
Execute = Callable[..., Executed]


@BOTH
def test_what_it_printed_and_how_it_ended(execute):
    ended = Execution(Status.FINISHED, b"4\xff\n", b"warned\n", 3, 0.25, cpu_measured=True, memory_bytes=9)
    with judge_over({"a": FakeExecutor(script=[ended])}) as judge:
        done = execute(judge, "print(4)", limits=2.0)
        assert (done.stdout, done.stderr, done.exit_code, done.status) == ("4\ufffd\n", "warned\n", 3, Status.FINISHED)
        assert (done.time_s, done.memory_bytes, done.truncated, done.went_well) == (0.25, 9, False, False)
        assert (done.execution, done.endpoint, done.error) == (ended, "a", None)
        assert no_leases_out(judge.pool)


@BOTH
def test_a_failure_is_tried_elsewhere(execute):
    pool = {"a": FakeExecutor(doubling, always=DOWN), "b": FakeExecutor(doubling, script=[BUSY, SUSPECT])}
    with judge_over(pool) as judge:
        done = execute(judge, DOUBLE, "21")
        assert (done.stdout, done.endpoint, done.went_well) == ("42\n", "b", True)


@BOTH
def test_a_failure_of_all_is_an_error_and_no_output(execute):
    with judge_over({"a": FakeExecutor(doubling, always=DOWN)}, outage_s=0) as judge:
        with pytest.raises(NotExecuted, match=r"the program was not run: after .* tries: .*connection refused"):
            execute(judge, DOUBLE, "21")
        with pytest.raises(NotExecuted, match="no endpoint runs 'cobol'; languages of the pool: python"):
            execute(judge, Program("cobol", "STOP RUN."))
        assert no_leases_out(judge.pool)


@BOTH
def test_what_it_reads_arrives(execute):
    seen: list[tuple[Program, bytes, dict[str, bytes]]] = []

    def look(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        seen.append((program, stdin, dict(files)))
        return Execution(Status.FINISHED, exit_code=0)

    with judge_over({"a": FakeExecutor(look)}) as judge:
        execute(judge, "code", "é", files={"a.txt": "ü", "b": b"\xff"})
    assert seen == [(Program("python", "code"), "é".encode(), {"a.txt": "ü".encode(), "b": b"\xff"})]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"../a.txt": "1"}, r"file name '\.\./a\.txt' is not allowed; it must be relative"),
        ({"a\ud800": "1"}, "the name of a file has '.ud800' at 1, half of a character"),
        ({"a": "1", "a/b": "2"}, "file name 'a' is a folder of 'a/b'; rename one of them"),
        ({"main.py": "1"}, "file name 'main.py' is a name of the program itself; rename the file"),
    ],
)
@BOTH
def test_a_name_that_no_endpoint_takes_is_an_error_at_once(execute, files, error):
    with judge_over({"a": FakeExecutor(doubling)}) as judge:
        with pytest.raises(ValueError, match=error):
            execute(judge, DOUBLE, "21", files=files)
        assert judge.pool.stats().acquired == 0


@pytest.mark.parametrize("wrong", [-5, 0, "5", True, float("nan"), float("inf")])
def test_limits_are_numbers_above_0(wrong):
    with pytest.raises(ValueError, match=r"limits has cpu_s = .*; it takes a number, more than 0"):
        ExecuteJob("print(4)", limits=Limits(cpu_s=wrong))


def _batch(judge: Judge, jobs: list[ExecuteJob], *, tasks: bool, **more: Any) -> list[Executed]:
    if not tasks:
        return list(judge.execute_many(jobs, **more))

    async def read() -> list[Executed]:
        return [each async for each in judge.aexecute_many(jobs, **more)]

    return asyncio.run(read())


@pytest.mark.parametrize("tasks", [False, True])
def test_many(*, tasks):
    pool = {name: FakeExecutor(doubling, script=[DOWN, None, BUSY]) for name in "abc"}
    with judge_over(pool, capacity=2) as judge:
        jobs = [ExecuteJob(DOUBLE, str(number), tag=f"t{number}") for number in range(30)]
        found = _batch(judge, jobs, tasks=tasks)
        assert [(each.number, each.tag, each.stdout) for each in found] == [
            (number, f"t{number}", f"{2 * number}\n") for number in range(30)
        ]
        assert no_leases_out(judge.pool)


@pytest.mark.parametrize("tasks", [False, True])
def test_one_that_failed_does_not_end_the_others(*, tasks):
    jobs = [ExecuteJob(DOUBLE, "1"), ExecuteJob(Program("cobol", "x")), ExecuteJob(DOUBLE, "2")]
    with judge_over({"a": FakeExecutor(doubling)}) as judge:
        right, failed, last = _batch(judge, jobs, tasks=tasks)
        assert (right.stdout, last.stdout) == ("2\n", "4\n")
        assert failed.error is not None
        for name in ("stdout", "stderr", "status", "exit_code", "time_s", "memory_bytes", "truncated", "went_well"):
            with pytest.raises(NotExecuted, match="no endpoint runs 'cobol'"):
                getattr(failed, name)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"program": None}, "program is None"),
        ({"program": "x", "stdin": 7}, "stdin is 7"),
        ({"program": "x", "stdin": "\ud800"}, "stdin has '\\\\ud800' at 0"),
        ({"program": "x", "files": {"a": 1}}, "files is {'a': 1}"),
        ({"program": "x", "limits": -1}, "limits is -1"),
    ],
)
def test_mistakes_are_named(arguments, error):
    with judge_over({"a": FakeExecutor(doubling)}) as judge, pytest.raises((TypeError, ValueError), match=error):
        judge.execute(**arguments)
