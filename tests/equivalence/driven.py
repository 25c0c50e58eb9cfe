"""Carries out a plan in a threaded pool, with callers in threads of their own and a clock that is moved by hand.

Decides what a caller does with its answer: it works, gives the lease back, and tries again if it failed. Its list of
what is due is its own: it must not use anything of the simulator. One thing happens at a time: it goes on when every
thread that it has set going waits in the pool or has its answer.
"""

from collections import Counter
from collections.abc import Callable, Set
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from unittest.mock import patch

from balancer import Endpoint, Lease, Outcome
from balancer.core.health import HealthWatch
from balancer.errors import BalancerError, NoEndpoint
from balancer.testing import ManualClock
from tests.equivalence.gate import PATIENCE_S, Coarse, HandTimedPool, HandTimer, Wait
from tests.equivalence.happened import Granted, Happened, Refused
from tests.equivalence.listening import ListeningRegistry
from tests.equivalence.plan import Arrival, Change, Kind, Plan

__all__ = ["Driver", "Tie"]


class Tie(Exception):
    """Two events fall on one instant, so nobody can say what is right: one plan in a thousand.

    Mostly two callers of one kind that lost their endpoint together, asked again together, and will give up together.
    """


@dataclass(slots=True)
class _Caller:
    """A request on its way; `exclude` grows with every failure."""

    task: int
    work_s: float
    kind: Kind
    exclude: frozenset[str] = frozenset()
    calls: int = 0


class Driver:
    """A pool, those who call it, and what is due.

    Args:
        plan: to be carried out, once.
        strategy: its name.
        registry: where it is made.
        threads: run the callers; as many at once as there are arrivals.

    Attributes:
        seen: how often what a test wants to see has happened.
    """

    def __init__(self, plan: Plan, strategy: str, registry: ListeningRegistry, threads: Executor) -> None:
        self._plan = plan
        self._registry = registry
        self._threads = threads
        self._sites = {site.url: site for site in plan.sites}
        self._specs = {
            s.url: Endpoint(s.url, capacity=s.capacity, weight=s.weight, labels=s.labels, host=s.host)
            for s in plan.sites
        }
        self._clock = ManualClock(0.0)
        self._news: SimpleQueue[Wait | Future[Lease]] = SimpleQueue()
        with patch("balancer.core.rules.HealthWatch", lambda health, _: HealthWatch(health, Coarse(plan.seed))):
            self._pool = HandTimedPool(
                [self._specs[site.url] for site in plan.sites if not site.from_s],
                strategy=strategy,
                max_waiters=plan.max_waiters,
                health=plan.rules.health,
                limits=plan.rules.limits,
                host_caps=plan.rules.host_caps,
                clock=self._clock,
                registry=registry,
                queued=self._news.put,
            )
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._tickets = count()
        self._instants: set[float] = set()
        self._rings: set[float] = set()
        self._asking: dict[Future[Lease], _Caller] = {}
        self._waits: list[Wait] = []
        self._answers: list[Granted | Refused] = []
        self._calls = {site.url: [0, 0] for site in plan.sites}
        self._ends = Counter[str]()
        self.seen = Counter[str]()

    def run(self) -> Happened:
        """Carry out the plan up to its horizon.

        Raises:
            Tie: it has two events at one instant.
        """
        try:
            self._prepare()
            while self._due[0][0] < self._plan.horizon_s:
                at_s, _, act = heappop(self._due)
                self._clock.advance(at_s - self._clock())
                act()
                self._see_to_timers()
            self._clock.advance(self._plan.horizon_s - self._clock())
            return self._happened()
        finally:
            self._let_everybody_go()

    def _let_everybody_go(self) -> None:
        """Leave no thread behind, not even one that the pool has forgotten."""
        try:
            self._pool.close()
        finally:
            for wait in self._waits:
                if not (wait.woken or wait.call.done()):
                    wait.expire()
            wait_for(self._asking, PATIENCE_S)

    def _happened(self) -> Happened:
        ends = {name: self._ends[name] for name in ("completed", "lost", "refused")}
        return Happened(
            answers=self._answers,
            told=self._registry.told,
            calls={url: (begun, failed) for url, (begun, failed) in self._calls.items()},
            unfinished=self._ends["arrived"] - sum(ends.values()),
            stats=self._pool.stats(),
            **ends,
        )

    # -- what is due -------------------------------------------------------------------------------

    def _prepare(self) -> None:
        for task, arrival in enumerate(self._plan.arrivals, start=1):
            self._at(arrival.at_s, partial(self._arrive, task, arrival))
        for site in self._plan.sites:
            if site.from_s:
                self._at(site.from_s, partial(self._change, Change(site.from_s, "add", site.url)))
        for change in self._plan.changes:
            self._at(change.at_s, partial(self._change, change))
        self._at(self._plan.horizon_s, self._never)

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        if at_s in self._instants:
            raise Tie(at_s)
        self._instants.add(at_s)
        heappush(self._due, (at_s, next(self._tickets), act))

    def _see_to_timers(self) -> None:
        timers, self._pool.timers[:] = self._pool.timers[:], []
        for timer in timers:
            at_s = self._clock() + timer.after_s
            ring: Callable[[], None] = partial(self._ring, timer)
            if at_s in self._rings:  # two timers of one instant do not matter: one of them was cancelled
                heappush(self._due, (at_s, next(self._tickets), ring))
            else:
                self._rings.add(at_s)
                self._at(at_s, ring)

    def _ring(self, timer: HandTimer) -> None:
        timer.ring()
        self.seen["a cooldown that ended a wait"] += bool(self._pool.woken)
        self._let_the_woken_answer()

    def _next(self, act: Callable[[], None]) -> None:
        """Do it now, but after whatever else follows from the same event."""
        heappush(self._due, (self._clock(), next(self._tickets), act))

    def _never(self) -> None:
        raise AssertionError("the horizon comes last")

    # -- callers -----------------------------------------------------------------------------------

    def _arrive(self, task: int, arrival: Arrival) -> None:
        self._ends["arrived"] += 1
        self._ask(_Caller(task, arrival.work_s, self._plan.kinds[arrival.kind]))

    def _ask(self, caller: _Caller) -> None:
        kind = caller.kind
        exclude = caller.exclude and caller.exclude | self._pool.out_of_service()
        self.seen["left out who was ejected"] += exclude != caller.exclude
        call = self._threads.submit(
            self._pool.acquire,
            kind.timeout_s,
            labels=kind.labels,
            exclude=exclude,
            priority=kind.priority,
            slots=kind.slots,
        )
        self._asking[call] = caller
        call.add_done_callback(self._news.put)
        news = self._hear_news()
        if isinstance(news, Wait):
            self._begin_wait(news, call, kind)
        else:
            assert news is call, "an acquire ended that nobody has ended"
            self._answer(call)

    def _begin_wait(self, wait: Wait, call: Future[Lease], kind: Kind) -> None:
        wait.call = call
        self._waits.append(wait)
        assert wait.timeout_s == (-1 if kind.timeout_s is None else kind.timeout_s), "it would really wait otherwise"
        if kind.timeout_s is not None:
            self._at(self._clock() + kind.timeout_s, partial(self._expire, wait))

    def _expire(self, wait: Wait) -> None:
        if not wait.call.done():
            wait.expire()
            heard = {self._hear_news()}
            while wait.call not in heard:  # others may be served: slots were kept for it
                heard.add(self._hear_news())
            self._answer(wait.call)
            self.seen["a time-out that ended another wait"] += bool(self._pool.woken)
            self._let_the_woken_answer(heard - {wait.call})

    def _hear_news(self) -> Wait | Future[Lease]:
        try:
            return self._news.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"a caller neither waits nor has an answer: {self._pool!r}") from None

    def _let_the_woken_answer(self, heard: Set[Wait | Future[Lease]] = frozenset()) -> None:
        """Hear those whose waits the pool has just ended, in the order in which it woke them."""
        woken, self._pool.woken[:] = self._pool.woken[:], []
        heard = heard | {self._hear_news() for _ in range(len(woken) - len(heard))}
        assert heard == {wait.call for wait in woken}, "somebody else's wait ended"
        for wait in woken:
            self.seen["waited, then " + ("refused" if wait.call.exception() else "served")] += 1
            self._answer(wait.call)

    # -- answers -----------------------------------------------------------------------------------

    def _answer(self, call: Future[Lease]) -> None:
        caller, error = self._asking.pop(call), call.exception()
        if error is None:
            self._begin(caller, call.result())
        elif isinstance(error, BalancerError):
            self._refuse(caller, error)
        else:
            raise error

    def _begin(self, caller: _Caller, lease: Lease) -> None:
        url, now = lease.endpoint.url, self._clock()
        self._answers.append(Granted(caller.task, url, lease.id, lease.granted_s))
        caller.calls += 1
        self._calls[url][0] += 1
        site = self._sites[url]
        self._at(now + caller.work_s / site.speed, partial(self._end, caller, lease, site.fails(now)))

    def _end(self, caller: _Caller, lease: Lease, failed: bool) -> None:
        self._pool.release(lease, Outcome.FAILURE if failed else Outcome.SUCCESS)
        self._let_the_woken_answer()
        if not failed:
            self._ends["completed"] += 1
            return
        self._calls[lease.endpoint.url][1] += 1
        if caller.calls == self._plan.attempts:
            self._ends["lost"] += 1
            return
        self.seen["retried"] += 1
        if self._plan.exclude_failed:
            caller.exclude |= {lease.endpoint.url}
        self._retry_after_a_pause(caller)

    def _retry_after_a_pause(self, caller: _Caller) -> None:
        again = partial(self._ask, caller)
        if self._plan.pause_s:
            self._at(self._clock() + self._plan.pause_s, again)
        else:
            self._next(again)

    def _refuse(self, caller: _Caller, error: BalancerError) -> None:
        self._answers.append(Refused(caller.task, type(error), str(error), self._clock()))
        self.seen[type(error).__name__] += 1
        if isinstance(error, NoEndpoint) and caller.exclude:  # one that has failed it is better than none
            self.seen["asked again for any"] += 1
            caller.exclude = frozenset()
            self._next(partial(self._ask, caller))
        else:
            self._ends["refused"] += 1

    # -- membership --------------------------------------------------------------------------------

    def _change(self, change: Change) -> None:
        url = change.url
        match change.do:
            case "add":
                self._pool.add(self._specs[url])
            case "drain":
                self._pool.drain(url)
            case "remove":
                self._pool.remove(url)
            case "update":
                self._update(change)
        self.seen[f"{change.do} that ended a wait"] += bool(self._pool.woken)
        self._let_the_woken_answer()

    def _update(self, change: Change) -> None:
        spec = self._specs[change.url]
        self._specs[change.url] = replace(
            spec, capacity=change.capacity or spec.capacity, weight=change.weight or spec.weight
        )
        self._pool.update(change.url, capacity=change.capacity, weight=change.weight)
