"""The engine of a pool: a core behind one lock, one alarm and one delivery of events, for threads and tasks.

`Engine.step` is the one way into the core. It takes the lock and calls the core. Without the lock, it then wakes
waiters, starts the timer and delivers events, in this order. `Engine.acquire` and `acquire_in_task` take a lease, and
`Waits` has how their callers wait: each at a place of its own, a gate of its thread or a spot of its task.

Two things may cut into a step:

- An exception: an interrupt, or no room on the stack. The step frees the lock first, without a call of Python code, as
  such a call may fail at this depth. The next step repairs the core before it uses it. Nearly always the step that was
  cut short makes it, on its way out.
- Code that runs in the same thread, and calls the pool: a finaliser, a signal handler, the strategy. It cannot have the
  lock a second time. What needs no answer, such as a release, is `left` until the step is over. The rest is refused.

A step is a function that gets another one, an act. It is no `with` block: an interrupt at the start of an `__exit__`
in Python would leave the pool locked.
"""

import math
import random
import sys
import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from os.path import dirname, sep
from traceback import clear_frames
from typing import Any, TypeVar

from balancer.answers import Load
from balancer.core import Core, Waiter
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.budget import RetryBudget
from balancer.core.decisions import CallPolicy
from balancer.core.events import Event
from balancer.core.recording import Collected, Recording
from balancer.core.states import MembershipState
from balancer.core.strategy_calls import StrategyRaised, has_no_room
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import REFUSALS, CallFromWithin, LeaseError, PoolForked, WaitInCoroutine
from balancer.settings.rules import RetrySettings
from balancer.shells.delivery import Delivery, Observation, Observer
from balancer.shells.forks import ForkedLock, notify_of_forks
from balancer.shells.lease_request import Wanted, terms_of
from balancer.shells.logs import log_broken, log_raised, log_refused
from balancer.shells.tasks.parking import Spot, spot
from balancer.shells.waiting import AbandonedLeaseScan, Alarm, Gate, abandoned, in_coroutine
from balancer.strategy import ANY, Request
from balancer.values.numbers import checked, seconds

__all__ = ["Act", "CallerDefaults", "Engine", "SharedBudget"]

_PACKAGE = dirname(dirname(__file__)) + sep

T = TypeVar("T")
Act = Callable[[Any, float], Sequence[Waiter]]
"""What is done in a step: it gets its subject and the time, and returns waiters that have ended."""

_NEVER_S = math.inf
# A caller that waits looks for abandoned leases, first after so long, and then each time after twice as long.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0
_OWN_FRAMES = 4  # between `Waits._gate` and the caller of the engine
_PLAIN = Wanted(ANY)  # nothing need be noted on its lease


@dataclass(frozen=True, slots=True)
class CallerDefaults:
    """The defaults for callers of a pool; see `balancer.Pool`."""

    acquire_timeout_s: float | None = None
    retries: RetrySettings | None = None
    ttl_s: float | None = None
    leak_after_s: float | None = None


class SharedBudget:
    """A thread-safe `RetryBudget`, which all calls of a pool share.

    It reads its own clock under its lock, so that its time never goes back. It ignores a given `now`. For a signal
    handler or a finaliser that comes within a call of it, it has no retry, and does not count its attempt.

    Args:
        settings: ratio, rate and window.
        clock: returns seconds; never goes back.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._lock = threading.RLock()  # it knows which thread holds it; none acquires it twice
        notify_of_forks(self)

    def forked(self, parent: int) -> None:
        """Make a new lock in a forked child: another thread may have held the old one."""
        self._lock = threading.RLock()

    def attempted(self) -> None:
        """Count a first attempt."""
        self._do(self._budget.attempted, None)

    def try_spend(self, now: float | None = None) -> bool:
        """Take one retry out of the budget. Return False if there is none."""
        return self._do(self._budget.try_spend, False)

    def wait_s(self, now: float | None = None) -> float:
        """Return the seconds until a retry is possible if there is no call until then; 0: now; inf: never."""
        return self._do(self._budget.wait_s, math.inf)

    def _do(self, act: Callable[[float], T], from_within: T) -> T:
        """Return `act(now)`, called under the lock; `from_within` if this thread holds it."""
        if self._lock._is_owned():  # type: ignore[attr-defined]  # as `threading.Condition` does
            return from_within
        with self._lock:
            found = act(self._clock())
        return found  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked


class Hand:
    """What a caller wants, and has got so far. An interrupt leaves it there. Its methods are acts of the engine.

    Attributes:
        lease: its lease, once there is one.
        waiter: its place in the queue, while it waits.
        spot: where it waits.
    """

    __slots__ = ("_engine", "in_task", "lease", "spot", "waiter", "wanted")

    lease: Lease | None
    waiter: Waiter | None
    spot: Spot

    def __init__(self, engine: "Engine", wanted: Wanted, in_task: bool) -> None:
        self._engine, self.wanted, self.in_task = engine, wanted, in_task
        self.lease = self.waiter = None

    def take(self, now: float) -> Sequence[Waiter]:
        """Take a lease, or queue the request."""
        self.lease = self._engine.core.acquire(self.wanted.request, now)
        if self.lease is None:
            self._engine.waits.queue(self, now)
        return ()

    def give_back(self, now: float) -> Sequence[Waiter]:
        """End the lease or the wait, as the caller is gone."""
        core, waiter, lease = self._engine.core, self.waiter, self.lease
        ended: Sequence[Waiter] = ()
        if waiter is not None:
            ended = core.cancel(waiter, now, timed_out=False)
            lease = waiter.lease
            self._engine.waits.forget(self)
        return ended if lease is None or lease.ended else [*ended, *core.release(lease, Outcome.IGNORED, now)]


class Waits:
    """The callers that wait for the leases of one engine. Iterate over it to get their waiters.

    Args:
        engine: the engine.
        new_gate: makes the place of a thread.

    Attributes:
        core: of the engine.
        places: the waiters by place, until they are woken.
    """

    def __init__(self, engine: "Engine", new_gate: Callable[[], Spot]) -> None:
        self.core = engine.core
        self.places: dict[Spot, Waiter] = {}
        self._engine = engine
        self._new_gate = new_gate
        self._scan = AbandonedLeaseScan()

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self.places.values()))

    # -- one wait ----------------------------------------------------------------------------------

    def _gate(self, waits: bool) -> Spot:
        """Return a place for this thread; `waits`: whether it really waits. Raises CallFromWithin, WaitInCoroutine."""
        # In a signal handler that ran just as this thread had acquired the lock, or was about to release it.
        if self._engine.levels() > 1:
            raise CallFromWithin
        if waits and in_coroutine(above=_OWN_FRAMES):
            raise WaitInCoroutine
        return self._new_gate()

    def queue(self, hand: Hand, now: float) -> None:
        """Queue a request for which there is no lease, unless there are abandoned leases. The lock must be held."""
        core, wanted = self.core, hand.wanted
        if self._scan.is_due(len(core.ledger.out), now) and abandoned(core.ledger.out, now):
            return
        deadline_s = now + (self._engine.acquire_timeout_s if wanted.timeout is None else wanted.timeout)
        hand.spot = place = spot() if hand.in_task else self._gate(deadline_s > now)
        wake = partial(self._wake, place)
        hand.waiter = self.places[place] = core.wait(wanted.request, now, deadline_s, wanted.priority, wake)

    def naps(self, hand: Hand) -> Iterator[float]:
        """Yield the seconds to wait at most at the spot of `hand`, again and again, until its lease is there.

        Between waits, do what is due. The caller may come back earlier, and must if it is woken. The lease may come
        just as time runs out.
        """
        engine = self._engine
        while hand.waiter is None and hand.lease is None:
            self.give_back_abandoned(at_once=True)
            engine.step(Hand.take, hand)
        waiter = hand.waiter
        if waiter is None:
            return
        polls = hand.wanted.polls and hand.wanted.polls(waiter.since_s)
        while polls is not None and polls.at_s < waiter.deadline_s:
            yield from self._naps_until(polls.at_s, waiter)
            if waiter.ended:
                break
            engine.change(partial(polls.look, self.core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter)
        if not waiter.ended:
            engine.change(lambda now: self.core.cancel(waiter, now, timed_out=True))
        self.forget(hand)
        hand.lease, hand.waiter = waiter.lease, None
        if waiter.error is not None:
            raise waiter.error

    def _naps_until(self, until_s: float, waiter: Waiter) -> Iterator[float]:
        left_s, look_s = until_s - self._engine.clock(), _FIRST_LOOK_S
        while not waiter.ended:
            nap_s = min(left_s, look_s)
            if nap_s <= 0:
                return
            yield nap_s
            # In tests the clock may stand still.
            left_s = min(left_s - nap_s, until_s - self._engine.clock())
            if left_s > 0 and not waiter.ended:
                self.give_back_abandoned()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def forget(self, hand: Hand) -> None:
        """Strike off the place of a caller that waits no more."""
        self.places.pop(hand.spot, None)

    def _wake(self, spot: Spot) -> None:
        """Let the caller at `spot` go on, who has a lease or an error now."""
        if spot.wake():
            self.places.pop(spot, None)  # else the place would keep a loop that nobody else has
        else:
            self._strike_off()

    def _strike_off(self) -> None:
        """End the waits of tasks whose loops have gone, and release the leases that they were granted.

        All at once: else the lease of one would be granted to the next.
        """
        engine = self._engine
        gone = [(at, waiter) for at, waiter in engine.under_lock(lambda: list(self.places.items())) if at.is_over]

        def struck(now: float) -> Sequence[Waiter]:
            ended = [*self.core.cancel_all([one for _, one in gone], now, timed_out=False)]
            for _, waiter in gone:
                if waiter.lease is not None and not waiter.lease.ended:
                    ended += self.core.release(waiter.lease, Outcome.IGNORED, now)
            return ended

        engine.change(struck)
        for at, _ in gone:
            self.places.pop(at, None)

    # -- all waits ---------------------------------------------------------------------------------

    def give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End abandoned leases, if a scan is due or `at_once` is True. Raises CallFromWithin."""
        if at_once or self._scan.is_due(len(self.core.ledger.out), self._engine.clock()):
            self._engine.step(Waits._end_abandoned, self)

    def _end_abandoned(self, now: float) -> Sequence[Waiter]:
        leases = abandoned(self.core.ledger.out, now)
        return self.core.abandon(leases, now) if leases else ()


class Engine:
    """A core, and what a pool does around each call of it: lock, wake, keep time, deliver events, recover.

    Args:
        make_core: makes the core, which decides, from the lender of its leases: this engine.
        clock: returns seconds; never goes back.
        defaults: for callers.
        jitter: the random numbers for pauses before retries.
        new_gate: makes the place where a thread waits.

    Attributes:
        core: call it in a step only.
        clock: returns the time.
        lock: of the core.
        busy: True while some thread is inside, so that nothing else need be looked at for nearly every step.
        cut: True if a step was cut short, so the core must be repaired. Any thread may set it, without the lock.
        left: the acts that are left to do once a step is over, with their subjects.
        happened: events that are not delivered yet.
        delivery: delivers them.
        waits: the threads and tasks that wait.
        plain: what a caller without arguments wants.
        acquire_timeout_s: how many seconds an acquire waits by default; inf: for ever.
        retries: how calls retry.
        budget: the retry budget of all calls of this pool.
        jitter: as given.
    """

    def __init__(
        self,
        make_core: Callable[["Engine"], Core],
        clock: Callable[[], float],
        defaults: CallerDefaults,
        *,
        jitter: random.Random,
        new_gate: Callable[[], Spot] = Gate,
    ) -> None:
        timeout_s = math.inf if defaults.acquire_timeout_s is None else defaults.acquire_timeout_s
        self.acquire_timeout_s = checked("acquire_timeout_s", timeout_s, seconds)
        self.clock = clock
        self.core = core = make_core(self)
        self.retries = defaults.retries or RetrySettings()
        self.budget = SharedBudget(self.retries, clock)
        self.jitter = jitter
        self._leak_after_s = defaults.leak_after_s
        terms = terms_of(defaults.ttl_s, defaults.leak_after_s)
        self.plain = Wanted(Request(terms=terms)) if terms else _PLAIN
        # An RLock, as it knows which thread holds it. No thread means to acquire it twice.
        self.lock: threading.RLock | ForkedLock = threading.RLock()
        self.busy = self.cut = False
        self.left: deque[tuple[Act, Any]] = deque()
        # Starts a thread that recovers. Made now: it needs no room on the stack.
        self._recover_elsewhere = partial(start_new_thread, self._recover_alone, ())
        self.happened = core.journal.happened
        self.delivery = Delivery(self.happened, self._set_aside)
        self.waits = Waits(self, new_gate)
        core.shells.append(self.waits)
        self._alarm = Alarm(self._tick, clock)
        self._told: set[str] = set()  # the strategies of which the log has said that they raise
        self._marks: tuple[Callable[[Lease], object], ...] = ()
        notify_of_forks(self)

    # -- the way into the core ---------------------------------------------------------------------

    def step(self, act: Act, subject: Any, can_wait: bool = False) -> None:
        """Call `act(subject, now)` under the lock. Then wake the waiters that it returns, and do all the rest.

        After an exception, wherever it comes from, the lock is free, and what others wait for is done.

        Args:
            act: calls the core.
            subject: its first argument. A function that had to be made of the two for each lease would cost more.
            can_wait: from within a step of this thread, `act` is called when that step is over, and its errors are
                logged. False: it is refused.

        Raises:
            CallFromWithin: this thread is inside a step of this pool already.
        """
        if self.busy and self.is_inside():
            if not can_wait:
                raise CallFromWithin
            self.left.append((act, subject))
            return
        lock = self.lock
        try:
            lock.acquire()  # `with` costs twice as much
            self.busy = True
            if self.cut:
                self._repair()
            ended = act(subject, self.clock())
            timer = None if self.core.due_s == _NEVER_S else self._arm()
            self.busy = False
            lock.release()
            if ended:  # as mostly nobody waits
                for waiter in ended:
                    waiter.wake()
            if timer is not None:
                self.start(timer)
            if self.left and act is not _do_next:
                self.catch_up()
            if self.happened:
                self.delivery.deliver()
        except BaseException as error:
            if error.__class__ not in REFUSALS:
                self.cut = True
            try:
                lock.release()
            except RuntimeError:  # it was free already
                pass
            if act is not _do_next:
                try:
                    self._recover(error)
                except (RecursionError, MemoryError):
                    self._recover_elsewhere()
            raise

    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None:
        """Make a step of `act`. From within a step it is called when that step is over, and its errors are logged."""
        self.step(_call, act, can_wait=True)

    def change_endpoints(self, act: Callable[[Core, float], Sequence[Waiter]]) -> None:
        """Change the endpoints of the core, or its strategy, with `act`; see `step`. Raises CallFromWithin."""
        self.step(act, self.core)

    def under_lock(self, act: Callable[[], T]) -> T:
        """Return the result of `act`, called in a step. No wait can end by it. Raises CallFromWithin."""
        found: list[T] = []

        def keep(now: float) -> Sequence[Waiter]:
            found.append(act())
            return ()

        self.step(_call, keep)
        return found[0]

    # -- leases ------------------------------------------------------------------------------------

    def acquire(self, wanted: Wanted) -> Lease:
        """Take an endpoint; wait in this thread if needed. See `balancer.Pool.acquire`."""
        hand = Hand(self, wanted, False)
        try:
            self.step(Hand.take, hand)
            if hand.lease is None:
                for nap_s in self.waits.naps(hand):
                    hand.spot.wait(nap_s)
            if wanted is not _PLAIN:
                self._note(hand)
        except BaseException:  # e.g. KeyboardInterrupt: the caller is gone, and must not keep a lease
            self._let_go(hand)
            raise
        return hand.lease  # type: ignore[return-value]  # there is one at the end of a wait

    async def acquire_in_task(self, wanted: Wanted) -> Lease:
        """Take an endpoint; wait in this task if needed."""
        hand = Hand(self, wanted, True)
        try:
            self.step(Hand.take, hand)
            if hand.lease is None:
                for nap_s in self.waits.naps(hand):
                    await hand.spot.wait(nap_s)
            if wanted is not _PLAIN:
                self._note(hand)
        except BaseException:  # e.g. it is cancelled, or collected, perhaps at the moment of the grant
            self._let_go(hand)
            raise
        return hand.lease  # type: ignore[return-value]  # there is one at the end of a wait

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """End a lease; see `balancer.Pool.release`."""
        try:
            self.step(_release, (self.core, lease, outcome), True)
        except (LeaseError, PoolForked):
            raise
        except BaseException as error:  # e.g. KeyboardInterrupt: the caller has released the lease, so it must end
            self.cut = True
            self._rescue(_release_if_out, (self.core, lease, outcome))
            if not self._logs(error):
                raise

    def used(self, lease: Lease, tokens: int) -> None:
        """Set how many tokens the call of a lease has used so far; see `Lease.used`."""
        self.change(partial(self.core.used, lease, tokens))

    def told(self, lease: Lease, load: Load) -> None:
        """Set the load that the endpoint of a lease reported; see `Lease.told`."""
        self.change(partial(self.core.told, lease, load))

    def _note(self, hand: Hand) -> None:
        """Note on a new lease what is not the same for all."""
        lease = hand.lease
        assert lease is not None, "there is one at the end of a wait"
        if hand.wanted.priority:
            lease.priority = hand.wanted.priority
        if self._leak_after_s is not None:
            lease.where = _place_of_call()
        for mark in self._marks:
            mark(lease)

    def _let_go(self, hand: Hand) -> None:
        """Let the lease or the wait of a caller that is gone end."""
        if hand.lease is not None or hand.waiter is not None:
            self._rescue(Hand.give_back, hand)

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease that is granted from now on; see `balancer.Pool.mark_leases`."""

        def marked() -> None:
            self._marks = (*self._marks, mark)
            self.plain = Wanted(Request(terms=self.plain.request.terms))

        def forget(now: float) -> Sequence[Waiter]:
            self._marks = tuple(other for other in self._marks if other is not mark)
            return ()

        def unmark() -> None:
            with suppress(PoolForked):
                self.change(forget)

        self.under_lock(marked)
        return unmark

    # -- calls over the pool -----------------------------------------------------------------------

    def out_of_service(self) -> frozenset[str]:
        """Return the names of endpoints that are out of service for now: ejected, resting or spent."""
        return self.under_lock(self.core.out_of_service)

    @property
    def usual(self) -> Request:
        """The request of a caller without arguments."""
        return self.plain.request

    @cached_property
    def plans(self) -> AttemptPlans:
        """Makes the attempt plans of calls that set no limits of their own."""
        return AttemptPlans(
            CallPolicy(retries=self.retries, wait_s=self.acquire_timeout_s), budget=self.budget, rng=self.jitter
        )

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has a quota, or holders are counted. Else token counts are not needed."""
        return self.core.admission.has_quotas or self.core.shares is not None

    # -- who watches -------------------------------------------------------------------------------

    def observe(self, observer: Observer, kinds: Iterable[type[Event]] | None = None) -> Observation:
        """Call `observer` with each event from now on; see `balancer.Pool.observe`."""
        observation = Observation(observer, kinds, self._end_observation)
        self.change(lambda now: self._listen((*self.delivery.observations, observation)))
        return observation

    def record(self, most: int) -> Recording:
        """Start a recording of up to `most` ended leases at once, until the last `collect`."""
        return self.under_lock(partial(Recording, most, self.core.ledger))

    def collect(self, recording: Recording, *, is_last: bool) -> Collected:
        """Take out what `recording` has kept. With `is_last`, stop it."""

        def taken() -> Collected:
            found = recording.collect(self.clock(), is_last=is_last)
            if is_last:
                recording.end()
            return found

        return self.under_lock(taken)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining, as they are now."""
        accounts = self.under_lock(lambda: [(each.endpoint, each.state) for each in self.core.ledger.accounts()])
        return tuple(endpoint for endpoint, state in accounts if state is not MembershipState.RETIRING)

    def _end_observation(self, observation: Observation) -> None:
        observation.ended = True
        self.change(lambda now: self._listen(o for o in self.delivery.observations if o is not observation))

    def _listen(self, observations: Iterable[Observation]) -> Sequence[Waiter]:
        self.delivery.observations = tuple(observations)
        wanted = frozenset[type[Event]]().union(*(o.kinds for o in self.delivery.observations))
        self.core.listen(wanted)
        return ()

    def _set_aside(self, observation: Observation, error: Exception) -> None:
        self._end_observation(observation)
        log_broken(observation, error)

    # -- what goes wrong ---------------------------------------------------------------------------

    def _rescue(self, act: Act, subject: Any) -> None:
        """Do `act` after all, as its caller is gone: now, or later if there is no room on the stack for it."""
        self.left.append((act, subject))
        try:
            self.change(_nothing)
        except (RecursionError, MemoryError):
            self._recover_elsewhere()
        except PoolForked:  # it is the parent's
            pass

    def catch_up(self) -> None:
        """Do what is left to do: what was called from within a step, and what an exception prevented."""
        while True:
            try:
                self.step(_do_next, self.left)
            except Exception as error:
                if isinstance(error, MemoryError | PoolForked) or has_no_room(error):
                    raise
                log_refused(error)
            if not self.left:
                return

    def is_inside(self) -> bool:
        """Return True if this thread is inside a step: a finaliser, a signal handler or the strategy calls."""
        return self.lock._is_owned()  # type: ignore[union-attr]  # as `Condition` does

    def levels(self) -> int:
        """Return how often this thread has acquired the lock. In Python 3.11.0 the lock does not say."""
        return getattr(self.lock, "_recursion_count", int)()

    def _recover(self, error: BaseException) -> None:
        """Repair the core if needed, serve and wake waiters, and do what is left to do, after a step raised `error`."""
        if error.__class__ in REFUSALS:
            if not (self.left or self.happened):
                return
        else:
            clear_frames(error.__traceback__)  # a frame may hold a granted lease: now it can be found as abandoned
        with suppress(PoolForked):
            self.catch_up()

    def _recover_alone(self) -> None:
        with suppress(Exception):  # the original error was raised where it happened
            self.catch_up()

    def _repair(self) -> None:
        """Repair the core after a step was cut short. The lock must be held.

        Raises:
            RecursionError, MemoryError: there is no room for it; the next step tries again.
        """
        self.cut = False  # first, as another thread may set it without the lock
        try:
            self.core.recover(self.clock())
            self.core.abandon(abandoned(self.core.ledger.out, math.inf), self.clock())
        except BaseException as error:
            self.cut = not isinstance(error, Exception) or isinstance(error, MemoryError) or has_no_room(error)
            if self.cut:
                raise  # any other error was raised already, where it happened
        self.left.append((_ended, self.core))

    def _logs(self, error: BaseException) -> bool:
        """Log, once for each strategy, that it raised as a lease ended. Return False if `error` is another one."""
        if not isinstance(error, StrategyRaised):
            return False
        if error.strategy not in self._told:
            self._told.add(error.strategy)
            log_raised(error)
        return True

    def forked(self, parent: int) -> None:
        """Disable the pool in a forked child: the leases and the waiting threads belong to the parent."""
        self.lock = ForkedLock(parent)
        self.cut = False
        self.left.clear()
        self.waits.places.clear()
        self.happened.clear()
        self.delivery.observations = ()

    # -- time --------------------------------------------------------------------------------------

    def start(self, timer: threading.Timer) -> None:
        """Start a timer of the alarm. If the machine has no more threads, the next call to the pool tries again."""
        with suppress(RuntimeError):
            timer.start()

    def stop(self) -> None:
        """Stop the alarm, unless something is due later."""
        self._alarm.cancel()

    def _arm(self) -> threading.Timer | None:
        """Return a new timer for what is due next. None: there is one, or none is needed.

        Without waiters only expiries of leases need a timer; for the rest the next call is early enough.
        """
        due_s = self.core.due_s if self.core.waiting else self.core.lapse_s
        return None if due_s == math.inf else self._alarm.arm(due_s)

    def _tick(self) -> None:
        self.change(self._ring)

    def _ring(self, now: float) -> Sequence[Waiter]:
        return self.core.tick(now) if self._alarm.rings() and now >= self.core.due_s else ()


def _nothing(now: float) -> Sequence[Waiter]:
    """Change nothing. A step of it does what is due and what is left."""
    return ()


def _call(act: Callable[[float], Sequence[Waiter]], now: float) -> Sequence[Waiter]:
    return act(now)


def _release(end: tuple[Core, Lease, Outcome], now: float) -> Sequence[Waiter]:
    core, lease, outcome = end
    return core.release(lease, outcome, now)


def _release_if_out(end: tuple[Core, Lease, Outcome], now: float) -> Sequence[Waiter]:
    _, lease, outcome = end
    return () if lease.ended or not isinstance(outcome, Outcome) else _release(end, now)


def _ended(core: Core, now: float) -> Sequence[Waiter]:
    return core.ended()


def _do_next(left: deque[tuple[Act, Any]], now: float) -> Sequence[Waiter]:
    """Do the next act that is left to do. If it has no room, it stays."""
    if not left:
        return ()
    act, subject = left[0]
    try:
        ended = act(subject, now)
    except Exception as error:
        if not isinstance(error, MemoryError) and not has_no_room(error):
            left.popleft()
        raise
    left.popleft()
    return ended


def _place_of_call() -> str:
    """Return file and line of the nearest caller outside this package, or ""."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
