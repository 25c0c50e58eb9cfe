"""The pool: endpoints, leased one call at a time to threads.

`BasePool` checks arguments, builds the parts of a pool, and passes each call to its engine (`balancer.shells.engine`).
The core and the strategy decide who is next. `balancer.opening` knows configs, sources, traces, pages and servers.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, Self, TypeVar, Unpack

from balancer.core import Core
from balancer.core.events import Event
from balancer.core.metrics import CallError, LeaseRow, PoolStats, SourceStats
from balancer.core.readings import Snapshot
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import PoolForked
from balancer.settings import DEFAULT_STRATEGY
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.shells.calls import CallArguments, CallRequest, call
from balancer.shells.delivery import Observation, Observer
from balancer.shells.engine import CallerDefaults, Engine
from balancer.shells.lease_request import LeaseArguments, asking, shows_arguments
from balancer.shells.logs import Log
from balancer.strategy import Strategy
from balancer.values.numbers import checked

if TYPE_CHECKING:
    from balancer.plugins.registry import Registry

__all__ = ["BasePool"]

T = TypeVar("T")


class Watcher(Protocol):
    """Observes a pool until the pool is closed, such as a page or a trace."""

    def hide(self, redact: Callable[[str], str]) -> None:
        """Use `redact` from now on to take secrets out of the names of endpoints."""
        ...

    def close(self) -> None:
        """Stop. May be called twice."""
        ...


class BasePool:
    """Endpoints, leased one call at a time to threads. `balancer.Pool` has the arguments.

    Attributes:
        engine: serialises the calls, keeps time, and waits. For parts that are built on a pool.
    """

    engine: Engine
    _redact: Callable[[str], str] = str
    _watchers: tuple[Watcher, ...] = ()
    _sources: tuple[Callable[[], SourceStats], ...] = ()  # what each source of endpoints has said

    def __init__(
        self,
        endpoints: Iterable[Endpoint | str] = (),
        *,
        strategy: str | type[Strategy] = DEFAULT_STRATEGY,
        options: Mapping[str, Any] | None = None,
        seed: int | None = None,
        max_waiters: int | None = None,
        acquire_timeout_s: float | None = None,
        health: HealthSettings | Literal["default"] | None = "default",
        limits: LimitSettings | None = None,
        host_caps: Mapping[str, int] | None = None,
        quotas: Mapping[str, QuotaSettings] | None = None,
        spill_after_s: float | None = None,
        fairness: Literal["holder"] | None = None,
        holders: Mapping[str, HolderSettings] | None = None,
        retries: RetrySettings | None = None,
        ttl_s: float | None = None,
        leak_after_s: float | None = None,
        observers: Iterable[Observer] = (),
        clock: Callable[[], float] = time.monotonic,
        registry: "Registry | None" = None,
    ) -> None:
        # Imported here: plugins are slow to import, and a module that names a pool needs none of them.
        from balancer.plugins.registry import default_registry

        if health == "default":
            health = HealthSettings()
        for name, given, kind in (
            ("health", health, HealthSettings),
            ("limits", limits, LimitSettings),
            ("retries", retries, RetrySettings),
        ):
            if given is not None and not isinstance(given, kind):
                raise TypeError(f"{name} is {given!r}; it takes balancer.{kind.__name__}(...), or None")
        _refuse_wrong_kinds(clock, observers, options=options, host_caps=host_caps, quotas=quotas, holders=holders)
        self._registry = registry or default_registry()
        if seed is not None:
            checked("seed", seed, _any_whole)
        self.rng = random.Random(seed)
        chosen = self._registry.strategy(strategy, options, self.rng)
        specs = _each_of(endpoints)

        self.engine = Engine(
            lambda engine: Core(
                specs,
                chosen,
                lender=engine,
                max_waiters=max_waiters,
                health=health,
                limits=limits,
                host_caps=host_caps or {},
                quotas=quotas or {},
                spill_after_s=spill_after_s,
                holders=_fair_holders(fairness, holders),
                rng=random.Random(None if seed is None else ~seed),  # independent of the strategy's random numbers
                now=clock(),
            ),
            clock,
            CallerDefaults(acquire_timeout_s, retries, ttl_s, leak_after_s),
            jitter=random.Random(None if seed is None else f"jitter {seed}"),  # independent of both
        )
        self._log = Log()
        for observer in (self._log, *observers):
            self.observe(observer)

    # -- leases ------------------------------------------------------------------------------------

    @shows_arguments()
    def acquire(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> Lease:
        """Take a slot of an endpoint. Release the lease once, with `lease.release()`, or use it as a `with` block.

        Args:
            timeout: seconds to wait at most. 0: do not wait. None: the pool's `acquire_timeout_s`.
            labels: the endpoint must have all of these labels.
            exclude: names of endpoints that must not be used. An endpoint without a name has its URL as its name.
            priority: each level is worth 10 s of waiting. So a higher level goes first, and no waiter starves. With
                `fairness`, before other calls of its holder only.
            slots: how many slots of one endpoint to take, for a call that runs several programs at once. If a lower
                limit is in force, the lease takes as many as the limit allows.
            key: for affinity. Strategies such as `rendezvous` send calls with one key to the same endpoint.
            holder: a text that says who has the lease, e.g. "sample 7". `leases` and the log show it. With `fairness`,
                its calls have a share together.
            ttl_s: the pool ends the lease after so many seconds. `inf`: never. None: the pool's `ttl_s`.
            tokens: how many tokens of a quota the call will use, estimated. `Lease.used` sets the true number later.
            only: the name of the one endpoint that may be used: it is waited for while it is full or out of service.

        Raises:
            AcquireTimeout: no slot came free in time.
            NoEndpoint: no endpoint in service could ever serve this request.
            QuotaExceeded: a `NoEndpoint`. The request needs more tokens than the whole quota has.
            TooManyWaiters: `max_waiters` callers wait already.
            PoolClosed: the pool is closed, or was closed during the wait.
            PoolForked: the pool belongs to the parent of this process.
            WaitInCoroutine: a coroutine called this, and no slot is free. Use `pool.aio`.
            TypeError, ValueError: an argument has the wrong type, or is out of range.
        """
        plain = self.engine.plain
        lease = self.engine.acquire(asking(plain, timeout, asked) if asked or timeout is not None else plain)
        lease.taken = True  # now it may be ended by its id: see `balancer.shells.waiting`
        return lease

    # A lease is its own context manager, so that no code runs between the grant and the `with` block.
    @shows_arguments()
    def lease(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> Lease:
        """Take a slot of an endpoint for a block: `with pool.lease(timeout=5.0) as lease:`.

        The end of the block releases the lease. An error in it decides the outcome, unless `lease.outcome` is set.

        Args:
            timeout: seconds to wait at most. 0: do not wait. None: the pool's `acquire_timeout_s`.
            labels: the endpoint must have all of these labels.
            exclude: names of endpoints that must not be used. An endpoint without a name has its URL as its name.
            priority: each level is worth 10 s of waiting. So a higher level goes first, and no waiter starves. With
                `fairness`, before other calls of its holder only.
            slots: how many slots of one endpoint to take, for a call that runs several programs at once. If a lower
                limit is in force, the lease takes as many as the limit allows.
            key: for affinity. Strategies such as `rendezvous` send calls with one key to the same endpoint.
            holder: a text that says who has the lease, e.g. "sample 7". `leases` and the log show it. With `fairness`,
                its calls have a share together.
            ttl_s: the pool ends the lease after so many seconds. `inf`: never. None: the pool's `ttl_s`.
            tokens: how many tokens of a quota the call will use, estimated. `Lease.used` sets the true number later.
            only: the name of the one endpoint that may be used: it is waited for while it is full or out of service.

        Raises:
            AcquireTimeout: no slot came free in time.
            NoEndpoint: no endpoint in service could ever serve this request.
            QuotaExceeded: a `NoEndpoint`. The request needs more tokens than the whole quota has.
            TooManyWaiters: `max_waiters` callers wait already.
            PoolClosed: the pool is closed, or was closed during the wait.
            PoolForked: the pool belongs to the parent of this process.
            WaitInCoroutine: a coroutine called this, and no slot is free. Use `pool.aio`.
            TypeError, ValueError: an argument has the wrong type, or is out of range.
            LeaseError: at the end of the block, if the lease was over: released before, or its `ttl_s` had passed.
        """
        plain = self.engine.plain
        return self.engine.acquire(asking(plain, timeout, asked) if asked or timeout is not None else plain)

    def release(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        """Take `lease` back and give its slot to the next waiter.

        If the strategy raises, the lease ends all the same; the log names the strategy once.

        Raises:
            LeaseError: the lease has ended, or belongs to another pool. Nothing is changed.
        """
        self.engine.release(lease, outcome)

    def release_by_id(self, id: int, outcome: Outcome = Outcome.IGNORED) -> None:
        """End the lease with this id, even if its holder still uses it. A later release of it raises `LeaseError`.

        Raises:
            LeaseError: no lease with this id is out. Nothing is changed.
        """
        self.engine.change(partial(self.engine.core.release_by_id, id, outcome))

    @shows_arguments(CallRequest)
    def call(self, fn: Callable[[Lease], T], **asked: Unpack[CallArguments]) -> T:
        """Take a lease, return `fn(lease)`, release the lease. If the endpoint fails, try again, elsewhere if possible.

        Tried again: transport errors, timeouts and `EndpointError`, `CannotTell` among them. Any other exception is the
        caller's own and is raised at once. Pauses are random and double (`[retries]`). A `Retry-After` of an endpoint
        is kept if no other one can serve. A retry does not wait for an ejected endpoint while another can serve.

        Args:
            fn: the call. Its lease ends with it. A coroutine function is for `pool.aio`.
            attempts: how many attempts at most, the first included (>= 1).
            deadline_s: seconds for all waits, pauses and attempts. No attempt starts after it. One that runs is not
                cut, so give `fn` a timeout of its own (`pool.aio.call` does cut it). None: no deadline; each attempt
                waits for a lease as long as the pool's `acquire_timeout_s`.
            hedge_after_s: for idempotent calls only. An attempt that takes longer is made a second time, on another
                free endpoint, if the budget has a retry left. The first success counts. `fn` runs in threads of its
                own. The loser's lease ends at once, as neither success nor failure, and its `lease.ended` is true; the
                loser itself may run on. If it then fails by its endpoint's fault, that counts as a failed ping
                (`Pool.pinged`). None: never.
            labels, exclude, priority, slots, key, holder, ttl_s, tokens, only: as in `acquire`, for each attempt.

        Raises:
            AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters, WaitInCoroutine: no lease for the first attempt.
            LeaseError: `fn` returned, but its lease was over: `fn` released it, or its `ttl_s` had passed.
            Exception: the last error of `fn`. It has a note if attempts were left but no retry was made.
            TypeError: `fn` returns a coroutine or generator; a string where a collection is needed.
            ValueError: a number is out of range.
        """
        return call(self.engine, fn, **asked)

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint | str) -> None:
        """Take `endpoint`, or the one of this URL, into service. A draining endpoint comes back as given.

        Raises:
            DuplicateEndpoint: an active endpoint has this name.
        """
        spec = Endpoint.of(endpoint)
        self.engine.change_endpoints(lambda core, now: core.add(spec, now))

    def drain(self, url: str) -> None:
        """Grant no new leases of the endpoint with this name (or URL). It stays listed until it is removed or added.

        Waiters that only this endpoint could serve get `NoEndpoint`.

        Raises:
            UnknownEndpoint: there is no such endpoint.
        """
        self.engine.change_endpoints(lambda core, now: core.drain(url, now))

    def remove(self, url: str) -> None:
        """Grant no new leases of the endpoint with this name (or URL), and forget it when its last lease ends.

        Raises:
            UnknownEndpoint: there is no such endpoint.
        """
        self.engine.change_endpoints(lambda core, now: core.remove(url, now))

    def update(
        self,
        url: str,
        *,
        capacity: int | None = None,
        weight: float | None = None,
        labels: Iterable[str] | None = None,
        group: int | None = None,
    ) -> None:
        """Change the given values of an endpoint. A smaller capacity takes effect as leases end.

        Raises:
            UnknownEndpoint: there is no such endpoint.
            ValueError: a value is out of range. Nothing is changed.
        """
        if labels is not None and not isinstance(labels, str):  # `Endpoint` refuses a string
            labels = frozenset(labels)
        given = {"capacity": capacity, "weight": weight, "labels": labels, "group": group}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self.engine.change_endpoints(
            lambda core, now: core.update(replace(core.ledger.account(url).endpoint, **changes), now)
        )

    def set_strategy(self, name: str | type[Strategy], **options: Any) -> None:
        """Replace the strategy. Leases that are out, and waiters, stay.

        Raises:
            ConfigError: unknown strategy or wrong option. Nothing is changed.
        """
        chosen = self._registry.strategy(name, options, self.rng)
        self.engine.change_endpoints(lambda core, now: core.set_strategy(chosen, now))

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Record the result of a ping of endpoint `name`. Does nothing if the endpoint has gone.

        `conclusive`: True if the ping ran a program. A good one brings back an endpoint that is half open.
        """
        self.engine.change(partial(self.engine.core.pinged, name, ok, conclusive=conclusive))

    # -- who watches -------------------------------------------------------------------------------

    def observe(self, observer: Observer, kinds: Iterable[type[Event]] | None = None) -> Observation:
        """Call `observer` with each event from now on, until the returned observation ends.

        Events come in order, in one thread at a time, outside the pool's lock. The observer may call the pool. An
        observer that raises gets no more events, and the log says so.

        Args:
            observer: called with an event; see `balancer.core.events`.
            kinds: which events. None: the observer's attribute `kinds`; without one, all events.

        Raises:
            TypeError, ValueError: `observer` cannot be called, or one of `kinds` is not a kind of event.
        """
        return self.engine.observe(observer, kinds)

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease that is granted from now on, in the thread or task that asked for it.

        `mark` is called before the caller gets the lease. It must not raise, and must not end the lease. Call the
        returned function to stop.
        """
        return self.engine.mark_leases(mark)

    def attach(self, watcher: Watcher) -> None:
        """Close `watcher` when the pool is closed."""
        self._watchers = (*self._watchers, watcher)

    def hide(self, redact: Callable[[str], str]) -> None:
        """Use `redact` to take secrets out of the names in the log, in traces, and in pages that open later."""
        self._redact = self._log.redact = redact
        for watcher in self._watchers:
            watcher.hide(redact)

    # -- looking -----------------------------------------------------------------------------------

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining, as they are now."""
        return self.engine.endpoints()

    def out_of_service(self) -> frozenset[str]:
        """Return the names of endpoints that are out of service for now: ejected, resting or spent."""
        self.engine.change(self.engine.core.tick)  # what is over by now: nobody else may have looked
        return self.engine.out_of_service()

    @property
    def clock(self) -> Callable[[], float]:
        """Returns the time in seconds; never goes back."""
        return self.engine.clock

    def stats(self) -> PoolStats:
        """Return the counters of the pool and of each endpoint, all at one instant.

        Abandoned leases are ended first. Leases wait only while the counters are copied; the sums are made afterwards.
        """
        return self.snapshot().stats

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return `stats` and more, all at one instant.

        Args:
            leases: True for a row for each lease that is out.
            also: called under the pool's lock, for further data of the same instant. It must be quick.
        """
        engine, core = self.engine, self.engine.core
        engine.waits.give_back_abandoned(at_once=True)

        def seen() -> Callable[[], Snapshot]:
            endpoints, totals, waits = core.counters(now := engine.clock())
            figures: dict[str, Any] = {
                "strategy": core.ledger.strategy.name,
                "quotas": core.quotas(now),
                "holders": core.holders(now),
            } | totals
            rows = core.leases(now) if leases else ()
            waiters = core.waits() if leases else ()
            more = also() if also is not None else None

            def summed() -> Snapshot:
                stats = PoolStats.of(endpoints, waits=waits, sources=[each() for each in self._sources], **figures)
                return Snapshot(now, stats, waits, tuple(rows), more, tuple(waiters))

            return summed

        return engine.under_lock(seen)()

    def last_errors(self, url: str) -> tuple[CallError, ...]:
        """Return the last 50 failures and overloads of the endpoint of this name, oldest first, with their reasons.

        The reason is known of a call whose exception ended a `with` block, or that `pool.call` or a transport made.

        Raises:
            UnknownEndpoint: there is no such endpoint.
        """
        return tuple(self.engine.under_lock(lambda: self.engine.core.errors(url)))

    def leases(self) -> tuple[LeaseRow, ...]:
        """Return the leases that are out, oldest first: id, endpoint, holder, start, slots.

        Abandoned leases are ended first.
        """
        return self.snapshot(leases=True).leases

    def close(self) -> None:
        """Fail every waiter and every later acquire with `PoolClosed`. Leases that are out may still be released."""
        with suppress(PoolForked):  # only the parent may close it
            self.engine.change(self.engine.core.close)
        self.engine.stop()
        if self._watchers and self.engine.is_inside():  # they wait for the pool
            threading.Thread(target=self._close_watchers, name="close watchers", daemon=True).start()
        else:
            self._close_watchers()

    def _close_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.close()

    def __repr__(self) -> str:
        core = self.engine.core
        try:
            return f"<Pool {core!r}>" if self.engine.is_inside() else self.engine.under_lock(lambda: f"<Pool {core!r}>")
        except PoolForked as error:
            return f"<Pool of process {error.parent}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pool cannot be pickled: it serves the threads of one process; make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _each_of(endpoints: Iterable[Endpoint | str]) -> list[Endpoint]:
    """Return each given endpoint or URL as an endpoint. Raises TypeError."""
    if isinstance(endpoints, str | Endpoint):
        raise TypeError(f"endpoints is {endpoints!r}, a single one; give a list: [{endpoints!r}]")
    if not isinstance(endpoints, Iterable):
        raise TypeError(f"endpoints is {endpoints!r}; give a list of endpoints or of their URLs")
    return [Endpoint.of(each) for each in endpoints]


def _refuse_wrong_kinds(clock: Any, observers: Any, **mappings: Any) -> None:
    """Refuse arguments that are not what they must be. Raises TypeError."""
    for name, given in mappings.items():
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{name} is {given!r}; it takes a mapping, such as a dict, or None")
    if not isinstance(observers, Iterable):
        raise TypeError(f"observers is {observers!r}; it takes a list of functions that take an event")
    if not callable(clock):
        raise TypeError(f"clock is {clock!r}; it takes a function that returns seconds, such as time.monotonic")


def _fair_holders(fairness: Any, holders: Mapping[str, HolderSettings] | None) -> Mapping[str, HolderSettings] | None:
    """Return the settings of holders with fair shares, or None if they have none. Raises ValueError, TypeError."""
    if fairness not in (None, "holder"):
        raise ValueError(f'fairness is {fairness!r}; it must be "holder", or None')
    for name, given in (holders or {}).items():
        if not isinstance(given, HolderSettings):
            raise TypeError(f"holders: {name} is {given!r}; it takes balancer.HolderSettings(...)")
    if holders and fairness is None:
        raise ValueError('holders have no effect without fairness="holder"; set it, or leave them out')
    return None if fairness is None else holders or {}


def _any_whole(seed: Any) -> int:
    """Return `seed` if it is a whole number. Raises ValueError."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError("it must be a whole number, or None")
    return seed
