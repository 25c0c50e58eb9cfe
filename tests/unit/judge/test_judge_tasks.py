"""Judging in tasks: the same verdicts as in threads, on the same pool, and nothing lost when a task is cancelled."""

import asyncio
import threading

import trio

from balancer.judge import Job, Judged
from tests.patience import PATIENCE_S
from tests.unit.judge.judges import CASES, DOUBLE, WRONG, doubling, judge_over
from tests.unit.loops import in_a_loop
from tests.unit.pipeline.fakes import BUSY, DOWN, SUSPECT, FakeExecutor, no_leases_out

_SCRIPT = [DOWN, None, BUSY, None, SUSPECT, None, ValueError("cannot be asked"), None]


def _fakes() -> dict[str, FakeExecutor]:
    return {"a": FakeExecutor(doubling, script=_SCRIPT), "b": FakeExecutor(doubling, script=[None, SUSPECT])}


def _jobs(count: int) -> list[Job]:
    return [Job(DOUBLE if number % 3 else WRONG, CASES, tag=number) for number in range(count)]


def _said(judged: list[Judged]) -> list[tuple[object, float | None, list[str]]]:
    return [(each.tag, each.score, [case.verdict.value for case in each.cases]) for each in judged]


def test_the_same_as_in_threads():
    async def tasks() -> list[Judged]:
        async with judge_over(_fakes(), capacity=2) as judge:
            found = [each async for each in judge.arun_many(_jobs(40))]
            assert no_leases_out(judge.pool)
            return found

    with judge_over(_fakes(), capacity=2) as judge:
        assert _said(asyncio.run(tasks())) == _said(list(judge.run_many(_jobs(40))))


def test_trio():
    async def main() -> None:
        with judge_over(_fakes()) as judge:
            assert (await judge.arun(DOUBLE, CASES)).score == 1
            assert (await judge.arun(WRONG, CASES)).score == 0
            assert (await judge.arun("no program", CASES)).score == 0

    trio.run(main)


@in_a_loop
async def test_a_cancelled_task_leaves_its_run_to_its_thread():
    gate = threading.Event()
    fake = FakeExecutor(doubling, gate=gate)

    async with judge_over({"a": fake}) as judge:
        pool = judge.pool
        runs = [asyncio.create_task(judge.arun(DOUBLE, CASES)) for _ in range(3)]  # one runs, two wait
        await asyncio.to_thread(fake.started.wait, PATIENCE_S)
        for run in runs:
            run.cancel()
        ended = await asyncio.gather(*runs, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        assert len(pool.leases()) == 1, "the server is still at work"
        assert pool.stats().waiting == 0
        gate.set()
        assert (await judge.arun(DOUBLE, CASES)).score == 1
        assert no_leases_out(pool)
