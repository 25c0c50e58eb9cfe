"""The strategy interface: what a strategy sees, and what it answers.

A strategy chooses; the ledger counts. The ledger tells a strategy which nodes are in service and when
a slot comes back, and asks it for the next one. A strategy must not know clocks, threads or sockets:
time arrives as `now`, randomness as a `random.Random`, so that one object serves a threaded pool and a
simulator alike.

How the ledger calls it, always one call at a time:

    join(node)            node is in service; node.in_flight slots are out already (a live change)
    pick(request)         choose a node that the request fits, and count what it takes as taken: the ledger
                          raises node.in_flight right after, by 1 or by `request.takes(node)`
    finish(node, ...)     a lease came back; node.in_flight is lowered already
    change(node)          node.limit, node.ceiling, node.weight, node.in_flight or node.endpoint is new
    leave(node)           node is out of service: no more calls about it

What else there is to know of an endpoint (it is ejected, probed, starting slowly, limited, on a busy host)
reaches a strategy as a limit, which may be 0, and as a weight. So no strategy needs to know of health.
"""

import random
from abc import abstractmethod
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Never, Protocol

from pydantic import BaseModel, ConfigDict

from balancer.endpoint import Endpoint, LeaseTerms, Outcome
from balancer.load import Load
from balancer.values.urls import identity_of

__all__ = ["ANY", "Node", "Request", "Standing", "Strategy", "StrategyOptions"]


class Standing(Protocol):
    """How an endpoint stands: a node, or the ledger's own entry."""

    @property
    def endpoint(self) -> Endpoint:
        """The spec."""
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
        """What no lease takes more than."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a caller asks for. Two are equal if the same endpoints can serve them in the same way.

    Args:
        labels: the endpoint must have all of these.
        exclude: names of endpoints that will not do, e.g. of the one that just failed; mostly these are URLs.
        slots: how many slots of one endpoint it takes (>= 1), e.g. for a call that runs several programs at once.
        key: requests of one key like to go to the same endpoint, for strategies that know affinity. A wish only.
        terms: whose the lease is to be and how long it may last; nothing to a strategy.
        tokens: what the call will take of a quota, by an estimate; None: not said. Nothing to a strategy.

    Attributes:
        open: True if any free slot will do; lets a strategy skip the filter.
        barred: the identities of those it excludes, and of those it passes over for now.
    """

    labels: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    slots: int = 1
    key: str | None = field(default=None, compare=False)
    terms: LeaseTerms | None = field(default=None, compare=False)
    tokens: int | None = field(default=None, compare=False)
    open: bool = field(init=False, compare=False, default=True)
    barred: frozenset[str] = field(init=False, compare=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "open", not self.labels and not self.exclude and self.slots == 1)
        if self.exclude:
            object.__setattr__(self, "barred", frozenset(map(identity_of, self.exclude)))

    def __repr__(self) -> str:
        labels, exclude = (f"{{{', '.join(map(repr, sorted(names)))}}}" for names in (self.labels, self.exclude))
        asked = {
            f"labels={labels}": self.labels,
            f"exclude={exclude}": self.exclude,
            f"slots={self.slots}": self.slots > 1,
            f"key={self.key!r}": self.key is not None,
        }
        return f"Request({', '.join(words for words, given in asked.items() if given)})"

    def passing(self, identities: frozenset[str]) -> "Request":
        """Return it as one that passes over these endpoints as well; itself, if there are none."""
        if not identities:
            return self
        made = object.__new__(Request)
        for name, value in (
            ("labels", self.labels),
            ("exclude", self.exclude),
            ("slots", self.slots),
            ("key", self.key),
            ("terms", self.terms),
            ("tokens", self.tokens),
            ("open", False),
            ("barred", self.barred | identities),
        ):
            object.__setattr__(made, name, value)
        return made

    def admits(self, endpoint: Endpoint) -> bool:
        """Return whether `endpoint` may serve this request, once it has room."""
        able = self.slots <= endpoint.capacity and self.labels <= endpoint.labels
        return able and (not self.barred or endpoint.identity not in self.barred)

    def takes(self, node: Standing) -> int:
        """Return how many slots of `node` it takes: what it asks for, or all there are while they are limited."""
        return min(self.slots, node.ceiling)

    def fits(self, node: Standing) -> bool:
        """Return whether `node` may serve this request, and has room for it."""
        return node.in_flight + (min(self.slots, node.ceiling) or 1) <= node.limit and self.admits(node.endpoint)


ANY = Request()


class Node:
    """One endpoint in service, as a strategy sees it: to read, but for `note`.

    It is a copy of what the ledger counts, which the ledger keeps up to date. So whoever breaks into it fools a
    strategy, and never the ledger.

    Attributes:
        endpoint: the frozen spec (URL, name, capacity, labels); replaced by `Pool.update`.
        in_flight: slots leased now.
        limit: slots in force now. After a cut it may lie below `in_flight`.
        ceiling: what `limit` is while nothing else runs on its host; no lease takes more.
        weight: its share now; the weight of the spec, less while it starts slowly. For all but the spec's own
            weight, use this one.
        load: what the server said last of its own load, while it was in service; None: nothing.
        load_s: when it said that.
        note: the strategy's own, to find what it knows of this node without a look-up. Set it in
            `join`: it may hold what another strategy left.
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
        # Plain attributes are read fastest. Whoever writes has their dict (`vars`): the ledger, see `Account.show`.
        slots = endpoint.capacity
        vars(self).update(endpoint=endpoint, in_flight=0, limit=slots, ceiling=slots, weight=endpoint.weight)
        vars(self).update(load=None, load_s=-inf, note=None)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "note":
            raise AttributeError(f"a strategy may read {name} of a node and not set it; what it knows goes into `note`")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a strategy may not delete {name} of a node")

    @property
    def free(self) -> int:
        """Slots that may be leased now (>= 0)."""
        return max(0, self.limit - self.in_flight)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint.name} {self.in_flight}/{self.limit}>"


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
        """Take `node` into service. Some of its slots may be out already, and its limit may be 0."""
        ...

    @abstractmethod
    def leave(self, node: Node, now: float) -> None:
        """Forget `node`: it must not be picked any more."""
        ...

    @abstractmethod
    def change(self, node: Node, now: float) -> None:
        """Adapt to a new limit, ceiling, weight, in-flight or spec. What was learned of `node` stays."""
        ...

    @abstractmethod
    def pick(self, request: Request, now: float) -> Node | None:
        """Choose a node that `request` fits, and count the slots it takes as taken.

        Return None only if there is none: a pool never lets a slot idle while someone may use it.
        """
        ...

    @abstractmethod
    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """Learn that a lease of `node` ended after `elapsed_s` seconds; its slots may be free again.

        Not every lease was picked: some were out when `node` joined, some were kept for one who waited for several
        slots.
        """
        ...
