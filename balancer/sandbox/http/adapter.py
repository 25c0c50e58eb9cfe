"""The base class of executors for HTTP servers: a client, the languages asked once, closing.

Decides when a server is asked which languages it runs. How it is asked, and what a run is, is each executor's own.
"""

import threading
import time
from collections.abc import Callable

import httpx2

from balancer.errors import EndpointError
from balancer.program import ExecutorOptions
from balancer.sandbox.http.client import ServerClient

__all__ = ["MARGIN_S", "PING_BYTES", "PING_S", "ServerExecutor", "json_bytes"]

PING_S = 5.0
PING_BYTES = 2**20
# What a call may take beyond the program and its compiler: connecting, sending, waiting for a free core.
MARGIN_S = 10.0
# JSON writes a control character in six bytes, and there are two streams.
_JSON_FACTOR = 2 * 6
_JSON_FRAME_BYTES = 2**20


def json_bytes(output_bytes: int) -> int:
    """Return how long an answer in JSON may be that holds two streams of `output_bytes` bytes each."""
    return _JSON_FACTOR * output_bytes + _JSON_FRAME_BYTES


class ServerExecutor:
    """The part of an executor that knows no API. Thread-safe.

    Args:
        url: the server, e.g. "judge0+http://10.0.0.1:2358/"; a path before the API's own is kept, and a query chooses
            versions of languages where the API has several.
        options: `headers` are sent with every request; `languages`, if they are given, are believed.
        transport: sends the requests; by default one that keeps deadlines on the socket.
        clock: the transport's clock, in seconds.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    def __init__(
        self,
        url: str,
        options: ExecutorOptions | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        options = options or ExecutorOptions()
        self._url = url
        self._clock = clock
        self._allowed = options.languages
        self._closing = threading.Event()
        self._server = ServerClient(url, options.headers, transport=transport, clock=clock)
        self._begin(options)

    def _begin(self, options: ExecutorOptions) -> None:
        """Set up what an executor of this kind keeps; called once, when all else is there. Raises ConfigError."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages it can run: as the config or, asked once, the server says; all we know while it is silent."""
        if self._allowed is not None:
            return self._allowed
        try:
            return self._reported_languages()
        except EndpointError:
            return self._known_languages()

    def _reported_languages(self) -> frozenset[str]:
        """Return the languages that the server says it runs. Raises EndpointError."""
        raise NotImplementedError

    def _known_languages(self) -> frozenset[str]:
        """Return the languages that a server of this kind may run."""
        raise NotImplementedError

    def _left_s(self, until_s: float) -> float:
        """Return the seconds left until the instant `until_s` of the clock. Raises EndpointError if there are none."""
        left_s = until_s - self._clock()
        if left_s <= 0:
            raise self._server.failed("no answer in time")
        return left_s

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._closing.set()
        self._server.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"
