"""balancer: lease the endpoints of a pool, one call at a time, by a strategy of your choice."""

from balancer.config import Config, load_config
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
from balancer.metrics import EndpointStats, PoolStats
from balancer.pool import Pool

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
