"""HTTP transport with a deadline for the whole exchange, not for each read.

The timeouts of HTTP clients start anew with every byte. So a server that sends its headers or its body in drips can
hold a caller for ever. Here a request carries an instant, and every socket operation gets the time left until then.

The system resolves host names with its own timeouts. If a host has several addresses, each may take the remaining time.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

__all__ = ["DEADLINE", "DeadlineTransport"]

DEADLINE = "deadline"  # the request extension that holds the instant, on the transport's clock

# uvicorn, which serves most sandboxes, closes idle connections after 5 s. They are dropped before that, or a
# request would now and then meet a closing connection.
_IDLE_S = 3.0
_WRITE_CHUNK = 2**16

_Clock = Callable[[], float]


class DeadlineTransport(httpx2.BaseTransport):
    """HTTP/1.1 without proxies, redirects or retries. Thread-safe.

    Args:
        verify: the TLS settings, or None if no request uses TLS.
        clock: the clock of the `DEADLINE` extension, which every request must have.
    """

    def __init__(self, *, verify: ssl.SSLContext | None = None, clock: _Clock = time.monotonic) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=verify,
            max_connections=None,
            keepalive_expiry=_IDLE_S,
            network_backend=_Backend(httpcore2.SyncBackend(), clock),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` and return the response, whose body is still to be read."""
        until_s = request.extensions[DEADLINE]
        # httpcore passes these to the backend unchanged; our backend reads them as instants.
        instants = dict.fromkeys(("connect", "read", "write"), until_s)
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": instants},
        )
        with _translated():
            received = self._pool.handle_request(sent)
        assert isinstance(received.stream, Iterable)
        return httpx2.Response(received.status, headers=received.headers, stream=_Body(received.stream))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._stream

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn httpcore's errors into httpx's, which callers know."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise httpx2.ReadTimeout("the deadline has passed") from error
    except httpcore2.ConnectError as error:
        raise httpx2.ConnectError(str(error)) from error
    except httpcore2.LocalProtocolError:
        # Its text quotes the header that cannot be sent, and that may be a secret.
        raise httpx2.LocalProtocolError("the request cannot be sent as it is") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise httpx2.RemoteProtocolError(str(error) or type(error).__name__) from error


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, inner: httpcore2.NetworkBackend, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left_s = _left_s(timeout, self._clock)
        inner = self._inner.connect_tcp(host, port, left_s, local_address, socket_options)
        return _Stream(inner, self._clock)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left_s(timeout, self._clock))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), _WRITE_CHUNK):
            self._inner.write(bytes(view[start : start + _WRITE_CHUNK]), _left_s(timeout, self._clock))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left_s(timeout, self._clock))
        return _Stream(inner, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left_s(until_s: float | None, clock: _Clock) -> float | None:
    if until_s is None:
        return None
    left_s = until_s - clock()
    if left_s <= 0:  # zero would mean "do not block", and a negative timeout is an error
        raise httpcore2.ReadTimeout
    return left_s
