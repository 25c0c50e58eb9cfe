"""Deprecated name of `balancer.observing.otel`: spans of OpenTelemetry for the attempts of a pool."""

import warnings

from balancer.observing.otel import Spans

__all__ = ["Spans"]

warnings.warn(
    "balancer.otel is balancer.observing.otel now; this name goes with the next version",
    DeprecationWarning,
    stacklevel=2,
)
