"""Attempts of a program run: what each asks of the pool, how it is made, and what its end says of the endpoint.

Decides the policy of a run: a retry that the budget refuses is late here, not lost, and each endpoint is owed a try.
Where and when it is tried again is the attempt plan's business (`balancer.core.attempt_plan`). Threads and tasks share
one object of this kind; it waits for nothing but the executor.

An outage that all threads of a run share: a lock around `balancer.core.outage`, which decides what an outage is.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import CallPolicy
from balancer.core.outage import PoolOutage
from balancer.endpoint import Endpoint, Lease, Outcome, outcome_of
from balancer.errors import BalancerError, CannotTell, EndpointError, LeaseError, NoEndpoint, PoolClosed
from balancer.judging.pending import (
    NOTHING,
    PendingRun,
    ProgramResult,
    ProgramRun,
    RunnerHooks,
    RunnerOptions,
    Span,
    Stopped,
)
from balancer.judging.suspicion import shows_overload
from balancer.pool.pool import Pool
from balancer.program import Execution, Executor
from balancer.sandbox.probes import runs
from balancer.shells.lease_request import LeaseRequest

__all__ = ["ProgramAttempts", "SharedOutage"]

_VERIFYING_TRIES = 2  # tries on other endpoints, to verify what one said
_VERIFYING_WAIT_S = 60.0
_SLOW_COMPILE_S = 5.0  # a compiler that takes longer is told of: its slot looks idle meanwhile


class ProgramAttempts:
    """The tries of program runs on the endpoints of a pool. Thread-safe.

    Args:
        pool: leases the endpoints, and says how retries are limited.
        executors: one for each endpoint, by name.
        options: how runs are made.
        hooks: who hears of them.

    Attributes:
        stopping: set once no more programs are to be started.
        ejected: returns the endpoints that were taken out of service, for they lied.
    """

    def __init__(
        self, pool: Pool, executors: Mapping[str, Executor], options: RunnerOptions, hooks: RunnerHooks
    ) -> None:
        self.pool = pool
        self.executors = executors
        self.clock = options.clock
        self.hooks = hooks
        self.stopping = threading.Event()
        self.ejected: Callable[[], frozenset[str]] = lambda: NOTHING
        self._attempts = options.attempts
        self._asked = options.asked
        self._outage = SharedOutage(options.outage_s)
        # A program ended oddly there, and well elsewhere. The first such end is found out too late to be told to the
        # pool; those that follow are told, as failures, until such a program ends well there.
        self._doubted: set[str] = set()

    # -- the plan ------------------------------------------------------------------------------------

    def unable(self, language: str) -> frozenset[str]:
        """Return the endpoints that do not run `language`; to find out, one may have to be asked."""
        return frozenset(name for name, executor in self.executors.items() if not runs(executor, language))

    def plan(self, pending: PendingRun, unable: frozenset[str]) -> tuple[AttemptPlan, LeaseRequest]:
        """Return the attempt plan of `pending`, and what its leases are asked for.

        Args:
            pending: what is to be run.
            unable: the endpoints that do not run its language.
        """
        out = unable | self.ejected()
        brief = pending.only is not None
        if pending.only is not None:
            out |= self.executors.keys() - pending.only
        able = len(self.executors) - len(out & self.executors.keys())
        engine = self.pool.engine
        policy = CallPolicy(
            # Each endpoint that can run it gets one try at least: dead ones must not use up what a sound one is owed.
            attempts=min(self._attempts, _VERIFYING_TRIES) if brief else max(self._attempts, able),
            owed=able,
            persists=not brief,
            retries=engine.retries,
            wait_s=min(engine.acquire_timeout_s, _VERIFYING_WAIT_S) if brief else engine.acquire_timeout_s,
            prefers=pending.prefers,
            shuns=pending.shuns,
        )
        outage = None if brief else self._outage
        plan = AttemptPlan(policy, budget=engine.budget, rng=engine.jitter, outage=outage)
        wanted = pending.wanted
        asked = replace(
            self._asked,
            exclude=out,
            slots=pending.slots,
            key=wanted.key or self._asked.key,
            holder=self._asked.holder or f"{wanted.problem}: {wanted.stage.value}",
        )
        return plan, asked

    def given_up(self, error: BalancerError, plan: AttemptPlan, at: str, language: str) -> ProgramResult:
        """Return what is known of a run whose attempts ended with `error`, at the endpoint `at`. Raises Stopped."""
        if self.stopping.is_set() or isinstance(error, PoolClosed):
            raise Stopped from None
        if isinstance(error, NoEndpoint) and self.executors and self.unable(language) >= self.executors.keys():
            names = (name for each in self.executors.values() for name in getattr(each, "languages", None) or ())
            known = ", ".join(sorted(set(names))) or "not known"
            return ProgramResult(None, f"no endpoint runs {language!r}; what is run here: {known}", at)
        of_most = f" of {plan.terms.attempts}" if plan.tries <= plan.terms.attempts else ""
        why = "; ".join([str(error), *getattr(error, "__notes__", ())])
        return ProgramResult(None, f"after {plan.tries}{of_most} tries: {why}", at)

    # -- one try -------------------------------------------------------------------------------------

    def make(self, wanted: ProgramRun, lease: Lease) -> Execution:
        """Make one try with `lease`, which ends with it, and report its span once that has ended.

        Raises:
            EndpointError: nothing is known about the program.
        """
        started_s = ended_s = self.clock()
        error: EndpointError | None = None
        try:
            with lease:
                try:
                    execution = self._execute(lease.endpoint, wanted)
                    if execution.server_s is not None:
                        lease.took(execution.server_s)
                    if shows_overload(execution, wanted.limits):
                        lease.outcome = Outcome.OVERLOAD  # which health and limits hear of
                    elif execution.doubtful:
                        lease.outcome = Outcome.IGNORED  # who killed it, the program or a machine, nobody knows
                    return execution
                finally:
                    ended_s = self.clock()  # before the slot is handed on: no slot is ever busy twice
        except EndpointError as failure:
            error = failure
            raise
        except LeaseError as late:  # while the program ran; others may have had the slot, too
            error = CannotTell(str(late), endpoint=lease.endpoint.name)
            raise error from late
        finally:
            self.hooks.on_span(_span(wanted, lease, started_s, ended_s, lease.outcome or outcome_of(error)))

    def _execute(self, endpoint: Endpoint, wanted: ProgramRun) -> Execution:
        name = endpoint.name
        try:
            execution = self.executors[name].run(wanted.program, wanted.stdin, wanted.limits, wanted.files)
        except EndpointError:
            raise
        except ValueError as error:  # it cannot be asked for this, and another may
            raise CannotTell(f"{type(error).__name__}: {error}", endpoint=name) from error
        except Exception as error:  # an executor is a plugin: however it fails, the program is not to blame
            raise EndpointError(f"{type(error).__name__}: {error}", endpoint=name) from error
        if name in self.ejected():  # meanwhile
            raise EndpointError("it was taken out of service, for it lied", endpoint=name)
        if execution.compile_s >= _SLOW_COMPILE_S:
            self.hooks.on_compile(wanted.program, execution.compile_s, name)
        self._hold_against(name, wanted, execution)
        return execution

    def doubt(self, name: str) -> None:
        """Doubt the endpoint `name`: what ends oddly there from now on counts as its failure."""
        self._doubted.add(name)

    def _hold_against(self, name: str, wanted: ProgramRun, execution: Execution) -> None:
        """Raise if the end of `execution` is odd, and the endpoint `name` is doubted."""
        if wanted.odd is None:
            return
        if not wanted.odd(execution):
            self._doubted.discard(name)
        elif name in self._doubted:
            how = execution.status.value.replace("_", " ")
            raise EndpointError(f"{wanted.program.name}: {how}; another endpoint ran it well before", endpoint=name)


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


class SharedOutage:
    """An outage that threads share. See `PoolOutage`."""

    def __init__(self, patience_s: float) -> None:
        self._outage = PoolOutage(patience_s)
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        with self._lock:
            self._outage.succeeded()

    def failed(self, now: float) -> int:
        """Count a call that failed at `now`, and return how many succeeded before it."""
        with self._lock:
            return self._outage.failed(now)

    def excuses(self, successes: int, tried_s: float) -> bool:
        """Return whether a failure may be due to an outage that is still waited for."""
        with self._lock:
            return self._outage.excuses(successes, tried_s)
