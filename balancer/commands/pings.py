"""Pings of endpoints: those that a server repeats, and those that `balancer check` makes once.

A server does not ping a `local://` endpoint, as it is on the machine of the process that leases it.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final, Self

from balancer.plugins.registry import Registry
from balancer.sandbox.executors import make_executors
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
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in pings:
        waiting.put(name)
    told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for _ in range(min(_AT_ONCE, len(pings))):
        threading.Thread(target=_ask, args=(pings, waiting, told, within_s), daemon=True).start()
    answers = (told.get() for _ in pings)
    return {name: reason for name, reason in answers if reason}


def _ask(
    pings: Mapping[str, Callable[[], object]],
    waiting: "queue.SimpleQueue[str]",
    told: "queue.SimpleQueue[tuple[str, str]]",
    within_s: float,
) -> None:
    while True:
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            return
        told.put((name, _answer(pings[name], within_s)))


def _answer(ping: Callable[[], object], within_s: float) -> str:
    """Return "" if the endpoint answers in time, else why not."""
    found: queue.SimpleQueue[str] = queue.SimpleQueue()

    def asked() -> None:
        try:
            ping()
        except Exception as error:  # an adapter may raise anything: the answer was wrong
            found.put(" ".join(str(error).split()) or type(error).__name__)
        else:
            found.put("")

    threading.Thread(target=asked, daemon=True).start()
    try:
        return found.get(timeout=within_s)
    except queue.Empty:
        return f"no answer within {within_s:g} s"
