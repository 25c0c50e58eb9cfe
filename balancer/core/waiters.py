"""The queue of waiters: order, deadlines, cancellation.

Decides who is next for a freed slot: of the waiters that may use it, the one with the oldest claim.
It must not know endpoints, nor whether there is a slot: it is asked for candidates, best first.

A claim is the instant a waiter arrived, moved back by `PRIORITY_WORTH_S` for each level of priority.
So a higher priority goes first among those that arrived about together, and nobody starves: a claim
never changes, not even when its waiter asks for something else, and whoever arrives later than the worth
of its priority comes behind it.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from heapq import heapify, heappop, heapreplace
from itertools import count, takewhile

from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.strategy import Request

__all__ = ["PRIORITY_WORTH_S", "WaitQueue", "Waiter"]

PRIORITY_WORTH_S = 10.0


class Waiter:
    """A queued acquire. It ends once: with a lease, or with an error. Its queue fills in a blank one, as with `Lease`.

    Attributes:
        request: what it asks for.
        since_s, deadline_s: when it came, and when it gives up (`inf`: never).
        lease, error: how it ended; both None while it waits.
        wake: the shell's own; called, outside the shell's lock, once it has ended.
    """

    __slots__ = ("deadline_s", "error", "group", "lease", "request", "since_s", "ticket", "wake")

    group: "_Group"
    request: Request  # equals that of the group, but for the key
    since_s: float
    deadline_s: float
    ticket: int
    wake: Callable[[], object]
    lease: Lease | None
    error: BalancerError | None

    @property
    def place(self) -> tuple[float, int]:
        """Where it stands among those of its group: when it came; the ticket decides between equal instants."""
        return self.since_s, self.ticket

    @property
    def ended(self) -> bool:
        """True once it has a lease or an error."""
        return self.lease is not None or self.error is not None


class _Group:
    """Waiters that ask for the same with the same priority, in the order of their claims, which is that of arrival."""

    __slots__ = ("priority", "request", "waiters")

    def __init__(self, request: Request, priority: int) -> None:
        self.request = request
        self.priority = priority
        # OrderedDict, not dict: a plain dict rescans the slots deleted at its front on every look.
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()

    @property
    def head(self) -> Waiter:
        """The waiter with the oldest claim."""
        return next(iter(self.waiters))

    @property
    def claim(self) -> tuple[float, int]:
        """What the head's claim is; the ticket decides between equal instants."""
        head = self.head
        return head.since_s - self.priority * PRIORITY_WORTH_S, head.ticket


class WaitQueue:
    """Waiters, grouped by what they ask for, so that a freed slot looks at groups and not at waiters.

    `push` and `discard` cost O(1); `candidates` O(groups); `amend` O(waiters of the group that it comes to).

    Attributes:
        size: how many wait; to read, not to set.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[Request, int], _Group] = {}
        self._latest: _Group | None = None  # that somebody joined: nearly always the next one joins the same
        self._tickets = count()
        self.size = 0

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for group in self._groups.values() for waiter in group.waiters)

    def sole_head(self) -> Waiter | None:
        """Return the waiter with the oldest claim, if all ask for the same with the same priority; else None."""
        if len(self._groups) == 1:
            for group in self._groups.values():
                for head in group.waiters:
                    return head
        return None

    def push(
        self, request: Request, since_s: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a new waiter behind those of its group."""
        group = self._latest
        if group is None or group.request is not request or group.priority != priority or not group.waiters:
            group = self._latest = self._groups.setdefault((request, priority), _Group(request, priority))
        waiter = Waiter()
        waiter.group = group
        waiter.request = request
        waiter.since_s = since_s
        waiter.deadline_s = deadline_s
        waiter.ticket = next(self._tickets)
        waiter.wake = wake
        waiter.lease = waiter.error = None
        group.waiters[waiter] = None
        self.size += 1
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> None:
        """Let `waiter` ask for `request` instead. Its claim stays, so it stands before all that came after it."""
        before = waiter.group
        group = self._groups.setdefault((request, before.priority), _Group(request, before.priority))
        place = waiter.place
        younger = list(takewhile(lambda other: other.place > place, reversed(group.waiters)))
        del before.waiters[waiter]
        waiter.group, waiter.request = group, request
        group.waiters[waiter] = None
        for other in reversed(younger):
            group.waiters.move_to_end(other)
        if not before.waiters:
            del self._groups[before.request, before.priority]

    def discard(self, waiter: Waiter) -> None:
        """Take `waiter` out, wherever it stands."""
        group = waiter.group
        del group.waiters[waiter]
        if not group.waiters:
            del self._groups[group.request, group.priority]
        self.size -= 1

    def mend(self, waiting: Container[Waiter]) -> None:
        """Leave only those in `waiting`, in order, after an interrupt half-way through a call; O(n log n)."""
        for key, group in list(self._groups.items()):
            left = sorted((waiter for waiter in group.waiters if waiter in waiting), key=lambda waiter: waiter.place)
            group.waiters = OrderedDict.fromkeys(left)
            if not left:
                del self._groups[key]
        self._latest = None
        self.size = sum(len(group.waiters) for group in self._groups.values())

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
        heads = [(group.claim, group) for group in self._groups.values()]
        heapify(heads)  # no two claims are equal, so groups are never compared
        while heads:
            group = heads[0][1]
            head = group.head
            yield head
            if not group.waiters or group.head is head:
                heappop(heads)
            else:
                heapreplace(heads, (group.claim, group))
