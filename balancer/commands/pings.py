"""Pings of endpoints: those that a server repeats, and those that `balancer check` makes once.

A server does not ping a `local://` endpoint, as it is on the machine of the process that leases it.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import islice
from typing import Final, Self

from balancer.judging.executors import make_executors
from balancer.plugins.registry import Registry
from balancer.sandbox.probes import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config
from balancer.shells.prober import PingListener, Prober

__all__ = ["EndpointPings", "unreached"]

_AT_ONCE: Final = 64


class EndpointPings:
    """Pings the endpoints of `config` from `start` to `stop`; none if the config has pings off.

    Args:
        config: of the pool.
        registry: the plugins.
        told: receives the result of each ping.

    Raises:
        ConfigError: no plugin serves a scheme, or its adapter cannot work here.
        MissingExtra: an adapter needs an extra.
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
        """Start the pings."""
        if self._prober is not None:
            self._prober.start()
        return self

    def stop(self) -> None:
        """Stop the pings. Takes at most a second."""
        if self._prober is not None:
            self._prober.stop()
        self._owned.close()


def unreached(pings: Mapping[str, Callable[[], object]], *, within_s: float = 5.0) -> dict[str, str]:
    """Ping all endpoints once, and return why each one that does not answer does not, by the keys of `pings`.

    Args:
        pings: for each endpoint a function that returns if the endpoint is well, and raises if not. A ping that never
            ends stays behind in a daemon thread.
        within_s: timeout of each ping, in seconds from its start.
    """
    told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    left, until_s, found = iter(pings.items()), dict[str, float](), dict[str, str]()
    while len(found) < len(pings):
        for name, ping in islice(left, _AT_ONCE - len(until_s)):
            threading.Thread(target=_ask, args=(name, ping, told), daemon=True).start()
            until_s[name] = time.monotonic() + within_s
        name = next(iter(until_s))  # the one that has taken longest
        try:
            name, why = told.get(timeout=max(0.0, until_s[name] - time.monotonic()))
        except queue.Empty:
            why = f"no answer within {within_s:g} s"
        if until_s.pop(name, None) is not None:  # else its time was over before it answered
            found[name] = why
    return {name: why for name, why in found.items() if why}


def _ask(name: str, ping: Callable[[], object], told: "queue.SimpleQueue[tuple[str, str]]") -> None:
    """Tell "" if the endpoint answers, else why not."""
    try:
        ping()
    except Exception as error:  # an adapter may raise anything: the answer was wrong
        told.put((name, " ".join(str(error).split()) or type(error).__name__))
    else:
        told.put((name, ""))
