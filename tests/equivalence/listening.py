"""A registry whose strategies are overheard: every call to them is written down.

Decides nothing: it passes on what it is told. It must not know who makes the calls.
"""

import random
from collections.abc import Mapping
from typing import Any

from balancer.endpoint import Outcome
from balancer.plugins.registry import Registry, default_registry
from balancer.strategy import Node, Request, Strategy

__all__ = ["ListeningRegistry", "Told"]

Told = tuple[Any, ...]
"""A call to a strategy: the name of the method, what it was given, and what it answered."""


class ListeningRegistry(Registry):
    """The installed strategies.

    Args:
        rng: the randomness of the strategy, instead of the one that whoever asks for it would have given.

    Attributes:
        told: every call to a strategy from here, in order.
    """

    def __init__(self, rng: random.Random | None = None) -> None:  # loads nothing: what is installed is loaded once
        self._rng = rng
        self.told: list[Told] = []

    def strategy(self, name: str, options: Mapping[str, Any] | None, rng: random.Random) -> Strategy:
        return _Overheard(default_registry().strategy(name, options, self._rng or rng), self.told)


class _Overheard(Strategy):
    def __init__(self, inner: Strategy, told: list[Told]) -> None:
        self.name = inner.name  # there is one of these for each
        self._inner = inner
        self._told = told

    def join(self, node: Node, now: float) -> None:
        self._told.append(("join", _state(node), now))
        self._inner.join(node, now)

    def leave(self, node: Node, now: float) -> None:
        self._told.append(("leave", _state(node), now))
        self._inner.leave(node, now)

    def change(self, node: Node, now: float) -> None:
        self._told.append(("change", _state(node), now))
        self._inner.change(node, now)

    def pick(self, request: Request, now: float) -> Node | None:
        node = self._inner.pick(request, now)
        self._told.append(("pick", request, now, node and _state(node)))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        self._told.append(("finish", _state(node), outcome, elapsed_s, now))
        self._inner.finish(node, outcome, elapsed_s, now)


def _state(node: Node) -> tuple[Any, ...]:
    return node.endpoint, node.in_flight, node.limit
