"""Callers of a member that wait for a lease, by the number under which the coordinator knows them.

Decides how an ask is said: as it stands now, with the time that is left. It must not know who is served.
"""

from collections.abc import Callable, Container, Iterator
from itertools import count

from balancer.cluster.protocol.member_leases import is_interchangeable, without_times
from balancer.cluster.protocol.messages import LeaseRequested
from balancer.core.waiters import Waiter, WaitQueue
from balancer.strategy import Request

__all__ = ["CallerQueue"]


class CallerQueue:
    """The callers who wait, by number. A number is used once, and kept from session to session."""

    def __init__(self) -> None:
        self._waiters = WaitQueue()
        self._by_number: dict[int, tuple[Waiter, int]] = {}  # and its priority
        self._numbers: dict[Waiter, int] = {}
        self._fresh = count(1)

    def __len__(self) -> int:
        return self._waiters.size

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers of those that the coordinator is to answer."""
        return iter(self._by_number)

    def push(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> tuple[Waiter, int]:
        """Queue a caller; return it, and its number."""
        waiter = self._waiters.push(request, now, deadline_s, priority, wake)
        number = next(self._fresh)
        self._by_number[number] = waiter, priority
        self._numbers[waiter] = number
        return waiter, number

    def of(self, number: int) -> Waiter | None:
        """Return who waits by this number; None: nobody does any more."""
        waiter, _ = self._by_number.get(number, (None, 0))
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> int:
        """Let it ask for this from now on; return its number."""
        self._waiters.amend(waiter, request)
        return self._numbers[waiter]

    def dismiss(self, waiter: Waiter) -> int:
        """Take a waiter that has ended out of the queue; return its number."""
        number = self._numbers.pop(waiter)
        self._by_number.pop(number, None)
        self._waiters.discard(waiter)
        return number

    def keep(self, waiting: Container[Waiter]) -> None:
        """Forget those that are not in `waiting`, and put the queue in order after an interrupt."""
        for waiter in list(self._numbers):
            if waiter not in waiting and not waiter.ended:
                self._by_number.pop(self._numbers.pop(waiter), None)
        self._waiters.mend(waiting)

    def all(self) -> list[Waiter]:
        """Return all who wait."""
        return list(self._waiters)

    def candidates(self) -> Iterator[Waiter]:
        """Go through those that are next, one of each kind, as `WaitQueue.candidates` does."""
        return iter(self._waiters.candidates())

    def request(self, number: int, block: int, now: float) -> LeaseRequested:
        """Return what the coordinator is asked by this number, for a block of so many where that can be."""
        waiter, priority = self._by_number[number]
        request = waiter.request
        left_s, waited_s = max(0.0, waiter.deadline_s - now), now - waiter.since_s
        return LeaseRequested(
            number, without_times(request), priority, left_s, waited_s, block if is_interchangeable(request) else 1
        )
