"""Transports for httpx2 and httpx: `httpx2.Client(transport=BalancedTransport(pool))`, and the same for tasks.

The lease of an answer stays out until its body ends. Tasks of asyncio and trio wait in `pool.aio`.
"""

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.plugins.extras import require
from balancer.shells.lease_request import shows_arguments
from balancer.transports.exchange import (
    AnyPool,
    LeasedBody,
    PooledRequests,
    RequestExchange,
    TaskRequest,
    ThreadRequest,
    date_it,
)
from balancer.transports.forwarding import joined
from balancer.transports.request_options import RequestKeywords, RequestOptions
from balancer.transports.resend import Sending
from balancer.transports.time_bound import bind

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _OfThreads(httpx2.BaseTransport, httpx.BaseTransport):  # type: ignore[misc]
        """The base classes of both libraries."""

    class _OfTasks(httpx2.AsyncBaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]
        """The base classes of both libraries."""

else:
    _OfThreads = _OfTasks = object  # no base class is needed: both libraries only call the methods

__all__ = ["LIBRARIES", "AsyncBalancedTransport", "BalancedTransport"]

LIBRARIES: Final = ("httpx2", "httpx")
_LONGEST_ERROR = 2**16  # bytes
_STEPS: Final = ("connect", "write", "read")
# Clients made by Stainless retry by themselves, and number their tries. This header of an answer stops them.
_COUNTS_TRIES = "x-stainless-retry-count"
_STOPS_RETRIES = "x-should-retry"
_OPENAI = "OpenAI/Python"
_SPENT = "insufficient_quota"
_GONE = "session_gone"


class _TransportBase:
    """The arguments of both transports.

    Args:
        pool: leases the endpoints: a `Pool` or an `AsyncPool`.
        inner: sends the requests. None: a transport of the client's library without connection limits, as the pool has
            its own. The limits of your own one must be above the number of all slots.
        options: see `RequestOptions`.

    Raises:
        MissingExtra: neither httpx2 nor httpx is installed.
        ValueError: a number is out of range.
        TypeError: `pool` is not a pool, or a string was given for a collection.
    """

    _INNER = ""  # the name of the library's own transport

    @shows_arguments(RequestOptions)
    def __init__(self, pool: AnyPool, *, inner: Any = None, **options: Unpack[RequestKeywords]) -> None:
        self._requests = PooledRequests(pool, options)
        if not any(map(find_spec, LIBRARIES)):
            require("transports", type(self).__name__, "httpx2")
        self._given = inner
        self._made: dict[str, Any] = {}
        self._lock = Lock()

    def _exchange(self, request: Any, *, later: bool) -> "_HttpxExchange":
        kind: Any = type(request)
        http = _library_of(kind)
        inner = self._made.get(http.__name__) if self._given is None else self._given
        if inner is None:
            with self._lock:
                unlimited = http.Limits(max_connections=None, max_keepalive_connections=None)
                inner = self._made.get(http.__name__) or getattr(http, self._INNER)(limits=unlimited)
                self._made[http.__name__] = inner
        return _HttpxExchange(self._requests, http, request, inner, later=later)

    def _inners(self) -> list[Any]:
        return [self._given] if self._given is not None else list(self._made.values())


class BalancedTransport(_TransportBase, _OfThreads):
    """Sends each request of an httpx2 or httpx client to an endpoint of a pool. Thread-safe, as such a client is.

    The host of a request is a placeholder: `http://pool/v1/models` goes to "v1/models" below the URL of the leased
    endpoint. Each request holds one lease until the body of its answer is read or closed. Before the first byte of a
    body, a failed request is tried elsewhere, as `Pool.call` would; after it, never. An attempt that still runs at the
    deadline is ended, and the client gets its own `ReadTimeout`.

    Closing the transport closes connections, not the pool.
    """

    _INNER = "HTTPTransport"
    __doc__ += f"\n{_TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and _TransportBase.__doc__ else ""

    def handle_request(self, request: Any) -> Any:
        """Return the answer of some endpoint. Its body holds the lease.

        Raises the errors of the client's library: its transport errors, and `PoolTimeout` if no endpoint came free in
        time.
        """
        exchange = self._exchange(request, later=False)
        if exchange.plans.policy.deadline_s < math.inf:
            bind(exchange.inner)
        return ThreadRequest(exchange).answer()

    def close(self) -> None:
        """Close all connections. The pool stays open."""
        for inner in self._inners():
            inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class AsyncBalancedTransport(_TransportBase, _OfTasks):
    """Sends each request of an `AsyncClient` of httpx2 or httpx to an endpoint of a pool, as `BalancedTransport` does.

    A cancelled task releases what it holds at once, as neither success nor failure. An attempt that still runs at the
    deadline is ended, and the client gets its own `ReadTimeout`.
    """

    _INNER = "AsyncHTTPTransport"
    __doc__ += f"\n{_TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and _TransportBase.__doc__ else ""

    async def handle_async_request(self, request: Any) -> Any:
        """Return the answer of some endpoint. Its body holds the lease. Raises as `BalancedTransport` does."""
        return await TaskRequest(self._exchange(request, later=True)).answer()

    async def aclose(self) -> None:
        """Close all connections. The pool stays open."""
        for inner in self._inners():
            await inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()


class _HttpxExchange(RequestExchange):
    """One request of a client of httpx2 or httpx.

    Args:
        requests: of the client.
        http: its library.
        request: of the client.
        inner: sends it.
        later: True in a task.

    Attributes:
        inner: sends it.
    """

    decoded = False
    _lift: Callable[[], None] | None = None  # gives the client's own timeouts back to the current attempt

    def __init__(self, requests: PooledRequests, http: ModuleType, request: Any, inner: Any, *, later: bool) -> None:
        self._http = http
        self.inner = inner
        self.leased = _leased_body_class(http)
        self.kinds = http.ReadTimeout, http.PoolTimeout, http.ConnectError
        self.later = later
        super().__init__(requests, request, request.url.raw_path.decode("ascii"), _pool_timeout_of(request))
        self._stream = request.stream
        self._replays = _replays(http, request.stream)
        self._begun = False  # a byte of the request's body was read

    def send(self, lease: Lease, run: Run) -> Any:
        """Send the request to the leased endpoint (an act)."""
        sent = self.forwarded(lease)
        extensions = sent.extensions
        if run.cut_s < math.inf:
            own = dict(extensions.get("timeout") or {})
            limits = extensions["timeout"] = own | {
                step: run.cut_s for step in _STEPS if own.get(step) is None or own[step] > run.cut_s
            }
            self._lift = partial(limits.update, {step: own.get(step) for step in _STEPS})
        if self._rule is not None and self._rule.watches:
            self._sending = Sending()
            extensions["trace"] = self._sending.traced(extensions.get("trace"), later=self.later)
        return self.inner.handle_async_request(sent) if self.later else self.inner.handle_request(sent)

    def forwarded(self, lease: Lease) -> Any:
        """Return the request as the leased endpoint gets it. ConfigError: its URL is not http or https."""
        theirs, endpoint = self._request, lease.endpoint
        sent = self._http.Request(
            theirs.method,
            _url(self._http, endpoint.url, theirs.url.raw_path),
            headers=theirs.headers,
            stream=self._stream if self._replays else _watched(self._http)(self._begin),
            extensions=dict(theirs.extensions),
        )
        self.address(sent.headers, endpoint)
        return sent

    def _begin(self) -> Any:
        self._begun = True
        return self._stream

    @property
    def may_be_sent(self) -> bool:
        """Whether the body of the request can be sent once more."""
        return self._replays or not self._begun

    def body_of(self, answer: Any) -> Any:
        """Return the body of an answer."""
        if self._lift is not None:  # the head is here: the inner transport reads the limits again before it reads on
            self._lift()
            self._lift = None
        return answer.stream

    def pieces_of(self, body: Any) -> Any:
        """Return its pieces."""
        return aiter(body) if self.later else iter(body)

    def closing(self, body: Any) -> Callable[[], Any]:
        """Return the act that closes a body."""
        close: Callable[[], Any] = body.aclose if self.later else body.close
        return close

    def refusal_of(self, answer: Any, name: str) -> Exception | None:
        """Return the error for the status of an answer, or None."""
        if answer.status_code < 400:
            return None
        date_it(answer.headers)
        said = f"{name} answered {answer.status_code}"
        error: Exception = self._http.HTTPStatusError(said, request=self._request, response=answer)
        return error

    def decode(self, answer: Any, content: bytes) -> bytes:
        """Return the decoded body of an error; b"" if it cannot be decoded, or is too long for an error."""
        if len(content) > _LONGEST_ERROR:
            return b""
        coding = answer.headers.get("Content-Encoding")
        headers = {"Content-Encoding": coding} if coding else {}
        try:
            read: bytes = self._http.Response(200, headers=headers, content=content).content
        except self._http.DecodingError:
            return b""
        return read

    def hold(self, answer: Any, content: bytes) -> None:
        """Make `content` the body of an answer."""
        answer.stream = self._http.ByteStream(content)

    def lend(self, answer: Any, body: LeasedBody) -> None:
        """Make `body` the body of an answer."""
        told = answer.headers.get("Content-Length", "")
        if told.isascii() and told.isdecimal():
            body.left = int(told)
        answer.stream = body
        if answer.is_closed:  # made of its content, by a cache or a mock below: then no client reads the stream
            body.end_read(answer.content)

    def handed_back(self, answer: Any, *, last_word: bool) -> Any:
        """Return an answer that was held back."""
        if last_word:
            answer.headers.setdefault(_STOPS_RETRIES, "false")
        return answer

    def last_word(self, error: Exception) -> Exception:
        """Return an error after which the client does not ask again by itself: OpenAI's own."""
        return _openai_error(self._http, self._request, error) or error


def _pool_timeout_of(request: Any) -> float | None:
    """Return how many seconds the client waits for a connection, which limits the wait for a lease. None: no limit."""
    found = (request.extensions.get("timeout") or {}).get("pool")
    return float(found) if isinstance(found, int | float) and found >= 0 else None


@lru_cache(1024)
def _url(http: ModuleType, endpoint_url: str, target: bytes) -> Any:
    """Return the URL for a request; see `joined`. To read a URL takes a client as long as all that is done here."""
    return http.URL(joined(endpoint_url, target.decode("ascii")))


def _replays(http: ModuleType, stream: Any) -> bool:
    """Return whether `stream` gives the same bytes each time, as bytes in memory and files that can be rewound do."""
    if isinstance(stream, http.ByteStream):
        return True
    fields = getattr(stream, "fields", None)  # of a multipart form
    return fields is not None and all(_rewinds(getattr(field, "file", b"")) for field in fields)


def _rewinds(file: Any) -> bool:
    return isinstance(file, str | bytes) or (hasattr(file, "seekable") and bool(file.seekable()))


@lru_cache(4)
def _watched(http: ModuleType) -> Any:
    """Return a class of streams that tell when reading begins. It must be of `http`'s own kind."""

    class Watched(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, begin: Callable[[], Any]) -> None:
            self._begin = begin

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._begin())

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self._begin())

    return Watched


@lru_cache(4)
def _leased_body_class(http: ModuleType) -> Any:
    """Return the class of leased bodies that is of `http`'s own kind."""
    return type("LeasedBody", (LeasedBody, http.SyncByteStream, http.AsyncByteStream), {})


@lru_cache(16)
def _library_of(request: type) -> ModuleType:
    """Return the library of a class of requests, httpx2 or httpx."""
    kinds = (each.__module__.partition(".")[0] for each in request.__mro__)
    name = next((kind for kind in kinds if kind in LIBRARIES), None)
    if name is None:
        raise TypeError(f"found a request of {request.__module__}; this transport takes those of httpx2 and httpx")
    return import_module(name)


# -- clients that retry by themselves --------------------------------------------------------------

# OpenAI's clients retry after any error but their own, which they raise as they are. So the last word of a transport
# (after several tries, a passed deadline or a wait) becomes an error of them. Otherwise three tries would be nine, and
# a deadline would last three times as long.


def _openai_error(http: ModuleType, request: Any, error: Exception) -> Any:
    """Return the error that OpenAI's client raises for `error`; None: it is not OpenAI's client, or it is no error of
    a transport.

    Args:
        http: its library.
        request: of the client.
        error: an error of that library; its cause says more.
    """
    theirs: Any = sys.modules.get("openai")
    if theirs is None or not isinstance(error, http.TransportError):
        return None
    if _COUNTS_TRIES not in request.headers or _OPENAI not in request.headers.get("User-Agent", ""):
        return None
    cause = error.__cause__
    if spent := getattr(cause, "spent_names", ()):
        # As for an account without quota, with the servers' earlier answers: no server was asked again. Code that
        # catches the first such error catches this one too.
        said = {"code": _SPENT, "type": _SPENT, "endpoints": list(spent)}
        own = _of_status(theirs.RateLimitError, http, request, error, 429, said)
    elif getattr(cause, "only", None) is not None:
        # As for what is not there any more: its server is gone.
        own = _of_status(theirs.NotFoundError, http, request, error, 404, {"code": _GONE, "type": _GONE})
    elif isinstance(error, http.TimeoutException):
        own = theirs.APITimeoutError(request=request)
        if text := str(error):  # its own text hides that a free slot was waited for
            own.message = f"Request timed out: {text}"
            own.args = (own.message,)
    else:
        own = theirs.APIConnectionError(message=f"Connection error: {error}", request=request)
    own.__cause__ = error
    return own


def _of_status(kind: Any, http: ModuleType, request: Any, error: Exception, status: int, said: dict[str, Any]) -> Any:
    body = {**said, "message": str(error), "param": None}
    return kind(str(error), response=http.Response(status, request=request, json={"error": body}), body=body)
