"""Deprecated name of `balancer.observing.prometheus`: the metrics of a pool for Prometheus."""

import warnings

from balancer.observing.prometheus import Collector

__all__ = ["Collector"]

warnings.warn(
    "balancer.prometheus is now balancer.observing.prometheus; the next version removes the old name",
    DeprecationWarning,
    stacklevel=2,
)
