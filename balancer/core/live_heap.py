"""A heap that stays: entries that no longer count are dropped when they come to the front, or by a sweep."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar

__all__ = ["LiveHeap"]

V = TypeVar("V")

_FEWEST = 64  # with fewer entries a sweep is not worth it


class LiveHeap(Generic[V]):
    """Values in the order of their keys; of equals, the first to come. O(log n) each, amortised.

    It has at most twice as many entries as count, and a few more. An entry is a tuple: key, number, value.

    Args:
        counts: returns whether an entry still counts. One that does not is never looked at again.
    """

    def __init__(self, counts: Callable[[tuple[Any, int, V]], bool]) -> None:
        self._counts = counts
        self._entries: list[tuple[Any, int, V]] = []
        self._sweep_at = _FEWEST
        self._tickets = count()

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, key: Any, value: V) -> tuple[Any, int, V]:
        """Add a value, and return its entry."""
        if len(self._entries) >= self._sweep_at:
            self._entries = [entry for entry in self._entries if self._counts(entry)]
            heapify(self._entries)
            self._sweep_at = 2 * len(self._entries) + _FEWEST
        entry = key, next(self._tickets), value
        heappush(self._entries, entry)
        return entry

    def first(self) -> tuple[Any, int, V] | None:
        """Return the first entry that counts; None: there is none."""
        entries = self._entries
        while entries:
            if self._counts(entries[0]):
                return entries[0]
            heappop(entries)
        return None

    def remove_first(self, entry: tuple[Any, int, V]) -> None:
        """Remove the entry that `first` returned, if it is still the first."""
        if self._entries and self._entries[0] is entry:
            heappop(self._entries)
