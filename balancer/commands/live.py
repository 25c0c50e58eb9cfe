"""Config reload of a running server at SIGHUP, and its pings of endpoints.

`changes` compares two configs and is pure. `LiveConfig` has the signal and the event loop: it makes all changes in one
step. A config with a mistake changes nothing.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.commands.pings import EndpointPings
from balancer.core import Core, Waiter
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, ConfigError
from balancer.opening.pool import Pool
from balancer.plugins.registry import Registry
from balancer.reporting.words import count as counted
from balancer.settings.config import Config
from balancer.strategy import Strategy

__all__ = ["ConfigChanges", "LiveConfig", "changes"]

# A core keeps these for its life. The server uses no other part of a config.
_SECTIONS = ("discovery", "health", "limits", "host_caps", "quotas", "holders", "trace")
_POOL_KEYS = ("max_waiters", "seed", "spill_after_s", "fairness")


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """Differences between the config in force and a new one.

    Attributes:
        added, changed: endpoints, as they will be.
        removed: endpoints, as they were.
        strategy: True if the strategy or its options change.
        later: the keys that take effect at the next start.
        running: the config in force after the changes.
    """

    added: tuple[Endpoint, ...]
    changed: tuple[Endpoint, ...]
    removed: tuple[Endpoint, ...]
    strategy: bool
    later: tuple[str, ...]
    running: Config

    def lines(self, file: str) -> Iterator[str]:
        """Yield the lines that report the changes. `file` is the name of the config."""
        counts = ((len(self.added), "added"), (len(self.changed), "changed"), (len(self.removed), "removed"))
        said = [f"{count} {word}" for count, word in counts if count]
        done = [f"endpoints {', '.join(said)}"] if said else []
        done += [f"strategy {self.running.redact(self.running.pool.strategy)}"] if self.strategy else []
        if done or not self.later:
            endpoints = self.running.pool_endpoints
            slots = sum(endpoint.capacity for endpoint in endpoints)
            words = "; ".join(done) or "nothing to change"
            of = f"{counted(slots, 'slot')} of {counted(len(endpoints), 'endpoint')}"
            yield f"read {file} again: {words}; {of}"
        if self.later:
            yield (f"read {file} again: {', '.join(self.later)} change only with a restart, which keeps all leases")


def changes(before: Config, after: Config) -> ConfigChanges:
    """Return the changes from the config in force to the config that is wanted.

    Raises:
        ConfigError: an endpoint names a quota that only a restart would add; or `after` connects to another pool; or
            all endpoints are gone, as in a file that is being written.
    """
    if after.pool.connect is not None:
        raise after.located("pool.connect", ConfigError("this server serves its own pool; leave it out"))
    if "endpoints" in before.model_fields_set and "endpoints" not in after.model_fields_set:
        why = "are missing, which would mean this machine; was the file read while it was written?"
        raise after.located("[[endpoints]]", ConfigError(why))
    old = {endpoint.identity: endpoint for endpoint in before.pool_endpoints}
    new = {endpoint.identity: endpoint for endpoint in after.pool_endpoints}
    for endpoint in new.values():
        if endpoint.quota is not None and endpoint.quota not in before.quotas:
            why = f"names the quota {endpoint.quota!r}, which is new; restart, or remove it"
            raise after.located(f"endpoint {endpoint.name}", ConfigError(why))
    later = [f"[{name}]" for name in _SECTIONS if getattr(before, name) != getattr(after, name)]
    later += [f"pool.{key}" for key in _POOL_KEYS if getattr(before.pool, key) != getattr(after.pool, key)]
    chosen = {"strategy": after.pool.strategy, "options": after.pool.options}
    pool = after.pool.model_copy(update={key: getattr(before.pool, key) for key in _POOL_KEYS})
    running = after.model_copy(update={name: getattr(before, name) for name in _SECTIONS} | {"pool": pool})
    return ConfigChanges(
        added=tuple(each for key, each in new.items() if key not in old),
        changed=tuple(each for key, each in new.items() if key in old and old[key] != each),
        removed=tuple(each for key, each in old.items() if key not in new),
        strategy=any(getattr(before.pool, key) != value for key, value in chosen.items()),
        later=tuple(later),
        running=running,
    )


class LiveConfig:
    """The config in force, for the length of an `async with` block.

    Args:
        server: serves the pool.
        pool: the served pool. Only steps of the server change its core.
        config: of the pool.
        registry: the plugins.
        say: called with a line for each change.

    Raises:
        ConfigError, MissingExtra: the endpoints cannot be pinged as the config says.
    """

    def __init__(
        self,
        server: PoolServer,
        pool: Pool,
        config: Config,
        registry: Registry,
        say: Callable[[str], object],
    ) -> None:
        self._server = server
        self._core: Core = pool.engine.core
        self._random: Random = pool.rng
        self._config = config
        self._redactions = {
            config.redaction: None
        }  # an endpoint that has left the config may hold leases, and be shown, for long
        self._registry = registry
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._again: Callable[[], Config] | None = None
        self._task: asyncio.Task[None] | None = None
        self._pinging = EndpointPings(config, registry, self)

    def mind(self, number: signal.Signals, again: Callable[[], Config]) -> None:
        """At each signal `number`, call `again` to read the config, and apply the differences."""
        self._again = again
        self._loop.add_signal_handler(number, self._wanted.set)

    async def __aenter__(self) -> Self:
        self._pinging.start()
        self._task = self._loop.create_task(self._stay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        self._pinging.stop()

    def redact(self, text: str) -> str:
        """Return `text` without the environment values of any config that this server has had."""
        for redaction in tuple(self._redactions):
            text = redaction(text)
        return text

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Take the result of a ping. Called from the thread of the ping."""
        step = partial(self._pinged, name, ok, conclusive)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._server.act, step)

    def _pinged(self, name: str, ok: bool, conclusive: bool) -> None:
        self._server.coordinator.pinged(name, ok, clock(), conclusive=conclusive)

    async def _stay(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._read_again()
            except (BalancerError, OSError) as error:
                first, *more = str(error).splitlines()
                others = f" and {len(more)} more mistakes" if more else ""
                self.tell(f"nothing was changed: {self._config.redact(first)}{others}")

    async def _read_again(self) -> None:
        assert self._again is not None, "else no signal is minded"
        fresh = await asyncio.to_thread(self._again)
        found = changes(self._config, fresh)
        pool = found.running.pool
        try:
            strategy = self._registry.strategy(pool.strategy, pool.options, self._random) if found.strategy else None
        except ConfigError as error:
            raise fresh.located("pool", error) from None
        pinging = await asyncio.to_thread(EndpointPings, found.running, self._registry, self)
        self._redactions[fresh.redaction] = None  # before anything of it is shown
        acts = [*self._acts(found, strategy)]
        if acts and not self._server.act(lambda: self._server.coordinator.change(acts, clock())):
            raise BalancerError(f"{self._server.why_not()}; send the signal again later")
        self._config = found.running
        before, self._pinging = self._pinging, pinging
        await asyncio.to_thread(before.stop)
        pinging.start()
        for line in found.lines(fresh.file):
            self.tell(line)

    def _acts(self, found: ConfigChanges, strategy: Strategy | None) -> Iterator[Callable[[], Sequence[Waiter]]]:
        """Yield the changes to the core. Additions come first, so that no waiter finds the pool empty.

        A source may have added or removed an endpoint of the config before.
        """
        core = self._core
        now = clock()
        states = {each.endpoint.identity: each.state for each in core.ledger.accounts()}
        for endpoint in found.added:
            is_there = states.get(endpoint.identity) is MembershipState.ACTIVE
            yield partial(core.update if is_there else core.add, endpoint, now)
        for endpoint in found.changed:
            if endpoint.identity in states:
                yield partial(core.update, endpoint, now)
        for endpoint in found.removed:
            if endpoint.identity in states:
                yield partial(core.remove, endpoint.name, now)
        if strategy is not None:
            yield partial(core.set_strategy, strategy, now)

    def tell(self, line: str) -> None:
        """Print a line for whoever runs the server."""
        with suppress(OSError):  # the reader of the output has gone
            self._say(line)
