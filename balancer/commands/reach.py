"""Reachability of endpoints: each is pinged once, many at a time, with a timeout.

Decides how long an endpoint has. It must not know what is asked, nor what follows from an answer.
"""

import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

__all__ = ["connecting", "unreached"]

_AT_ONCE: Final = 64
_PORTS: Final = {"http": 80, "https": 443}


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
