"""Program runner for threads: one lease per program run, on some endpoint of the pool.

A shell: it waits in the pool and sleeps. Which runs are made is decided in `reruns`, what a try is in `attempts`, and
where and when it is made again by its course. It must not know what a program's output means.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.judging.attempts import ProgramAttempts
from balancer.judging.pending import NOTHING, PendingRun, PendingRuns, ProgramResult, ProgramRun, Stopped
from balancer.judging.reruns import Reruns
from balancer.judging.spans import Span
from balancer.judging.suspicion import Recheck, Suspicion
from balancer.judging.verifier import VerificationStore
from balancer.pool.pool import Pool
from balancer.program import Execution, Executor, Program
from balancer.sandbox.trial import runs
from balancer.settings.pipeline import VerifySettings
from balancer.shells.driver import ThreadDriver
from balancer.shells.lease_request import LeaseRequest

__all__ = ["ProgramResult", "ProgramRun", "Runner", "Stopped"]

T = TypeVar("T")

_ANYTHING = LeaseRequest()


class Runner:
    """Makes program runs on the endpoints of a pool.

    Args:
        pool: leases the endpoints, and says how retries are limited; `stop` closes it.
        executors: one for each endpoint URL.
        attempts: tries before a program run is given up.
        quiet_label: endpoints with this label are preferred for a second look at a suspect time limit.
        compile_s: CPU seconds for compiling, for all runs; None: as each run says.
        on_span: called, by the thread that ran the program, once its lease has ended.
        outage_s: while nothing in the run succeeds, program runs are tried beyond their attempts for so many seconds.
        on_look: told of each end that was looked at again: why, and what came of it.
        verify: which runs are made again on another endpoint; None: none.
        remembers: what was made again, and whose word was not; None: nobody.
        say: is told at once, a line each, of endpoints that lie.
        on_compile: told of each program that took some seconds to compile, of how many, and of the endpoint.
        asked: what every lease is asked for, e.g. labels; slots and exclusions are the runner's own.
        clock: seconds, for spans and outages.

    Attributes:
        attempts, reruns: what it is made of, for those that wait otherwise.
    """

    def __init__(
        self,
        pool: Pool,
        executors: Mapping[str, Executor],
        *,
        attempts: int,
        quiet_label: str,
        on_span: Callable[[Span], None],
        outage_s: float = 0.0,
        on_look: Callable[[ProgramRun, Suspicion, Recheck], None] = lambda wanted, why, said: None,
        on_compile: Callable[[Program, float, str], None] = lambda program, took_s, endpoint: None,
        compile_s: float | None = None,
        verify: VerifySettings | None = None,
        remembers: VerificationStore | None = None,
        say: Callable[[str], object] = lambda line: None,
        asked: LeaseRequest = _ANYTHING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._executors = executors
        self.attempts = ProgramAttempts(
            pool,
            executors,
            attempts=attempts,
            outage_s=outage_s,
            on_span=on_span,
            on_compile=on_compile,
            asked=asked,
            clock=clock,
        )
        self.reruns = Reruns(
            self.attempts,
            quiet_label=quiet_label,
            compile_s=compile_s,
            on_look=on_look,
            verify=verify,
            remembers=remembers,
            say=say,
        )

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

    def follow(self, errands: PendingRuns[T]) -> T:
        """Carry out `errands`, one after the other, and return what they come to.

        Raises:
            Stopped: `stop` was called.
        """
        try:
            errand = next(errands)
            while True:
                errand = errands.send(self._carry_out(errand))
        except StopIteration as end:
            found: T = end.value
            return found

    def _carry_out(self, errand: PendingRun) -> ProgramResult:
        """Run it, over all its tries."""
        attempts, wanted = self.attempts, errand.wanted
        course, asked = attempts.course(errand, attempts.unable(wanted.program.language))
        make = partial(self._make, wanted)
        drive = ThreadDriver(self._pool.engine, course, asked, make, sleep=self.pause, clock=attempts.clock)
        try:
            return ProgramResult(drive.run(), at=drive.at)
        except BalancerError as error:
            return attempts.given_up(error, course, drive.at, wanted.program.language)

    def _make(self, wanted: ProgramRun, run: Run, hand: list[Lease]) -> Execution:
        return self.attempts.make(wanted, hand[0])

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped once `stop` was called."""
        self._sleep(seconds)
        if self.stopping:
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        self.attempts.stopping.wait(seconds)
