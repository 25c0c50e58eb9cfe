"""Traces: what a pool did, call by call, in a file of lines. One format, its reader, and importers of other formats.

This room knows neither pools nor threads: `balancer.shells.tracing` writes what it describes.
"""

from balancer.traces.reading import Trace, read_trace
from balancer.traces.rows import Attempt, Happening
from balancer.traces.sinks import Sink

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace"]
