"""What watches a pool and is attached to it: traces, a page, Prometheus, OpenTelemetry."""
