"""The table of sessions: which endpoint has what a later request names, e.g. a file or a conversation.

It knows no clock: every call has the time, in seconds of any clock that never goes back.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

__all__ = ["SessionTable", "may_leave"]


class _Slots(Protocol):
    """The slots of an endpoint: those in force now, 0 while it is out of service, and those leased."""

    @property
    def limit(self) -> int: ...

    @property
    def in_flight(self) -> int: ...


def may_leave(endpoint: _Slots | None, elsewhere: Collection[str]) -> bool:
    """Return whether a request may leave the endpoint of its session, as things stand.

    Args:
        endpoint: that of the session; None: it was removed.
        elsewhere: when it may: "gone" (out of service, or removed), "full" (no free slot).
    """
    if endpoint is None or endpoint.limit == 0:
        return "gone" in elsewhere
    return "full" in elsewhere and endpoint.in_flight >= endpoint.limit


class SessionTable:
    """Names of sessions, and the endpoint of each. A name that nobody uses is forgotten.

    Args:
        idle_s: seconds after which a name that was not used is forgotten (> 0; inf: never).
        most: how many names are kept (>= 1). With one more, the one that was not used for longest is forgotten.
    """

    def __init__(self, idle_s: float, most: int) -> None:
        self._idle_s = idle_s
        self._most = most
        self._places: dict[str, tuple[str, float]] = {}  # endpoint, and time of the last use; the latest use is last

    def __len__(self) -> int:
        return len(self._places)

    def find(self, names: Iterable[str], now: float) -> str | None:
        """Return the endpoint of the first name that is known, and count that as a use; None: none is."""
        self._expire(now)
        for name in names:
            place = self._places.pop(name, None)
            if place is not None:
                self._places[name] = place[0], now
                return place[0]
        return None

    def bind(self, name: str, endpoint: str, now: float, *, first: bool = False) -> None:
        """Keep `endpoint` as that of `name`, in place of an earlier one; `first`: unless one is known."""
        self._expire(now)
        if first and self.find((name,), now):
            return
        self._places.pop(name, None)
        self._places[name] = endpoint, now
        if len(self._places) > self._most:
            del self._places[next(iter(self._places))]

    def _expire(self, now: float) -> None:
        while self._places:
            name = next(iter(self._places))
            if now - self._places[name][1] < self._idle_s:
                return
            del self._places[name]
