"""balancer: lease the endpoints of a pool, one call at a time, by a strategy of your choice.

The names here are the public API. Parts for configs, tasks and HTTP clients are imported at their first use, so a pool
in code loads none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from balancer.core.metrics import EndpointStats, PoolStats, QuotaStats
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    CallFromWithin,
    CannotTell,
    ConfigError,
    DuplicateEndpoint,
    EndpointError,
    EndpointOverloaded,
    LeaseError,
    NoEndpoint,
    NotConnected,
    PoolClosed,
    PoolForked,
    QuotaExceeded,
    QuotaSpent,
    StrategyError,
    TooManyWaiters,
    UnknownEndpoint,
    WaitInCoroutine,
)
from balancer.pool.pool import Pool
from balancer.settings.rules import HealthSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.values.urls import expand_range

if TYPE_CHECKING:
    from balancer.pool.aio import AsyncPool
    from balancer.settings.config import Config, load_config
    from balancer.transports.adapter import BalancedAdapter as BalancedAdapter  # not in `__all__`: it needs an extra
    from balancer.transports.clients import aopenai, openai
    from balancer.transports.request_options import prompt_key, prompt_tokens
    from balancer.transports.sync import BalancedTransport
    from balancer.transports.tasks import AsyncBalancedTransport

__all__ = [
    "AcquireTimeout",
    "AsyncBalancedTransport",
    "AsyncPool",
    "BalancedTransport",
    "BalancerError",
    "CallFromWithin",
    "CannotTell",
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
    "NotConnected",
    "Outcome",
    "Pool",
    "PoolClosed",
    "PoolForked",
    "PoolStats",
    "QuotaExceeded",
    "QuotaSettings",
    "QuotaSpent",
    "QuotaStats",
    "RetrySettings",
    "StrategyError",
    "TooManyWaiters",
    "UnknownEndpoint",
    "WaitInCoroutine",
    "aopenai",
    "expand_range",
    "load_config",
    "openai",
    "prompt_key",
    "prompt_tokens",
]


_LATER = {
    "AsyncBalancedTransport": "balancer.transports.tasks",
    "AsyncPool": "balancer.pool.aio",
    "BalancedAdapter": "balancer.transports.adapter",
    "BalancedTransport": "balancer.transports.sync",
    "Config": "balancer.settings.config",
    "aopenai": "balancer.transports.clients",
    "load_config": "balancer.settings.config",
    "openai": "balancer.transports.clients",
    "prompt_key": "balancer.transports.request_options",
    "prompt_tokens": "balancer.transports.request_options",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
