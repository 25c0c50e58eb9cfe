"""Program runner for tasks: leases an endpoint for each program run.

A shell, like `runner` for threads: leases and pauses in the task. Executors block, so a thread makes each run and ends
its lease. Each run has a lease, so there are never more runs than slots.
"""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, LeaseError
from balancer.judging.attempts import ProgramAttempts
from balancer.judging.pending import PendingRun, PendingRuns, ProgramResult, ProgramRun
from balancer.opening.aio import TaskPool
from balancer.program import Execution
from balancer.shells.driver import TaskDriver
from balancer.shells.tasks.parking import spot

__all__ = ["TaskRunner"]

T = TypeVar("T")

_FRESH_S = 5.0  # seconds for which it is kept who runs a language; a server may have to be asked


class TaskRunner:
    """Carries out pending runs for tasks of asyncio or trio, on any number of event loops.

    Args:
        attempts: shared with the threads that run programs on the same pool.
        tasks: the pool, for tasks.
        threads: make the runs. There must be as many as the pool has slots, or a run waits while it holds a lease.
    """

    def __init__(self, attempts: ProgramAttempts, tasks: TaskPool, threads: ThreadPoolExecutor) -> None:
        self._attempts = attempts
        self._tasks = tasks
        self._threads = threads
        self._unable: dict[str, tuple[float, frozenset[str]]] = {}

    async def follow(self, pending_runs: PendingRuns[T]) -> T:
        """Carry out `pending_runs`, one after the other, and return their result.

        If cancelled, it does not wait: a run that is under way ends in its thread, and its lease ends with it.

        Raises:
            Stopped: no more programs may start.
        """
        try:
            pending = next(pending_runs)
            while True:
                pending = pending_runs.send(await self._carry_out(pending))
        except StopIteration as end:
            found: T = end.value
            return found

    async def _carry_out(self, pending: PendingRun) -> ProgramResult:
        attempts, wanted = self._attempts, pending.wanted
        plans, asked = attempts.plans(pending, await self._unable_of(wanted.program.language))

        async def make(run: Run, hand: list[Lease]) -> Execution:
            return await self._make(wanted, hand)

        drive: TaskDriver[Execution] = TaskDriver(self._tasks.pool.engine, plans, asked, make, tells=False)
        try:
            return ProgramResult(await drive.run(), at=drive.at)
        except BalancerError as error:
            return attempts.given_up(error, drive.plan, drive.at, wanted.program.language)

    async def _unable_of(self, language: str) -> frozenset[str]:
        known = self._unable.get(language)
        if known is None or known[0] < self._attempts.clock():
            found = await _ended(self._threads.submit(self._attempts.unable, language))
            known = self._unable[language] = self._attempts.clock() + _FRESH_S, found
        return known[1]

    async def _make(self, wanted: ProgramRun, hand: list[Lease]) -> Execution:
        """Make one try, in a thread that ends the lease."""
        lease = hand.pop()
        future = self._threads.submit(self._attempts.make, wanted, lease)
        return await _ended(future, partial(self._drop, lease))

    def _drop(self, lease: Lease) -> None:
        """End a lease whose run never began. If that is not possible now, the pool finds the abandoned lease later."""
        if not self._attempts.pool.engine.is_inside():
            with suppress(LeaseError):
                lease.release(Outcome.IGNORED)


async def _ended(future: "Future[T]", never_begun: Callable[[], object] = lambda: None) -> T:
    """Wait in a task for the result of a thread. If cancelled before the thread begins, it never begins."""
    at = spot()
    future.add_done_callback(lambda done: at.wake())
    try:
        await at.wait(math.inf)
    except BaseException:
        if future.cancel():
            never_begun()
        raise
    return future.result()
