"""The table of sessions: which endpoint has what a later request names, e.g. a file or a conversation.

It knows no clock: every call has the time, in seconds of any clock that never goes back.
"""

from collections.abc import Iterable

__all__ = ["SessionTable"]


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

    def bind(self, name: str, endpoint: str, now: float) -> None:
        """Keep `endpoint` as that of `name`, in place of an earlier one."""
        self._expire(now)
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
