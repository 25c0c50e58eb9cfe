"""Connection limit: how many connections a server has, and which one is closed when there are too many.

A connection that the server waits for is in a crowd: all that wait for the same thing and come from the same network.
The one of the largest crowd that has waited for longest gives way. So strangers who connect and fall silent, however
many they are, keep nobody out who speaks at once, and those of one network push out each other first.
"""

import socket
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from typing import Any, Final, Generic, TypeVar

__all__ = ["ConnectionLimit", "network_of", "probe_peer"]

_PROBE_S, _PROBES = 10, 3  # until a client whose machine has vanished counts as gone
_NETWORK: Final = 8  # bytes of an IPv6 address that all machines of one network share

C = TypeVar("C")


class ConnectionLimit(Generic[C]):
    """Open connections, and which of them are waited for.

    Attributes:
        most: how many connections there may be.
        most_waiting: how many of them may be waited for.
    """

    def __init__(self, most: float, most_waiting: float = inf) -> None:
        self.most = most
        self.most_waiting = most_waiting
        self._all: dict[C, tuple[str, str] | None] = {}  # the crowd of each connection; None: it is served
        self._crowds: dict[tuple[str, str], OrderedDict[C, None]] = {}  # the longest waiting first
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, who: C) -> bool:
        return who in self._all

    def __iter__(self) -> Iterator[C]:
        return iter([*self._all])

    @property
    def served(self) -> int:
        """How many connections are not waited for."""
        return len(self._all) - self._waiting

    def wait(self, who: C, what: str, network: str) -> None:
        """Note that the server now waits for `what` of a connection. A new connection begins with this."""
        self.leave(who)
        crowd = what, network
        self._all[who] = crowd
        self._crowds.setdefault(crowd, OrderedDict())[who] = None
        self._waiting += 1

    def serve(self, who: C) -> None:
        """Note that a connection is not waited for: it never gives way."""
        if who in self._all:
            self.leave(who)
            self._all[who] = None

    def leave(self, who: C) -> None:
        """Forget a connection. Idempotent."""
        crowd = self._all.pop(who, None)
        if crowd is None:
            return
        members = self._crowds[crowd]
        del members[who]
        self._waiting -= 1
        if not members:
            del self._crowds[crowd]

    def surplus(self) -> C | None:
        """Return the connection that must be closed now; None: there are not too many, or all are served."""
        if len(self._all) <= self.most and self._waiting <= self.most_waiting:
            return None
        return self.longest_waiting()

    def longest_waiting(self) -> C | None:
        """Return the longest waiting connection of the largest crowd; None: there is none."""
        if not self._crowds:
            return None
        largest = max(self._crowds, key=lambda crowd: len(self._crowds[crowd]))
        return next(iter(self._crowds[largest]))


def network_of(address: Any) -> str:
    """Return the network of a peer, by its address as a socket gives it. Of IPv6 it is the first half."""
    host = str(address[0]) if address else ""
    if ":" in host:
        with suppress(OSError):
            return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:_NETWORK].hex()
    return host


def probe_peer(connection: Any) -> None:
    """Let the system detect that the machine at the other end has vanished (TCP keepalive)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _PROBE_S), ("TCP_KEEPINTVL", _PROBE_S), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
