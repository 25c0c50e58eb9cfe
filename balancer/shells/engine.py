"""The engine of a pool: a core behind one lock, one alarm and one delivery of events, for threads and tasks.

It releases the lock, wakes waiters, starts the timer and delivers events, in this order, and repairs the state after an
interrupt. `balancer.shells.waiting` has the waiting.
"""

import math
import random
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os.path import dirname, sep
from traceback import clear_frames

from balancer.core import Core, Waiter
from balancer.core.events import Ended, Event, Granted, Queued
from balancer.core.metrics import PoolStats
from balancer.core.readings import Snapshot
from balancer.core.recording import Collected, Recording
from balancer.core.retry_polls import RetryPolls
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import BalancerError, LeaseError, PoolForked
from balancer.settings.rules import RetrySettings
from balancer.shells.abandoned import AbandonedLeaseScan, abandoned
from balancer.shells.alarm import Alarm
from balancer.shells.delivery import Delivery, Observation, Observer
from balancer.shells.forks import ForkedLock, notify_of_forks
from balancer.shells.lease_request import terms_of
from balancer.shells.logs import log_broken
from balancer.shells.shared_budget import SharedBudget
from balancer.shells.waiting import Waits, nothing
from balancer.strategy import ANY, Request
from balancer.values.numbers import checked, seconds

__all__ = ["CallerDefaults", "Engine"]

_PACKAGE = dirname(dirname(__file__)) + sep


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
        attends: True if some rule depends on time, so that there is more to do after a call than to wake.

    Attributes:
        core: call it under the lock only.
        clock: call it under the lock only.
        lock: of the core.
        enter, leave: acquire and release the lock. `with` costs twice as much, for every lease.
        attends: True if there is more to do after a call than to wake.
        happened: events that are not delivered yet.
        delivery: delivers them.
        waits: the threads and tasks that wait.
        usual: the request of most acquires; `ANY` itself if nothing has to be done after a grant.
        acquire_timeout_s: how many seconds an acquire waits by default; inf: for ever.
        retries: how calls retry.
        budget: the retry budget of all calls of this pool.
        jitter: as given.
    """

    # The attributes that every lease reads: slots are the fastest.
    __slots__ = ("__dict__", "__weakref__", "attends", "clock", "core", "enter", "happened", "leave", "usual", "waits")

    def __init__(
        self,
        core: Core,
        clock: Callable[[], float],
        defaults: CallerDefaults,
        *,
        jitter: random.Random,
        attends: bool = False,
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
        self.attends = bool(attends or terms) or self.core.admission.any
        # Re-entrant, so that `let_go` can tell whether this thread holds it.
        self.lock: threading.RLock | ForkedLock = threading.RLock()
        self.enter, self.leave = self.lock.acquire, self.lock.release
        self.happened = core.journal.happened
        self.delivery = Delivery(self.happened, self._set_aside)
        self.waits = Waits(self)
        self._alarm = Alarm(self._tick, clock)
        self._scan = AbandonedLeaseScan()
        self._marks: tuple[Callable[[Lease], object], ...] = ()
        notify_of_forks(self)

    # -- a call of the core ------------------------------------------------------------------------

    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None:
        """Call `act` under the lock. Then, without the lock, wake waiters, arm the alarm and deliver events."""
        try:
            with self.lock:
                ended = act(self.clock())
                timer = self._arm()
            for waiter in ended:
                waiter.wake()
            if timer is not None:
                self.start(timer)
            if self.happened:
                self.delivery.deliver()
        except BalancerError:  # nothing was changed
            raise
        except BaseException:
            self.recover()
            raise

    def change_endpoints(self, act: Callable[[Core, float], Sequence[Waiter]]) -> None:
        """Change the endpoints of the core, or its strategy, with `act`; see `change`."""
        self.change(lambda now: act(self.core, now))
        self.attends = self.attends or self.core.admission.any

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
        lease: Lease | None = None
        try:
            self.enter()
            lease = self.core.acquire(request, now := self.clock())
            if lease is None:
                lease = self.waits.in_thread(request, now, timeout, priority, polls)
            else:
                self.leave()
            if request is not ANY or (self.attends and self.happened):
                self.see_to(lease)
        except BaseException as error:
            self.cut_short(error, lease)
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
            self.attends = True
            self.change(nothing)  # starts a timer if needed
        self.delivery.deliver()

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease that is granted from now on; see `balancer.Pool.mark_leases`."""
        with self.lock:
            self._marks = (*self._marks, mark)
            self.usual = Request(terms=self.usual.terms)

        def unmark() -> None:
            with suppress(PoolForked), self.lock:
                self._marks = tuple(other for other in self._marks if other is not mark)

        return unmark

    # -- calls over the pool -----------------------------------------------------------------------

    def out_of_service(self) -> frozenset[str]:
        """Return the names of endpoints that are out of service for now: ejected, resting or spent."""
        with self.lock:
            out = self.core.out_of_service()
        return out  # noqa: RET504, an interrupt after a call within `with` would leave the lock taken

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Record a ping of endpoint `name`; see `balancer.Pool.pinged`."""
        self.change(lambda now: self.core.pinged(name, ok, now, conclusive=conclusive))

    def retried(self, name: str) -> None:
        """Count a retry of a call that failed at endpoint `name`."""
        self.change(lambda now: self.core.retried(name, now))

    def hedged(self, name: str) -> None:
        """Count a hedge of a slow call, at endpoint `name`."""
        self.change(lambda now: self.core.hedged(name, now))

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has a quota. Else token counts are not needed."""
        return self.core.admission.has_quotas

    # -- who watches -------------------------------------------------------------------------------

    def observe(self, observer: Observer, kinds: Iterable[type[Event]] | None = None) -> Observation:
        """Call `observer` with each event from now on; see `balancer.Pool.observe`."""
        observation = Observation(observer, kinds, self._end_observation)
        self.change(lambda now: self._listen((*self.delivery.observations, observation)))
        return observation

    def record(self, most: int) -> Recording:
        """Start a recording of up to `most` ended leases at once, until the last `collect`."""
        with self.lock:
            recording = self.core.recordings.begin(most)
        return recording  # noqa: RET504, as above

    def collect(self, recording: Recording, *, is_last: bool) -> Collected:
        """Take out what `recording` has kept. With `is_last`, stop it."""
        with self.lock:
            found = recording.collect(self.clock())
            if is_last:
                self.core.recordings.end(recording)
        return found

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining, as they are now."""
        with self.lock:
            accounts = self.core.ledger.accounts()
            found = tuple(each.endpoint for each in accounts if each.state is not MembershipState.RETIRING)
        return found  # noqa: RET504, as above

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return the pool at one instant; see `balancer.Pool.snapshot`."""
        self.give_back_abandoned(at_once=True)
        with self.lock:
            endpoints, totals, waits = self.core.counters(now := self.clock())
            quotas = self.core.quotas(now)
            strategy = self.core.ledger.strategy.name
            times = self.core.times()
            rows = self.core.leases(now) if leases else ()
            more = also() if also is not None else None
        if self.happened:
            self.delivery.deliver()
        stats = PoolStats.of(endpoints, strategy=strategy, waits=waits, quotas=quotas, **totals)
        return Snapshot(now, stats, waits, times, tuple(rows), more)

    def _end_observation(self, observation: Observation) -> None:
        observation.ended = True
        self.change(lambda now: self._listen(o for o in self.delivery.observations if o is not observation))

    def _listen(self, observations: Iterable[Observation]) -> Sequence[Waiter]:
        self.delivery.observations = tuple(observations)
        wanted = frozenset[type[Event]]().union(*(o.kinds for o in self.delivery.observations))
        self.core.listen(wanted)
        self.attends = self.attends or not wanted.isdisjoint((Queued, Granted, Ended))
        return ()

    def _set_aside(self, observation: Observation, error: Exception) -> None:
        self._end_observation(observation)
        log_broken(observation, error)

    # -- what goes wrong ---------------------------------------------------------------------------

    def recover(self, lease: Lease | None = None, outcome: Outcome = Outcome.IGNORED) -> None:
        """Serve and wake waiters after a call was cut short: by a strategy that raised, or by an interrupt.

        End `lease` with `outcome`: the caller will not get it, or has just released it.
        """
        self.let_go()
        with self.lock, suppress(Exception):  # the original error is already being raised
            self.core.recover(self.clock(), set(self.waits))
            self.core.abandon(abandoned(self.core.ledger.out, math.inf), self.clock())
        if lease is not None:
            with suppress(LeaseError):
                lease.release(outcome)
        for waiter in self.waits:
            if waiter.ended:
                waiter.wake()
        self.delivery.deliver()

    def give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End abandoned leases, if a scan is due or `at_once` is True."""
        with self.lock:
            out = self.core.ledger.out
            now = self.clock()
            found = abandoned(out, now) if at_once or self._scan.is_due(len(out), now) else ()
        if found:
            self.change(partial(self.core.abandon, found))

    def once_more(self, request: Request, now: float) -> tuple[Lease | None, float]:
        """If a scan is due, end abandoned leases. If there were any, try to acquire again.

        The lock must be held. Return the lease, or None, and the time.
        """
        out = self.core.ledger.out
        if not (self._scan.is_due(len(out), now) and abandoned(out, now)):
            return None, now
        self.leave()
        self.give_back_abandoned(at_once=True)
        self.enter()
        now = self.clock()
        return self.core.acquire(request, now), now

    def cut_short(self, error: BaseException, lease: Lease | None) -> None:
        """Repair the state after an acquire raised `error`, perhaps with the lock held and with `lease` granted."""
        if isinstance(error, BalancerError):  # refused; but `tick` may have made events
            self.let_go()
            if self.happened:
                self.delivery.deliver()
        else:  # e.g. KeyboardInterrupt in an observer: the caller does not get the lease
            clear_frames(error.__traceback__)  # a frame may hold a granted lease: now it can be found as abandoned
            self.recover(lease)

    def let_go(self) -> None:
        """Release the lock if this thread holds it. After a signal it may not hold it yet."""
        with suppress(RuntimeError):
            self.leave()

    @property
    def is_inside(self) -> bool:
        """True if this thread is inside a call of the core. A finaliser can then run in the same thread."""
        is_owned: bool = self.lock._is_owned()  # type: ignore[union-attr]  # what `threading.Condition` goes by
        return is_owned

    def forked(self, parent: int) -> None:
        """Disable the pool in a forked child: the leases and the waiting threads belong to the parent."""
        self.lock = barred = ForkedLock(parent)
        self.enter, self.leave = barred.acquire, barred.release
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
        with self.lock:
            if not self._alarm.rings():
                return
        self.change(lambda now: self.core.tick(now) if now >= self.core.due_s else ())


def _place_of_call() -> str:
    """Return file and line of the nearest caller outside this package, or ""."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
