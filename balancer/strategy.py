"""What a strategy sees and what it answers.

A strategy chooses; the ledger counts. The ledger tells a strategy which nodes are in service and when
a slot comes back, and asks it for the next one. A strategy must not know clocks, threads or sockets:
time arrives as `now`, randomness as a `random.Random`, so that one object serves a threaded pool and a
simulator alike.

How the ledger calls it, always one call at a time:

    join(node)            node is in service; node.in_flight leases are out already (a live change)
    pick(request)         choose a node that has a free slot and that the request admits, and count it
                          as taken: the ledger raises node.in_flight right after
    finish(node, ...)     a slot came back; node.in_flight is lowered already
    change(node)          node.limit or node.endpoint is new
    leave(node)           node is out of service: no more calls about it
"""

import random
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from balancer.endpoint import Endpoint, Outcome

__all__ = ["ANY", "Node", "Request", "Strategy", "StrategyOptions"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks for.

    Args:
        labels: the endpoint must have all of these.
        exclude: URLs that will not do, e.g. the endpoint that just failed.

    Attributes:
        open: True if every endpoint will do; lets a strategy skip the filter.
    """

    labels: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    open: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "open", not self.labels and not self.exclude)

    def admits(self, endpoint: Endpoint) -> bool:
        """Return whether `endpoint` may serve this request."""
        return self.labels <= endpoint.labels and endpoint.url not in self.exclude


ANY = Request()


class Node:
    """One endpoint in service, as a strategy sees it. Only the ledger writes to it, but for `note`.

    Attributes:
        endpoint: the frozen spec (URL, weight, labels); replaced by `Pool.update`.
        in_flight: leases out now.
        limit: slots in force now. After a cut it may lie below `in_flight`.
        note: the strategy's own, to find what it knows of this node without a look-up. Set it in
            `join`: it may hold what another strategy left.
    """

    __slots__ = ("endpoint", "in_flight", "limit", "note")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.in_flight = 0
        self.limit = endpoint.capacity
        self.note: Any = None

    @property
    def free(self) -> int:
        """Slots that may be leased now (>= 0)."""
        return max(0, self.limit - self.in_flight)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint.url} {self.in_flight}/{self.limit}>"


class StrategyOptions(BaseModel):
    """Base of a strategy's options: frozen, and an unknown option is an error. Has none of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class Strategy(Protocol):
    """Chooses the endpoint of the next lease. Subclass it, or just have the same methods.

    Class attributes:
        name: what a config calls it.
        Options: a pydantic model of its options; the first line of the class docstring and the
            descriptions of its fields are what `balancer strategies` shows.

    An instance is made as `cls(options, rng)` and serves one pool at a time.
    Every method costs O(1), O(log N) or O(d) in the number of nodes for an open request. A request
    with a filter may cost as many steps as there are free nodes that it does not admit.
    """

    name: ClassVar[str]
    Options: ClassVar[type[StrategyOptions]] = StrategyOptions

    @abstractmethod
    def __init__(self, options: Any, rng: random.Random) -> None: ...

    @abstractmethod
    def join(self, node: Node, now: float) -> None:
        """Take `node` into service. Some of its slots may be out already."""
        ...

    @abstractmethod
    def leave(self, node: Node, now: float) -> None:
        """Forget `node`: it must not be picked any more."""
        ...

    @abstractmethod
    def change(self, node: Node, now: float) -> None:
        """Adapt to a new `node.limit`, weight or labels."""
        ...

    @abstractmethod
    def pick(self, request: Request, now: float) -> Node | None:
        """Choose a node with a free slot that `request` admits, and count the slot as taken.

        Return None only if there is none: a pool never lets a slot idle while someone may use it.
        """
        ...

    @abstractmethod
    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Learn that a lease of `node` ended after `elapsed_s` seconds; its slot may be free again."""
        ...
