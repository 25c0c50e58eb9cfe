"""Run one program on some endpoint of the pool: one lease per program run.

Decides the terms of its course: a retry that the budget refuses is late here, not lost, and each endpoint is owed a
try. Where and when it is tried again is the course's business (`balancer.core.course`). A shell: it knows the clock and
the pool. It must not know what a program's output means.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from balancer.core.course import Course
from balancer.core.decisions import Run, Terms
from balancer.endpoint import Lease, Outcome, outcome_of
from balancer.errors import BalancerError, EndpointError, PoolClosed
from balancer.pipeline.results.records import Span, Stage
from balancer.pipeline.running.outage import SharedOutage
from balancer.pipeline.running.suspicion import Look, Suspicion, second_limits, settled, suspicion_of
from balancer.program import Execution, Executor, Limits, Program
from balancer.shells.driving import Asked, Drive
from balancer.shells.threads import Pool

__all__ = ["ProgramRun", "Ran", "Runner", "Stopped"]

_NOTHING = frozenset[str]()


class Stopped(Exception):
    """The run was asked to stop; what was under way is done again by the next session."""


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A run of a program that is wanted: what to run (see `Executor.run`) and, to be recorded, what for.

    `expected` is what it should print, where one answer is right: the beginning of it, printed as time ran out, makes a
    time limit suspect.
    """

    program: Program
    stdin: bytes
    limits: Limits
    problem: str
    stage: Stage
    subject: str
    case: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    expected: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program run: an execution or, if every try failed, None and why."""

    execution: Execution | None
    note: str = ""


class Runner:
    """Makes program runs on the endpoints of a pool.

    Args:
        pool: leases the endpoints, and says how retries are limited; `stop` closes it.
        executors: one for each endpoint URL.
        attempts: tries before a program run is given up.
        quiet_label: endpoints with this label are preferred for a second look at a suspect time limit.
        on_span: called, by the thread that ran the program, once its lease has ended.
        outage_s: while nothing in the run succeeds, program runs are tried beyond their attempts for so many seconds.
        on_look: told of each second look at a time limit: why it was taken, and what it said.
        clock: seconds, for spans and outages.
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
        on_look: Callable[[ProgramRun, Suspicion, Look], None] = lambda wanted, why, said: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._executors = executors
        self._attempts = attempts
        self._quiet_label = quiet_label
        self._on_span = on_span
        self._on_look = on_look
        self._clock = clock
        self._outage = SharedOutage(outage_s)
        self._stopping = threading.Event()

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs."""
        return frozenset().union(*(executor.languages for executor in self._executors.values()))

    def stop(self) -> None:
        """Start no more programs. Those that run end by themselves; whoever waits gets `Stopped`."""
        self._stopping.set()
        self._pool.close()

    @property
    def stopping(self) -> bool:
        """True once `stop` was called."""
        return self._stopping.is_set()

    def run(self, wanted: ProgramRun) -> Ran:
        """Run `wanted`, elsewhere if an endpoint fails.

        A time limit that an overloaded endpoint may have caused does not count until a second run finds it too: on a
        quiet endpoint if there is one, else on another one, else on the same. `suspicion` says which.

        Raises:
            Stopped: `stop` was called.
        """
        ran, at = self._once(wanted)
        first = ran.execution
        why = suspicion_of(first, wanted.limits, wanted.expected) if first is not None else None
        if first is None or why is None:
            return ran
        longer = replace(wanted, limits=second_limits(why, first, wanted.limits, wanted.expected))
        again, _ = self._once(longer, prefers=frozenset({self._quiet_label}), shuns=frozenset({at}))
        execution, said = settled(first, again.execution, wanted.limits)
        self._on_look(wanted, why, said)
        return Ran(execution, again.note)

    def _once(
        self, wanted: ProgramRun, *, prefers: frozenset[str] = _NOTHING, shuns: frozenset[str] = _NOTHING
    ) -> tuple[Ran, str]:
        """Run it, over all its tries; return also where the last one was.

        Args:
            wanted: what to run.
            prefers: labels that an endpoint should have, if there is one.
            shuns: endpoints to avoid, while others will do.
        """
        unable = frozenset(
            name for name, executor in self._executors.items() if wanted.program.language not in executor.languages
        )
        course = self._course(len(self._executors) - len(unable), prefers, shuns)
        make = partial(self._make, wanted)
        asked = Asked(exclude=unable)
        drive = Drive(self._pool, course, self._pool.budget, make, asked, sleep=self.pause, clock=self._clock)
        try:
            return Ran(drive.run()), drive.at
        except BalancerError as error:
            if self.stopping or isinstance(error, PoolClosed):
                raise Stopped from None
            of_most = f" of {course.terms.attempts}" if course.tries <= course.terms.attempts else ""
            why = "; ".join([str(error), *getattr(error, "__notes__", ())])
            return Ran(None, f"after {course.tries}{of_most} tries: {why}"), drive.at

    def _course(self, able: int, prefers: frozenset[str], shuns: frozenset[str]) -> Course:
        terms = Terms(
            # Each endpoint that can run it gets one try at least: dead ones must not use up what a sound one is owed.
            attempts=max(self._attempts, able),
            owed=able,
            persists=True,
            retries=self._pool.retries,
            wait_s=self._pool.acquire_timeout_s,
            prefers=prefers,
            shuns=shuns,
        )
        return Course(terms, budget=self._pool.budget, rng=self._pool.jitter, outage=self._outage)

    def _make(self, wanted: ProgramRun, run: Run, hand: list[Lease]) -> Execution:
        """Make one try with the lease in `hand`, and report its span once that has ended."""
        lease = hand[0]
        started_s = ended_s = self._clock()
        error: EndpointError | None = None
        try:
            with lease:
                try:
                    return self._execute(lease, wanted)
                finally:
                    ended_s = self._clock()  # before the slot is handed on: no slot is ever busy twice
        except EndpointError as failure:
            error = failure
            raise
        finally:
            self._on_span(_span(wanted, lease, started_s, ended_s, outcome_of(error)))

    def _execute(self, lease: Lease, wanted: ProgramRun) -> Execution:
        name = lease.endpoint.name
        try:
            return self._executors[name].run(wanted.program, wanted.stdin, wanted.limits, wanted.files)
        except EndpointError:
            raise
        except Exception as error:  # an executor is a plugin: however it fails, the program is not to blame
            raise EndpointError(f"{type(error).__name__}: {error}", endpoint=name) from error

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped once `stop` was called."""
        self._sleep(seconds)
        if self.stopping:
            raise Stopped


def _span(wanted: ProgramRun, lease: Lease, started_s: float, ended_s: float, outcome: Outcome) -> Span:
    return Span(
        endpoint=lease.endpoint.name,
        problem=wanted.problem,
        stage=wanted.stage,
        subject=wanted.subject,
        case=wanted.case,
        started_s=started_s,
        ended_s=ended_s,
        outcome=outcome.value,
    )
