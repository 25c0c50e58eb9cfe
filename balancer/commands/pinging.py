"""Pings of a server's endpoints, by the executors of their schemes.

Decides which endpoints a server can ask: a `local://` one is on the machine of whoever leases it. A shell. It must not
know what follows from a ping.
"""

from contextlib import ExitStack
from typing import Self

from balancer.plugins.registry import Registry
from balancer.sandbox.executors import make_executors
from balancer.sandbox.pings import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config
from balancer.shells.prober import PingListener, Prober

__all__ = ["EndpointPings"]


class EndpointPings:
    """Pings the endpoints of `config` from `start` on, until it is stopped; none if the config wants none.

    Args:
        config: of the pool.
        registry: the plugins.
        told: hears how each ping went.

    Raises:
        ConfigError: no plugin serves a scheme, or its adapter cannot work here.
        MissingExtra: it needs an extra.
    """

    def __init__(self, config: Config, registry: Registry, told: PingListener) -> None:
        self._owned = ExitStack()
        self._prober: Prober | None = None
        health = config.health
        entries = [entry for entry in config.endpoints if not entry.url.lower().startswith("local:")]
        if health is None or health.ping == "off" or not entries:
            return
        with ExitStack() as made:
            cache = made.enter_context(Scratch("balancer-serve-"))
            asked = config.model_copy(update={"endpoints": entries})
            executors = make_executors(asked, registry, cache.path)
            for executor in executors.values():
                made.callback(executor.close)
            pings = pings_of(executors, health.ping)
            self._prober = Prober(told, pings, every_s=health.ping_every_s, conclusive=health.conclusive)
            self._owned = made.pop_all()

    def start(self) -> Self:
        """Begin."""
        if self._prober is not None:
            self._prober.start()
        return self

    def stop(self) -> None:
        """End; it takes a second at most."""
        if self._prober is not None:
            self._prober.stop()
        self._owned.close()
