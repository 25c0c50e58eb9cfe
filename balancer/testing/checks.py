"""Checks of a strategy by itself: its options and name, that it forgets nodes that have left, and what a pick costs.

None of these needs Hypothesis.
"""

import gc
import random
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from balancer.endpoint import Endpoint, Outcome
from balancer.plugins.loading import names_of_strategy
from balancer.plugins.registry import checked_options
from balancer.strategy import ANY, Strategy
from balancer.testing.doubles import WritableNode
from balancer.testing.watched import StrategyFactory

__all__ = ["check_cost", "check_forgets", "check_name", "maker_of"]

_LEAVE: Final = 2_000
_MAY_STAY: Final = _LEAVE // 4  # a strategy may clean up from time to time, but it must do so
_FEW, _MANY, _PICKS = 64, 4_096, 200
_TIMES: Final = 4  # log 4096 / log 64 is 2; a scan has 64


def maker_of(kind: type[Strategy], options: Mapping[str, Any] | None = None) -> StrategyFactory:
    """Return a function that makes strategies of this kind.

    Raises:
        TypeError: `kind` is not a class.
        ConfigError: an option is wrong.
    """
    if not isinstance(kind, type):
        raise TypeError(f"found {kind!r}; it takes the class of a strategy, e.g. MyStrategy, not its name or instance")
    if not isinstance(options, Mapping | None):
        raise TypeError(f"options is {options!r}; it takes a mapping, such as a dict, or None")
    chosen = checked_options(f"strategy {getattr(kind, 'name', kind.__name__)!r}", kind.Options, options)
    return lambda rng: kind(chosen, rng)


def check_name(kind: type[Strategy]) -> None:
    """Check that the strategy's name fits a config, a command line and a table, and that it has all its methods.

    Raises:
        AssertionError: it does not.
    """
    try:
        names_of_strategy(kind)
    except TypeError as error:
        raise AssertionError(str(error)) from None


def check_forgets(make: StrategyFactory) -> None:
    """Check that a strategy drops nodes that have left, so that members of a pool can come and go.

    Raises:
        AssertionError: it still holds them, or picks one of them.
    """
    strategy = make(random.Random(0))
    stays, gone = WritableNode(Endpoint("stays")), []
    strategy.join(stays, 0.0)
    for number in range(_LEAVE):
        gone.append(_come_and_go(strategy, f"http://10.1.{number // 250}.{number % 250}/", float(number)))
    gc.collect()
    held = sum(node() is not None for node in gone)
    assert held <= _MAY_STAY, (
        f"{_LEAVE} endpoints joined and left, and the strategy still holds {held} of their nodes; "
        "leave must forget a node"
    )


def _come_and_go(strategy: Strategy, url: str, now: float) -> Callable[[], object]:
    node = WritableNode(Endpoint(url))
    strategy.join(node, now)
    node.limit = node.ceiling = 0
    strategy.leave(node, now)
    picked = strategy.pick(ANY, now)
    assert picked is not node, f"{url} was picked after it had left; leave must forget a node"
    if picked is not None:
        strategy.finish(picked, Outcome.SUCCESS, 1.0, now)
    return weakref.ref(node)


def check_cost(make: StrategyFactory) -> None:
    """Check that a lease of any slot does not look at all nodes: it may cost O(log N).

    Raises:
        AssertionError: with more nodes, it looks at many more of them.
    """
    few, many = (_looks(make, nodes) for nodes in (_FEW, _MANY))
    assert many <= _TIMES * few, (
        f"{_PICKS} leases looked {few} times at nodes among {_FEW}, and {many} times among {_MANY}; "
        "a pick may cost O(log N), not a scan"
    )


class _CountedNode(WritableNode):
    looks = 0

    def __getattribute__(self, name: str) -> Any:
        _CountedNode.looks += 1
        return super().__getattribute__(name)


def _looks(make: StrategyFactory, nodes: int) -> int:
    """Return how often a strategy reads an attribute of a node, for some leases."""
    strategy = make(random.Random(0))
    for number in range(nodes):
        strategy.join(_CountedNode(Endpoint(f"http://10.1.{number // 250}.{number % 250}/", capacity=2)), 0.0)
    _CountedNode.looks = 0
    for number in range(_PICKS):
        node = strategy.pick(ANY, float(number))
        assert node is not None, f"picked nothing, although {nodes - number} nodes are idle"
        vars(node)["in_flight"] += 1
        if number % 2:
            vars(node)["in_flight"] -= 1
            strategy.finish(node, Outcome.SUCCESS, 0.5, float(number))
    return _CountedNode.looks
