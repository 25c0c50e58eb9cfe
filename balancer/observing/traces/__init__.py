"""Traces: what a pool did, call by call, in a file. One format, its readers, and importers of other formats.

This room knows neither pools nor threads: `balancer.observing.traces.tracing` writes what it describes.
"""

from balancer.observing.traces.files import Sink, Trace, read_trace, write_trace
from balancer.observing.traces.rows import Attempt, Happening

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace", "write_trace"]
