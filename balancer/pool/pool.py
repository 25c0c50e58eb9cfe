"""The pool: endpoints, leased one call at a time to threads and tasks.

A shell: it serialises the calls to the core, reads the clock, and wakes those whose wait has ended after
it has let go of its lock. It must not decide who is next; the core and the strategy do. How a thread waits
is said in `balancer.shells.waiting`.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from os import PathLike
from traceback import clear_frames
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack, cast

from balancer.core import Core, Waiter
from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import BalancerError, ConfigError, LeaseError, PoolForked
from balancer.load import Load
from balancer.plugins.registry import Registry, default_registry
from balancer.settings.rules import (
    DEFAULT_STRATEGY,
    LONG_TTL_S,
    HealthSettings,
    LimitSettings,
    QuotaSettings,
    RetrySettings,
)
from balancer.shells.abandoned import AbandonedLeaseScan
from balancer.shells.alarm import Alarm
from balancer.shells.arguments import (
    Wanted,
    any_whole,
    asked_for,
    each_of,
    shows_what_may_be_asked,
    terms_of,
    wanting,
    with_defaults,
)
from balancer.shells.calls import call
from balancer.shells.delivery import Delivery, Observer
from balancer.shells.forks import notify_of_forks
from balancer.shells.leasing import SharedBudget
from balancer.shells.logs import Log
from balancer.shells.waiting import ParkedTask, Waiting
from balancer.strategy import ANY, Request, Strategy
from balancer.values.numbers import checked, seconds

if TYPE_CHECKING:
    from ssl import SSLContext

    from balancer.pool.connected import ConnectedPool
    from balancer.settings.config import Config
    from balancer.shells.tasks.face import TaskPool

__all__ = ["Pool"]

_WATCHED = HealthSettings()  # the defaults

T = TypeVar("T")

_NEVER = math.inf  # looked up once
_NUMBERS = (float, int)  # looked up by class, for this is on the path of every lease; True is neither


class Pool(Waiting):
    """Endpoints, leased one call at a time to whichever thread needs one.

    Args:
        endpoints: those in service from the start, each an `Endpoint` or its URL; more may be added later.
        strategy: the name of a registered strategy, or a class of your own.
        options: its options.
        seed: makes its random choices repeatable; None for a random seed.
        max_waiters: how many acquires may wait at once; one more raises `TooManyWaiters`. None: any number.
        acquire_timeout_s: how long an acquire waits unless it says otherwise; None: for ever.
        health: when endpoints are taken out of service, and how they come back; None: none ever is.
        limits: how many slots of an endpoint are used at once; None: its capacity.
        host_caps: slots that may be out at once on a host, for all of its endpoints together; "*" stands for every
            host that is not named.
        quotas: calls and tokens a minute, by the names that endpoints say (`Endpoint.quota`); "*" stands for each
            endpoint that says none: it has one of its own.
        spill_after_s: for so long a failover group (`Endpoint.group`) may be full before the next one is used; None:
            for as long as it likes, so that the next one is used only when all of it is out of service.
        retries: how `call` tries again; None: by the defaults.
        ttl_s: how long a lease may last unless its acquire says otherwise: then the pool ends it, as neither success
            nor failure, and refuses its late return. None: as long as it likes.
        leak_after_s: a lease that is out for longer counts as forgotten: the log says once where it was acquired. It
            keeps its slot. None: never.
        observers: hear what happens from the start; see `observe`.
        clock: returns the time in seconds; must never go back.
        registry: where strategies are looked up; default: everything installed.

    Raises:
        ConfigError: unknown strategy or wrong option.
        DuplicateEndpoint: two endpoints have one name.
        ValueError: a number is out of range.
        TypeError: `endpoints` is no list of endpoints, or `health`, `limits` or `retries` is something else.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint | str] = (),
        *,
        strategy: str | type[Strategy] = DEFAULT_STRATEGY,
        options: Mapping[str, Any] | None = None,
        seed: int | None = None,
        max_waiters: int | None = None,
        acquire_timeout_s: float | None = None,
        health: HealthSettings | None = _WATCHED,
        limits: LimitSettings | None = None,
        host_caps: Mapping[str, int] | None = None,
        quotas: Mapping[str, QuotaSettings] | None = None,
        spill_after_s: float | None = None,
        retries: RetrySettings | None = None,
        ttl_s: float | None = None,
        leak_after_s: float | None = None,
        observers: Iterable[Observer] = (),
        clock: Callable[[], float] = time.monotonic,
        registry: Registry | None = None,
    ) -> None:
        for name, given, kind in (
            ("health", health, HealthSettings),
            ("limits", limits, LimitSettings),
            ("retries", retries, RetrySettings),
        ):
            if given is not None and not isinstance(given, kind):
                raise TypeError(f"{name} is {given!r}; it takes balancer.{kind.__name__}(...), or None")
        self._registry = registry or default_registry()
        if seed is not None:
            checked("seed", seed, any_whole)
        self._random = random.Random(seed)
        timeout_s = math.inf if acquire_timeout_s is None else acquire_timeout_s
        self._timeout_s = checked("acquire_timeout_s", timeout_s, seconds)
        self._clock = clock
        self._retries = retries or RetrySettings()
        self._leak_after_s = leak_after_s
        terms = terms_of("", ttl_s, leak_after_s)
        self._any = Request(terms=terms) if terms else ANY  # what most acquires ask for
        self._budget = SharedBudget(self._retries, clock)
        # Re-entrant, because only then can `_let_go` tell whether this thread holds it.
        self._lock = threading.RLock()
        # `with` costs twice as much as these two, which is felt on the path of every lease.
        self._enter, self._leave = self._lock.acquire, self._lock.release
        chosen = self._registry.strategy(strategy, options, self._random)
        self._core = Core(
            each_of(endpoints),
            chosen,
            lender=self,
            max_waiters=max_waiters,
            health=health,
            limits=limits,
            host_caps=host_caps or {},
            quotas=quotas or {},
            spill_after_s=spill_after_s,
            rng=random.Random(None if seed is None else ~seed),  # apart from what the strategy draws
            now=clock(),
        )
        self._sleeping: dict[Waiter, None] = {}
        self._places: dict[ParkedTask, Waiter] = {}
        self._lookout = AbandonedLeaseScan()
        # True if there is more to do after a call than to wake: something goes by the clock, or a lease is told of.
        self._attends = bool(health or limits or host_caps or terms or self._core.gates.any)
        self._jitter = random.Random(None if seed is None else f"jitter {seed}")  # apart from both
        self._alarm = Alarm(self._tick, clock)
        self._rounds, self._round_s = Alarm(self._look_round, clock), 0.0
        self._happened = self._core.journal.happened
        self._delivery = Delivery(self._happened, self._set_aside)
        self._log = Log()
        for observer in (self._log, *observers):
            self.observe(observer)
        notify_of_forks(self)

    @classmethod
    def from_config(cls, config: "Config | str | PathLike[str]", *, registry: Registry | None = None) -> Self:
        """Return the pool that a config, or the TOML file at this path, describes.

        One that says `connect` in `[pool]` describes the pool of a server: see `connect`.

        Raises:
            ConfigError: a config that cannot be used.
            NotConnected, MissingExtra: as `connect` does.
        """
        from balancer.settings.config import Config, load_config  # a pool in code needs no config

        if not isinstance(config, Config):
            config = load_config(config)
        settings = config.pool
        if settings.connect is not None:
            from balancer.pool.connected import connected_as  # a pool of one's own needs no network

            return cast(Self, connected_as(config))
        long_calls = config.health is not None and config.health.preset == "long_calls"
        try:
            pool = cls(
                config.pool_endpoints,
                strategy=settings.strategy,
                options=settings.options,
                seed=settings.seed,
                max_waiters=settings.max_waiters,
                acquire_timeout_s=settings.acquire_timeout_s,
                ttl_s=LONG_TTL_S if settings.ttl_s is None and long_calls else settings.ttl_s,
                leak_after_s=settings.leak_after_s,
                health=config.health,
                limits=config.limits,
                host_caps=config.host_caps,
                quotas=config.quotas,
                spill_after_s=settings.spill_after_s,
                retries=config.retries,
                registry=registry,
            )
        except ConfigError as error:
            raise config.located("pool", error) from None
        pool._hide(config.redact)
        if config.trace is not None:
            pool.trace(config.trace.path)
        return pool

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        token: str | None = None,
        ca: "str | PathLike[str] | SSLContext | None" = None,
        name: str | None = None,
        block: int = 1,
        acquire_timeout_s: float | None = None,
        retries: RetrySettings | None = None,
        within_s: float = 10.0,
    ) -> "ConnectedPool":
        """Return the pool of a server (`balancer serve`), which this process shares with others.

        Threads and tasks lease from it as from any pool; counters and observers are of this process. To change the
        server's endpoints or its strategy is refused here.

        Args:
            url: `balancer://host:port`, or `balancers://` for TLS.
            token: what the server wants to be told; None: the environment's BALANCER_SERVE_TOKEN, if it is set.
            ca: a PEM file with the certificates that are trusted for TLS, or a context; None: those of the system.
            name: what the server calls this process; by default the host and the process's number.
            block: how many leases to ask for at once, where a round trip is dear; the server grants at most all slots
                over all holders. The others are kept a second for the next callers.
            acquire_timeout_s, retries: as for a pool of one's own.
            within_s: how long to wait for the server.

        Raises:
            NotConnected: the server does not answer in time, or will not have this process.
            ConfigError: the URL, or `ca`, cannot be used.
            MissingExtra: the extra `serve` is not installed.
        """
        from balancer.pool.connected import ConnectedPool  # a pool of one's own needs no network

        return ConnectedPool(
            url,
            token=token,
            ca=ca,
            name=name,
            block=block,
            acquire_timeout_s=acquire_timeout_s,
            retries=retries,
            within_s=within_s,
        )

    @cached_property
    def aio(self) -> "TaskPool":
        """The same pool for tasks of asyncio and trio: they wait without stopping their loop, in the same queue."""
        from balancer.shells.tasks.face import TaskPool  # a pool of threads needs no event loop

        return TaskPool(self)

    # -- leases ------------------------------------------------------------------------------------

    # Python fills in each default that is only known by its name with a look-up; without them a lease costs 8% less.
    @shows_what_may_be_asked
    def acquire(self, timeout: float | None = None, _in_block: bool = False, **asked: Unpack[Wanted]) -> Lease:
        """Take an endpoint; the lease must be released once, or used in a `with` block.

        Args:
            timeout: seconds to wait at most; 0: do not wait; None: as the pool was told.
            labels: the endpoint must have all of these.
            exclude: names of endpoints that will not do; by default these are the URLs.
            priority: each level is worth 10 s of waiting, so a higher one goes first and none starves.
            slots: how many slots of one endpoint to take, for a call that runs several programs at once. Where a limit
                is in force that is less, all that there are.
            key: calls of one key like to go to the same endpoint, for strategies that know affinity (`rendezvous`).
            holder: whose the lease is, a text that `leases` and the log show, e.g. "sample 7".
            ttl_s: seconds after which the pool ends the lease; `inf`: never; None: as the pool was told.
            tokens: how many tokens of a quota the call will take, by an estimate; `Lease.used` says how many it took.

        Raises:
            AcquireTimeout: none came free in time.
            NoEndpoint: no endpoint in service could ever serve this request; `QuotaExceeded`, one of these, if that is
                because it reserves more tokens than a whole quota has.
            TooManyWaiters: `max_waiters` callers wait already.
            PoolClosed: the pool is closed, or was while this call waited.
            WaitInCoroutine: a coroutine asks, and would have to wait.
        """
        if asked:
            request, priority = asked_for(self._any, **asked)
        else:
            request, priority = self._any, 0
        if timeout is not None and not (timeout.__class__ in _NUMBERS and timeout >= 0):
            timeout = checked("timeout", timeout, seconds)
        lease: Lease | None = None
        try:
            self._enter()
            lease = self._core.acquire(request, now := self._clock())
            if lease is None:
                lease = self._queue(request, now, timeout, priority)
            else:
                self._leave()
            if request is not ANY or (self._attends and self._happened):
                self._see_to(lease)
        except BalancerError:
            self._let_go_and_tell()
            raise
        except BaseException as error:  # e.g. KeyboardInterrupt while an observer hears of it: the caller won't get it
            clear_frames(error.__traceback__)  # the core may have granted it: then nobody is to have it
            self._recover(lease)
            raise
        if priority:
            lease.priority = priority
        if _in_block:
            lease.entered = True
        return lease

    # A lease is its own context manager: nothing stands between the grant and the `with` block. Of one that is taken by
    # this name it is known that nobody means to give it back by its id: see `balancer.shells.abandoned`.
    lease = with_defaults(acquire, None, True)

    def acquire_again(
        self,
        course: AttemptPlan,
        ask: Ask,
        *,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
        holder: str = "",
        ttl_s: float | None = None,
        tokens: int | None = None,
    ) -> Lease:
        """Take an endpoint for a retry: as `course` asks, and as it asks later on while this waits, at one place.

        Args:
            course: says at each look what to ask for from then on; see `balancer.core.attempt_plan`.
            ask: what it asks for now.
            labels, exclude, priority, slots, key, holder, ttl_s, tokens: as for `acquire`, besides what the course asks
                for.

        Raises:
            AcquireTimeout, NoEndpoint, TooManyWaiters, PoolClosed: as `acquire` does.
        """
        wanted = wanting(
            self._any,
            labels=labels,
            exclude=exclude,
            slots=slots,
            key=key,
            holder=holder,
            ttl_s=ttl_s,
            tokens=tokens,
        )
        request = wanted(ask)
        lease: Lease | None = None
        try:
            self._enter()
            lease = self._core.acquire(request, now := self._clock())
            if lease is None:
                lease = self._queue(request, now, ask.within_s, priority, RetryPolls(course, wanted, now, ask))
            else:
                self._leave()
            self._see_to(lease)
        except BalancerError:
            self._let_go_and_tell()
            raise
        except BaseException as error:
            clear_frames(error.__traceback__)
            self._recover(lease)
            raise
        if priority:
            lease.priority = priority
        lease.entered = True
        return lease

    def release(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        """Take `lease` back and hand its slot to whoever waits longest for it.

        Raises:
            LeaseError: it was given back already, or is another pool's. Nothing is changed.
        """
        try:
            self._enter()
            ended = self._core.release(lease, outcome, self._clock())
            if self._attends and (self._happened or self._core.due_s != _NEVER):
                self._leave_and_attend(ended)
            else:
                self._leave()
                if ended:  # hardly ever, and an empty loop is slower than this look
                    for waiter in ended:
                        waiter.wake()
        except (LeaseError, PoolForked):
            self._let_go()
            raise
        except Exception:
            self._recover()
            raise
        except BaseException:  # e.g. KeyboardInterrupt: the caller has done its part, so the lease ends all the same
            self._recover(lease, outcome)
            raise

    def used(self, lease: Lease, tokens: int) -> None:
        """Learn how many tokens the call of `lease` has used so far; see `Lease.used`, which calls this.

        Raises:
            LeaseError: it was given back already, or is another pool's. Nothing is changed.
        """
        self._change(lambda now: self._core.used(lease, tokens, now))

    def told(self, lease: Lease, load: Load) -> None:
        """Learn what the endpoint of `lease` has said of its load; see `Lease.told`, which calls this.

        Raises:
            LeaseError: it was given back already, or is another pool's. Nothing is changed.
        """
        self._change(lambda now: self._core.told(lease, load, now))

    def release_by_id(self, id: int, outcome: Outcome = Outcome.IGNORED) -> None:
        """End the lease that is out under `id`, whoever holds it; a later return of it raises `LeaseError`.

        Raises:
            LeaseError: there is none: it has ended, or was never granted. Nothing is changed.
        """
        self._change(lambda now: self._core.release_by_id(id, outcome, now))

    def call(
        self,
        fn: Callable[[Lease], T],
        *,
        attempts: int = 3,
        deadline_s: float | None = None,
        budget: SharedBudget | None = None,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
        holder: str = "",
        ttl_s: float | None = None,
        tokens: int | None = None,
        hedge_after_s: float | None = None,
    ) -> T:
        """Return `fn(lease)`; if an endpoint fails, try again, never where it just failed while another can serve.

        Args and errors are those of `balancer.shells.calls.call`.
        """
        return call(
            self,
            fn,
            attempts=attempts,
            deadline_s=deadline_s,
            budget=budget,
            labels=labels,
            exclude=exclude,
            priority=priority,
            slots=slots,
            key=key,
            holder=holder,
            ttl_s=ttl_s,
            tokens=tokens,
            hedge_after_s=hedge_after_s,
        )

    def close(self) -> None:
        """Fail every waiter and every later acquire with `PoolClosed`; leases out may still be returned."""
        with suppress(PoolForked):  # it is the parent's to close
            self._change(self._core.close)
        self._alarm.cancel()
        self._rounds.cancel()
        self._close_traces()
        self._close_pages()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pool cannot be pickled: it serves the threads of one process; make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
