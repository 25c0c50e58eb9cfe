"""Carries out a plan with `Pool.call` itself, in threads of its callers, and a clock that is moved by hand.

Decides what a call does: how long it works, and whether it fails. When it is tried again, and where, is the business of
`Pool.call`. Its list of what is due is its own: it must not use anything of the simulator. One thing happens at a time:
see `tests.equivalence.gate`.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from unittest.mock import patch

from balancer import Endpoint, EndpointError, EndpointOverloaded, Lease
from balancer.core import Waiter
from balancer.core.decisions import Over
from balancer.core.health import HealthWatch
from balancer.errors import BalancerError
from balancer.testing import ManualClock
from tests.equivalence.gate import PATIENCE_S, Caller, Coarse, HandTimedPool, HandTimer
from tests.equivalence.happened import Decided, Granted, Happened, Refused, recording
from tests.equivalence.listening import ListeningRegistry
from tests.equivalence.plan import REFUSAL_S, Arrival, Change, Plan
from tests.referee.refereed_core import RefereedCore

__all__ = ["Driver", "PlanOver", "Tie"]


class Tie(Exception):
    """Two events fall on one instant, so nobody can say what is right: one plan in a thousand.

    Mostly two callers of one kind that lost their endpoint together, asked again together, and will look together.
    """


class PlanOver(BaseException):
    """The plan is over, and this caller with it."""


def _sight(decided: Decided) -> str:
    decision = decided.decision
    return f"{decided.event}: {decision.why.name if isinstance(decision, Over) else type(decision).__name__}"


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
            s.url: Endpoint(
                s.url,
                capacity=s.capacity,
                weight=s.weight,
                labels=s.labels,
                host=s.host,
                group=s.group,
                quota=s.quota,
            )
            for s in plan.sites
        }
        self._clock = ManualClock(0.0)
        self._current = threading.local()
        self._woken: list[Waiter] = []
        with (
            patch("balancer.core.rules.HealthWatch", lambda health, _: HealthWatch(health, Coarse(plan.seed))),
            patch("balancer.pool.pool.Core", partial(RefereedCore, thorough_every=4)),
        ):
            self._pool = HandTimedPool(
                [self._specs[site.url] for site in plan.sites if not site.from_s],
                strategy=strategy,
                max_waiters=plan.max_waiters,
                acquire_timeout_s=plan.timeout_s,
                **plan.rules.values(),
                retries=plan.retries,
                clock=self._clock,
                registry=registry,
                caller=lambda: self._current.caller,
                after=self._after,
                woken=self._hear,
                jitter=Coarse(plan.seed),
            )
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._tickets = count()
        self._instants: set[float] = set()
        self._rings: set[float] = set()
        self._tied: float | None = None
        self._over = False
        self._wrong: list[AssertionError] = []
        self._calling: dict[Future[None], Caller] = {}
        self._at_work = Counter[str]()  # calls that were taken in, by URL
        self._answers: list[Granted | Refused] = []
        self._decisions: list[Decided] = []
        self._calls = {site.url: [0, 0] for site in plan.sites}
        self._ends = Counter[str]()
        self.seen = Counter[str]()

    def run(self) -> Happened:
        """Carry out the plan up to its horizon.

        Raises:
            Tie: it has two events at one instant.
        AssertionError: the naive model does not agree with the core.
        """
        with patch("balancer.core.attempt_plan.AttemptPlan", recording(self._decisions)), self._by_hand():
            try:
                self._prepare()
                while self._due[0][0] < self._plan.horizon_s:
                    at_s, _, act = heappop(self._due)
                    self._clock.advance(at_s - self._clock())
                    act()
                    if self._wrong:
                        raise self._wrong[0]
                    self._see_to_timers()
                    if self._tied is not None:
                        raise Tie(self._tied)
                self._clock.advance(self._plan.horizon_s - self._clock())
                return self._happened()
            finally:
                self._let_everybody_go()

    def _by_hand(self) -> AbstractContextManager[object]:
        """Return a block in which pauses are made by hand."""
        return patch("balancer.shells.driver.pause", self._sleep)

    def _let_everybody_go(self) -> None:
        """Leave no thread behind, not even one that the pool has forgotten."""
        self._over = True
        self._pool.close()  # which wakes those that wait
        for caller in self._calling.values():
            while not caller.is_over:
                caller.go_on()
        wait_for(self._calling, PATIENCE_S)

    def _happened(self) -> Happened:
        ends = {name: self._ends[name] for name in ("completed", "lost", "refused")}
        stats = self._pool.stats()  # first: it may let time do what is due
        for decided in self._decisions:
            self.seen[_sight(decided)] += 1
        return Happened(
            answers=list(self._answers),
            decisions=list(self._decisions),
            told=list(self._registry.told),
            calls={url: (begun, failed) for url, (begun, failed) in self._calls.items()},
            unfinished=self._ends["arrived"] - sum(ends.values()),
            stats=stats,
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
            self._tied = at_s
        self._instants.add(at_s)
        heappush(self._due, (at_s, next(self._tickets), act))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if not self._over:
            self._at(self._clock() + seconds, act)

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
        self._woken.clear()
        timer.ring()
        self._note("a cooldown that ended a wait")

    def _hear(self, waiter: Waiter) -> None:
        self._woken.append(waiter)
        self.seen["waited, then " + ("served" if waiter.lease else "refused")] += 1

    def _note(self, sight: str) -> None:
        self.seen[sight] += bool(self._woken)
        self._woken.clear()

    def _never(self) -> None:
        raise AssertionError("the horizon comes last")

    # -- callers -----------------------------------------------------------------------------------

    def _arrive(self, task: int, arrival: Arrival) -> None:
        self._ends["arrived"] += 1
        caller = Caller()
        call = self._threads.submit(self._call, caller, task, arrival)
        self._calling[call] = caller
        caller.await_parked()

    def _call(self, caller: Caller, task: int, arrival: Arrival) -> None:
        """Make one call, in a thread of its own, and write down what came of it."""
        self._current.caller = caller
        kind, granted = self._plan.kinds[arrival.kind], list[Lease]()

        def fn(lease: Lease) -> None:
            granted.append(lease)
            for seconds in self._work(task, arrival.work_s, lease):
                self._park(caller, seconds)
            if kind.used_tokens is not None:
                lease.used(tokens=kind.used_tokens)

        try:
            self._pool.call(
                fn,
                attempts=self._plan.attempts,
                labels=kind.labels,
                priority=kind.priority,
                slots=kind.slots,
                tokens=kind.tokens,
            )
        except BalancerError as error:
            self._gave_up(task, error, bool(granted))
        except AssertionError as error:  # the model does not agree
            self._wrong.append(error)
        except PlanOver:
            pass
        else:
            self._ends["completed"] += 1
        finally:
            self.seen["retried"] += len(granted) > 1
            caller.ended()

    def _work(self, task: int, work_s: float, lease: Lease) -> Iterator[float]:
        """Yield how long the endpoint takes, and end as it does."""
        url, now = lease.endpoint.name, self._clock()
        site = self._sites[url]
        self._answers.append(Granted(task, url, lease.id, lease.granted_s))
        self._calls[url][0] += 1
        if site.refuse_beyond is not None and self._at_work[url] >= site.refuse_beyond:
            yield REFUSAL_S
            self._calls[url][1] += 1
            self.seen["refused by its endpoint"] += 1
            raise EndpointOverloaded("busy", endpoint=url, retry_after_s=site.retry_after_s)
        fails = site.fails(now)
        self._at_work[url] += 1
        yield work_s / site.speed
        self._at_work[url] -= 1
        if fails:
            self._calls[url][1] += 1
            raise EndpointError("down", endpoint=url)

    def _sleep(self, seconds: float) -> None:
        self.seen["paused"] += 1
        self._park(self._current.caller, seconds)

    def _park(self, caller: Caller, seconds: float) -> None:
        self._after(seconds, caller.go_on)
        caller.park()
        if self._over:
            raise PlanOver

    def _gave_up(self, task: int, error: BalancerError, granted: bool) -> None:
        if self._over:
            return
        if not granted:
            self._answers.append(Refused(task, type(error), str(error), self._clock()))
            self.seen[type(error).__name__] += 1
        notes = " ".join(note for note in getattr(error, "__notes__", ()) if "not tried again" in note)
        self._ends["lost" if granted and (not notes or "budget" in notes) else "refused"] += 1

    # -- membership --------------------------------------------------------------------------------

    def _change(self, change: Change) -> None:
        url = change.url
        self._woken.clear()
        match change.do:
            case "add":
                self._pool.add(self._specs[url])
            case "drain":
                self._pool.drain(url)
            case "remove":
                self._pool.remove(url)
            case "update":
                self._update(change)
        self._note(f"{change.do} that ended a wait")

    def _update(self, change: Change) -> None:
        spec = self._specs[change.url]
        self._specs[change.url] = replace(
            spec, capacity=change.capacity or spec.capacity, weight=change.weight or spec.weight
        )
        self._pool.update(change.url, capacity=change.capacity, weight=change.weight)
