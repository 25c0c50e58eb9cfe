"""The driver of a call: carries out an attempt plan, in a thread or in a task.

It reads the clock, sleeps, and waits in the engine. `CallDriver` does not wait; it serves threads and tasks
(`balancer.shells.tasks.driver`).
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask, Over, Pause, Run, Why
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome, hint_of, may_go_elsewhere
from balancer.errors import BalancerError, LeaseError, NoEndpoint, PoolClosed
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.shared_budget import SharedBudget
from balancer.strategy import Request
from balancer.values.redaction import plain_name

__all__ = ["CallDriver", "DeadlinePassed", "Step", "ThreadDriver", "tell_where"]

T = TypeVar("T")

Step = Ask | Run | Pause | Over

_NONE = frozenset[str]()


class DeadlinePassed(TimeoutError):
    """An attempt was ended because the deadline of its call had passed."""

    def __init__(self, at: str, deadline_s: float) -> None:
        super().__init__(f"{at} did not answer before the deadline of {deadline_s:g} s; the call was stopped")


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
        plan: a new plan.
        asked: the arguments of the call.
        budget: the budget of the plan; None: the engine's.
        clock: returns seconds; None: the engine's.
        tells: whether the error in the end has a note on how often the call was tried, and where last.

    Attributes:
        at: the endpoint of the last try; "" before the first.
        hand: the granted lease, until its end is handled. After an interrupt it is still here.
    """

    def __init__(
        self,
        engine: Engine,
        plan: AttemptPlan,
        asked: LeaseRequest,
        *,
        budget: SharedBudget | None = None,
        clock: Callable[[], float] | None = None,
        tells: bool = True,
    ) -> None:
        self._engine = engine
        self._tells = tells
        self._plan = plan
        self._asked = asked
        self._budget = budget or engine.budget
        self._clock = clock or engine.clock
        self._error: Exception | None = None  # of the last try
        self._overrun: DeadlinePassed | None = None  # the error that ended an attempt at the deadline
        self._attempts = 0  # tries that got a lease
        self.hand: list[Lease] = []
        self.at = ""

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
        self.hand.append(self._engine.acquire(asked.of_core(self._engine.usual), 0.0, asked.priority))
        return self.hand[0].endpoint.name

    # -- the steps ---------------------------------------------------------------------------------

    def first(self) -> Ask:
        """Begin the call. Return the first step."""
        out = self._engine.out_of_service() if self._plan.terms.shuns else _NONE
        return self._plan.begin(self._clock(), out)

    def goes_on_after(self, error: Exception, step: Step) -> bool:
        """Return whether the call goes on after `step` raised `error`. If not, the caller gets the error."""
        if isinstance(step, Ask):
            return isinstance(error, BalancerError)
        return isinstance(step, Run) and may_go_elsewhere(error)

    def after(self, step: Step, error: Exception | None = None) -> Step:
        """Return the next step after `step` was carried out or raised `error`. Not for a successful run."""
        if isinstance(step, Pause):
            return self._plan.resume(self._clock(), self._engine.out_of_service())
        if isinstance(step, Ask):
            return self._leased() if error is None else self._without(error)
        assert error is not None, "what succeeds is the last"
        self._error = error
        if error is self._overrun:  # its text says why
            return Over(self._plan.cut(self._clock()).why)
        hint = hint_of(error)
        asked_s = hint.retry_after_s if hint is not None else None
        return self._plan.failed(self._clock(), asked_s or 0.0)

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
        return DeadlinePassed(self.at, self._plan.terms.deadline_s)

    def overrun(self) -> DeadlinePassed:
        """Return the error to raise after the attempt was ended because its deadline has passed. It ends the call."""
        self._overrun = self.late()
        return self._overrun

    # -- inside ------------------------------------------------------------------------------------

    def _asking(self, ask: Ask) -> tuple[Request, float, int, Callable[[float], RetryPolls] | None]:
        """Return the arguments of `Engine.acquire`. A first try waits like any acquire; a retry also polls."""
        asked, usual = self._asked, self._engine.usual
        request = asked.as_asked(usual, ask)
        polls: Callable[[float], RetryPolls] | None = None
        if self.at or ask.avoid or ask.labels:
            wanted = partial(asked.as_asked, usual)

            def polls(now: float) -> RetryPolls:
                return RetryPolls(self._plan, wanted, now, ask)

        return request, ask.within_s, asked.priority, polls

    def _leased(self) -> Run:
        self.hand[0].entered = True  # its holder will not release it by its id
        self._attempts += 1
        failed_at, self.at = self.at, self.hand[0].endpoint.name
        if failed_at:
            self._engine.retried(failed_at)
        else:
            self._budget.attempted()
        return self._plan.granted(self.at, self._clock())

    def _without(self, error: Exception) -> Ask | Pause | Over:
        """Go on without a lease. If the call ends here, the error of an earlier attempt is better than the pool's."""
        decision: Ask | Pause | Over
        if isinstance(error, NoEndpoint):
            decision = self._plan.no_endpoint(self._clock(), self._engine.out_of_service())
        elif isinstance(error, PoolClosed):
            decision = Over(Why.NO_LEASE)
        else:
            decision = self._plan.no_lease(self._clock())
        if isinstance(decision, Over) and decision.why in (Why.NO_LEASE, Why.REST):
            if self._error is None:
                raise error
            return Over(decision.why, decision.note or str(error))
        if not isinstance(error, NoEndpoint):
            self._error = error
        return decision


class ThreadDriver(CallDriver, Generic[T]):
    """One call with its plan, in one thread.

    Args:
        engine, plan, asked, budget, clock, tells: as for `CallDriver`.
        make: makes one attempt with the lease in the given list, and ends that lease.
        sleep: pauses; an exception of it ends the call.
    """

    def __init__(
        self,
        engine: Engine,
        plan: AttemptPlan,
        asked: LeaseRequest,
        make: Callable[[Run, list[Lease]], T],
        *,
        sleep: Callable[[float], object],
        budget: SharedBudget | None = None,
        clock: Callable[[], float] | None = None,
        tells: bool = True,
    ) -> None:
        super().__init__(engine, plan, asked, budget=budget, clock=clock, tells=tells)
        self._make = make
        self._sleep = sleep

    def run(self) -> T:
        """Carry out the plan until it is over.

        Raises:
            BalancerError: the pool's error, if there was no lease for the first try.
            Exception: the last error of an attempt, with a note if there is more to say.
        """
        step: Step = self.first()
        try:
            while not isinstance(step, Over):
                error: Exception | None = None
                try:
                    if isinstance(step, Run):
                        done = self._attempt(step)
                        self._plan.succeeded()
                        return done
                    if isinstance(step, Ask):
                        self._lease(step)
                    else:
                        self._sleep(step.for_s)
                except Exception as raised:
                    if not self.goes_on_after(raised, step):
                        raise
                    error = raised
                step = self.after(step, error)
        finally:
            self.drop()
        raise self.given_up(step)

    def _lease(self, ask: Ask) -> None:
        # Between the end of this call and the append only a C method is called: an interrupt comes at calls of Python
        # code.
        self.hand.append(self._engine.acquire(*self._asking(ask)))

    def _attempt(self, run: Run) -> T:
        try:
            return self._make(run, self.hand)
        finally:
            self.drop()
