"""Deprecated name of `balancer.observing.otel`: spans of OpenTelemetry for the attempts of a pool."""

import warnings

from balancer.observing.otel import Spans

__all__ = ["Spans"]

warnings.warn(
    "balancer.otel is now balancer.observing.otel; the next version removes the old name",
    DeprecationWarning,
    stacklevel=2,
)
