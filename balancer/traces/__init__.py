"""Traces: what a pool did, call by call, in a file. One format, its readers, and importers of other formats.

This room knows neither pools nor threads: `balancer.shells.tracing` writes what it describes.
"""

from balancer.traces.reading import Trace, read_trace
from balancer.traces.rows import Attempt, Happening
from balancer.traces.sinks import Sink
from balancer.traces.writing import write_trace

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace", "write_trace"]
