"""balancer: lease the endpoints of a pool, one call at a time, by a strategy of your choice.

The names here are the public API. Each is imported at its first use: a program pays for what it uses, and a command
minds ctrl-C before anything that is slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
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
    from balancer.opening.aio import AsyncPool
    from balancer.opening.pool import Pool
    from balancer.settings.config import Config, load_config
    from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings, RetrySettings
    from balancer.transports.adapter import BalancedAdapter as BalancedAdapter  # not in `__all__`: it needs an extra
    from balancer.transports.clients import aopenai
    from balancer.transports.clients import openai as openai  # not in `__all__`: it would hide the package `openai`
    from balancer.transports.httpx_transports import AsyncBalancedTransport, BalancedTransport
    from balancer.transports.middleware import BalancedMiddleware as BalancedMiddleware  # so does this
    from balancer.transports.request_options import prompt_key, prompt_tokens
    from balancer.transports.sessions import Sessions
    from balancer.values.urls import expand_range

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
    "HolderSettings",
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
    "Sessions",
    "StrategyError",
    "TooManyWaiters",
    "UnknownEndpoint",
    "WaitInCoroutine",
    "aopenai",
    "expand_range",
    "load_config",
    "prompt_key",
    "prompt_tokens",
]


_MODULES = {
    "AcquireTimeout": "balancer.errors",
    "AsyncBalancedTransport": "balancer.transports.httpx_transports",
    "AsyncPool": "balancer.opening.aio",
    "BalancedAdapter": "balancer.transports.adapter",
    "BalancedMiddleware": "balancer.transports.middleware",
    "BalancedTransport": "balancer.transports.httpx_transports",
    "BalancerError": "balancer.errors",
    "CallFromWithin": "balancer.errors",
    "CannotTell": "balancer.errors",
    "Config": "balancer.settings.config",
    "ConfigError": "balancer.errors",
    "DuplicateEndpoint": "balancer.errors",
    "Endpoint": "balancer.endpoint",
    "EndpointError": "balancer.errors",
    "EndpointOverloaded": "balancer.errors",
    "EndpointStats": "balancer.core.metrics",
    "HealthSettings": "balancer.settings.rules",
    "Lease": "balancer.endpoint",
    "LeaseError": "balancer.errors",
    "HolderSettings": "balancer.settings.rules",
    "LimitSettings": "balancer.settings.rules",
    "NoEndpoint": "balancer.errors",
    "NotConnected": "balancer.errors",
    "Outcome": "balancer.endpoint",
    "Pool": "balancer.opening.pool",
    "PoolClosed": "balancer.errors",
    "PoolForked": "balancer.errors",
    "PoolStats": "balancer.core.metrics",
    "QuotaExceeded": "balancer.errors",
    "QuotaSettings": "balancer.settings.rules",
    "QuotaSpent": "balancer.errors",
    "QuotaStats": "balancer.core.metrics",
    "RetrySettings": "balancer.settings.rules",
    "Sessions": "balancer.transports.sessions",
    "StrategyError": "balancer.errors",
    "TooManyWaiters": "balancer.errors",
    "UnknownEndpoint": "balancer.errors",
    "WaitInCoroutine": "balancer.errors",
    "aopenai": "balancer.transports.clients",
    "expand_range": "balancer.values.urls",
    "load_config": "balancer.settings.config",
    "openai": "balancer.transports.clients",
    "prompt_key": "balancer.transports.request_options",
    "prompt_tokens": "balancer.transports.request_options",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
