"""The strategies that are registered, for tests that hold for each of them.

Taken from the registry, not listed here: a new strategy is tested as soon as it is a plugin.
"""

from balancer.plugins.registry import default_registry
from balancer.strategy import Strategy
from balancer.testing.conformance import maker_of
from balancer.testing.shadow import Maker

__all__ = ["KINDS", "MAKERS", "NAMES"]

KINDS: dict[str, type[Strategy]] = {name: entry.item for name, entry in default_registry().strategies.items()}
MAKERS: dict[str, Maker] = {name: maker_of(kind) for name, kind in KINDS.items()}
NAMES = sorted(KINDS)
