"""The engine of a pool: a core behind one lock, one alarm and one delivery of events, for threads and tasks.

It releases the lock, wakes waiters, starts the timer and delivers events, in this order. `balancer.shells.waiting` has
the waiting.

Two things may cut into a call:

- An exception: an interrupt, or no room on the stack. Whoever catches it first sets `now` to `repaired` and frees the
  lock, without a call of Python code, as such a call may fail at this depth. So the next call repairs the core before
  it uses it. Nearly always this is the call that was cut short, on its way out.
- Code that runs in the same thread, and calls the pool: a finaliser, a signal handler, the strategy. It cannot have the
  lock a second time. What needs no answer, such as a release, is `left` until the call is over. The rest is refused.

So a lease pays for neither.
"""

import math
import random
import sys
import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from os.path import dirname, sep
from traceback import clear_frames
from typing import Any, TypeVar

from balancer.core import Core, Waiter
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy
from balancer.core.events import Event
from balancer.core.metrics import PoolStats, SourceStats
from balancer.core.readings import Snapshot
from balancer.core.recording import Collected, Recording
from balancer.core.retry_polls import RetryPolls
from balancer.core.room import has_no_room
from balancer.core.states import MembershipState
from balancer.core.strategy_calls import StrategyRaised
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import REFUSALS, CallFromWithin, PoolForked
from balancer.settings.rules import RetrySettings
from balancer.shells.abandoned import AbandonedLeaseScan, abandoned
from balancer.shells.alarm import Alarm
from balancer.shells.delivery import Delivery, Observation, Observer
from balancer.shells.forks import ForkedLock, notify_of_forks
from balancer.shells.lease_request import terms_of
from balancer.shells.logs import log_broken, log_passed_over, log_raised, log_refused
from balancer.shells.shared_budget import SharedBudget
from balancer.shells.waiting import Gate, Waits, nothing
from balancer.strategy import ANY, Request
from balancer.values.numbers import checked, seconds

__all__ = ["CallerDefaults", "Engine"]

_PACKAGE = dirname(dirname(__file__)) + sep
_LOOK_AGAIN_S = 1.0  # how often the strategy is asked again, at most, while callers wait
_IGNORED = Outcome.IGNORED  # looked up once: an attribute of an Enum is slow to find

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallerDefaults:
    """The defaults for callers of a pool; see `balancer.Pool`."""

    acquire_timeout_s: float | None = None
    retries: RetrySettings | None = None
    ttl_s: float | None = None
    leak_after_s: float | None = None


class Engine:
    """A core, and what a pool does around each call of it: lock, wake, keep time, deliver events, recover.

    Args:
        core: decides. Its leases go back to the pool of this engine.
        clock: returns seconds; never goes back.
        defaults: for callers.
        jitter: the random numbers for pauses before retries.
        after: called after each call of the core, when the lock is free; None: nothing is.
        new_gate: makes the lock at which a thread waits; None: `threading.Lock` does.

    Attributes:
        core: call it under the lock only.
        clock: returns the time.
        now: returns the time for a call of the core, under the lock. It is `clock`, or `repaired` after a call that was
            cut short.
        lock: of the core. Enter it like this: check `busy` and `is_inside`; `enter`; set `busy`. Leave it like this:
            clear `busy`; `leave`. After an exception, `free` it first of all, and then `recover`.
        enter, leave, free: acquire and release the lock. `with` costs twice as much, for every lease. `leave` also does
            what is left, if there is something.
        busy: True while some thread is inside, so that `is_inside` need not be called for every lease.
        is_inside: returns True if this thread is inside a call of the core. A finaliser can then run in the same
            thread.
        levels: returns how often this thread has acquired the lock.
        repaired: repairs the core and returns the time.
        left: what is left to do once a call is over, each a function and its arguments but the last, the time. It is
            called under the lock and returns waiters to wake. `later` adds to it.
        elsewhere: starts a thread that recovers. It needs no room on the stack.
        happened: events that are not delivered yet.
        delivery: delivers them.
        waits: the threads and tasks that wait.
        usual: the request of most acquires; `ANY` itself if nothing has to be done after a grant.
        acquire_timeout_s: how many seconds an acquire waits by default; inf: for ever.
        retries: how calls retry.
        budget: the retry budget of all calls of this pool.
        jitter: as given.
        sources: return what each source of endpoints has said, for `snapshot`.
    """

    # The attributes that every lease reads: slots are the fastest.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "busy",
        "clock",
        "core",
        "enter",
        "free",
        "happened",
        "is_inside",
        "leave",
        "left",
        "now",
        "repaired",
        "usual",
        "waits",
    )

    def __init__(
        self,
        core: Core,
        clock: Callable[[], float],
        defaults: CallerDefaults,
        *,
        jitter: random.Random,
        after: Callable[[], object] | None = None,
        new_gate: Callable[[], Gate] | None = None,
    ) -> None:
        timeout_s = math.inf if defaults.acquire_timeout_s is None else defaults.acquire_timeout_s
        self.acquire_timeout_s = checked("acquire_timeout_s", timeout_s, seconds)
        self.clock = clock
        self.core = core
        self.retries = defaults.retries or RetrySettings()
        self.budget = SharedBudget(self.retries, clock)
        self.jitter = jitter
        self._leak_after_s = defaults.leak_after_s
        terms = terms_of(defaults.ttl_s, defaults.leak_after_s)
        self.usual = Request(terms=terms) if terms else ANY
        # An RLock, as it knows which thread holds it. No thread acquires it twice.
        self.lock: threading.RLock | ForkedLock = threading.RLock()
        self.enter = self.lock.acquire
        self.free = self.lock.release
        self._after = after
        self._plain_leave = self.free if after is None else self._leave_and_go_on
        self.leave = self._plain_leave
        self.is_inside: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]  # as `Condition` does
        self.levels: Callable[[], int] = getattr(self.lock, "_recursion_count", lambda: 1)  # not in Python 3.11.0
        self.busy = False
        self.now, self.repaired = clock, self._repaired  # made now: there may be no room for it later
        self.left: deque[tuple[Any, ...]] = deque()
        self.elsewhere = partial(start_new_thread, self._recover_alone, ())
        self.happened = core.journal.happened
        self.delivery = Delivery(self.happened, self._set_aside)
        self.waits = Waits(self, new_gate or threading.Lock)  # not a default: tools replace locks after the import
        core.shells.append(self.waits)
        self._alarm = Alarm(self._tick, clock)
        self._scan = AbandonedLeaseScan()
        self._look_again_s = -math.inf
        self._told = {""}  # what the log has said of strategies: that they pass over free endpoints, or raise
        self.sources: tuple[Callable[[], SourceStats], ...] = ()
        self._marks: tuple[Callable[[Lease], object], ...] = ()
        notify_of_forks(self)

    # -- a call of the core ------------------------------------------------------------------------

    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None:
        """Call `act` under the lock. Then, without the lock, wake waiters, arm the alarm and deliver events.

        From within a call of this pool: `act` is called when that call is over, and its errors are logged.
        """
        if self.busy and self.is_inside():
            self.later(act)
            return
        try:
            self._do(act)
            if self.happened:
                self.delivery.deliver()
        except BaseException:
            try:
                self.recover()
            except (RecursionError, MemoryError):
                self.elsewhere()
            raise

    def change_endpoints(self, act: Callable[[Core, float], Sequence[Waiter]]) -> None:
        """Change the endpoints of the core, or its strategy, with `act`; see `change`.

        Raises:
            CallFromWithin: this thread is inside a call of this pool already.
        """
        if self.busy and self.is_inside():
            raise CallFromWithin
        self.change(lambda now: act(self.core, now))

    def under_lock(self, act: Callable[[], T]) -> T:
        """Return the result of `act`, called under the lock. No wait can end by it.

        Raises:
            CallFromWithin: this thread is inside a call of this pool already.
        """
        if self.busy and self.is_inside():
            raise CallFromWithin
        try:
            self.enter()
            self.busy = True
            self.now()
            found = act()
            self.busy = False
            self.leave()
        except BaseException:
            self.now = self.repaired
            try:
                self.free()
            except RuntimeError:
                pass
            raise
        return found

    def _do(self, act: Callable[..., Sequence[Waiter]]) -> None:
        """Call `act` under the lock; then wake, and start a timer. If it is cut short, free the lock, and no more."""
        try:
            self.enter()
            self.busy = True
            ended = act(self.now())
            timer = self._arm()
            self.busy = False
            self.leave()
            for waiter in ended:
                waiter.wake()
            if timer is not None:
                self.start(timer)
        except BaseException as error:
            if error.__class__ not in REFUSALS:
                self.now = self.repaired
            try:
                self.free()
            except RuntimeError:
                pass
            raise

    def acquire(
        self, request: Request, timeout: float | None, priority: int, polls: Callable[[float], RetryPolls] | None = None
    ) -> Lease:
        """Take an endpoint; wait in this thread if needed. See `balancer.Pool.acquire`.

        Args:
            request: the request for the core.
            timeout: seconds to wait at most; None: the pool's default.
            priority: see `balancer.Pool.acquire`.
            polls: for a retry: called with the start of the wait, makes its polls.
        """
        if self.busy and self.is_inside():
            raise CallFromWithin
        lease: Lease | None = None
        try:
            self.enter()
            self.busy = True
            lease = self.core.acquire(request, now := self.now())
            if lease is None:
                lease = self.waits.in_thread(request, now, timeout, priority, polls)
            else:
                self.busy = False
                self.leave()
            if request is not ANY or self.happened:
                self.see_to(lease)
        except BaseException as error:
            if error.__class__ not in REFUSALS:
                self.now = self.repaired
            try:
                self.free()
            except RuntimeError:
                pass
            if lease is not None:
                self.left.append((self.end, lease, _IGNORED))
            try:
                self.cut_short(error)
            except (RecursionError, MemoryError):
                self.elsewhere()
            raise
        if priority:
            lease.priority = priority
        return lease

    def see_to(self, lease: Lease) -> None:
        """Do the rest for a new lease, after the lock is free."""
        if self._leak_after_s is not None:
            lease.where = _place_of_call()
        for mark in self._marks:
            mark(lease)
        if lease.terms is not None and lease.terms.timed:
            self.change(nothing)  # starts a timer if needed
        self.delivery.deliver()

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease that is granted from now on; see `balancer.Pool.mark_leases`."""

        def marked() -> None:
            self._marks = (*self._marks, mark)
            self.usual = Request(terms=self.usual.terms)

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

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Record a ping of endpoint `name`; see `balancer.Pool.pinged`."""
        self.change(lambda now: self.core.pinged(name, ok, now, conclusive=conclusive))

    def retried(self, name: str) -> None:
        """Count a retry of a call that failed at endpoint `name`."""
        self.change(lambda now: self.core.retried(name, now))

    def hedged(self, name: str) -> None:
        """Count a hedge of a slow call, at endpoint `name`."""
        self.change(lambda now: self.core.hedged(name, now))

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
        return self.under_lock(partial(self.core.recordings.begin, most))

    def collect(self, recording: Recording, *, is_last: bool) -> Collected:
        """Take out what `recording` has kept. With `is_last`, stop it."""

        def taken() -> Collected:
            found = recording.collect(self.clock())
            if is_last:
                self.core.recordings.end(recording)
            return found

        return self.under_lock(taken)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining, as they are now."""

        def found() -> tuple[Endpoint, ...]:
            accounts = self.core.ledger.accounts()
            return tuple(each.endpoint for each in accounts if each.state is not MembershipState.RETIRING)

        return self.under_lock(found)

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return the pool at one instant; see `balancer.Pool.snapshot`."""
        self.give_back_abandoned(at_once=True)

        def seen() -> Callable[[], Snapshot]:
            endpoints, totals, waits = self.core.counters(now := self.clock())
            quotas = self.core.quotas(now)
            holders = self.core.holders(now)
            strategy = self.core.ledger.strategy.name
            times = self.core.times()
            rows = self.core.leases(now) if leases else ()
            waiters = self.core.waits() if leases else ()
            more = also() if also is not None else None

            def summed() -> Snapshot:
                said = [each() for each in self.sources]
                stats = PoolStats.of(
                    endpoints,
                    strategy=strategy,
                    waits=waits,
                    quotas=quotas,
                    holders=holders,
                    sources=said,
                    **totals,
                )
                return Snapshot(now, stats, waits, times, tuple(rows), more, tuple(waiters))

            return summed

        summed = self.under_lock(seen)
        if self.happened:
            self.delivery.deliver()
        return summed()

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

    def _repaired(self) -> float:
        """Repair the core after a call of it was cut short, and return the time. The lock must be held.

        Raises:
            RecursionError, MemoryError: there is no room for it; the next call tries again.
        """
        self.now = self.clock  # first, as another thread may set it without the lock
        try:
            self.core.recover(self.clock())
            self.core.abandon(abandoned(self.core.ledger.out, math.inf), self.clock())
        except BaseException as error:
            self.now = self.repaired
            if not isinstance(error, Exception) or isinstance(error, MemoryError) or has_no_room(error):
                raise
            self.now = self.clock  # the original error was raised already
        self.later(self._ended)
        return self.clock()

    def recover(self) -> None:
        """Repair the core if needed, serve and wake waiters, and do what is left to do."""
        self._do(nothing)
        self.catch_up()
        self.delivery.deliver()

    def _recover_alone(self) -> None:
        with suppress(Exception):  # the original error was raised where it happened
            self.recover()

    def later(self, act: Callable[..., Sequence[Waiter]], *given: object) -> None:
        """Call `act` with the given arguments, and the time, when the current call is over."""
        self.left.append((act, *given))
        self.leave = self._leave_and_catch_up

    def catch_up(self) -> None:
        """Do what is left to do: what was called from within a call, and what an exception prevented."""
        try:
            while self.left:
                try:
                    self._do(self._next)
                except Exception as error:
                    if isinstance(error, MemoryError | PoolForked) or has_no_room(error):
                        raise
                    log_refused(error)
        except BaseException:
            self.leave = self._leave_and_catch_up
            raise

    def _leave_and_catch_up(self) -> None:
        self.leave = self._plain_leave
        self.leave()
        self.catch_up()

    def _leave_and_go_on(self) -> None:
        self.free()
        if self._after is not None:
            self._after()

    def end(self, lease: Lease, outcome: Outcome, now: float) -> Sequence[Waiter]:
        """End a lease that is out. The lock must be held."""
        is_out = not lease.ended and isinstance(outcome, Outcome)
        return self.core.release(lease, outcome, now) if is_out else ()

    def _next(self, now: float) -> Sequence[Waiter]:
        """Do the next thing that is left to do. If it has no room, it stays."""
        if not self.left:
            return ()
        act, *given = self.left[0]
        try:
            ended: Sequence[Waiter] = act(*given, now)
        except Exception as error:
            if not isinstance(error, MemoryError) and not has_no_room(error):
                self.left.popleft()
            raise
        self.left.popleft()
        return ended

    def _ended(self, now: float) -> Sequence[Waiter]:
        return self.core.ended()

    def look_after_waits(self, *, at_once: bool = False) -> None:
        """Do what nobody does for those who wait if no lease ends: end abandoned leases, ask the strategy again.

        Args:
            at_once: also if neither is due.
        """
        self.give_back_abandoned(at_once=at_once)
        now = self.clock()
        if now < self._look_again_s and not at_once:
            return
        self._look_again_s = now + _LOOK_AGAIN_S
        self.change(self.core.look_again)
        if self.core.passed_over not in self._told:
            self._told.add(self.core.passed_over)
            log_passed_over(self.core.passed_over)

    def give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End abandoned leases, if a scan is due or `at_once` is True."""

        def found() -> Sequence[Lease]:
            out = self.core.ledger.out
            now = self.clock()
            return abandoned(out, now) if at_once or self._scan.is_due(len(out), now) else ()

        leases = self.under_lock(found)
        if leases:
            self.change(partial(self.core.abandon, leases))

    def once_more(self, request: Request, now: float) -> tuple[Lease | None, float]:
        """If a scan is due, end abandoned leases. If there were any, try to acquire again.

        The lock must be held. Return the lease, or None, and the time.
        """
        out = self.core.ledger.out
        if not (self._scan.is_due(len(out), now) and abandoned(out, now)):
            return None, now
        self.busy = False
        self.leave()
        self.give_back_abandoned(at_once=True)
        self.enter()
        self.busy = True
        now = self.now()
        return self.core.acquire(request, now), now

    def cut_short(self, error: BaseException) -> None:
        """Do the rest after an acquire that raised `error`, without the lock; the caller does not get the lease."""
        if error.__class__ in REFUSALS:  # it may have made events
            self.catch_up()
            if self.happened:
                self.delivery.deliver()
        else:  # e.g. KeyboardInterrupt in an observer
            clear_frames(error.__traceback__)  # a frame may hold a granted lease: now it can be found as abandoned
            self.recover()

    def logs(self, error: BaseException) -> bool:
        """Log, once for each strategy, that it raised as a lease ended. Return False if `error` is another one."""
        if not isinstance(error, StrategyRaised):
            return False
        if (key := f"{error.strategy} raised") not in self._told:
            self._told.add(key)
            log_raised(error)
        return True

    def forked(self, parent: int) -> None:
        """Disable the pool in a forked child: the leases and the waiting threads belong to the parent."""
        self.lock = barred = ForkedLock(parent)
        self.enter, self.is_inside = barred.acquire, barred._is_owned
        self.leave = self._plain_leave = self.free = barred.release
        self.now = self.clock
        self.left.clear()
        self.waits.forget()
        self.happened.clear()
        self.delivery.observations = ()

    # -- time --------------------------------------------------------------------------------------

    def start(self, timer: threading.Timer) -> None:
        """Start a timer of the alarm. If the machine has no more threads, the next call to the pool tries again."""
        try:
            timer.start()
        except RuntimeError:
            return
        except BaseException:  # e.g. KeyboardInterrupt: this thread stops, but others may wait
            self.change(nothing)
            raise

    def stop(self) -> None:
        """Stop the alarm, unless something is due later."""
        self._alarm.cancel()
        self.waits.stop()

    def leave_and_attend(self, ended: Sequence[Waiter]) -> None:
        """Release the lock, and do the rest after a call."""
        timer = None if self.core.due_s == math.inf else self._arm()
        self.busy = False
        self.leave()
        for waiter in ended:
            waiter.wake()
        if timer is not None:
            self.start(timer)
        if self.happened:
            self.delivery.deliver()

    def _arm(self) -> threading.Timer | None:
        """Return a new timer for what is due next. None: there is one, or none is needed.

        Without waiters only expiries of leases need a timer; for the rest the next call is early enough.
        """
        due_s = self.core.due_s
        if due_s == math.inf or (not self.core.waiting and (due_s := self.core.lapse_s) == math.inf):
            return None
        return self._alarm.arm(due_s)

    def _tick(self) -> None:
        if self.under_lock(self._alarm.rings):
            self.change(lambda now: self.core.tick(now) if now >= self.core.due_s else ())


def _place_of_call() -> str:
    """Return file and line of the nearest caller outside this package, or ""."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
