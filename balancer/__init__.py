"""balancer: lease the endpoints of a pool, one call at a time, by a strategy of your choice.

The names here are the public ones. What reads a config is imported when it is first used: a pool in code needs none.
"""

from typing import TYPE_CHECKING, Any

from balancer.core.metrics import EndpointStats, PoolStats
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    ConfigError,
    DuplicateEndpoint,
    EndpointError,
    EndpointOverloaded,
    LeaseError,
    NoEndpoint,
    PoolClosed,
    StrategyError,
    TooManyWaiters,
    UnknownEndpoint,
    WaitInCoroutine,
)
from balancer.settings.ranges import expand_range
from balancer.settings.rules import HealthSettings, LimitSettings, RetrySettings
from balancer.shells.threads import Pool

if TYPE_CHECKING:
    from balancer.settings.config import Config, load_config

__all__ = [
    "AcquireTimeout",
    "BalancerError",
    "Config",
    "ConfigError",
    "DuplicateEndpoint",
    "Endpoint",
    "EndpointError",
    "EndpointOverloaded",
    "EndpointStats",
    "HealthSettings",
    "Lease",
    "LeaseError",
    "LimitSettings",
    "NoEndpoint",
    "Outcome",
    "Pool",
    "PoolClosed",
    "PoolStats",
    "RetrySettings",
    "StrategyError",
    "TooManyWaiters",
    "UnknownEndpoint",
    "WaitInCoroutine",
    "expand_range",
    "load_config",
]


def __getattr__(name: str) -> Any:
    if name not in ("Config", "load_config"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from balancer.settings import config

    return getattr(config, name)
