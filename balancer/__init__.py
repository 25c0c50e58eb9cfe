"""balancer: lease the endpoints of a pool, one call at a time, by a strategy of your choice."""

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
)
from balancer.settings.config import Config, load_config
from balancer.shells.threads import Pool

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
    "Lease",
    "LeaseError",
    "NoEndpoint",
    "Outcome",
    "Pool",
    "PoolClosed",
    "PoolStats",
    "StrategyError",
    "TooManyWaiters",
    "UnknownEndpoint",
    "load_config",
]
