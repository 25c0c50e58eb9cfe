"""`Pool`: what is built around a pool. It is opened from a config or at a server; sources feed it, and watchers see it.

Each part is imported where it is opened: a pool that is made in code needs no config, network, web framework or event
loop.
"""

import time
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, cast

from balancer.errors import ConfigError, PoolClosed
from balancer.pool.pool import BasePool

if TYPE_CHECKING:
    from ssl import SSLContext

    from balancer.discovery.follower import Discovery
    from balancer.hookspecs import Source
    from balancer.observing.page.serving import Page
    from balancer.observing.traces.files import Sink
    from balancer.observing.traces.tracing import TraceWriter
    from balancer.opening.aio import TaskPool
    from balancer.opening.connected import ConnectedPool
    from balancer.plugins.registry import Registry
    from balancer.settings.config import Config
    from balancer.settings.rules import RetrySettings

__all__ = ["Pool"]


class Pool(BasePool):
    """Endpoints, leased one call at a time to threads. `aio` serves tasks.

    Args:
        endpoints: the endpoints at the start, each an `Endpoint` or its URL. More may be added later.
        strategy: the name of a registered strategy, or a class of your own.
        options: the strategy's options.
        seed: makes the random choices repeatable. None: a random seed.
        max_waiters: how many acquires may wait at once; one more raises `TooManyWaiters`. None: any number.
        acquire_timeout_s: how many seconds an acquire waits by default. None: for ever.
        health: when endpoints are ejected, and how they come back; "default": `HealthSettings()`. None: never ejected.
        limits: how many slots of an endpoint are used at once. None: its capacity.
        host_caps: how many slots may be out at once on a host, for all its endpoints together. "*" is for every host
            without an entry.
        quotas: calls and tokens a minute, by the name of the quota (`Endpoint.quota`). "*" gives each endpoint that
            names none a quota of its own.
        spill_after_s: a failover group (`Endpoint.group`) may be full for so many seconds before the next one is used.
            None: the next group is used only when the whole group is out of service.
        fairness: "holder": the slots are shared out between the holders that wait (`acquire(holder=...)`), by their
            weights; of the calls of one holder the oldest is next. None: of all calls, whoever made them.
        holders: with `fairness`, weights and bounds by the name of the holder. "*" is for each holder without an entry.
        retries: how `call` retries. None: the defaults.
        ttl_s: the longest time of a lease in seconds, unless its acquire gives another. Then the pool ends it, as
            neither success nor failure, and refuses a late release. None: no limit.
        leak_after_s: a lease that is out for more seconds counts as forgotten. The log says once where it was acquired;
            the lease keeps its slot. None: never.
        observers: get every event from the start; see `observe`.
        clock: returns the time in seconds; must never go back.
        registry: where strategies are looked up. None: everything that is installed.

    Attributes:
        engine: serialises the calls, keeps time, and waits. For parts that are built on a pool.

    Raises:
        ConfigError: unknown strategy or wrong option.
        DuplicateEndpoint: two endpoints have one name.
        ValueError: a number is out of range.
        TypeError: `endpoints` is not a list of endpoints, or another argument has the wrong type.
    """

    _config: "Config | None" = None  # that it was made from, as far as it is in force

    @classmethod
    def from_config(
        cls,
        config: "Config | str | PathLike[str]",
        *,
        registry: "Registry | None" = None,
        clock: Callable[[], float] = time.monotonic,
        discover: bool = True,
    ) -> Self:
        """Return the pool that a config, or the TOML file at this path, describes.

        If `[pool]` has `connect`, that is the pool of a server: see `connect`. It has a clock of its own.

        With `[discovery]` it waits for the first answer of each source, at most its `wait_s`. With `discover` False no
        source is asked: whoever serves the pool to others does that (`balancer.discovery.begin`).

        Raises:
            ConfigError: the config cannot be used.
            NotConnected, MissingExtra: as `connect` does.
        """
        from balancer.settings.config import Config, load_config
        from balancer.settings.rules import LONG_TTL_S

        if not isinstance(config, Config):
            config = load_config(config)
        if config.pool.connect is not None:
            from balancer.opening.connected import connected_as

            return cast(Self, connected_as(config))
        arguments = config.pool.arguments
        if config.health is not None and config.health.preset == "long_calls" and config.pool.ttl_s is None:
            arguments["ttl_s"] = LONG_TTL_S
        try:
            pool = cls(
                config.pool_endpoints,
                **arguments,
                health=config.health,
                limits=config.limits,
                host_caps=config.host_caps,
                quotas=config.quotas,
                holders=config.holders,
                retries=config.retries,
                clock=clock,
                registry=registry,
            )
        except ConfigError as error:
            raise config.located("pool", error) from None
        pool.hide(config.redact)
        pool._config = config
        try:
            if config.trace is not None:
                pool.trace(config.trace.path)
            if config.discovery and discover:
                pool._discover_all(config)
        except BaseException:
            pool.close()
            raise
        return pool

    def reload(self, config: "Config | str | PathLike[str]") -> tuple[str, ...]:
        """Make the pool what a config, or the TOML file at this path, describes now, as SIGHUP does for a server.

        Endpoints are added, changed and removed, and the strategy is replaced. Leases that are out, and waiters, stay.
        Return lines that say what was changed, and which keys need a new pool.

        Raises:
            ConfigError: the config cannot be used, or this pool was not made from one. Nothing is changed.
        """
        from balancer.opening.reload import changes
        from balancer.settings.config import Config, load_config

        if self._config is None:
            raise ConfigError("this pool was not made from a config: use add, update, remove and set_strategy")
        fresh = config if isinstance(config, Config) else load_config(config)
        found, chosen = changes(self._config, fresh), fresh.pool
        try:
            strategy = self._registry.strategy(chosen.strategy, chosen.options, self.rng) if found.strategy else None
        except ConfigError as error:
            raise fresh.located("pool", error) from None
        before = self._redact
        self.hide(lambda text: before(fresh.redact(text)))  # what leaves may be shown for long
        self.engine.change_endpoints(
            lambda core, now: [waiter for act in [*found.acts(core, strategy)] for waiter in act(now)]
        )
        self._config = found.running
        return tuple(found.lines(fresh.file))

    def _discover_all(self, config: "Config") -> None:
        """Start the discoveries of a config, and wait for their first answers. Raises ConfigError, MissingExtra."""
        from balancer.discovery.begin import discoveries_of

        found = discoveries_of(config, self._registry, self.engine.change_endpoints, self.engine.clock)
        for each in found:
            self.follow(each)
        until = [time.monotonic() + wait_s for wait_s in found.values()]
        for each, until_s in zip(found, until, strict=True):
            each.wait(until_s - time.monotonic())

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
        retries: "RetrySettings | None" = None,
        within_s: float = 10.0,
    ) -> "ConnectedPool":
        """Return the pool of a server (`balancer serve`), which this process shares with others.

        Threads and tasks lease from it as from any pool. Counters and observers cover this process only. The endpoints
        and the strategy cannot be changed here.

        Args:
            url: `balancer://host:port`, or `balancers://` for TLS.
            token: the server's token. None: the environment variable BALANCER_SERVE_TOKEN, if it is set.
            ca: for TLS: a PEM file with the trusted certificates, or an SSL context. None: the system's certificates.
            name: the name of this process at the server. None: host name and process id.
            block: how many leases to ask for at once, to save round trips. The server grants at most all slots divided
                by the number of members. Unused leases are kept a second for the next callers.
            acquire_timeout_s, retries: as for a local pool.
            within_s: how many seconds to wait for the server.

        Raises:
            NotConnected: the server does not answer in time, or refuses this process.
            ConfigError: the URL, or `ca`, cannot be used.
            MissingExtra: the extra `serve` is not installed.
        """
        from balancer.opening.connected import ConnectedPool

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
        """The same pool for tasks of asyncio and trio. They wait in the same queue, and do not block their loop."""
        from balancer.opening.aio import TaskPool

        return TaskPool(self)

    def discover(
        self,
        source: "str | type[Source]",
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        **settings: Any,
    ) -> "Discovery":
        """Keep the endpoints of this pool in step with a source, until the pool or the returned discovery is closed.

        What is new is added, with a slow start. What has vanished is removed after a grace; its leases end as usual.
        Endpoints that others have added are left alone. An empty answer, or none, changes nothing. See
        docs/many-machines.md.

        Args:
            source: "file", "dns", the name of a plugin's source, or a subclass of `balancer.hookspecs.Source`.
            options: the options of the source, e.g. `{"host": "vllm.internal", "port": 8000}`.
            name: its name in the log and in `stats().sources`. None: that of the source.
            settings: the keys of `[discovery.NAME]`: `grace_s`, `wait_s`, and `scheme`, `path`,
                `capacity`, `weight`, `labels`, `group`, `quota`, `headers` of the endpoints.

        This call waits at most `wait_s` seconds (10) for the first answer. In tasks: `await pool.aio.discover(...)`.

        Raises:
            ConfigError: no plugin has the source, or an option is wrong.
            ValueError: a setting is out of range.
            MissingExtra: the source needs an extra.
            PoolClosed: the pool is closed.
        """
        found, wait_s = self.discovery(source, options, name=name, **settings)
        self.follow(found)
        found.wait(wait_s)
        return found

    def discovery(
        self, source: "str | type[Source]", options: Mapping[str, Any] | None, *, name: str | None, **settings: Any
    ) -> "tuple[Discovery, float]":
        """Return a discovery that is not started, and its `wait_s`. `discover` uses this; args and errors are its."""
        from balancer.discovery.begin import begun
        from balancer.settings.pool import DiscoverySettings

        known = source if isinstance(source, str) else source.name
        checked = DiscoverySettings(source=known, options=dict(options or {}), **settings)
        kind = None if isinstance(source, str) else source
        change, clock = self.engine.change_endpoints, self.engine.clock
        return begun(name or known, checked, self._registry, change, clock, kind=kind), checked.wait_s

    def follow(self, discovery: "Discovery") -> None:
        """Start a discovery, show it in `stats`, and close it with the pool. Raises PoolClosed."""
        if self.engine.core.closed:
            raise PoolClosed
        discovery.hide(self._redact)
        discovery.start()
        self.attach(discovery)
        self._sources = (*self._sources, discovery.stats)

    def trace(self, path: "str | PathLike[str] | Sink") -> "TraceWriter":
        """Write a trace to the file at `path` from now on, until the pool or the returned writer is closed.

        A trace has a line for each call and for each change; docs/live.md describes the format. An existing file is
        appended to. Instead of a path, any `balancer.observing.traces.Sink` will do.

        Raises:
            ConfigError: the file cannot be written.
            PoolClosed: the pool is closed.
        """
        from balancer.observing.traces.tracing import write_trace

        if self.engine.core.closed:
            raise PoolClosed
        mine = weakref.ref(self)

        def ended(writer: "TraceWriter") -> None:
            if (pool := mine()) is not None:
                pool._watchers = tuple(other for other in pool._watchers if other is not writer)

        writer = write_trace(self.engine, path, strategy=self.stats().strategy, redact=self._redact, ended=ended)
        self.attach(writer)
        return writer

    def serve_page(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str | None = None,
        *,
        redact: Callable[[str], str] | None = None,
        name: str = "",
    ) -> "Page":
        """Serve a live page about this pool, until the pool or the returned page is closed.

        The returned page has the `url`. `/state` is the same as JSON, and `/metrics` is for Prometheus. While somebody
        reads, the pool is read once a second. docs/live.md has more.

        Args:
            port: 0 picks a free one.
            host: address to listen on. Everyone who can reach it sees the pool.
            token: with this token, a reader may drain and restore endpoints. None: no reader may.
            redact: takes further secrets out of the names of endpoints, e.g. `Config.redact`.
            name: of the pool, for the title of the page.

        Raises:
            ConfigError: it cannot listen there, or the token has fewer than 16 characters.
            MissingExtra: the extra `observe` is not installed.
        """
        from balancer.observing.page.serving import PageContents, open_page

        contents = PageContents(name=name)
        page = open_page(self, host=host, port=port, token=token, redact=redact or self._redact, contents=contents)
        self.attach(page)
        return page
