"""Load of a sandbox server: counters for Prometheus."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE", "ServerLoad"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SHORTEST_S, _LONGEST_S = 1, 60  # of the wait that a client is asked for
_NEWEST = 0.2  # weight of the newest run in the mean


class ServerLoad:
    """Counters of the server. Used from the event loop only.

    Args:
        workers: programs at once.
        queue: requests that may wait for a worker.

    Attributes:
        running, waiting: requests whose program runs, and requests that wait for a worker.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.workers, self.queue = workers, queue
        self.running = self.waiting = 0
        self._run_s = 1.0  # the mean of the last runs
        self.registry = CollectorRegistry()
        self._gauge("workers", "Programs that may run at once.").set(workers)
        self._gauge("queue_places", "Requests that may wait for a worker.").set(queue)
        self._gauge("running", "Requests whose program runs.").set_function(lambda: self.running)
        self._gauge("waiting", "Requests that wait for a worker.").set_function(lambda: self.waiting)
        self.held_bytes = self._gauge(
            "held_bytes", "Bytes of bodies that are read, wait or run, and of unsent answers."
        )
        self.connections = self._gauge("connections", "Open connections.")
        self.ends = Counter(
            "balancer_sandbox_requests_total",
            "Requests to run a program, by their end.",
            ["end"],
            registry=self.registry,
        )
        self.closed = Counter(
            "balancer_sandbox_closed_total",
            "Connections that the server closed, by why.",
            ["reason"],
            registry=self.registry,
        )

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"balancer_sandbox_{name}", help_text, registry=self.registry)

    @property
    def full(self) -> bool:
        """Whether the server refuses the next request as busy."""
        return self.running + self.waiting >= self.workers + self.queue

    @property
    def retry_after_s(self) -> int:
        """Seconds until a place may be free."""
        ahead = (self.waiting + 1) / self.workers
        return max(_SHORTEST_S, min(_LONGEST_S, math.ceil(ahead * self._run_s)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a waiting request for the length of a `with` block; `run` is used within it."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def run(self) -> Iterator[None]:
        """Count a running request for the length of a `with` block."""
        self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.waiting += 1

    def ran(self, took_s: float) -> None:
        """Record the run of a request."""
        self._run_s += _NEWEST * (took_s - self._run_s)

    def text(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        return generate_latest(self.registry)
