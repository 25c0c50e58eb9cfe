"""Strategies: the interface of a strategy, and what a strategy sees of a pool.

A strategy chooses the node of the next lease; the ledger counts slots. A strategy has no clock, thread or socket: it
gets the time as `now` and randomness as a `random.Random`. So the same class serves a pool and a simulator.

The ledger makes one call at a time:

    join(node)            node is in service; node.in_flight slots may be out already (a live change)
    pick(request)         choose a node that fits the request, and count its slots as taken: the ledger
                          raises node.in_flight right after, by 1 or by `request.takes(node)`
    finish(node, ...)     a lease ended; node.in_flight is lowered already
    change(node)          node.limit, node.ceiling, node.weight, node.in_flight or node.endpoint changed
    leave(node)           node is out of service: no more calls about it

A strategy needs no knowledge of health. An endpoint that is ejected, on trial, in a slow start, limited or on a busy
host has another limit, which may be 0, and another weight.
"""

import random
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Never, Protocol, cast

from balancer.answers import Load
from balancer.endpoint import Endpoint, LeaseTerms, Outcome
from balancer.values.urls import identity_of

if TYPE_CHECKING:
    from balancer.values.options import StrategyOptions

__all__ = ["ANY", "Node", "Request", "Standing", "Strategy", "StrategyOptions"]


class Standing(Protocol):
    """The state of an endpoint: a node, or an account of the ledger."""

    @property
    def endpoint(self) -> Endpoint:
        """Its specification."""
        ...

    @property
    def in_flight(self) -> int:
        """Slots leased now."""
        ...

    @property
    def limit(self) -> int:
        """Slots in force now."""
        ...

    @property
    def ceiling(self) -> int:
        """The most slots that one lease may take now."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a caller asks for. Two requests are equal if the same endpoints can serve them in the same way.

    Args:
        labels: the endpoint must have all of these labels.
        exclude: names of endpoints that must not be used, e.g. of the one that just failed.
        slots: how many slots of one endpoint to take (>= 1), for a call that runs several programs at once.
        key: requests with one key go to the same endpoint if possible. Only strategies with affinity use it.
        terms: the holder and the time limits of the lease. Strategies ignore it.
        tokens: how many tokens of a quota the call will use, estimated. None: not given. Strategies ignore it.
        only: the name of the one endpoint that may be used. None: any.

    Attributes:
        open: True if any free slot will do. Then a strategy can skip the filter.
        barred: the identities of excluded endpoints.
        shut, upto: quotas that have no room for it now, and the highest group that it may use now.
    """

    labels: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    slots: int = 1
    key: str | None = field(default=None, compare=False)
    terms: LeaseTerms | None = field(default=None, compare=False)
    tokens: int | None = field(default=None, compare=False)
    only: str | None = None
    open: bool = field(init=False, compare=False, default=True)
    barred: frozenset[str] = field(init=False, compare=False, repr=False, default=frozenset())
    shut: frozenset[str] = field(init=False, compare=False, repr=False, default=frozenset())
    upto: float = field(init=False, compare=False, repr=False, default=inf)

    def __post_init__(self) -> None:
        if self.labels or self.exclude or self.slots != 1 or self.only is not None:
            object.__setattr__(self, "open", False)
        if self.exclude:
            object.__setattr__(self, "barred", frozenset(map(identity_of, self.exclude)))

    def __repr__(self) -> str:
        labels, exclude = (f"{{{', '.join(map(repr, sorted(names)))}}}" for names in (self.labels, self.exclude))
        asked = {
            f"labels={labels}": self.labels,
            f"exclude={exclude}": self.exclude,
            f"slots={self.slots}": self.slots > 1,
            f"key={self.key!r}": self.key is not None,
            f"only={self.only!r}": self.only is not None,
        }
        return f"Request({', '.join(words for words, given in asked.items() if given)})"

    def passing(self, shut: frozenset[str], upto: float = inf) -> "Request":
        """Return a request that these quotas, and groups above `upto`, do not serve; this one if that is nothing."""
        if not shut and upto == inf:
            return self
        made = replace(self)
        for name, value in (("open", False), ("shut", shut), ("upto", upto)):
            object.__setattr__(made, name, value)
        return made

    def admits(self, endpoint: Endpoint) -> bool:
        """Return whether `endpoint` may serve this request, once it has room."""
        if self.only is not None and identity_of(self.only) != endpoint.identity:
            return False
        able = self.slots <= endpoint.capacity and self.labels <= endpoint.labels
        able = able and endpoint.group <= self.upto and endpoint.quota not in self.shut
        return able and (not self.barred or endpoint.identity not in self.barred)

    def takes(self, node: Standing) -> int:
        """Return how many slots of `node` the lease takes: `slots`, or the node's ceiling if that is lower."""
        return min(self.slots, node.ceiling)

    def fits(self, node: Standing) -> bool:
        """Return whether `node` may serve this request, and has room for it."""
        return node.in_flight + (min(self.slots, node.ceiling) or 1) <= node.limit and self.admits(node.endpoint)


ANY = Request()


class Node:
    """One endpoint in service, as a strategy sees it. A strategy may set `note` only.

    The ledger keeps its own counts and copies them here. So a change to a node cannot break the ledger.

    Attributes:
        endpoint: the frozen specification (URL, name, capacity, labels). `Pool.update` replaces it.
        in_flight: slots leased now.
        limit: slots in force now. After a cut it may be below `in_flight`.
        ceiling: the `limit` if nothing else ran on its host. No lease takes more slots.
        weight: its share now: the weight of the endpoint, or less during a slow start. Use this one, not
            `endpoint.weight`.
        load: the last load that the server reported while in service, or None.
        load_s: the time of that report, in seconds.
        note: the strategy's own data about this node, found without a look-up. Set it in `join`: it may hold a value of
            another strategy.
    """

    endpoint: Endpoint
    in_flight: int
    limit: int
    ceiling: int
    weight: float
    load: Load | None
    load_s: float
    note: Any

    def __init__(self, endpoint: Endpoint) -> None:
        # Plain attributes are the fastest to read. Only the ledger writes them, through `vars`; see `Account.show`.
        slots = endpoint.capacity
        vars(self).update(endpoint=endpoint, in_flight=0, limit=slots, ceiling=slots, weight=endpoint.weight)
        vars(self).update(load=None, load_s=-inf, note=None)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "note":
            raise AttributeError(f"a strategy may read {name} of a node but not set it; put its own data into `note`")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a strategy may not delete {name} of a node")

    @property
    def free(self) -> int:
        """Slots that may be leased now (>= 0)."""
        return max(0, self.limit - self.in_flight)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint.name} {self.in_flight}/{self.limit}>"


def __getattr__(name: str) -> Any:
    if name != "StrategyOptions":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from balancer.values.options import StrategyOptions  # imported here: pydantic is slow to import

    return StrategyOptions


class _NoOptions:
    """The `Options` of a strategy that names none: the base class, imported when it is asked for."""

    def __get__(self, instance: object, owner: type) -> "type[StrategyOptions]":
        from balancer.values.options import StrategyOptions

        return StrategyOptions


class Strategy(Protocol):
    """Chooses the endpoint of the next lease. Subclass it, or write a class with the same methods.

    Class attributes:
        name: its name in a config.
        Options: a pydantic model of its options. `balancer strategies` shows the first line of the class docstring and
            the descriptions of the fields. A strategy that names none gets None as its options.

    The pool makes an instance as `cls(options, rng)`; it serves one pool at a time. For an open request, every method
    costs O(1), O(log N) or O(d) in the number of nodes. A request with a filter may also cost one step for each free
    node that does not fit.
    """

    name: ClassVar[str]
    Options: "ClassVar[type[StrategyOptions]]" = cast("type[StrategyOptions]", _NoOptions())

    @abstractmethod
    def __init__(self, options: Any, rng: random.Random) -> None: ...

    @abstractmethod
    def join(self, node: Node, now: float) -> None:
        """Take `node` into service. Some of its slots may be out already, and its limit may be 0."""
        ...

    @abstractmethod
    def leave(self, node: Node, now: float) -> None:
        """Forget `node`. `pick` must not return it any more."""
        ...

    @abstractmethod
    def change(self, node: Node, now: float) -> None:
        """Adapt to a new limit, ceiling, weight, in-flight count or endpoint. Keep what was learned about `node`."""
        ...

    @abstractmethod
    def pick(self, request: Request, now: float) -> Node | None:
        """Choose a node that fits `request`, and count the slots that it takes as taken.

        Return None only if no node fits: a pool never leaves a slot idle while a waiter could use it.
        """
        ...

    @abstractmethod
    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Learn that a lease of `node` ended after `elapsed_s` seconds. Its slots may be free again.

        Some leases were never picked, e.g. those that were out when `node` joined.
        """
        ...
