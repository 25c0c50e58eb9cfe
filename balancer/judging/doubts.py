"""Suspected endpoints: a program ended oddly there, and well elsewhere.

Decides who is doubted, and for how long: until such a program ends well there. It must not know what oddly means. The
first such end at an endpoint is found out too late to be told to the pool; those that follow are told, as failures.
"""

import threading

__all__ = ["Doubts"]


class Doubts:
    """The endpoints that are doubted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doubted: set[str] = set()

    def add(self, endpoint: str) -> None:
        """Doubt `endpoint` from now on."""
        with self._lock:
            self._doubted.add(endpoint)

    def clear(self, endpoint: str) -> None:
        """Doubt it no more."""
        with self._lock:
            self._doubted.discard(endpoint)

    def has(self, endpoint: str) -> bool:
        """Return whether `endpoint` is doubted."""
        with self._lock:
            return endpoint in self._doubted
