"""Client middleware for aiohttp: `aiohttp.ClientSession(middlewares=[BalancedMiddleware(pool)])`.

aiohttp lets nobody look at the first byte of a body without taking it. So a request is tried elsewhere until the head
of its answer has arrived.
"""

from asyncio import IncompleteReadError
from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome, may_go_elsewhere, outcome_of
from balancer.errors import AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters
from balancer.load import ASK
from balancer.opening.aio import TaskPool
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.shells.driver import DeadlinePassed, tell_where
from balancer.shells.tasks.driver import AbstractTaskDriver
from balancer.transports.errors import HALF_SENT, MOST_BYTES, FinalFailure, date_it, redacted, with_notes_of
from balancer.transports.exchange import reads_more, whole_pool
from balancer.transports.forwarding import headers_of, joined
from balancer.transports.leased_body import BegunBody, LeasedBody, end_lease
from balancer.transports.reports import hear
from balancer.transports.request_options import RequestKeywords, RequestOptions, RequestPlans
from balancer.transports.resend import ResendRule, Sending

require("aiohttp", "BalancedMiddleware")

import aiohttp  # noqa: E402  # what is missing is said first
from yarl import URL  # noqa: E402

__all__ = ["BalancedMiddleware"]

Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class BalancedMiddleware:
    """Sends each request of an `aiohttp.ClientSession` to an endpoint of a pool, as `AsyncBalancedTransport` does.

    The lease of an answer ends when its connection is given back: when all of the body has arrived, or is closed.

    Args:
        pool: leases the endpoints: a `Pool` or an `AsyncPool`.
        options: attempts, deadline_s, acquire_timeout_s, key, labels, exclude, priority, holder, ttl_s, tokens, load,
            resend, sessions; see `RequestOptions`.

    Raises:
        ValueError, TypeError: as `RequestOptions` does.
    """

    def __init__(self, pool: "Pool | TaskPool", **options: Unpack[RequestKeywords]) -> None:
        self._options = RequestOptions(**options)
        whole = whole_pool(pool)
        self._pool = whole
        self._plans = RequestPlans(whole.engine, self._options)

    async def __call__(self, request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        """Return the answer of some endpoint. Its connection holds the lease. Raises the errors of aiohttp."""
        drive = _RequestDriver(self._pool, self._options, self._plans, request, handler)
        own = request.url, request.headers.copy()
        try:
            return await drive.run()
        except Exception as error:
            ended = error.error if isinstance(error, FinalFailure) else error
        finally:
            request.url, request.headers = own
        return _came_to(ended)


class _RequestDriver(AbstractTaskDriver[aiohttp.ClientResponse]):
    """One request along its plan."""

    def __init__(
        self,
        pool: Pool,
        options: RequestOptions,
        plans: RequestPlans,
        request: aiohttp.ClientRequest,
        handler: Handler,
    ) -> None:
        asked, self._session = options.placed(pool, request, request.url.raw_path_qs)
        super().__init__(pool.engine, plans.of(None), asked)
        self._request = request
        self._handler = handler
        self._asks_load = options.load
        self._rule = ResendRule(options.resend, request.method, request.headers)
        self._own = request.url, request.headers.copy(), request.request_info

    async def attempt(self, run: Run) -> aiohttp.ClientResponse:
        """Make one attempt."""
        lease, answer = self.hand[0], None
        try:
            self._forward(lease)
            answer = await self._sent()
            answer._request_info = self._own[2]  # theirs has the endpoint's headers
            outcome = await self._judged(answer, lease)
            if self._session is not None:  # the body goes to the client as it comes, so its ids are not read
                self._session.answered(lease.endpoint.name, answer.status, answer.headers.items())
            body = _HeldBody(lease, outcome, BegunBody(answer, None, b"", None))
            if answer.connection is None:  # all of the body is here
                body.given_back()
            else:
                answer.connection.add_callback(body.given_back)
        except GeneratorExit:  # the task is collected: its driver handles the lease
            raise
        except BaseException as error:
            failed = self._failed(error, lease)
            if answer is not None and answer.connection is not None:
                answer.close()
            raise failed from None
        self.hand.clear()  # now the connection has the lease
        return answer

    def _forward(self, lease: Lease) -> None:
        request, (url, headers, _) = self._request, self._own
        request.url = URL(joined(lease.endpoint.url, url.raw_path_qs), encoded=True).with_user(None)
        request.headers = headers.copy()
        if self._asks_load:
            request.headers.setdefault(ASK, "TEXT")
        request.headers.update(headers_of(lease.endpoint))

    async def _sent(self) -> aiohttp.ClientResponse:
        try:
            return await self._handler(self._request)
        except aiohttp.ClientResponseError as error:  # for aiohttp, an answer that is no HTTP has the status 400
            if isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError):
                raise aiohttp.ClientPayloadError(f"the answer is no HTTP: {error.message}") from error
            raise

    async def _judged(self, answer: aiohttp.ClientResponse, lease: Lease) -> Outcome:
        """Return the outcome of the lease if all of `answer` arrives. Raises an error to try elsewhere instead."""
        hear(answer.headers, lease)
        if answer.status < 400:
            return Outcome.SUCCESS
        headers = answer.headers.copy()
        date_it(headers)
        refusal: Any = aiohttp.ClientResponseError(self._own[2], (), status=answer.status, headers=headers)
        if reads_more(refusal):
            try:
                answer._body = refusal.body = await answer.content.readexactly(MOST_BYTES)
            except IncompleteReadError as whole:
                answer._body = refusal.body = whole.partial
            if may_go_elsewhere(refusal):
                if answer.connection is not None:  # the body is longer
                    answer.close()
                    answer._released = False  # or nobody can read it
                refusal.answer = answer
                raise refusal
        return outcome_of(refusal)

    def _failed(self, error: BaseException, lease: Lease) -> BaseException:
        """End the lease of a failed attempt, and return the error to raise."""
        shown = redacted(error, lease.endpoint) if isinstance(error, Exception) else error
        counts_as = self.counts_as(error)
        end_lease(lease, shown if counts_as is error else counts_as)
        if not isinstance(shown, Exception) or not may_go_elsewhere(shown):
            return shown
        sent = getattr(self._request.body, "consumed", False)
        why = self._rule.refuses(Sending(), shown) or (HALF_SENT if sent else "")
        if not why:
            return shown
        shown.add_note(f"it was not tried again: {why}")
        tell_where(shown, self.plan.tries, lease.endpoint.name)
        return FinalFailure(shown)


class _HeldBody(LeasedBody):
    """The body of an answer of aiohttp, whose connection holds the lease."""

    def given_back(self) -> None:
        """End the lease: the connection is given back, or closed."""
        content = self._inner.content
        error = content.exception()
        if content.is_eof():
            self._end_whole()
        elif error is None or type(error) is aiohttp.ClientConnectionError:  # its reader closed it
            self._end(outcome=Outcome.IGNORED)
        else:
            self._end(error)


def _came_to(error: Exception) -> aiohttp.ClientResponse:
    """Return the last answer, if the plan ended with one. Else raise its error, as aiohttp would."""
    answer: aiohttp.ClientResponse | None = getattr(error, "answer", None)
    if answer is not None:
        return answer
    known = error
    if isinstance(error, DeadlinePassed):
        known = aiohttp.ServerTimeoutError(str(error))
    elif isinstance(error, AcquireTimeout | TooManyWaiters):
        known = aiohttp.ConnectionTimeoutError(str(error))
    elif isinstance(error, NoEndpoint | PoolClosed):
        known = aiohttp.ClientConnectionError(str(error))
    if known is error:
        raise error
    raise with_notes_of(error, known) from error
