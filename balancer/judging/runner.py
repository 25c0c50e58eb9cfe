"""Program runner for threads: leases an endpoint for each program run.

A shell: waits in the pool and sleeps. `reruns` decides which runs are made, `attempts` makes a try, and the attempt
plan decides where and when to try again.
"""

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.judging.attempts import ProgramAttempts
from balancer.judging.pending import (
    NOTHING,
    PendingRun,
    PendingRuns,
    ProgramResult,
    ProgramRun,
    RunnerHooks,
    RunnerOptions,
    Stopped,
)
from balancer.judging.reruns import Reruns
from balancer.opening.pool import Pool
from balancer.program import Execution, Executor
from balancer.sandbox.probes import runs
from balancer.shells.driver import ThreadDriver

__all__ = ["ProgramResult", "ProgramRun", "Runner", "Stopped"]

T = TypeVar("T")


class Runner:
    """Makes program runs on the endpoints of a pool.

    Args:
        pool: leases the endpoints, and has the retry settings; `stop` closes it.
        executors: one for each endpoint, by name.
        options: of runs.
        hooks: are called about runs; None: none.

    Attributes:
        attempts, reruns: for other runners on the same pool.
    """

    def __init__(
        self, pool: Pool, executors: Mapping[str, Executor], options: RunnerOptions, hooks: RunnerHooks | None = None
    ) -> None:
        self._pool = pool
        self._executors = executors
        self.attempts = ProgramAttempts(pool, executors, options, hooks or RunnerHooks())
        self.reruns = Reruns(self.attempts, options)
        self._left_s: Callable[[], float] = lambda: math.inf

    def within(self, left_s: Callable[[], float]) -> "Runner":
        """Return a runner on the same endpoints that begins no try of a run when `left_s` returns no seconds any more.

        A run that is then without a result has none. Repetitions that other endpoints are asked for are made in any
        case: they have a limit of their own.
        """
        bounded = copy.copy(self)
        bounded._left_s = left_s
        return bounded

    @property
    def languages(self) -> frozenset[str]:
        """The languages that the endpoints run, together; see also `runs`."""
        return frozenset().union(*(executor.languages for executor in self._executors.values()))

    def runs(self, language: str) -> bool:
        """Return whether some endpoint runs `language`."""
        return any(runs(executor, language) for executor in self._executors.values())

    @property
    def slots(self) -> int:
        """How many programs the endpoints of the pool may run at once; at least one."""
        return max(1, sum(endpoint.capacity for endpoint in self._pool.endpoints()))

    def stop(self) -> None:
        """Start no more programs, and close the pool. Those under way go on. Waiting threads get `Stopped`."""
        self.attempts.stopping.set()
        self._pool.close()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self.attempts.stopping.is_set()

    def run_twice(self, wanted: ProgramRun) -> ProgramResult:
        """Run `wanted`, and a second time elsewhere if its end is `odd`: see `Reruns.twice`. Raises Stopped."""
        return self.follow(self.reruns.twice(wanted))

    def run(self, wanted: ProgramRun, *, shuns: frozenset[str] = NOTHING) -> ProgramResult:
        """Run `wanted`, on another endpoint if one fails, and again if its end is suspect: see `Reruns.once`.

        Raises:
            Stopped: `stop` was called.
        """
        return self.follow(self.reruns.once(wanted, shuns=shuns))

    def confirm(self, wanted: ProgramRun, ran: ProgramResult) -> ProgramResult:
        """Return `ran`, or the result that other endpoints agree on: see `Reruns.confirmed`. Raises Stopped."""
        return self.follow(self.reruns.confirmed(wanted, ran))

    def follow(self, pending_runs: PendingRuns[T]) -> T:
        """Carry out `pending_runs`, one after the other, and return their result.

        Raises:
            Stopped: `stop` was called.
        """
        try:
            pending = next(pending_runs)
            while True:
                pending = pending_runs.send(self._carry_out(pending))
        except StopIteration as end:
            found: T = end.value
            return found

    def _carry_out(self, pending: PendingRun) -> ProgramResult:
        attempts, wanted = self.attempts, pending.wanted
        left_s = math.inf if pending.only is not None else self._left_s()
        if left_s <= 0:
            return ProgramResult(None, "there was no time left for it")
        plans, asked = attempts.plans(pending, attempts.unable(wanted.program.language), left_s)
        make = partial(self._make, wanted)
        drive: ThreadDriver[Execution] = ThreadDriver(
            self._pool.engine, plans, asked, make, sleep=self.pause, clock=attempts.clock, tells=False
        )
        try:
            return ProgramResult(drive.run(), at=drive.at)
        except BalancerError as error:
            return attempts.given_up(error, drive.plan, drive.at, wanted.program.language)

    def _make(self, wanted: ProgramRun, run: Run, hand: list[Lease]) -> Execution:
        return self.attempts.make(wanted, hand[0])

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped if `stop` was called."""
        self._sleep(seconds)
        if self.stopping:
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        self.attempts.stopping.wait(seconds)
