"""Transport adapter for requests: `session.mount("http://pool/", BalancedAdapter(pool))`.

Its connections keep the time bound of a thread, and note what was sent.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.plugins.extras import require
from balancer.shells.lease_request import shows_arguments
from balancer.transports.exchange import AnyPool, LeasedBody, PooledRequests, RequestExchange, ThreadRequest, date_it
from balancer.transports.forwarding import joined
from balancer.transports.request_options import RequestKeywords, RequestOptions
from balancer.transports.resend import Sending, sending_of_thread
from balancer.transports.time_bound import bound_of_thread, bounded, parts

require("transports", "BalancedAdapter", "requests")

from requests import exceptions as theirs  # noqa: E402  # what is missing is said first
from requests.adapters import HTTPAdapter  # noqa: E402
from requests.models import PreparedRequest, Response  # noqa: E402
from urllib3 import ProxyManager  # noqa: E402
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: E402
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError  # noqa: E402

__all__ = ["POOLS", "BalancedAdapter"]

_AT_ONCE = 2**14  # bytes of one piece of a body that is not chunked
_KNOWN_AS: Mapping[type[Exception], type[Exception]] = {
    ProtocolError: theirs.ChunkedEncodingError,
    DecodeError: theirs.ContentDecodingError,
    ReadTimeoutError: theirs.ConnectionError,
}
_CONNECTIONS = 256  # kept open for each endpoint; more may be open


class BalancedAdapter(HTTPAdapter):
    """Sends each request of a `requests.Session` to an endpoint of a pool, as `BalancedTransport` does.

    `requests` has no limit for the wait for a connection. So the wait for a lease is limited by `acquire_timeout_s` of
    the adapter, or of the pool. A body that is neither bytes nor a file that can be rewound is sent once.

    Args:
        pool: leases the endpoints: a `Pool` or an `AsyncPool`.
        options: see `RequestOptions`.

    Raises:
        ValueError, TypeError: as `RequestOptions` does.
    """

    @shows_arguments(RequestOptions)
    def __init__(self, pool: AnyPool, **options: Unpack[RequestKeywords]) -> None:
        self._requests = PooledRequests(pool, options)
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pools of connections of a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # that of SOCKS has connections of its own
            self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:
        options = self._requests.options
        if options.deadline_s is not None or options.resend != "always":
            manager.pool_classes_by_scheme = POOLS

    def send(self, request: PreparedRequest, stream: bool = False, *args: Any, **kwargs: Any) -> Response:
        """Return the answer of some endpoint. Its body holds the lease, unless it is read at once (not `stream`).

        Raises the errors of requests. TypeError: the request is not one of requests.
        """
        if not isinstance(request, PreparedRequest):
            raise TypeError(
                f"found a request of {type(request).__module__}; BalancedAdapter takes those of requests: call another "
                "library within pool.call"
            )
        own = super().send
        exchange = _AdapterExchange(self._requests, request, lambda sent: own(sent, stream, *args, **kwargs))
        answer: Response = ThreadRequest(exchange).answer()
        if not stream:
            _ = answer.content  # now, as what the session does next, e.g. its hooks, may raise and drop the answer
        return answer


class _AdapterExchange(RequestExchange):
    """One request of requests. `forward` sends it."""

    kinds = theirs.ReadTimeout, theirs.ConnectTimeout, theirs.ConnectionError

    def __init__(
        self, requests: PooledRequests, request: PreparedRequest, forward: Callable[[PreparedRequest], Response]
    ) -> None:
        super().__init__(requests, request, request.path_url)
        self._forward = forward
        self._body: Any = request.body
        self._in_memory = self._body is None or isinstance(self._body, str | bytes)
        self._begins_at = None if self._in_memory else _position_of(self._body)

    def send(self, lease: Lease, run: Run) -> Response:
        own = self._request
        sent = own.copy()
        sent.url = joined(lease.endpoint.url, own.path_url)
        self.address(sent.headers, lease.endpoint)
        if self._begins_at is not None:
            self._body.seek(self._begins_at)
        self._sending = Sending()
        with self._sending.in_thread():
            answer = self._forward(sent)
        answer.request, answer.url = own, own.url or ""  # ours has the endpoint's headers
        return answer

    @property
    def may_be_sent(self) -> bool:
        return self._in_memory or self._begins_at is not None

    def body_of(self, answer: Response) -> Any:
        return answer.raw

    def pieces_of(self, body: Any) -> Iterator[bytes]:
        return _pieces(body)

    def closing(self, body: Any) -> Callable[[], Any]:
        return partial(_close, body)

    def refusal_of(self, answer: Response, name: str) -> Exception | None:
        if answer.status_code < 400:
            return None
        date_it(answer.headers)
        return theirs.HTTPError(f"{name} answered {answer.status_code}", response=answer)

    def hold(self, answer: Response, content: bytes) -> None:
        answer.raw = _Raw(answer.raw, BytesIO(content))

    def lend(self, answer: Response, body: LeasedBody) -> None:
        answer.raw = _Raw(body.inner, body)

    def as_theirs(self, error: Exception) -> Exception:
        known = next((made(error) for kind, made in _KNOWN_AS.items() if isinstance(error, kind)), error)
        if hasattr(known, "request"):
            known.request = self._request
        return known


class _Raw:
    """The raw answer for requests: that of urllib3, with the decoded body that is given."""

    def __init__(self, raw: Any, body: "LeasedBody | BytesIO") -> None:
        self._raw = raw
        self._body = body
        self._left = b""

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the decoded body in pieces of at most `amt` bytes."""
        for piece in self._body:
            most = amt or len(piece)
            for at in range(0, len(piece), most):
                yield piece[at : at + most]

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Return the next `amt` bytes of the decoded body, or all that is left."""
        pieces = iter(self._body)
        while amt is None or len(self._left) < amt:
            piece = next(pieces, None)
            if piece is None:
                amt = None
                break
            self._left += piece
        found, self._left = (self._left, b"") if amt is None else (self._left[:amt], self._left[amt:])
        return found

    def close(self) -> None:
        """Close the body before its end."""
        self._body.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def _pieces(raw: Any) -> Iterator[bytes]:
    if raw.chunked and raw.supports_chunked_reads():
        yield from raw.stream(None, decode_content=True)
        return
    read = getattr(raw, "read1", raw.read)
    while piece := read(_AT_ONCE, decode_content=True):
        yield piece


def _close(raw: Any) -> None:
    raw.close()
    raw.release_conn()


def _position_of(body: Any) -> int | None:
    """Return where a file is, to which it can be rewound; None: it cannot."""
    try:
        at = body.tell() if hasattr(body, "seek") else None
    except (AttributeError, OSError):
        return None
    return at if isinstance(at, int) else None


# -- connections -----------------------------------------------------------------------------------


class _BoundReader(RawIOBase):
    """Reads from a socket. Each read gets the time that is left."""

    def __init__(self, sock: Any, inner: RawIOBase) -> None:
        self._sock = sock
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with _lowered(self._sock):
            found: int | None = self._inner.readinto(buffer)
        return found

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()
        super().close()


class _BoundResponse(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = BufferedReader(_BoundReader(sock, self.fp.detach()))


class _BoundSteps:
    """The steps of a connection: connect, send, read. Each operation of the socket gets the time that is left."""

    response_class = _BoundResponse
    sock: Any
    timeout: Any
    host: str
    port: int | None

    def connect(self) -> None:
        """Connect. What is sent to a proxy for that counts as sent."""
        sending_of_thread().heard = True
        own = self.timeout
        try:
            with bounded(own, host=self.host, port=self.port) as self.timeout:
                super().connect()  # type: ignore[misc]
        finally:
            self.timeout = own

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a whole request."""
        sending = sending_of_thread()
        sending.heard = True
        super().request(*args, **kwargs)  # type: ignore[misc]
        sending.whole = True

    def send(self, data: Any) -> None:
        """Send a piece of a request."""
        if self.sock is None:
            self.connect()
        sending_of_thread().begun = True
        if bound_of_thread() is None:
            super().send(data)  # type: ignore[misc]
            return
        for part in parts(data):
            with _lowered(self.sock):
                super().send(part)  # type: ignore[misc]


def _bound(pool: Any) -> Any:
    connection = type("BoundConnection", (_BoundSteps, pool.ConnectionCls), {})
    return type("BoundPool", (pool,), {"ConnectionCls": connection})


POOLS = {"http": _bound(HTTPConnectionPool), "https": _bound(HTTPSConnectionPool)}
"""The connection pools of urllib3 with such connections, by scheme."""


@contextmanager
def _lowered(sock: Any) -> Iterator[None]:
    """Lower the timeout of `sock` to the time that is left, for one operation."""
    own_s = sock.gettimeout()
    with bounded(own_s) as timeout_s:
        sock.settimeout(timeout_s)
        try:
            yield
        finally:
            sock.settimeout(own_s)
