"""A warm pool: objects that take a while to make are made ahead of use, and cleared away after use, by a thread.

Decides how many there are. Whoever finds none has one more made for the next time, up to a bound; what is taken is
replaced; what was not asked for longest gives way. It must not know what is made.
"""

import contextlib
import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Generic, Protocol, TypeVar

__all__ = ["WarmPool"]

_LOGGER = logging.getLogger("balancer")


class _Closable(Protocol):
    def close(self) -> None: ...


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=_Closable)


class WarmPool(Generic[K, T]):
    """Things that are ready, by kind. Thread-safe.

    Args:
        make: makes one of a kind; None, or an OSError, if that cannot be done now. Called by a thread of the pool.
        most: how many there are at most, of all kinds together; 0: none is ever kept.
    """

    def __init__(self, make: Callable[[K], T | None], most: int) -> None:
        self._make = make
        self._most = most
        self._lock = threading.Lock()
        self._ready: OrderedDict[K, deque[T]] = OrderedDict()  # the kind that was asked for last is last
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._due = 0
        self._keeper: threading.Thread | None = None
        self._closed = False

    def take(self, kind: K) -> T | None:
        """Return one of `kind` that is ready, or None; order another one."""
        if not self._most:
            return None
        with self._lock:
            ready = self._ready.setdefault(kind, deque())
            self._ready.move_to_end(kind)
            taken = ready.popleft() if ready else None
            if not self._closed and len(ready) + self._due < self._most:
                self._due += 1
                self._do(partial(self._replace, kind))
        return taken

    def clear(self, used: T) -> None:
        """Close `used`, soon; at once if the pool is behind with its work."""
        with self._lock:
            later = self._most > 0 and not self._closed and self._work.qsize() <= self._most
            if later:
                self._do(used.close)
        if not later:
            used.close()

    def _do(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="balancer-warm-pool", daemon=True)
            self._keeper.start()

    def close(self) -> None:
        """Close what is ready, and make no more. May be called twice."""
        with self._lock:
            self._closed = True
            self._work.put(None)
        if self._keeper is not None:
            self._keeper.join()
        for left in self._leftovers(0):
            with contextlib.suppress(OSError):
                left.close()

    def _keep(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except OSError:  # what cannot be made or cleared away must not keep the rest from it
                pass
            except Exception:
                _LOGGER.exception("a sandbox could not be made ready or cleared away")

    def _replace(self, kind: K) -> None:
        made = None
        try:
            if not self._closed:
                made = self._make(kind)
        finally:  # whatever came of it, it is due no more
            with self._lock:
                self._due -= 1
                if made is not None:
                    self._ready.setdefault(kind, deque()).append(made)
        for left in self._leftovers(self._most):
            left.close()

    def _leftovers(self, most: int) -> list[T]:
        """Take out what is more than `most`, of the kinds first that were not asked for longest."""
        left: list[T] = []
        with self._lock:
            more = sum(map(len, self._ready.values())) - most
            for kind, ready in [*self._ready.items()]:
                while ready and more > 0:
                    left.append(ready.popleft())
                    more -= 1
                if not ready and more > 0:
                    del self._ready[kind]
        return left
