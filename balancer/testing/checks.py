"""Checks of a strategy by itself: its name, that it forgets nodes that have left, that it is repeatable.

None of these needs Hypothesis. The referee checks what must hold inside a pool.
"""

import gc
import random
import weakref
from collections.abc import Callable
from typing import Final

from balancer.endpoint import Endpoint, Outcome
from balancer.plugins.loading import names_of_strategy
from balancer.settings.rules import HealthSettings
from balancer.strategy import ANY, Strategy
from balancer.testing.doubles import StrategyFactory
from balancer.testing.model_health import RulesInForce
from balancer.testing.nodes import WritableNode
from balancer.testing.walk import FULL_HOSTS, random_walk

__all__ = ["check_forgets", "check_name", "check_repeatable"]

_LEAVE: Final = 2_000
_MAY_STAY: Final = _LEAVE // 4  # a strategy may clean up from time to time, but it must do so
_EJECTING: Final = RulesInForce(HealthSettings(consecutive_failures=2, cooldown_s=1.0, slow_start_s=1.0))


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


def check_repeatable(make: StrategyFactory, *, steps: int = 1000, seed: int = 1) -> None:
    """Check that the same seed and the same calls make the same choices.

    The calls are random walks with full hosts, with endpoints that are ejected and come back, and without any rules.
    Each is also compared with the naive model.

    Raises:
        AssertionError: the choices differ. Then the strategy uses a random source of its own, such as `random`, a
            clock, or the order of a set. Or a walk found another error, which it reports.
    """
    for rules in (FULL_HOSTS, _EJECTING, RulesInForce()):
        first, second = (
            random_walk(make, steps, seed=seed, rules=rules, thorough_every=steps).grants for _ in range(2)
        )
        different = next((n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)
        assert first == second, (
            f"the same seed and calls gave another choice at lease {different}; "
            "use no randomness but the rng that the strategy gets"
        )
