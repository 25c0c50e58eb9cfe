"""Transport adapter for requests: `session.mount("http://pool/", BalancedAdapter(pool))`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease, may_go_elsewhere, outcome_of
from balancer.errors import AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters
from balancer.load import ASK
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.shells.acts import follow
from balancer.shells.driver import DeadlinePassed, tell_where
from balancer.transports.errors import HALF_SENT, MOST_BYTES, FinalFailure, date_it, redacted, with_notes_of
from balancer.transports.exchange import beginning, reads_more
from balancer.transports.forwarding import headers_of, joined
from balancer.transports.leased_body import BegunBody, ThreadLeasedBody, end_lease
from balancer.transports.reports import hear, usage_for
from balancer.transports.request_options import RequestKeywords, RequestOptions, RequestPlans
from balancer.transports.resend import ResendRule, Sending
from balancer.transports.sessions import RequestSession
from balancer.transports.sync import BoundDriver

require("requests", "BalancedAdapter")

from requests.adapters import HTTPAdapter  # noqa: E402  # what is missing is said first
from requests.exceptions import (  # noqa: E402
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    ContentDecodingError,
    HTTPError,
    ReadTimeout,
)
from requests.models import PreparedRequest, Response  # noqa: E402
from requests.utils import rewind_body  # noqa: E402
from urllib3 import ProxyManager  # noqa: E402
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError  # noqa: E402

from balancer.transports.bound_connections import POOLS  # noqa: E402

__all__ = ["BalancedAdapter"]

_AT_ONCE = 2**14  # bytes of one piece of a body that is not chunked
_KNOWN_AS: Mapping[type[Exception], type[Exception]] = {
    ProtocolError: ChunkedEncodingError,
    DecodeError: ContentDecodingError,
    ReadTimeoutError: ConnectionError,
}
_CONNECTIONS = 256  # kept open for each endpoint; more may be open


class BalancedAdapter(HTTPAdapter):
    """Sends each request of a `requests.Session` to an endpoint of a pool, as `BalancedTransport` does.

    `requests` has no limit for the wait for a connection. So the wait for a lease is limited by `acquire_timeout_s` of
    the adapter, or of the pool. A body that is neither bytes nor a file that can be rewound is sent once.

    Args:
        pool: leases the endpoints.
        options: attempts, deadline_s, acquire_timeout_s, key, labels, exclude, priority, holder, ttl_s, tokens, load,
            resend, sessions; see `RequestOptions`.

    Raises:
        ValueError, TypeError: as `RequestOptions` does.
    """

    def __init__(self, pool: Pool, **options: Unpack[RequestKeywords]) -> None:
        self._options = RequestOptions(**options)
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)
        self._pool = pool
        self._plans = RequestPlans(pool.engine, self._options)

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
        if self._options.deadline_s is not None or self._options.resend != "always":
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
        answer = self._answer(request, (stream, *args), kwargs)
        if not stream:
            _ = answer.content  # now, as what the session does next, e.g. its hooks, may raise and drop the answer
        return answer

    def _answer(self, request: PreparedRequest, args: Any, kwargs: Any) -> Response:
        pool = self._pool
        asked, session = self._options.placed(pool, request, request.path_url)
        rule = ResendRule(self._options.resend, request.method, request.headers)

        def send(drive: BoundDriver, lease: Lease, run: Run) -> Response:
            sending = Sending()
            try:
                with sending.in_thread():
                    return self._attempt(request, lease, session, args, kwargs)
            except BaseException as error:
                end_lease(lease, drive.counts_as(error))
                if not isinstance(error, Exception):
                    raise
                refusal = rule.refuses(sending, error) if may_go_elsewhere(error) else ""
                why = refusal or ("" if _may_be_sent(request) else HALF_SENT)
                if not why:
                    raise
                error.add_note(f"it was not tried again: {why}")
                tell_where(error, drive.plan.tries, lease.endpoint.name)
                raise FinalFailure(error) from None

        try:
            answer: Response = BoundDriver(pool.engine, self._plans.of(None), asked, send).run()
            return answer
        except Exception as error:
            ended = error.error if isinstance(error, FinalFailure) else error
        return _came_to(ended, request)

    def _attempt(
        self, request: PreparedRequest, lease: Lease, session: RequestSession | None, args: Any, kwargs: Any
    ) -> Response:
        endpoint, answer = lease.endpoint, None
        sent = request.copy()
        sent.url = joined(endpoint.url, request.path_url)
        sent.headers.update(headers_of(endpoint))
        if self._options.load:
            sent.headers.setdefault(ASK, "TEXT")
        if isinstance(request._body_position, int):
            rewind_body(sent)
        try:
            answer = super().send(sent, *args, **kwargs)
            answer.request, answer.url = request, request.url or ""  # ours has the endpoint's headers
            hear(answer.headers, lease)
            refusal = _status_error(answer, endpoint.name)
            pieces = _pieces(answer.raw)
            content = follow(beginning(partial(next, pieces, None), refusal))
            if refusal is not None and reads_more(refusal):
                refusal.body = content[:MOST_BYTES]  # type: ignore[attr-defined]  # where `says_spent` looks
                if may_go_elsewhere(refusal):
                    answer._content, answer._content_consumed = content[:MOST_BYTES], True
                    answer.close()
                    raise refusal
            ids = None
            if session is not None:
                ids = session.answered(endpoint.name, answer.status_code, answer.headers.items(), decoded=True)
            usage = usage_for(lease, answer.headers, decoded=True)
            begun = BegunBody(answer.raw, pieces, content or None, usage, ids=ids)
            answer.raw = _Raw(answer.raw, ThreadLeasedBody(lease, outcome_of(refusal), begun))
        except Exception as error:
            if answer is not None:
                with suppress(Exception):
                    answer.close()
            shown = _known(redacted(error, endpoint), request)
            if shown is error:
                raise
            raise shown from None
        return answer


class _Raw:
    """The raw answer for requests: that of urllib3, with a body that holds the lease."""

    def __init__(self, raw: Any, body: ThreadLeasedBody) -> None:
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


def _may_be_sent(request: PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, str | bytes) or isinstance(request._body_position, int)


def _status_error(answer: Response, name: str) -> Exception | None:
    if answer.status_code < 400:
        return None
    date_it(answer.headers)
    return HTTPError(f"{name} answered {answer.status_code}", response=answer)


def _known(error: Exception, request: PreparedRequest) -> Exception:
    """Return `error` as requests would raise it, with the client's own request."""
    known = next((theirs(error) for kind, theirs in _KNOWN_AS.items() if isinstance(error, kind)), error)
    if hasattr(known, "request"):
        known.request = request
    return known


def _came_to(error: Exception, request: PreparedRequest) -> Response:
    answer = getattr(error, "response", None) if isinstance(error, HTTPError) else None
    if isinstance(answer, Response):
        return answer
    if isinstance(error, DeadlinePassed):
        raise with_notes_of(error, ReadTimeout(str(error), request=request)) from error
    if isinstance(error, AcquireTimeout | TooManyWaiters):
        raise with_notes_of(error, ConnectTimeout(str(error), request=request)) from error
    if isinstance(error, NoEndpoint | PoolClosed):
        raise with_notes_of(error, ConnectionError(str(error), request=request)) from error
    raise error
