"""Protocol sniffing: the protocol of a new connection, by its first bytes; and a limit on log lines for each peer."""

from typing import Final

__all__ = ["LogLimiter", "sniff_protocol"]

_TLS: Final = b"\x16\x03"  # a handshake record, and the major version (RFC 8446, 5.1)
_FRAME: Final = b"\x00\x00"  # the first bytes of a message of at most 64 KiB, as an opening is: see `codec`
_METHODS: Final = (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"CONN", b"PATC", b"PRI ")
_MOST: Final = 1024


def sniff_protocol(first: bytes) -> str | None:
    """Return the protocol of the first bytes of a connection: "TLS", "HTTP", "cluster" (`codec`), or None."""
    if first.startswith(_TLS):
        return "TLS"
    if first.startswith(_FRAME):
        return "cluster"
    return "HTTP" if first.startswith(_METHODS) else None


class LogLimiter:
    """Lets each key through once in a while, so that a peer that tries again and again does not fill a log.

    Args:
        every_s: how many seconds a key waits.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last: dict[str, float] = {}  # by key, the oldest first

    def may(self, key: str, now: float) -> bool:
        """Return whether `key` may pass now. If so, its time starts again."""
        last_s = self._last.get(key)
        if last_s is not None and now < last_s + self._every_s:
            return False
        self._last.pop(key, None)
        while len(self._last) >= _MOST:  # a bound on memory: a peer with many addresses gets more lines
            del self._last[next(iter(self._last))]
        self._last[key] = now
        return True
