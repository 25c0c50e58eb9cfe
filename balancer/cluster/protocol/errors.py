"""Errors as messages: a refusal travels to another process and is raised there.

Decides which errors can be told. Any other one arrives as a `BalancerError` with its text.
"""

from collections.abc import Callable
from typing import Any

from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    NoEndpoint,
    PoolClosed,
    QuotaExceeded,
    StrategyError,
    TooManyWaiters,
)

__all__ = ["error_of", "facts_of"]


def _told(error: StrategyError) -> tuple[Any, ...]:
    whole, name = str(error), f"strategy {error.strategy!r} "
    return error.strategy, whole.removeprefix(name)


_FACTS: dict[type[BalancerError], Callable[[Any], tuple[Any, ...]]] = {
    AcquireTimeout: lambda e: (e.waited_s, e.timeout_s, e.out, list(e.quotas)),
    QuotaExceeded: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, e.tokens, e.most),
    NoEndpoint: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, list(e.spent_names)),
    TooManyWaiters: lambda e: (e.waiting, e.limit),
    PoolClosed: lambda e: (),
    StrategyError: _told,
}
_KINDS = {kind.__name__: kind for kind in _FACTS}
_OF_SETS = (NoEndpoint, QuotaExceeded)  # their first two are sets


def facts_of(error: BalancerError) -> tuple[str, tuple[Any, ...]]:
    """Return the name of an error and its arguments."""
    kind = type(error)
    if kind in _FACTS:
        return kind.__name__, _FACTS[kind](error)
    return "BalancerError", (str(error),)


def error_of(name: str, facts: tuple[Any, ...]) -> BalancerError:
    """Return the error that these are the name and the arguments of."""
    kind = _KINDS.get(name, BalancerError)
    if kind in _OF_SETS:
        labels, exclude, *rest = facts
        return kind(frozenset(labels), frozenset(exclude), *rest)
    return kind(*facts)
