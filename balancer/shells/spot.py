"""Where one task waits. `balancer.shells.tasks` has such a place for each async library."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

__all__ = ["Spot", "Told"]

Told = Callable[[Any, None], object]


class Spot(ABC):
    """A place where one task waits, until it is woken or a time has passed.

    Args:
        told: called with this place by the waker, once the task is sure to go on.
        lost: called by the waker if the task will never come back.
    """

    __slots__ = ("_is_woken", "_lost", "_told")

    def __init__(self, told: Told, lost: "Callable[[], object]") -> None:
        self._told = told
        self._lost = lost
        self._is_woken = False

    def wake(self) -> None:
        """Let the task go on. Any thread may call this, also twice."""
        if not self._reached():
            self._lost()
        else:
            self._told(self, None)

    @abstractmethod
    async def wait(self, nap_s: float) -> None:
        """Wait, in the task, until it is woken or `nap_s` seconds have passed (inf: no limit)."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True if the task will never come back: it or its event loop has gone."""

    @abstractmethod
    def _reached(self) -> bool:
        """Make the task go on. Return False if its loop no longer runs."""
