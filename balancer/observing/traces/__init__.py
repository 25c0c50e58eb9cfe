"""Traces: what a pool did, call by call, in a file. One format, its readers, and importers of other formats.

This room knows neither pools nor threads: `balancer.observing.traces.tracing` writes what it describes.
"""

from balancer.observing.traces.reading import Trace, read_trace
from balancer.observing.traces.rows import Attempt, Happening
from balancer.observing.traces.sinks import Sink
from balancer.observing.traces.writing import write_trace

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace", "write_trace"]
