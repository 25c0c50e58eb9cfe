"""Attempts of a program run: lease request, execution, and outcome for the endpoint.

Decides the policy of a run. A retry that the budget refuses is made later, not dropped. Each endpoint gets at least one
try. `balancer.core.attempt_plan` decides where and when to try again. Threads and tasks share one `ProgramAttempts`.

`SharedOutage` puts a lock around `balancer.core.outage`, for all threads of a run.
"""

import math
import threading
from collections.abc import Callable, Mapping

from balancer.answers import NO_ENTRY
from balancer.core.attempt_plan import AttemptPlan, AttemptPlans
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
from balancer.opening.pool import Pool
from balancer.program import Execution, Executor
from balancer.sandbox.probes import runs
from balancer.shells.lease_request import LeaseRequest

__all__ = ["ProgramAttempts", "SharedOutage"]

_VERIFYING_TRIES = 2  # tries on other endpoints to verify a result
_VERIFYING_WAIT_S = 60.0
_SLOW_COMPILE_S = 5.0  # a longer compile is reported, because its slot looks idle meanwhile


class ProgramAttempts:
    """Tries of program runs on the endpoints of a pool. Thread-safe.

    Args:
        pool: leases the endpoints, and has the retry settings.
        executors: one for each endpoint, by name.
        options: of runs.
        hooks: are called about runs.

    Attributes:
        stopping: set when no more programs may start.
        ejected: returns the endpoints that were taken out of service because of wrong answers.
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
        self._outage = SharedOutage(options.outage_s, hopeless=self._all_refuse)
        self._refusing: set[str] = set()  # endpoints whose last answer was that the token is wrong
        # Endpoints where a program ended oddly, and well elsewhere. The first such end is known too late for the pool.
        # Later odd ends are reported to it as failures, until such a program ends well there.
        self._doubted: set[str] = set()

    def _all_refuse(self) -> bool:
        """Return whether waiting is in vain: every endpoint refuses the token of the config."""
        return bool(self._refusing) and self._refusing >= self.executors.keys()

    # -- the plans -----------------------------------------------------------------------------------

    def unable(self, language: str) -> frozenset[str]:
        """Return the endpoints that do not run `language`. May ask an endpoint for its languages."""
        return frozenset(name for name, executor in self.executors.items() if not runs(executor, language))

    def plans(
        self, pending: PendingRun, unable: frozenset[str], deadline_s: float = math.inf
    ) -> tuple[AttemptPlans, LeaseRequest]:
        """Return what makes the attempt plan of `pending`, and its lease request.

        Args:
            pending: the run.
            unable: endpoints that do not run its language.
            deadline_s: seconds from now, after which no try begins.
        """
        out = unable | self.ejected()
        brief = pending.only is not None
        if pending.only is not None:
            out |= self.executors.keys() - pending.only
        able = len(self.executors) - len(out & self.executors.keys())
        engine = self.pool.engine
        policy = CallPolicy(
            # At least one try for each endpoint that can run it: dead ones must not use up the tries of a good one.
            deadline_s=deadline_s,
            attempts=min(self._attempts, _VERIFYING_TRIES) if brief else max(self._attempts, able),
            owed=able,
            persists=not brief,
            retries=engine.retries,
            wait_s=min(engine.acquire_timeout_s, _VERIFYING_WAIT_S) if brief else engine.acquire_timeout_s,
            prefers=pending.prefers,
            shuns=pending.shuns,
        )
        outage = None if brief else self._outage
        plans = AttemptPlans(policy, budget=engine.budget, rng=engine.jitter, outage=outage)
        wanted, usual = pending.wanted, self._asked
        holder = wanted.holder or usual.holder or f"{wanted.problem}: {wanted.stage.value}"
        key = wanted.key or usual.key
        return plans, LeaseRequest(
            usual.labels, out, usual.priority, pending.slots, key, holder, usual.ttl_s, usual.tokens
        )

    def given_up(self, error: BalancerError, plan: AttemptPlan, at: str, language: str) -> ProgramResult:
        """Return the result of a run whose attempts ended with `error`, last at the endpoint `at`. Raises Stopped."""
        if self.stopping.is_set() or isinstance(error, PoolClosed):
            raise Stopped from None
        if isinstance(error, NoEndpoint) and self.executors and self.unable(language) >= self.executors.keys():
            names = (name for each in self.executors.values() for name in getattr(each, "languages", None) or ())
            known = ", ".join(sorted(set(names))) or "not known"
            why = f"no endpoint runs {language!r}; languages of the pool: {known}"
            return ProgramResult(None, why, at, unable=True)
        of_most = f" of {plan.terms.attempts}" if plan.tries <= plan.terms.attempts else ""
        why = "; ".join([str(error), *getattr(error, "__notes__", ())])
        return ProgramResult(None, f"after {plan.tries}{of_most} tries: {why}", at)

    # -- one try -------------------------------------------------------------------------------------

    def make(self, wanted: ProgramRun, lease: Lease) -> Execution:
        """Make one try with `lease`, and end the lease. Then report the span.

        Raises:
            EndpointError: the try says nothing about the program.
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
                        lease.outcome = Outcome.OVERLOAD  # health and limits learn of it
                    elif execution.doubtful:
                        lease.outcome = Outcome.IGNORED  # the program or the machine may have ended it
                    return execution
                finally:
                    ended_s = self.clock()  # before the slot is free again, so that its spans never overlap
        except EndpointError as failure:
            error = failure
            raise
        except LeaseError as late:  # while the program ran; others may have used the slot too
            error = CannotTell(str(late), endpoint=lease.endpoint.name)
            raise error from late
        finally:
            self.hooks.on_span(_span(wanted, lease, started_s, ended_s, lease.outcome or outcome_of(error)))

    def _execute(self, endpoint: Endpoint, wanted: ProgramRun) -> Execution:
        name = endpoint.name
        try:
            execution = self.executors[name].run(wanted.program, wanted.stdin, wanted.limits, wanted.files)
        except EndpointError as error:
            if getattr(error, "status", None) in NO_ENTRY:
                self._refusing.add(name)
            else:
                self._refusing.discard(name)
            raise
        except ValueError as error:  # this endpoint cannot run it; another may
            raise CannotTell(f"{type(error).__name__}: {error}", endpoint=name) from error
        except Exception as error:  # an executor is a plugin: its failure never counts against the program
            raise EndpointError(f"{type(error).__name__}: {error}", endpoint=name) from error
        self._refusing.discard(name)
        if name in self.ejected():  # ejected while the program ran
            raise EndpointError("it was taken out of service because it gave wrong results", endpoint=name)
        if execution.compile_s >= _SLOW_COMPILE_S or execution.standard:
            self.hooks.on_compile(wanted.program, execution, name)
        self._hold_against(name, wanted, execution)
        return execution

    def doubt(self, name: str) -> None:
        """Doubt the endpoint `name`: from now on an odd end there counts as its failure."""
        self._doubted.add(name)

    def _hold_against(self, name: str, wanted: ProgramRun, execution: Execution) -> None:
        """Raise EndpointError if the end of `execution` is odd and the endpoint `name` is doubted."""
        if wanted.odd is None:
            return
        if not wanted.odd(execution):
            self._doubted.discard(name)
        elif name in self._doubted:
            how = execution.status.value.replace("_", " ")
            raise EndpointError(
                f"{wanted.program.name}: {how}; another endpoint ran it before without that", endpoint=name
            )


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


class SharedOutage(PoolOutage):
    """A `PoolOutage` that threads share.

    Args:
        patience_s: see `PoolOutage`.
        hopeless: returns whether no end of an outage can be expected, so that nothing is excused.
    """

    def __init__(self, patience_s: float, *, hopeless: Callable[[], bool] = lambda: False) -> None:
        super().__init__(patience_s)
        self._hopeless = hopeless
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        with self._lock:
            super().succeeded()

    def failed(self, now: float) -> int:
        """Count a call that failed at `now`. Return the number of calls that succeeded so far."""
        with self._lock:
            return super().failed(now)

    def excuses(self, successes: int, tried_s: float) -> bool:
        """Return whether to keep waiting, because an outage may explain the failure."""
        with self._lock:
            return not self._hopeless() and super().excuses(successes, tried_s)
