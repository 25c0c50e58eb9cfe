"""The pool's engine: a core behind one lock, one alarm and one delivery of events, for threads and tasks alike.

Decides in what order the lock is let go, waiters are woken, the timer is started and observers are told, and what is
made good when an interrupt cuts this short. It must not decide who is next. How callers wait is said in
`balancer.shells.waiting`.
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
    """What callers of a pool get unless they say otherwise; see `balancer.Pool`."""

    acquire_timeout_s: float | None = None
    retries: RetrySettings | None = None
    ttl_s: float | None = None
    leak_after_s: float | None = None


class Engine:
    """A core, and what a pool does around each call of it: lock, wake, keep time, tell, and recover from interrupts.

    Args:
        core: decides; its leases go back to the pool whose engine this is.
        clock: seconds; never goes back.
        defaults: for callers.
        jitter: what the pauses before retries are drawn from.
        attends: whether there is more to do after a call than to wake: something goes by the clock.

    Attributes:
        core: to be called under the lock only.
        clock: likewise.
        lock: of the core.
        enter, leave: acquire and release the lock. `with` costs twice as much, which every lease would feel.
        attends: True if there is more to do after a call than to wake.
        happened: events that nobody was told of yet.
        delivery: tells them.
        waits: the threads and tasks that wait.
        usual: what most acquires ask for; `ANY` itself if there is nothing to see to after a grant.
        acquire_timeout_s: how long an acquire waits unless it says otherwise; `inf`: for ever.
        retries: how calls try again.
        budget: the retries that all calls over this pool share.
        jitter: as given.
    """

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
        # Re-entrant, because only then can `let_go` tell whether this thread holds it.
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
        """Do `act` under the lock, and thereafter without it what follows: wake, arm the alarm, tell observers."""
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
        """Change the endpoints of the core, or its strategy, as `act` does; see `change`."""
        self.change(lambda now: act(self.core, now))
        self.attends = self.attends or self.core.admission.any

    def acquire(
        self, request: Request, timeout: float | None, priority: int, polls: Callable[[float], RetryPolls] | None = None
    ) -> Lease:
        """Take an endpoint, and wait for it if need be, in this thread; as `balancer.Pool.acquire`.

        Args:
            request: what the core is asked for.
            timeout: seconds to wait at most; None: as the pool was told.
            priority: see `balancer.Pool.acquire`.
            polls: makes, when the wait begins, those of a retry.
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
        """Do for a lease that was just granted what can wait until the lock is free."""
        if self._leak_after_s is not None:
            lease.where = _place_of_call()
        for mark in self._marks:
            mark(lease)
        if lease.terms is not None and lease.terms.timed:
            self.attends = True
            self.change(nothing)  # sees to a timer
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
        """Return the names of those that serve nobody for now: ejected, at rest, or of an account with nothing left."""
        with self.lock:
            out = self.core.out_of_service()
        return out  # noqa: RET504, an interrupt after a call within `with` would leave the lock taken

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Tell the outcome of an active probe of endpoint `name`; see `balancer.Pool.pinged`."""
        self.change(lambda now: self.core.pinged(name, ok, now, conclusive=conclusive))

    def retried(self, name: str) -> None:
        """Count a call that failed at endpoint `name` and is made again."""
        self.change(lambda now: self.core.retried(name, now))

    def hedged(self, name: str) -> None:
        """Count a call that is slow and is made a second time, at endpoint `name`."""
        self.change(lambda now: self.core.hedged(name, now))

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has a quota; else nobody need count tokens."""
        return self.core.admission.has_quotas

    # -- who watches -------------------------------------------------------------------------------

    def observe(self, observer: Observer, kinds: Iterable[type[Event]] | None = None) -> Observation:
        """Let `observer` hear what happens from now on; see `balancer.Pool.observe`."""
        observation = Observation(observer, kinds, self._end_observation)
        self.change(lambda now: self._listen((*self.delivery.observations, observation)))
        return observation

    def record(self, most: int) -> Recording:
        """Keep leases that end from now on, so many at once, until they are collected for the last time."""
        with self.lock:
            recording = self.core.recordings.begin(most)
        return recording  # noqa: RET504, as above

    def collect(self, recording: Recording, *, is_last: bool) -> Collected:
        """Take out what `recording` has kept; it keeps no more if this `is_last`."""
        with self.lock:
            found = recording.collect(self.clock())
            if is_last:
                self.core.recordings.end(recording)
        return found

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are listed: those in service and those that are draining, as they are now."""
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
        """Serve and wake those who wait, after a call was cut short: by a strategy that raised, or by an interrupt.

        Give back `lease`, which the caller will not get, or has given back just now.
        """
        self.let_go()
        with self.lock, suppress(Exception):  # whatever is wrong has been raised already
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
        """End the leases that nobody has any more, if it is time to look for them, or `at_once`."""
        with self.lock:
            out = self.core.ledger.out
            now = self.clock()
            found = abandoned(out, now) if at_once or self._scan.is_due(len(out), now) else ()
        if found:
            self.change(partial(self.core.abandon, found))

    def once_more(self, request: Request, now: float) -> tuple[Lease | None, float]:
        """End the leases that nobody has any more, if it is time to look for them, and ask once more if there were any.

        The lock is held. Return also what time it is then.
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
        """Make good an acquire that raised `error`, perhaps with the lock taken and with `lease` granted."""
        if isinstance(error, BalancerError):  # it was refused; time may have done what was due, which is told
            self.let_go()
            if self.happened:
                self.delivery.deliver()
        else:  # e.g. KeyboardInterrupt while an observer hears of it: the caller won't get it
            clear_frames(error.__traceback__)  # the core may have granted it: then nobody is to have it
            self.recover(lease)

    def let_go(self) -> None:
        """Release the lock if this thread holds it: an exception may come before it has, from a signal."""
        with suppress(RuntimeError):
            self.leave()

    @property
    def is_inside(self) -> bool:
        """True if this thread is in the midst of a call of the core, as it may be when something is collected."""
        is_owned: bool = self.lock._is_owned()  # type: ignore[union-attr]  # what `threading.Condition` goes by
        return is_owned

    def forked(self, parent: int) -> None:
        """Be of no use, in a forked child: the leases are the parent's, and so are the threads that wait."""
        self.lock = barred = ForkedLock(parent)
        self.enter, self.leave = barred.acquire, barred.release
        self.waits.forget()
        self.happened.clear()
        self.delivery.observations = ()

    # -- time --------------------------------------------------------------------------------------

    def start(self, timer: threading.Timer) -> None:
        """Start what an alarm returned. If the machine has no more threads, the next call to the pool tries again."""
        try:
            timer.start()
        except RuntimeError:
            return
        except BaseException:  # e.g. KeyboardInterrupt: this thread goes, but others may wait
            self.change(nothing)
            raise

    def stop(self) -> None:
        """Ring no more, unless there is something due later on."""
        self._alarm.cancel()
        self.waits.stop()

    def leave_and_attend(self, ended: Sequence[Waiter]) -> None:
        """Let go of the lock, and do what there is to do after a call."""
        timer = None if self.core.due_s == math.inf else self._arm()
        self.leave()
        for waiter in ended:
            waiter.wake()
        if timer is not None:
            self.start(timer)
        if self.happened:
            self.delivery.deliver()

    def _arm(self) -> threading.Timer | None:
        """Return a timer, to be started, for what is due next. None: there is one, or none is needed.

        While nobody waits the next call is early enough, but for leases that are over.
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
    """Return file and line of the nearest caller outside of this package; "" if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
