"""The driver of a call: carries out an attempt plan, in a thread or in a task.

It reads the clock, sleeps, and waits in the engine. `CallDriver` does not wait; it serves threads and tasks
(`balancer.shells.tasks.driver`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlan, AttemptPlans
from balancer.core.decisions import Ask, Hedge, Over, Pause, Run, Why
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome, hint_of, may_go_elsewhere
from balancer.errors import BalancerError, LeaseError, NoEndpoint, PoolClosed
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.shared_budget import SharedBudget
from balancer.strategy import Request
from balancer.values.redaction import plain_name

__all__ = ["AbstractThreadDriver", "CallDriver", "DeadlinePassed", "Step", "ThreadDriver", "tell_where"]

T = TypeVar("T")

Step = Ask | Run | Pause | Over

_NONE = frozenset[str]()
_WORTH = 0.1  # the part of a deadline that is worth a word


class DeadlinePassed(TimeoutError):
    """An attempt was ended because the deadline of its call had passed.

    `before_s`: how much of that time had passed before this attempt began: in waits for a slot, and earlier attempts.
    """

    def __init__(self, at: str, deadline_s: float, before_s: float = 0.0) -> None:
        spent = f", of which {before_s:.3g} s had passed before it was asked" if before_s > _WORTH * deadline_s else ""
        super().__init__(f"{at} did not answer before the deadline of {deadline_s:g} s{spent}; the call was stopped")


def tell_where(error: BaseException, tries: int, name: str) -> None:
    """Add a note to the error that a call ends with: how many attempts were made, and where the last one."""
    attempts = "the only attempt was" if tries == 1 else f"the last of {tries} attempts was"
    _add_note(error, f"{attempts} at {plain_name(name)}")


def _add_note(error: BaseException, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):  # one error object may be raised again and again
        error.add_note(note)


class CallDriver:
    """One call with its plan, without the waiting.

    Args:
        engine: leases the endpoints, and counts retries.
        plans: makes the plan.
        asked: the arguments of the call.
        budget: the budget of the plan; None: the engine's.
        clock: returns seconds; None: the engine's.
        tells: whether the error in the end has a note on how often the call was tried, and where last.

    Attributes:
        at: the endpoint of the last try; "" before the first.
        hand: the granted lease, until its end is handled. After an interrupt it is still here.
    """

    _error: Exception | None = None  # of the last try
    _overrun: DeadlinePassed | None = None  # the error that ended an attempt at the deadline

    def __init__(
        self,
        engine: Engine,
        plans: AttemptPlans,
        asked: LeaseRequest,
        budget: SharedBudget | None = None,
        clock: Callable[[], float] | None = None,
        tells: bool = True,
    ) -> None:
        self._engine = engine
        self._plans = plans
        self._asked = asked
        self._budget = budget or engine.budget
        self._clock = clock or engine.clock
        self._tells = tells
        self._plan: AttemptPlan | None = None  # made when it is needed
        self._began_s = self._leased_s = 0.0
        self._attempts = 0  # tries that got a lease
        self.hand: list[Lease] = []
        self.at = ""

    @property
    def plan(self) -> AttemptPlan:
        """The plan. It is made now if it was not needed so far, and told what has happened."""
        if self._plan is None:
            self._plan = plan = self._plans.new()
            plan.begin(self._began_s)
            if self.at:
                plan.granted(self.at, self._began_s)
        return self._plan

    def drop(self) -> None:
        """Release a lease that is still in `hand`."""
        for lease in self.hand:
            if not lease.ended:
                with suppress(LeaseError):  # its `ttl_s` has just passed
                    lease.release(Outcome.IGNORED)
        self.hand.clear()

    def take_at_once(self, avoid: frozenset[str]) -> str:
        """Take a lease of an endpoint that is not in `avoid`, without waiting, and put it into `hand`. Return its name.

        Raises as `Pool.acquire` does.
        """
        asked = self._asked.avoiding(avoid)
        self.hand.append(self._engine.acquire(asked.of_core(self._engine.usual), 0.0, asked.priority, None))
        return self.hand[0].endpoint.name

    # -- a second run of a slow attempt ------------------------------------------------------------

    def another(self) -> bool:
        """Lease another endpoint for a second run. Return False if the plan wants none or no slot is free."""
        decision = self.plan.slow(self._clock())
        if not isinstance(decision, Hedge):
            return False
        try:
            name = self.take_at_once(decision.avoid)
        except BalancerError:
            return False
        if not self.plan.hedged(name, self._clock()):
            self.drop()
            return False
        self._engine.hedged(name)
        return True

    def failed_late(self, lease: Lease) -> None:
        """Report a loser that failed after its lease ended, because of its endpoint."""
        self._engine.pinged(lease.endpoint.name, False)

    # -- the steps ---------------------------------------------------------------------------------

    def first(self) -> Step:
        """Begin the call. Return the first step."""
        self._began_s = now = self._clock()
        if (opening := self._plans.opening) is not None:
            return opening[0]
        self._plan = plan = self._plans.new()
        return plan.begin(now, self._engine.out_of_service() if plan.terms.shuns else _NONE)

    def goes_on_after(self, error: Exception, step: Step) -> bool:
        """Return whether the call goes on after `step` raised `error`. If not, the caller gets the error."""
        if isinstance(step, Ask):
            return isinstance(error, BalancerError)
        return isinstance(step, Run) and may_go_elsewhere(error)

    def after(self, step: Step, error: Exception | None = None) -> Step:
        """Return the next step after `step` was carried out or raised `error`. Not for a successful run."""
        if isinstance(step, Ask):
            return self._leased() if error is None else self._without(error)
        if isinstance(step, Pause):
            return self.plan.resume(self._clock(), self._engine.out_of_service())
        assert error is not None, "what succeeds is the last"
        self.drop()
        self._error = error
        if error is self._overrun:  # its text says why
            return Over(self.plan.cut(self._clock()).why)
        hint = hint_of(error)
        asked_s = hint.retry_after_s if hint is not None else None
        return self.plan.failed(self._clock(), asked_s or 0.0)

    def given_up(self, over: Over) -> Exception:
        """Return the error that the call ends with: the last one. Notes say where and how often it was tried."""
        assert self._error is not None, "before anything has failed, the pool's own error was raised"
        if over.note:
            _add_note(self._error, f"it was not tried again: {over.note}")
        if self._tells and self.at:
            tell_where(self._error, self._attempts, self.at)
        return self._error

    def late(self) -> DeadlinePassed:
        """Return the error of an attempt that still runs at the deadline."""
        return DeadlinePassed(self.at, self._plans.policy.deadline_s, self._leased_s - self._began_s)

    def overrun(self) -> DeadlinePassed:
        """Return the error to raise after the attempt was ended because its deadline has passed. It ends the call."""
        self._overrun = self.late()
        return self._overrun

    # -- inside ------------------------------------------------------------------------------------

    def _asking(self, ask: Ask) -> tuple[Request, float, int, Callable[[float], RetryPolls] | None]:
        """Return the arguments of `Engine.acquire`. A first try waits like any acquire; a retry also polls."""
        asked, usual = self._asked, self._engine.usual
        if not (self.at or ask.avoid or ask.labels):
            return asked.of_core(usual), ask.within_s, asked.priority, None
        return asked.as_asked(usual, ask), ask.within_s, asked.priority, partial(self._polls, ask)

    def _polls(self, ask: Ask, now: float) -> RetryPolls:
        return RetryPolls(self.plan, partial(self._asked.as_asked, self._engine.usual), now, ask)

    def _leased(self) -> Run:
        lease = self.hand[0]
        lease.entered = True  # its holder will not release it by its id
        self._attempts += 1
        failed_at, self.at = self.at, lease.endpoint.name
        if failed_at:
            self._engine.retried(failed_at)
        else:
            self._budget.attempted()
        if self._plan is None and (opening := self._plans.opening) is not None:
            return opening[1]
        self._leased_s = now = self._clock()
        return self.plan.granted(self.at, now)

    def _without(self, error: Exception) -> Ask | Pause | Over:
        """Go on without a lease. If the call ends here, the error of an earlier attempt is better than the pool's."""
        decision: Ask | Pause | Over
        if isinstance(error, NoEndpoint):
            decision = self.plan.no_endpoint(self._clock(), self._engine.out_of_service())
        elif isinstance(error, PoolClosed):
            decision = Over(Why.NO_LEASE)
        else:
            decision = self.plan.no_lease(self._clock())
        if isinstance(decision, Over) and decision.why in (Why.NO_LEASE, Why.REST):
            if self._error is None:
                raise error
            return Over(decision.why, decision.note or str(error))
        if not isinstance(error, NoEndpoint):
            self._error = error
        return decision


class AbstractThreadDriver(CallDriver, ABC, Generic[T]):
    """One call with its plan, in one thread. A subclass makes the attempts and pauses. Args: as for `CallDriver`."""

    @abstractmethod
    def attempt(self, run: Run) -> T:
        """Make one attempt with the lease in `hand`, and end that lease."""

    @abstractmethod
    def pause(self, pause_s: float) -> None:
        """Wait so many seconds. An exception ends the call."""

    def run(self) -> T:
        """Carry out the plan until it is over.

        Raises:
            BalancerError: the pool's error, if there was no lease for the first try.
            Exception: the last error of an attempt, with a note if there is more to say.
        """
        step: Step = self.first()
        try:
            while True:
                error: Exception | None = None
                try:
                    if isinstance(step, Ask):
                        self._lease(step)
                    elif isinstance(step, Run):
                        done = self.attempt(step)
                        if self._plan is not None:
                            self._plan.succeeded()
                        return done
                    elif isinstance(step, Pause):
                        self.pause(step.for_s)
                    else:
                        break
                except Exception as raised:
                    if not self.goes_on_after(raised, step):
                        raise
                    error = raised
                step = self.after(step, error)
        finally:
            if self.hand:
                self.drop()
        raise self.given_up(step)

    def _lease(self, ask: Ask) -> None:
        # Between the end of this call and the append only a C method is called: an interrupt comes at calls of Python
        # code.
        self.hand.append(self._engine.acquire(*self._asking(ask)))


class ThreadDriver(AbstractThreadDriver[T]):
    """One call with its plan, in one thread, by two functions.

    Args:
        engine, plans, asked, budget, clock, tells: as for `CallDriver`.
        make: makes one attempt with the lease in the given list, and ends that lease.
        sleep: pauses; an exception of it ends the call.
    """

    def __init__(
        self,
        engine: Engine,
        plans: AttemptPlans,
        asked: LeaseRequest,
        make: Callable[[Run, list[Lease]], T],
        *,
        sleep: Callable[[float], object],
        budget: SharedBudget | None = None,
        clock: Callable[[], float] | None = None,
        tells: bool = True,
    ) -> None:
        super().__init__(engine, plans, asked, budget=budget, clock=clock, tells=tells)
        self._make = make
        self._sleep = sleep

    def attempt(self, run: Run) -> T:
        """Make one attempt."""
        return self._make(run, self.hand)

    def pause(self, pause_s: float) -> None:
        """Wait so many seconds."""
        self._sleep(pause_s)
