"""Deprecated name of `balancer.observing.prometheus`: the metrics of a pool for Prometheus."""

import warnings

from balancer.observing.prometheus import Collector

__all__ = ["Collector"]

warnings.warn(
    "balancer.prometheus is balancer.observing.prometheus now; this name goes with the next version",
    DeprecationWarning,
    stacklevel=2,
)
