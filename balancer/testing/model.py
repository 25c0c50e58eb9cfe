"""Naive model of a pool: slots, labels, hosts and waiters, in lists that are scanned.

It says what a pool with any strategy must do, as plainly as possible. It does not choose endpoints: it is told which
one a caller got, and checks that this was right. Every breach is an AssertionError that says what was wrong. It shares
no code with the core.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from balancer.core import Waiter
from balancer.endpoint import Endpoint, Lease
from balancer.strategy import Node, Request

__all__ = ["Caller", "Model"]


@dataclass(eq=False, slots=True)
class Caller:
    """One call on the pool: it has a lease, or waits, or is over.

    Attributes:
        waiter: while it waits.
        lease: while it has one.
    """

    request: Request
    since_s: float
    deadline_s: float
    waiter: Waiter | None = None
    lease: Lease | None = None


@dataclass(slots=True)
class _Known:
    """An endpoint of the pool, and those that have its slots. `node` is what the strategy is told about it."""

    spec: Endpoint
    node: Node | None = None
    callers: list[Caller] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        return sum(caller.lease.slots for caller in self.callers if caller.lease is not None)

    @property
    def host(self) -> str:
        return self.spec.host or self.spec.name

    def fits(self, request: Request) -> bool:
        """Return whether it is in service, and has as many slots as the request takes."""
        if self.node is None or not request.admits(self.spec):
            return False
        return 0 < min(request.slots, self.node.ceiling) <= self.node.limit - self.in_flight


class Model:
    """What a pool should be.

    Args:
        host_caps: most slots out, by host; "*" for each host without an entry.
        lowered: True: other rules (health, limits) may lower a limit further.

    Attributes:
        endpoints: those in service, or with a lease out, by URL.
        waiting: the callers that wait, in the order of their arrival.
    """

    def __init__(self, host_caps: Mapping[str, int], *, lowered: bool) -> None:
        self.endpoints: dict[str, _Known] = {}
        self.waiting: list[Caller] = []
        self._host_caps = host_caps
        self._lowered = lowered

    def serves(self, request: Request) -> bool:
        """Return whether an endpoint in service could ever serve a request."""
        return any(known.node is not None and request.admits(known.spec) for known in self.endpoints.values())

    def free_for(self, request: Request) -> list[str]:
        """Return the URLs of the endpoints that have free slots for a request."""
        return [url for url, known in self.endpoints.items() if known.fits(request)]

    def out(self) -> list[Caller]:
        """Return those that have a lease."""
        return [caller for known in self.endpoints.values() for caller in known.callers]

    # -- what happens --------------------------------------------------------------------------------

    def see(self, nodes: Mapping[str, Node], active: Mapping[str, Endpoint]) -> None:
        """Take over which endpoints are in service, and the limits that the strategy is told."""
        assert nodes.keys() == active.keys(), f"the strategy was told of {sorted(nodes)}, not of {sorted(active)}"
        for url in self.endpoints.keys() | active.keys():
            known = self.endpoints.setdefault(url, _Known(active[url])) if url in active else self.endpoints[url]
            known.spec, known.node = active.get(url, known.spec), nodes.get(url)
            if known.node is None and not known.callers:
                del self.endpoints[url]

    def grant(self, caller: Caller, lease: Lease, now: float) -> None:
        """Record a lease: it must be of an endpoint that may serve the caller, in time."""
        known = self.endpoints[lease.endpoint.url]
        slots = min(caller.request.slots, known.spec.capacity)
        assert known.node is not None, f"{lease.endpoint.url} was leased, but is out of service"
        assert caller.request.admits(known.spec), f"{known.spec} was leased for {caller.request}"
        assert 0 < lease.slots <= slots, f"a lease has {lease.slots} slots, for {caller.request}"
        assert now < caller.deadline_s or now == caller.since_s, "a waiter was served after its deadline"
        if caller in self.waiting:
            self.waiting.remove(caller)
        for other in self.waiting:  # whoever waits longer goes first, unless it needs more slots than were free
            later = other.since_s >= caller.since_s or now >= other.deadline_s or other.request.slots > 1
            assert later or not other.request.admits(known.spec), (
                f"{lease.endpoint.url} was leased for {caller.request}, although {other.request} has waited longer"
            )
        caller.waiter, caller.lease = None, lease
        known.callers.append(caller)

    def end(self, caller: Caller) -> None:
        """Record that a lease, or a wait, is over."""
        if caller in self.waiting:
            self.waiting.remove(caller)
        for known in self.endpoints.values():
            if caller in known.callers:
                known.callers.remove(caller)
        caller.waiter = caller.lease = None

    # -- what must hold ------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Check what the strategy is told, and that nobody waits who could be served."""
        for url, known in self.endpoints.items():
            if known.node is not None:
                self._check(url, known, known.node)
        for caller in self.waiting:
            assert self.serves(caller.request), f"{caller.request} waits, although no endpoint could ever serve it"
            free = self.free_for(caller.request) if now < caller.deadline_s else []
            assert not free, f"{free[0]} has a slot free that {caller.request} waits for"

    def _check(self, url: str, known: _Known, node: Node) -> None:
        in_flight, capacity = known.in_flight, known.spec.capacity
        assert node.in_flight == in_flight, f"{url} is said to have {node.in_flight} slots out; it has {in_flight}"
        cap = self._host_caps.get(known.host, self._host_caps.get("*", inf))
        on_host = sum(other.in_flight for other in self.endpoints.values() if other.host == known.host)
        most = min(capacity, in_flight + max(0, cap - on_host))
        # Slots may be kept for a waiter that needs several. So the others are told of a lower limit.
        lower = self._lowered or any(caller.request.slots > 1 for caller in self.waiting)
        right = node.limit <= most if lower else node.limit == most
        assert right, f"{url} is said to have a limit of {node.limit}; it is {most}"
