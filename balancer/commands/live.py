"""Config reload of a running server at SIGHUP, and its pings of endpoints.

It has the signal and the event loop, and makes all changes in one step. A config with a mistake changes nothing.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.commands.pings import EndpointPings
from balancer.core import Core, Waiter
from balancer.errors import BalancerError, ConfigError
from balancer.opening.pool import Pool
from balancer.opening.reload import changes
from balancer.plugins.registry import Registry
from balancer.settings.config import Config

__all__ = ["LiveConfig"]


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

        def acts() -> list[Callable[[], Sequence[Waiter]]]:
            now = clock()
            return [partial(act, now) for act in found.acts(self._core, strategy)]

        if not self._server.act(lambda: self._server.coordinator.change(acts(), clock())):
            raise BalancerError(f"{self._server.why_not()}; send the signal again later")
        self._config = found.running
        before, self._pinging = self._pinging, pinging
        await asyncio.to_thread(before.stop)
        pinging.start()
        for line in found.lines(fresh.file):
            self.tell(line)

    def tell(self, line: str) -> None:
        """Print a line for whoever runs the server."""
        with suppress(OSError):  # the reader of the output has gone
            self._say(line)
