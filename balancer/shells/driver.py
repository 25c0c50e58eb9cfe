"""The driver of a call: carries out an attempt plan, in a thread or in a task.

What both do alike is a sans-IO generator. It yields an act: a call without arguments. It is sent the result, or the
exception is raised in it. A thread makes the call; a task awaits what the call returns.

`CallDriver` yields what to do, and reads the clock. `ThreadDriver` and `TaskDriver` do it.
"""

import math
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from time import sleep as pause
from typing import Any, Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlan, AttemptPlans
from balancer.core.decisions import Ask, Hedge, Over, Pause, Run, Why
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome, judged
from balancer.errors import BalancerError, LeaseError, NoEndpoint, PoolClosed
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest, Wanted
from balancer.shells.tasks.parking import TimeLimit, spot, time_limit
from balancer.values.redaction import plain_name

__all__ = [
    "Acts",
    "CallDriver",
    "DeadlinePassed",
    "Step",
    "TaskDriver",
    "ThreadDriver",
    "follow",
    "follow_in_task",
    "tell_where",
]

T = TypeVar("T")

Step = Ask | Run | Pause | Over
Acts = Generator[Callable[[], Any], Any, T]

_NONE = frozenset[str]()
_WORTH = 0.1  # the part of a deadline that is worth a word


def follow(acts: Acts[T]) -> T:
    """Run the acts of a generator in this thread, and return its result."""
    try:
        act = next(acts)
        while True:
            now = act  # with `try` first, an interrupt at the jump back would be outside the block
            try:
                came = now()
            except StopIteration:  # no generator can raise it
                raise
            except BaseException as error:
                act = acts.throw(error)
            else:
                act = acts.send(came)
    except StopIteration as end:
        if acts.gi_frame is not None:  # type: ignore[attr-defined]  # it has not ended: this is an act's own error
            raise
        found: T = end.value
        return found
    finally:
        acts.close()  # an interrupt may have come between two acts


async def follow_in_task(acts: Acts[T]) -> T:
    """Await the acts of a generator in this task, and return its result."""
    try:
        act = next(acts)
        while True:
            now = act  # as in `follow`
            try:
                came = await now()
            except BaseException as error:
                act = acts.throw(error)
            else:
                act = acts.send(came)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        acts.close()


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


class CallDriver(Generic[T]):
    """One call with its plan, without the waiting.

    Args:
        engine: leases the endpoints, and counts retries.
        plans: makes the plan.
        asked: the arguments of the call.
        make: makes one attempt with the lease in the given list, and ends that lease. A subclass may have an `attempt`
            of its own instead.
        clock: returns seconds; None: the engine's.
        tells: whether the error in the end has a note on how often the call was tried, and where last.

    Attributes:
        plan: the plan.
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
        make: Callable[[Run, list[Lease]], Any] | None = None,
        *,
        clock: Callable[[], float] | None = None,
        tells: bool = True,
    ) -> None:
        self._engine = engine
        self._asked = asked
        self._make = make
        self._clock = clock or engine.clock
        self._tells = tells
        self.plan: AttemptPlan = plans.new()
        self._began_s = self._leased_s = 0.0
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
        self.hand.append(self._engine.acquire(Wanted(asked.of_core(self._engine.usual), 0.0, asked.priority)))
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
        self._engine.change(partial(self._engine.core.hedged, name))
        return True

    def failed_late(self, lease: Lease) -> None:
        """Report a loser that failed after its lease ended, because of its endpoint."""
        self._engine.change(partial(self._engine.core.pinged, lease.endpoint.name, False))

    # -- acts of the steps -------------------------------------------------------------------------

    def attempt(self, run: Run) -> Any:
        """Make one attempt with the lease in `hand`, and end that lease. In a task, return what is awaited."""
        assert self._make is not None, "a driver without `make` has an `attempt` of its own"
        return self._make(run, self.hand)

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`. A cut may count as a timeout."""
        return error

    def attempting(self, run: Run) -> Callable[[], Any]:
        """Return the act that makes one attempt."""
        return partial(self.attempt, run)

    def lease(self, ask: Ask) -> Any:
        """Put a lease into `hand`."""
        raise NotImplementedError

    def pause(self, for_s: float) -> Any:
        """Wait so long."""
        raise NotImplementedError

    # -- the steps ---------------------------------------------------------------------------------

    def steps(self) -> Acts[T]:
        """Carry out the plan until it is over.

        Raises:
            BalancerError: the pool's error, if there was no lease for the first try.
            Exception: the last error of an attempt, with a note if there is more to say.
        """
        following = self.first()
        try:
            while True:
                step = following
                try:
                    if isinstance(step, Over):
                        break
                    if isinstance(step, Run):
                        done: T = yield self.attempting(step)
                        self.plan.succeeded()
                        return done
                    yield partial(self.lease, step) if isinstance(step, Ask) else partial(self.pause, step.for_s)
                except Exception as error:
                    following = self.after_error(step, error)
                else:
                    following = self.after(step)
        except GeneratorExit:
            self._collected()
            raise
        finally:
            if self.hand:
                self.drop()
        raise self.given_up(step)

    def _collected(self) -> None:
        """If the lease in `hand` cannot be released now, leave it: it will be found as abandoned."""
        if self._engine.is_inside():
            for lease in self.hand:
                lease.entered = True
            self.hand.clear()

    def first(self) -> Step:
        """Begin the call. Return the first step."""
        self._began_s = now = self._clock()
        return self.plan.begin(now, self._engine.out_of_service() if self.plan.terms.shuns else _NONE)

    def after(self, step: Step) -> Step:
        """Return the next step after `step`, a lease or a pause, was carried out."""
        if isinstance(step, Ask):
            return self._leased()
        return self.plan.resume(self._clock(), self._engine.out_of_service())

    def after_error(self, step: Step, error: Exception) -> Step:
        """Return the next step after `step` raised `error`. Raises `error` if the call ends with it."""
        if isinstance(step, Ask) and isinstance(error, BalancerError):
            return self._without(error)
        told = judged(error)
        if not (isinstance(step, Run) and told.elsewhere):
            raise error
        self.drop()
        self._error = error
        if error is self._overrun:  # its text says why
            return Over(self.plan.cut(self._clock()).why)
        asked_s = told.hint.retry_after_s if told.hint is not None else None
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
        return DeadlinePassed(self.at, self.plan.terms.deadline_s, self._leased_s - self._began_s)

    def overrun(self) -> DeadlinePassed:
        """Return the error to raise after the attempt was ended because its deadline has passed. It ends the call."""
        self._overrun = self.late()
        return self._overrun

    # -- inside ------------------------------------------------------------------------------------

    def _wanted(self, ask: Ask) -> Wanted:
        """Return what the engine is asked for. A first try waits like any acquire; a retry also polls."""
        asked, usual = self._asked, self._engine.usual
        if not (self.at or ask.avoid or ask.labels):
            return Wanted(asked.of_core(usual), ask.within_s, asked.priority)
        return Wanted(asked.as_asked(usual, ask), ask.within_s, asked.priority, partial(self._polls, ask))

    def _polls(self, ask: Ask, now: float) -> RetryPolls:
        return RetryPolls(self.plan, partial(self._asked.as_asked, self._engine.usual), now, ask)

    def _leased(self) -> Run:
        lease = self.hand[0]
        lease.entered = True  # its holder will not release it by its id
        self._attempts += 1
        failed_at, self.at = self.at, lease.endpoint.name
        if failed_at:
            self._engine.change(partial(self._engine.core.retried, failed_at))
        else:
            self._engine.budget.attempted()
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


class ThreadDriver(CallDriver[T]):
    """One call with its plan, in one thread.

    Args:
        given: as for `CallDriver`.
        sleep: pauses; an exception of it ends the call. None: `time.sleep`.
    """

    def __init__(self, *given: Any, sleep: Callable[[float], object] | None = None, **more: Any) -> None:
        super().__init__(*given, **more)
        self._sleep = sleep or pause

    def run(self) -> T:
        """Carry out the plan until it is over; see `CallDriver.steps`."""
        return follow(self.steps())

    def lease(self, ask: Ask) -> None:
        # Between the end of this call and the append only a C method is called: an interrupt comes at calls of Python
        # code.
        self.hand.append(self._engine.acquire(self._wanted(ask)))

    def pause(self, for_s: float) -> None:
        self._sleep(for_s)


class TaskDriver(CallDriver[T]):
    """One call with its plan, in one task. Args: as for `CallDriver`.

    An attempt that still runs at the deadline is ended. It ends its lease by `counts_as` of its error.
    """

    _run_now = Run()
    _limit: TimeLimit | None = None  # of the current attempt

    async def run(self) -> T:
        """Carry out the plan until it is over; see `CallDriver.steps`."""
        return await follow_in_task(self.steps())

    async def lease(self, ask: Ask) -> None:
        self.hand.append(await self._engine.acquire_in_task(self._wanted(ask)))

    async def pause(self, for_s: float) -> None:
        if for_s > 0:
            await spot().wait(for_s)

    def attempting(self, run: Run) -> Callable[[], Any]:
        return partial(self.attempt if run.cut_s == math.inf else self._cut_attempt, run)

    def counts_as(self, error: BaseException) -> BaseException:
        is_cut = self._limit is not None and self._limit.is_over and not isinstance(error, Exception)
        return self.late() if is_cut and self._run_now.cut_blames else error

    async def _cut_attempt(self, run: Run) -> T:
        """Make one attempt. It ends at the deadline."""
        self._run_now = run
        try:
            async with time_limit(run.cut_s) as self._limit:
                done: T = await self.attempt(run)
                return done
            raise self.overrun()
        finally:
            self._limit = None
