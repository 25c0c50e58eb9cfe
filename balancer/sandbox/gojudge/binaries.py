"""A cache of the compiled programs that a go-judge server keeps: each is made once, the least recently used is deleted.

Decides which are kept and who makes one that several threads want. It must not know how they are made.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from balancer.program import Execution

__all__ = ["CachedBinaries"]

_MOST = 256
_Made = str | Execution  # the server's name for a program, or the compile error


class CachedBinaries:
    """Programs that a server keeps, by what they are made from. Thread-safe.

    Args:
        drop: lets go of one; must not raise.
        most: how many are kept, the ones used last.
    """

    def __init__(self, drop: Callable[[str], object], most: int = _MOST) -> None:
        self._drop = drop
        self._most = most
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def get(self, key: str, make: Callable[[], _Made]) -> _Made:
        """Return what `make` made for `key`; one thread makes it, others wait for that. What it raises is not kept."""
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                made = self._made.get(key)
                if made is not None:
                    self._made.move_to_end(key)
                    return made
            made = make()
            self._keep(key, made)
            return made

    def _keep(self, key: str, made: _Made) -> None:
        with self._lock:
            self._made[key] = made
            old = [self._made.popitem(last=False) for _ in range(len(self._made) - self._most)]
            for each, _ in old:
                self._turns.pop(each, None)
        for _, what in old:
            if isinstance(what, str):
                self._drop(what)

    def forget(self, key: str, name: str) -> None:
        """Let go of `name`, which the server has lost, unless somebody has made another one for `key` since."""
        with self._lock:
            if self._made.get(key) == name:
                del self._made[key]

    def clear(self) -> list[str]:
        """Keep none any more, and return the server's names for those it has."""
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
        return [each for each in made if isinstance(each, str)]
