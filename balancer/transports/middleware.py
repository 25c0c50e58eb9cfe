"""Client middleware for aiohttp: `aiohttp.ClientSession(middlewares=[BalancedMiddleware(pool)])`.

aiohttp lets nobody look at the first byte of a body without taking it. So a request is tried elsewhere until the head
of its answer has arrived.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome
from balancer.plugins.extras import require
from balancer.shells.lease_request import shows_arguments
from balancer.transports.exchange import AnyPool, LeasedBody, PooledRequests, RequestExchange, TaskRequest, date_it
from balancer.transports.forwarding import joined
from balancer.transports.request_options import RequestKeywords, RequestOptions

require("transports", "BalancedMiddleware", "aiohttp")

import aiohttp  # noqa: E402  # what is missing is said first
from aiohttp.base_protocol import BaseProtocol  # noqa: E402
from yarl import URL  # noqa: E402

__all__ = ["BalancedMiddleware"]

Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class BalancedMiddleware:
    """Sends each request of an `aiohttp.ClientSession` to an endpoint of a pool, as `AsyncBalancedTransport` does.

    The lease of an answer ends when its connection is given back: when all of the body has arrived, or is closed.

    Args:
        pool: leases the endpoints: a `Pool` or an `AsyncPool`.
        options: see `RequestOptions`.

    Raises:
        ValueError, TypeError: as `RequestOptions` does.
    """

    @shows_arguments(RequestOptions)
    def __init__(self, pool: AnyPool, **options: Unpack[RequestKeywords]) -> None:
        self._requests = PooledRequests(pool, options)

    async def __call__(self, request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        """Return the answer of some endpoint. Its connection holds the lease. Raises the errors of aiohttp."""
        own = request.url, request.headers, request.response_class
        try:
            exchange = _MiddlewareExchange(self._requests, request, handler)
            answer: aiohttp.ClientResponse = await TaskRequest(exchange).answer()
        finally:
            request.url, request.headers, request.response_class = own
        return answer


class _HeldBody(LeasedBody):
    """The body of an answer of aiohttp, whose connection holds the lease."""

    def given_back(self) -> None:
        """End the lease: the connection is given back, or closed."""
        content = self.inner.content
        error = content.exception()
        if content.is_eof():
            self._end_whole()
        elif error is None or type(error) is aiohttp.ClientConnectionError:  # its reader closed it
            self._end(outcome=Outcome.IGNORED)
        else:
            self._end(error)


class _MiddlewareExchange(RequestExchange):
    """One request of aiohttp. `handler` sends it."""

    later = True
    peeks = False
    leased = _HeldBody
    kinds = aiohttp.ServerTimeoutError, aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectionError

    def __init__(self, requests: PooledRequests, request: aiohttp.ClientRequest, handler: Handler) -> None:
        super().__init__(requests, request, request.url.raw_path_qs)
        self._handler = handler
        self._url, self._headers, self._info = request.url, request.headers, request.request_info
        # Its answers have the client's own request: that of the endpoint has the endpoint's headers.
        made: Any = request.response_class
        request.response_class = lambda *args, **given: made(*args, **{**given, "request_info": self._info})  # type: ignore[assignment]

    async def send(self, lease: Lease, run: Run) -> aiohttp.ClientResponse:
        request = self._request
        request.url = URL(joined(lease.endpoint.url, self._url.raw_path_qs), encoded=True).with_user(None)
        request.headers = self._headers.copy()
        self.address(request.headers, lease.endpoint)
        try:
            return await self._handler(request)
        except aiohttp.ClientResponseError as error:  # for aiohttp, an answer that is no HTTP has the status 400
            if isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError):
                raise aiohttp.ClientPayloadError(f"the answer is no HTTP: {error.message}") from error
            raise

    @property
    def may_be_sent(self) -> bool:
        return not getattr(self._request.body, "consumed", False)

    def body_of(self, answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        return answer

    def pieces_of(self, body: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        return body.content.iter_any()

    def closing(self, body: aiohttp.ClientResponse) -> Callable[[], Awaitable[None]]:
        return partial(_close, body)

    def refusal_of(self, answer: aiohttp.ClientResponse, name: str) -> Exception | None:
        if answer.status < 400:
            return None
        headers = answer.headers.copy()
        date_it(headers)
        return aiohttp.ClientResponseError(self._info, (), status=answer.status, headers=headers)

    def hold(self, answer: aiohttp.ClientResponse, content: bytes) -> None:
        if answer.connection is not None:  # the body is longer
            answer.close()
        loop = asyncio.get_running_loop()
        answer.content = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
        answer.content.feed_data(content)
        answer.content.feed_eof()

    def lend(self, answer: aiohttp.ClientResponse, body: _HeldBody) -> None:
        # The body goes to the client as it comes. So neither its tokens nor its ids are read.
        if body.first:
            self.hold(answer, body.first)
        if answer.connection is None:  # all of the body is here
            body.given_back()
        else:
            answer.connection.add_callback(body.given_back)

    def made(self, kind: Any, text: str) -> Exception:
        error: Exception = kind(text)
        return error


async def _close(answer: aiohttp.ClientResponse) -> None:
    if answer.connection is not None:
        answer.close()
