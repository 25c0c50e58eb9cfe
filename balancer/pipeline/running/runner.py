"""Run one program on some endpoint of the pool: one lease per program run.

Decides where a run that failed is tried again, how often, and when it is given up as unjudged. A shell:
it knows the clock and the pool. It must not know what a program's output means.

It is not `Pool.call`: a retry that the budget refuses is late here, not lost, and each endpoint is owed a try.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from balancer.core.budget import LONGEST_ASKED_S, pause_s
from balancer.endpoint import Lease, Outcome, outcome_of
from balancer.errors import (
    AcquireTimeout,
    EndpointError,
    EndpointOverloaded,
    NoEndpoint,
    PoolClosed,
    TooManyWaiters,
)
from balancer.pipeline.results.records import Span, Stage
from balancer.pipeline.running.outage import Outage
from balancer.program import Execution, Executor, Limits, Program, Status
from balancer.settings.rules import RetrySettings
from balancer.shells.threads import Pool

__all__ = ["Ran", "Runner", "Stopped", "Task"]

_TRANSIENT = (EndpointError, AcquireTimeout, TooManyWaiters)


class Stopped(Exception):
    """The run was asked to stop; what was under way is done again by the next session."""


@dataclass(frozen=True, slots=True)
class Task:
    """One program run: what to run (see `Executor.run`) and, to be recorded, what for."""

    program: Program
    stdin: bytes
    limits: Limits
    problem: str
    stage: Stage
    subject: str
    case: int
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a task: an execution or, if every try failed, None and why."""

    execution: Execution | None
    note: str = ""


class Runner:
    """Runs tasks on the endpoints of a pool.

    Args:
        pool: leases the endpoints, and says how retries are limited; `stop` closes it.
        executors: one for each endpoint URL.
        attempts: tries before a task is given up.
        quiet_label: endpoints with this label are preferred for a second look at a suspect time limit.
        on_span: called, by the thread that ran the program, once its lease has ended.
        outage_s: while nothing in the run succeeds, tasks are tried beyond their attempts for so many seconds.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._budget = pool.budget
        self._executors = executors
        self._attempts = attempts
        self._quiet_label = quiet_label
        self._on_span = on_span
        self._clock = clock
        self._outage = Outage(outage_s)
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

    def run(self, task: Task) -> Ran:
        """Run `task`, elsewhere if an endpoint fails.

        A time limit that an overloaded endpoint may have caused does not count until a second run ends
        the same way: on a quiet endpoint if there is one, else on another one, else on the same.

        Raises:
            Stopped: `stop` was called.
        """
        tries = self._tries(task)
        ran = self._run(task, tries)
        if ran.execution is None or not _is_suspect(ran.execution, task.limits):
            return ran
        second = self._tries(task, labels=frozenset({self._quiet_label}), avoid={tries.last})
        return self._run(task, second)

    def _tries(self, task: Task, labels: frozenset[str] = frozenset(), avoid: Iterable[str] = ()) -> "_Tries":
        unable = {name for name, executor in self._executors.items() if task.program.language not in executor.languages}
        able = frozenset(self._executors) - unable
        return _Tries(able, frozenset(unable), labels, set(avoid), self._pool.retries)

    def _run(self, task: Task, tries: "_Tries") -> Ran:
        # Each endpoint that can run it gets one try at least: dead ones must not use up what a sound one is owed.
        most = max(self._attempts, tries.able)
        retrying = Retrying(
            retry=retry_if_exception_type(_TRANSIENT),
            stop=lambda _: tries.count >= most and not self._outage.excuses(tries.successes, tries.tried_s),
            wait=tries.wait_s,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return Ran(retrying(self._try, task, tries))
        except (*_TRANSIENT, NoEndpoint) as error:
            of_most = f" of {most}" if tries.count <= most else ""
            return Ran(None, f"after {tries.count}{of_most} tries: {error}")
        except PoolClosed:
            raise Stopped from None

    def _try(self, task: Task, tries: "_Tries") -> Execution:
        tries.tried_s = self._clock()
        try:
            execution = self._try_once(task, tries)
        except _TRANSIENT:
            tries.failed_after(self._outage.failed(self._clock()))
            raise
        self._outage.succeeded()
        return execution

    def _try_once(self, task: Task, tries: "_Tries") -> Execution:
        if self.stopping:
            raise Stopped
        tries.count += 1
        if tries.last:  # it has cost an endpoint something already
            self._await_budget()
        lease = self._acquire(tries)
        if not tries.last:
            self._budget.attempted()
        tries.last = lease.endpoint.name
        started_s = ended_s = self._clock()
        error: EndpointError | None = None
        try:
            with lease:
                try:
                    return self._execute(lease, task)
                finally:
                    ended_s = self._clock()  # before the slot is handed on: no slot is ever busy twice
        except EndpointError as failure:
            error = failure
            tries.failed(lease.endpoint.name)
            raise
        finally:
            self._on_span(_span(task, lease, started_s, ended_s, outcome_of(error)))

    def _await_budget(self) -> None:
        """Wait until the budget has a retry. One that will never have any by itself costs a window of waiting."""
        while not self._budget.try_spend():
            wait_s = self._budget.wait_s()
            self._sleep(self._pool.retries.budget_window_s if wait_s == math.inf else wait_s)
            if self.stopping:
                raise Stopped
            if wait_s == math.inf:
                return

    def _acquire(self, tries: "_Tries") -> Lease:
        # To wait for an endpoint that rests is worse than to go back to one that failed once.
        resting = self._pool.out_of_service() if tries.avoids else frozenset[str]()
        *wishes, last_wish = tries.wishes(resting)
        for labels, exclude in wishes:
            try:
                return self._pool.acquire(labels=labels, exclude=exclude)
            except NoEndpoint:
                continue
        labels, exclude = last_wish
        return self._pool.acquire(labels=labels, exclude=exclude)

    def _execute(self, lease: Lease, task: Task) -> Execution:
        name = lease.endpoint.name
        try:
            return self._executors[name].run(task.program, task.stdin, task.limits, task.files)
        except EndpointError:
            raise
        except Exception as error:  # an executor is a plugin: however it fails, the program is not to blame
            raise EndpointError(f"{type(error).__name__}: {error}", endpoint=name) from error

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)


class _Tries:
    """Where one task has been, and where it may go next."""

    def __init__(
        self,
        able: frozenset[str],
        unable: frozenset[str],
        labels: frozenset[str],
        avoid: set[str],
        settings: RetrySettings,
    ) -> None:
        self._settings = settings
        self._random: random.Random | None = None
        self._able = able
        self._unable = unable
        self._labels = labels
        self._avoid = avoid
        self.last = ""
        self.count = 0
        self.tried_s = 0.0  # when the latest try began
        self.successes = 0  # of the whole run, when the try before the latest failed; of a first one: when it did
        self._latest_successes: int | None = None

    @property
    def able(self) -> int:
        """How many endpoints can run it."""
        return len(self._able)

    @property
    def avoids(self) -> bool:
        """Whether some endpoint is to be avoided."""
        return bool(self._avoid)

    def failed(self, name: str) -> None:
        """Avoid the endpoint `name`; once all have failed, only the one that failed last."""
        self._avoid.add(name)
        if self._avoid >= self._able:
            self._avoid = {name}

    def failed_after(self, successes: int) -> None:
        """Note that a try has failed when so many calls of the run had succeeded."""
        self.successes = successes if self._latest_successes is None else self._latest_successes
        self._latest_successes = successes

    def wishes(self, resting: frozenset[str]) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Return (labels, exclude) of the requests to make, best first; the last will do if nothing else does.

        Args:
            resting: endpoints that are not worth waiting for.
        """
        nowhere = self._unable | resting
        anyone = frozenset[str]()
        wishes = [(anyone, nowhere | self._avoid), (anyone, nowhere | {self.last}), (anyone, self._unable)]
        return [(self._labels, nowhere | self._avoid), *wishes] if self._labels else wishes

    def wait_s(self, state: RetryCallState) -> float:
        """Return how long to wait before the next try: not at all while there is an endpoint left to try."""
        error = state.outcome.exception() if state.outcome else None
        if len(self._able) > self.count:
            return 0.0
        asked_s = error.retry_after_s if isinstance(error, EndpointOverloaded) else None
        self._random = self._random or random.Random()
        return max(min(asked_s or 0.0, LONGEST_ASKED_S), pause_s(self._settings, state.attempt_number, self._random))


def _is_suspect(execution: Execution, limits: Limits) -> bool:
    """Return whether the endpoint may have caused a time limit: it looks so, or wall time ran out with CPU to spare."""
    starved = execution.cpu_measured and execution.time_s < limits.cpu_s
    return execution.suspect or (execution.status is Status.TIME_LIMIT and starved)


def _span(task: Task, lease: Lease, started_s: float, ended_s: float, outcome: Outcome) -> Span:
    return Span(
        endpoint=lease.endpoint.name,
        problem=task.problem,
        stage=task.stage,
        subject=task.subject,
        case=task.case,
        started_s=started_s,
        ended_s=ended_s,
        outcome=outcome.value,
    )
