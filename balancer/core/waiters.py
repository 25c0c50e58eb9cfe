"""The queue of waiters: order, deadlines, cancellation.

Decides who is next for a freed slot: of the waiters that may use it, the one with the oldest claim.
It must not know endpoints, nor whether there is a slot: it is asked for candidates, best first.

A claim is the instant a waiter arrived, moved back by `PRIORITY_WORTH_S` for each level of priority.
So a higher priority goes first among those that arrived about together, and nobody starves: a claim
never changes, and whoever arrives later than the worth of its priority comes behind it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heapreplace
from itertools import count

from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.strategy import Request

__all__ = ["PRIORITY_WORTH_S", "WaitQueue", "Waiter"]

PRIORITY_WORTH_S = 10.0


class Waiter:
    """A queued acquire. It ends once: with a lease, or with an error.

    Attributes:
        request: what it asks for.
        since_s, deadline_s: when it came, and when it gives up (`inf`: never).
        lease, error: how it ended; both None while it waits.
        wake: the shell's own; called, outside the shell's lock, once it has ended.
    """

    __slots__ = ("claim", "deadline_s", "error", "group", "lease", "request", "since_s", "wake")

    def __init__(
        self,
        request: Request,
        since_s: float,
        deadline_s: float,
        priority: int,
        ticket: int,
        wake: Callable[[], object],
    ) -> None:
        self.request = request
        self.since_s = since_s
        self.deadline_s = deadline_s
        self.group = (request, priority)
        self.claim = (since_s - priority * PRIORITY_WORTH_S, ticket)
        self.wake = wake
        self.lease: Lease | None = None
        self.error: BalancerError | None = None

    @property
    def ended(self) -> bool:
        """True once it has a lease or an error."""
        return self.lease is not None or self.error is not None


class WaitQueue:
    """Waiters, grouped by what they ask for, so that a freed slot looks at groups and not at waiters.

    Within a group the order of arrival is the order of claims, so its first waiter stands for it.
    `push` and `discard` cost O(1); `candidates` O(groups).

    Attributes:
        size: how many wait; to read, not to set.
    """

    def __init__(self) -> None:
        # OrderedDict, not dict: a plain dict rescans the slots deleted at its front on every look.
        self._groups: dict[tuple[Request, int], OrderedDict[Waiter, None]] = {}
        self._tickets = count()
        self.size = 0

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for group in self._groups.values() for waiter in group)

    def push(
        self, request: Request, since_s: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a new waiter behind those of its group."""
        waiter = Waiter(request, since_s, deadline_s, priority, next(self._tickets), wake)
        self._groups.setdefault(waiter.group, OrderedDict())[waiter] = None
        self.size += 1
        return waiter

    def discard(self, waiter: Waiter) -> None:
        """Take `waiter` out, wherever it stands."""
        group = self._groups[waiter.group]
        del group[waiter]
        if not group:
            del self._groups[waiter.group]
        self.size -= 1

    def requests(self) -> list[Request]:
        """Return what is being waited for, without repetition."""
        return list(dict.fromkeys(request for request, _ in self._groups))

    def asking(self, request: Request) -> list[Waiter]:
        """Return the waiters that ask for exactly `request`."""
        return [waiter for waiter in self if waiter.request == request]

    def candidates(self) -> Iterator[Waiter]:
        """Yield waiters for a free slot, oldest claim first.

        Each must be discarded (it was served, or ran out of time) or left standing before the next is
        asked for. One left standing could not use any free slot, so neither can the rest of its group.
        """
        heads = [(next(iter(group)).claim, key) for key, group in self._groups.items()]
        heapify(heads)
        while heads:
            key = heads[0][1]
            head = next(iter(self._groups[key]))
            yield head
            group = self._groups.get(key)
            if group is None or head in group:
                heappop(heads)
            else:
                heapreplace(heads, (next(iter(group)).claim, key))
