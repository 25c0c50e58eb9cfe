"""Management of a pool: change its endpoints, observe it, look at it.

Decides nothing: each call is one call of the core, made under the shell's lock. It must not know how the shell leases,
wakes and keeps time.
"""

import random
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from balancer.core import Core, Waiter
from balancer.core.account import MembershipState
from balancer.core.events import Ended, Event, Granted, Queued
from balancer.core.metrics import LeaseRow, PoolStats
from balancer.core.readings import Snapshot
from balancer.endpoint import Endpoint
from balancer.errors import PoolClosed, PoolForked
from balancer.plugins.registry import Registry
from balancer.settings.rules import RetrySettings
from balancer.shells.delivery import Delivery, Observation, Observer
from balancer.shells.leasing import SharedBudget
from balancer.shells.logs import Log, log_broken
from balancer.strategy import Strategy

if TYPE_CHECKING:
    from balancer.core.recording import Collected, Recording
    from balancer.observing.page.serving import Page
    from balancer.observing.traces.sinks import Sink
    from balancer.observing.traces.tracing import TraceWriter

__all__ = ["Managed"]


class Managed(ABC):
    """A pool, but for its leases: these are the business of the shell that is made of this."""

    _core: Core
    _lock: AbstractContextManager[object]
    _clock: Callable[[], float]
    _registry: Registry
    _random: random.Random  # the strategy's
    _jitter: random.Random
    _retries: RetrySettings
    _budget: SharedBudget
    _timeout_s: float
    _happened: deque[Event]
    _delivery: Delivery
    _attends: bool
    _log: Log
    _redact: Callable[[str], str] = str
    _traces: "tuple[TraceWriter, ...]" = ()
    _pages: "tuple[Page, ...]" = ()

    @abstractmethod
    def _change(self, act: Callable[[float], Sequence[Waiter]]) -> None:
        """Do `act` under the lock, and thereafter without it what follows: wake, arm the alarm, tell observers."""

    @abstractmethod
    def _give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End the leases that nobody has any more, if it is time to look for them, or `at_once`."""

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint | str) -> None:
        """Take `endpoint`, or the one of this URL, into service; one that is draining comes back under this spec.

        Raises:
            DuplicateEndpoint: an active endpoint has this name.
        """
        spec = Endpoint.of(endpoint)
        self._change(lambda now: self._core.add(spec, now))
        self._attends = self._attends or self._core.gates.any

    def drain(self, url: str) -> None:
        """Grant no new lease of the endpoint with this URL, or name. It stays listed until it is removed, or added.

        Waiters that only it could have served get `NoEndpoint`.

        Raises:
            UnknownEndpoint: there is no such endpoint.
        """
        self._change(lambda now: self._core.drain(url, now))

    def remove(self, url: str) -> None:
        """Grant no new lease of the endpoint with this URL, or name; forget it when its last lease ends, or now.

        Raises:
            UnknownEndpoint: there is no such endpoint.
        """
        self._change(lambda now: self._core.remove(url, now))

    def update(
        self,
        url: str,
        *,
        capacity: int | None = None,
        weight: float | None = None,
        labels: Iterable[str] | None = None,
        group: int | None = None,
    ) -> None:
        """Change what is given. A smaller capacity takes effect as leases end.

        Raises:
            UnknownEndpoint: there is no such endpoint.
            ValueError: a value is out of range; nothing is changed.
        """
        if labels is not None and not isinstance(labels, str):  # a string is left for Endpoint to refuse
            labels = frozenset(labels)
        given = {"capacity": capacity, "weight": weight, "labels": labels, "group": group}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self._change(lambda now: self._core.update(replace(self._core.ledger.account(url).endpoint, **changes), now))
        self._attends = self._attends or self._core.gates.any

    def set_strategy(self, name: str | type[Strategy], **options: Any) -> None:
        """Let another strategy choose from now on; leases out and waiters carry over.

        Raises:
            ConfigError: unknown strategy or wrong option; nothing is changed.
        """
        chosen = self._registry.strategy(name, options, self._random)
        self._change(lambda now: self._core.set_strategy(chosen, now))

    # -- what happens to endpoints and calls -------------------------------------------------------

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Tell the outcome of an active probe of endpoint `name`, which may have gone.

        `conclusive`: True if a program was run; then a good one brings back an endpoint that is on trial.
        """
        self._change(lambda now: self._core.pinged(name, ok, now, conclusive=conclusive))

    def retried(self, name: str) -> None:
        """Count a call that failed at endpoint `name` and is made again; `call` does."""
        self._change(lambda now: self._core.retried(name, now))

    def hedged(self, name: str) -> None:
        """Count a call that is slow and is made a second time, at endpoint `name`; `call` does."""
        self._change(lambda now: self._core.hedged(name, now))

    # -- observers ---------------------------------------------------------------------------------

    def observe(self, observer: Observer, kinds: Iterable[type[Event]] | None = None) -> Observation:
        """Let `observer` hear what happens from now on, until the observation that is returned ends.

        It is called with each event in order, by one thread at a time, when the pool's lock is free again; it may call
        the pool. One that raises hears no more, and the log says so.

        Args:
            observer: called with an event, see `balancer.core.events`.
            kinds: which events; None: its attribute `kinds`, and without one all of them.

        Raises:
            TypeError, ValueError: it cannot be called, or one of `kinds` is no kind of event.
        """
        observation = Observation(observer, kinds, self._end_observation)
        self._change(lambda now: self._listen((*self._delivery.observations, observation)))
        return observation

    def _hide(self, redact: Callable[[str], str]) -> None:
        """Take secrets, by `redact`, out of the names in the log and in traces, and in pages that begin later."""
        self._redact = self._log.redact = redact
        for writer in self._traces:
            writer.hide(redact)

    def trace(self, path: "str | PathLike[str] | Sink") -> "TraceWriter":
        """Write what happens from now on to the file at `path`, until the pool, or what is returned, is closed.

        A line for each call and for each change; docs/traces.md has the format. A file that is there is appended to.
        Instead of a path it takes anything that rows can be put into: see `balancer.observing.traces.Sink`.

        Raises:
            ConfigError: the file cannot be written.
            PoolClosed: the pool is closed.
        """
        from balancer.observing.traces.sinks import LineFile, Sink, cannot_be_written
        from balancer.observing.traces.tracing import MOST, TraceWriter  # a pool that writes none loads none

        if self._core.closed:
            raise PoolClosed
        sink = path if isinstance(path, Sink) else LineFile(path)
        mine = weakref.ref(self)
        strategy = self.stats().strategy
        with self._lock:
            recording = self._core.record(MOST)

        def endpoints() -> Iterable[Endpoint] | None:
            pool = mine()
            return None if pool is None else pool.endpoints()

        def collect(is_last: bool) -> "Collected | None":
            pool = mine()
            if pool is None:
                return None
            if is_last:
                observation.end()
                pool._traces = tuple(other for other in pool._traces if other is not writer)
            return pool._collect(recording, is_last=is_last)

        try:
            writer = TraceWriter(
                sink, recording=recording, collect=collect, endpoints=endpoints, clock=self._clock, strategy=strategy,
                redact=self._redact,
            )  # fmt: skip
        except BaseException as error:  # e.g. the first row does not fit on the disk
            self._collect(recording, is_last=True)
            if sink is not path:
                sink.close()
            if isinstance(error, OSError):
                raise cannot_be_written(path, error) from None
            raise
        observation = self.observe(writer)
        self._traces = (*self._traces, writer)
        return writer

    def _collect(self, recording: "Recording", *, is_last: bool) -> "Collected":
        with self._lock:
            found = recording.collect(self._clock())
            if is_last:
                self._core.stop_recording(recording)
        return found

    def serve_page(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str | None = None,
        *,
        redact: Callable[[str], str] | None = None,
    ) -> "Page":
        """Serve a page that shows this pool while it works, until the pool, or what is returned, is closed.

        What is returned has the `url`. Beside the page there are `/state`, the same as JSON, and `/metrics` for
        Prometheus. The pool is looked at once a second while somebody reads, and else never. docs/live.md has the rest.

        Args:
            port: 0 picks a free one.
            host: address to listen on. Whoever can reach it sees the pool.
            token: whoever shows this may drain and restore endpoints, by buttons; None: nobody may.
            redact: takes further secrets out of the names of endpoints, e.g. `Config.redact`.

        Raises:
            ConfigError: it cannot listen there, or the token has fewer than 16 characters.
            MissingExtra: the extra `page` is not installed.
        """
        from balancer.observing.page.serving import open_page  # a pool without a page needs no web framework

        page = open_page(self, host=host, port=port, token=token, redact=redact or self._redact)
        self._pages = (*self._pages, page)
        return page

    def _close_pages(self) -> None:
        for page in self._pages:
            page.close()

    def _close_traces(self) -> None:
        for writer in self._traces:
            writer.close()

    def _end_observation(self, observation: Observation) -> None:
        observation.ended = True
        self._change(lambda now: self._listen(o for o in self._delivery.observations if o is not observation))

    def _listen(self, observations: Iterable[Observation]) -> Sequence[Waiter]:
        self._delivery.observations = tuple(observations)
        wanted = frozenset[type[Event]]().union(*(o.kinds for o in self._delivery.observations))
        self._core.listen(wanted)
        self._attends = self._attends or not wanted.isdisjoint((Queued, Granted, Ended))
        return ()

    def _set_aside(self, observation: Observation, error: Exception) -> None:
        self._end_observation(observation)
        log_broken(observation, error)

    # -- looking -----------------------------------------------------------------------------------

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are listed: those in service and those that are draining, as they are now."""
        with self._lock:
            found = tuple(
                each.endpoint for each in self._core.ledger.accounts() if each.state is not MembershipState.RETIRING
            )
        return found  # noqa: RET504, see `out_of_service`

    def out_of_service(self) -> frozenset[str]:
        """Return the names of those that serve nobody for now: ejected, at rest, or of an account with nothing left."""
        with self._lock:
            out = self._core.out_of_service()
        return out  # noqa: RET504, an interrupt after a call within `with` would leave the lock taken

    @property
    def acquire_timeout_s(self) -> float:
        """How long an acquire waits unless it says otherwise, in seconds; `inf`: for ever."""
        return self._timeout_s

    @property
    def retries(self) -> RetrySettings:
        """How `call` tries again."""
        return self._retries

    @property
    def budget(self) -> SharedBudget:
        """The retries that all calls over this pool share."""
        return self._budget

    @property
    def jitter(self) -> random.Random:
        """What the pauses before retries are drawn from."""
        return self._jitter

    @property
    def clock(self) -> Callable[[], float]:
        """Returns the time in seconds; never goes back."""
        return self._clock

    def stats(self) -> PoolStats:
        """Return the counters of the pool and of each endpoint, all at one instant.

        Leasing stops only while the counters are copied; the sums are done afterwards. Leases that nobody has any more
        are ended first.
        """
        return self.snapshot().stats

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return what `stats` says, and more, all at one instant.

        Args:
            leases: whether there is to be a row for each that is out.
            also: called under the pool's lock, for what is to be of the same instant; it must be quick.
        """
        self._give_back_abandoned(at_once=True)
        with self._lock:
            endpoints, totals, waits = self._core.counters(now := self._clock())
            quotas = self._core.quotas(now)
            strategy = self._core.ledger.strategy.name
            times = self._core.times()
            rows = self._core.leases(now) if leases else ()
            more = also() if also is not None else None
        if self._happened:
            self._delivery.deliver()
        stats = PoolStats.of(endpoints, strategy=strategy, waits=waits, quotas=quotas, **totals)
        return Snapshot(now, stats, waits, times, tuple(rows), more)

    def time_leases(self) -> None:
        """Count from now on how long leases are waited for and held, in buckets, for `snapshot`; for good.

        A lease costs a little more from then on. `balancer.observing.prometheus.Collector` calls this.
        """
        with self._lock:  # nobody's wait can end by this
            self._core.time_leases()

    def leases(self) -> tuple[LeaseRow, ...]:
        """Return the leases that are out, oldest first: id, endpoint, holder, since when, slots.

        Those that nobody has any more are ended first.
        """
        self._give_back_abandoned(at_once=True)
        with self._lock:
            rows = self._core.leases(self._clock())
        if self._happened:
            self._delivery.deliver()
        return tuple(rows)

    def __repr__(self) -> str:
        try:
            with self._lock:
                return f"<Pool {self._core!r}>"
        except PoolForked as error:
            return f"<Pool of process {error.parent}>"
