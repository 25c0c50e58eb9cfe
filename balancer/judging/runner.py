"""Program runner for threads: one lease per program run, on some endpoint of the pool.

A shell: it waits in the pool and sleeps. Which runs are made is decided in `reruns`, what a try is in `attempts`, and
where and when it is made again by its attempt plan.
"""

from collections.abc import Mapping
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
from balancer.pool.pool import Pool
from balancer.program import Execution, Executor
from balancer.sandbox.probes import runs
from balancer.shells.driver import ThreadDriver

__all__ = ["ProgramResult", "ProgramRun", "Runner", "Stopped"]

T = TypeVar("T")


class Runner:
    """Makes program runs on the endpoints of a pool.

    Args:
        pool: leases the endpoints, and says how retries are limited; `stop` closes it.
        executors: one for each endpoint, by name.
        options: how runs are made.
        hooks: who hears of them; None: nobody.

    Attributes:
        attempts, reruns: what it is made of, for those that wait otherwise.
    """

    def __init__(
        self, pool: Pool, executors: Mapping[str, Executor], options: RunnerOptions, hooks: RunnerHooks | None = None
    ) -> None:
        self._pool = pool
        self._executors = executors
        self.attempts = ProgramAttempts(pool, executors, options, hooks or RunnerHooks())
        self.reruns = Reruns(self.attempts, options)

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs, all of them; see also `runs`."""
        return frozenset().union(*(executor.languages for executor in self._executors.values()))

    def runs(self, language: str) -> bool:
        """Return whether some endpoint runs `language`."""
        return any(runs(executor, language) for executor in self._executors.values())

    def stop(self) -> None:
        """Start no more programs. Those that run end by themselves; whoever waits gets `Stopped`."""
        self.attempts.stopping.set()
        self._pool.close()

    @property
    def stopping(self) -> bool:
        """True once `stop` was called."""
        return self.attempts.stopping.is_set()

    def run_twice(self, wanted: ProgramRun) -> ProgramResult:
        """Run `wanted`, and a second time elsewhere if its end is `odd`: see `Reruns.twice`. Raises Stopped."""
        return self.follow(self.reruns.twice(wanted))

    def run(self, wanted: ProgramRun, *, shuns: frozenset[str] = NOTHING) -> ProgramResult:
        """Run `wanted`, elsewhere if an endpoint fails, and again where that tells more: see `Reruns.once`.

        Raises:
            Stopped: `stop` was called.
        """
        return self.follow(self.reruns.once(wanted, shuns=shuns))

    def confirm(self, wanted: ProgramRun, ran: ProgramResult) -> ProgramResult:
        """Return `ran`, or what other endpoints say against it: see `Reruns.confirmed`. Raises Stopped."""
        return self.follow(self.reruns.confirmed(wanted, ran))

    def follow(self, pending_runs: PendingRuns[T]) -> T:
        """Carry out `pending_runs`, one after the other, and return what they come to.

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
        """Run it, over all its tries."""
        attempts, wanted = self.attempts, pending.wanted
        plan, asked = attempts.plan(pending, attempts.unable(wanted.program.language))
        make = partial(self._make, wanted)
        drive = ThreadDriver(self._pool.engine, plan, asked, make, sleep=self.pause, clock=attempts.clock)
        try:
            return ProgramResult(drive.run(), at=drive.at)
        except BalancerError as error:
            return attempts.given_up(error, plan, drive.at, wanted.program.language)

    def _make(self, wanted: ProgramRun, run: Run, hand: list[Lease]) -> Execution:
        return self.attempts.make(wanted, hand[0])

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped once `stop` was called."""
        self._sleep(seconds)
        if self.stopping:
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        self.attempts.stopping.wait(seconds)
