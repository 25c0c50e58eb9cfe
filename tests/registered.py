"""The strategies that are registered, for tests that hold for each of them.

Taken from the registry, not listed here: a new strategy is tested as soon as it is a plugin.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from balancer.plugins.registry import default_registry
from balancer.strategy import Strategy
from balancer.testing.checks import maker_of
from balancer.testing.watched import StrategyFactory

KINDS: dict[str, type[Strategy]] = {name: entry.item for name, entry in default_registry().strategies.items()}
MAKERS: dict[str, StrategyFactory] = {name: maker_of(kind) for name, kind in KINDS.items()}
NAMES = sorted(KINDS)

_FEW = {"fifo", "least_in_flight", "random", "rendezvous", "weighted_health"}


def few_first(names: Iterable[str]) -> list[Any]:
    """Return parameters for a test that takes long with each: one of every way to choose; the rest in `make more`."""
    return [pytest.param(name, marks=[] if name in _FEW else [pytest.mark.more]) for name in names]
