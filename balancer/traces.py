"""Deprecated name of `balancer.observing.traces`: what a pool did, call by call, in a file."""

import sys
import warnings

from balancer.observing.traces import Attempt, Happening, Sink, Trace, importers, read_trace, write_trace

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace", "write_trace"]

sys.modules[f"{__name__}.importers"] = importers  # the old package had this public submodule

warnings.warn(
    "balancer.traces is now balancer.observing.traces; the next version removes the old name",
    DeprecationWarning,
    stacklevel=2,
)
