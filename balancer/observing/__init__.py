"""Observers of a pool: traces, the live page, Prometheus, OpenTelemetry."""
