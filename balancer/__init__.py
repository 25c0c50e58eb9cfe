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


# The other names are errors.
_NAMES = {
    "balancer.core.metrics": ("EndpointStats", "PoolStats", "QuotaStats"),
    "balancer.endpoint": ("Endpoint", "Lease", "Outcome"),
    "balancer.opening.aio": ("AsyncPool",),
    "balancer.opening.pool": ("Pool",),
    "balancer.settings.config": ("Config", "load_config"),
    "balancer.settings.rules": ("HealthSettings", "HolderSettings", "LimitSettings", "QuotaSettings", "RetrySettings"),
    "balancer.transports.adapter": ("BalancedAdapter",),
    "balancer.transports.clients": ("aopenai", "openai"),
    "balancer.transports.httpx_transports": ("AsyncBalancedTransport", "BalancedTransport"),
    "balancer.transports.middleware": ("BalancedMiddleware",),
    "balancer.transports.request_options": ("prompt_key", "prompt_tokens"),
    "balancer.transports.sessions": ("Sessions",),
    "balancer.values.urls": ("expand_range",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "balancer.errors")), name)
