"""Traces: what a pool did, call by call, in a file. The format, its readers, and importers of other formats.

`balancer.observing.traces.tracing` writes the trace of a pool.
"""

from balancer.observing.traces.files import Sink, Trace, read_trace, write_trace
from balancer.observing.traces.rows import Attempt, Happening

__all__ = ["Attempt", "Happening", "Sink", "Trace", "read_trace", "write_trace"]
