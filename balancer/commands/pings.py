"""Pings of endpoints: a server's own, by the executors of their schemes; and whether those of a config can be reached.

Decides which endpoints a server can ask: a `local://` one is on the machine of whoever leases it. A shell.

Reachability of endpoints: each is pinged once, many at a time, with a timeout. Decides how long an endpoint has.
"""

import queue
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final, Self
from urllib.parse import urlsplit

from balancer.plugins.registry import Registry
from balancer.sandbox.executors import make_executors
from balancer.sandbox.probes import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config
from balancer.shells.prober import PingListener, Prober

__all__ = ["EndpointPings", "connecting", "unreached"]

_AT_ONCE: Final = 64
_PORTS: Final = {"http": 80, "https": 443}


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


def unreached(pings: Mapping[str, Callable[[], object]], *, within_s: float = 5.0) -> dict[str, str]:
    """Return why each endpoint that does not answer does not, by the keys of `pings`; those that answer are left out.

    Args:
        pings: for each endpoint what returns if it is well, and raises if it is not. One that never ends is left behind
            in a daemon thread.
        within_s: how long an endpoint has, from when it is asked.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in pings:
        waiting.put(name)
    told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for _ in range(min(_AT_ONCE, len(pings))):
        threading.Thread(target=_ask, args=(pings, waiting, told, within_s), daemon=True).start()
    answers = (told.get() for _ in pings)
    return {name: reason for name, reason in answers if reason}


def connecting(urls: Mapping[str, str], *, within_s: float = 5.0) -> dict[str, Callable[[], object]]:
    """Return pings that only open a connection, for those of `urls`, by name, that have a host and a port."""
    found: dict[str, Callable[[], object]] = {}
    for name, url in urls.items():
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.rpartition("+")[2])
        if parts.hostname and port:
            found[name] = _Connection(parts.hostname, port, within_s)
    return found


class _Connection:
    """A ping that opens a connection and closes it."""

    def __init__(self, host: str, port: int, within_s: float) -> None:
        self._address = host, port
        self._within_s = within_s

    def __call__(self) -> None:
        socket.create_connection(self._address, timeout=self._within_s).close()


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
        except Exception as error:  # whatever an adapter raises: it has not answered as it should
            found.put(" ".join(str(error).split()) or type(error).__name__)
        else:
            found.put("")

    threading.Thread(target=asked, daemon=True).start()
    try:
        return found.get(timeout=within_s)
    except queue.Empty:
        return f"no answer within {within_s:g} s"
