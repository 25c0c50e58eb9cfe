"""One request and its answer: where it goes, when it is tried again, and how its lease ends.

As with the transports, an attempt is over when the first byte of an answer's body has come. An error until then is
tried elsewhere, if the attempt plan says so. After that the answer is passed on as it comes, and the lease is held
until its end. A client never gets a part of an answer as if it were all of it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from multidict import CIMultiDict

from balancer.answers import BUSY_STATUSES, REFUSALS, asked_pause_s, is_spent
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome, judged
from balancer.errors import CannotTell, EndpointError, EndpointOverloaded, QuotaSpent
from balancer.proxy.client_body import BodyGone
from balancer.proxy.client_side import ClientRequest
from balancer.proxy.heads import answer_headers, endpoint_head
from balancer.proxy.refusals import Header
from balancer.proxy.server_side import ServerAnswer, Servers
from balancer.shells.driver import TaskDriver
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.exchange import MOST_BYTES, end_lease, usage_for
from balancer.transports.reports import PlainText, UsageReader, hear
from balancer.transports.resend import HALF_SENT, FinalFailure, Resend, ResendRule, Sending
from balancer.transports.sessions import RequestSession

__all__ = ["ProxyExchange"]

_HOLD_S: Final = 10.0  # a head without a body is passed on after so long: its client may wait for the head alone
_LONGEST_PAUSE_S: Final = 3600  # of a Retry-After that is passed on
_LAST_EVENT: Final = b"[DONE]"  # OpenAI's clients close a stream of events here
_TAIL: Final = 64
_LONGEST_ERROR: Final = 2**16


@dataclass(slots=True)
class _Begun:
    """An answer that has begun, with its lease."""

    answer: ServerAnswer
    lease: Lease
    outcome: Outcome


class ProxyExchange(TaskDriver[_Begun]):
    """One request along its plan.

    Args:
        engine, plans, asked: as for `CallDriver`.
        request: of the client.
        sent: its headers as servers get them.
        servers: all of them.
        resend: which failed requests are tried elsewhere.
        session: of the request; None: it has none.

    Attributes:
        unmetered: whether its tokens count for a quota, and its answer did not tell them.
    """

    def __init__(
        self,
        engine: Engine,
        plans: AttemptPlans,
        asked: LeaseRequest,
        *,
        request: ClientRequest,
        sent: CIMultiDict[str],
        servers: Servers,
        resend: Resend,
        session: RequestSession | None,
    ) -> None:
        super().__init__(engine, plans, asked)
        self._request = request
        self._head = request.head
        self._sent = sent
        self._servers = servers
        self._session = session
        self._rule = ResendRule(resend, self._head.method, self._head.headers)
        self._sending = Sending()
        self._refused: tuple[Exception, ServerAnswer] | None = None  # the last answer that was held back
        self._gone: BodyGone | None = None  # why the body of the request ended early
        self.unmetered = False

    @property
    def waits(self) -> bool:
        """Whether it has no slot now, and no answer was begun."""
        return not self.hand and not self._request.begun

    async def pass_on(self) -> None:
        """Carry out the request, and answer it. Raises the error that it ends with, if no answer was begun."""
        try:
            begun = await self.run()
        except Exception as error:
            self._answer_refused(error)
        else:
            await (self._tunnel if begun.answer.status == 101 else self._relay)(begun)

    # -- an attempt --------------------------------------------------------------------------------

    async def attempt(self, run: Run) -> _Begun:
        """Make one attempt: up to the first byte of the answer's body."""
        lease = self.hand[0]
        self._sending = Sending()
        self._sending.heard = True
        answer: ServerAnswer | None = None
        try:
            answer = await self._ask(lease)
            outcome = await self._judged(answer, lease)
        except GeneratorExit:  # the task is collected: its driver handles the lease
            raise
        except BaseException as found:
            if answer is not None:
                answer.leave()
            error = self._without_blame(found)
            end_lease(lease, self.counts_as(error))
            if isinstance(error, Exception) and judged(error).elsewhere:
                why = self._rule.refuses(self._sending, error) or ("" if self._request.body.replays else HALF_SENT)
                if why:
                    raise FinalFailure(error, last_word=True) from None
            raise error from None
        self.hand.clear()  # the relay has the lease
        return _Begun(answer, lease, outcome)

    async def _ask(self, lease: Lease) -> ServerAnswer:
        """Send the request, and return its answer."""
        body = self._request.body
        url, headers = endpoint_head(self._head, self._sent, lease.endpoint)
        sent = (body.kept or None) if body.complete else self._rest()
        again = not self._rule.watches
        return await self._servers.ask(self._head.method, url, headers, sent, self._sending, again=again)

    async def _rest(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._request.body.pieces():
                yield piece
        except BodyGone as gone:
            self._gone = gone
            raise
        self._sending.whole = True

    async def _judged(self, answer: ServerAnswer, lease: Lease) -> Outcome:
        """Return the outcome of the lease if all of `answer` arrives. Raises EndpointError to try elsewhere instead."""
        await answer.hold(1, _HOLD_S)
        headers, status = answer.response.headers, answer.status
        hear(headers, lease)
        if status < 400:
            return Outcome.SUCCESS
        if status >= 500 or status in BUSY_STATUSES or status in REFUSALS or status == 402:
            await answer.hold(MOST_BYTES)
        error = EndpointError(f"answered {status}")
        plain = next(PlainText(headers.get("Content-Encoding", "")).parts(answer.held[:_LONGEST_ERROR]), b"")
        if is_spent(status, plain):
            error = QuotaSpent(f"answered {status}: its account has no quota left")
        elif status in BUSY_STATUSES:
            pause_s = asked_pause_s(headers, received=datetime.now(UTC))
            error = EndpointOverloaded(f"answered {status}", retry_after_s=pause_s)
        elif status < 500:
            return Outcome.IGNORED
        self._refused = error, answer
        raise error

    def _without_blame(self, error: BaseException) -> BaseException:
        """Return the error that counts: the server is not to blame for a client that stops sending."""
        if self._gone is None or not isinstance(error, Exception):
            return error
        return CannotTell("got no whole request, because its client stopped sending")

    # -- the answer --------------------------------------------------------------------------------

    def _answer_refused(self, error: Exception) -> None:
        """Pass on the last answer, if the request ends with it. Else raise the error."""
        last = error.error if isinstance(error, FinalFailure) else error
        if self._gone is not None:
            raise self._gone from None
        if self._refused is None or self._refused[0] is not last or not self._refused[1].complete:
            raise last
        answer = self._refused[1]
        theirs = answer.response.headers
        headers = answer_headers(theirs, answer.response.raw_headers)
        if (asked_pause_s(theirs) or 0.0) > _LONGEST_PAUSE_S:
            headers = [each for each in headers if each[0].lower() != b"retry-after"]
            headers.append((b"Retry-After", b"%d" % _LONGEST_PAUSE_S))
        if "X-Should-Retry" not in theirs:
            headers.append((b"X-Should-Retry", b"false"))  # it was tried as often as it may
        self._begin(answer, headers)

    def _begin(self, answer: ServerAnswer, headers: list[Header]) -> None:
        """Begin the client's answer with what is held, and end it if that is all."""
        request, length = self._request, answer.length
        if length is None and answer.complete and self._head.method != "HEAD" and answer.status not in (204, 304):
            length = len(answer.held)
        reason = (answer.response.reason or "").encode("latin-1", "replace")
        request.begin(answer.status, reason, headers, length, answer.held)
        if answer.complete:
            request.end()

    async def _relay(self, begun: _Begun) -> None:
        """Pass an answer on until its end. The lease ends then, or with what goes wrong."""
        answer, lease, request = begun.answer, begun.lease, self._request
        headers = answer.response.headers
        ids = None
        if self._session is not None and answer.status < 400:
            ids = self._session.answered(lease.endpoint.name, headers.items())
        usage = usage_for(lease, headers)
        readers = [each for each in (usage, ids) if each is not None]
        piece = tail = answer.held
        try:
            self._begin(answer, answer_headers(headers, answer.response.raw_headers))
            while True:
                for reader in readers:
                    reader.feed(piece)
                if request.ended:
                    break
                piece = await answer.piece()
                tail = (tail + piece)[-_TAIL:]
                if not piece:
                    request.end()
                elif (reads_on := request.take(piece)) is not None:
                    await reads_on
        except BaseException as error:
            whole = isinstance(error, asyncio.CancelledError) and (answer.complete or _LAST_EVENT in tail)
            if whole:
                end_lease(lease, None, begun.outcome, usage)
            else:
                end_lease(lease, self._without_blame(error))
            answer.leave()
            self._meter(usage, answer.status, whole=whole)
            if isinstance(error, EndpointError):
                return  # the client sees an answer that is not whole
            raise
        end_lease(lease, None, begun.outcome, usage)
        self._meter(usage, answer.status, whole=True)

    def _meter(self, usage: UsageReader | None, status: int, *, whole: bool) -> None:
        """Find out whether the tokens of an answer, whole or not, did not count. Other methods than POST make none."""
        asks = self._head.method == "POST" and status < 300
        self.unmetered = asks and usage is not None and (not whole or usage.tokens is None)

    async def _tunnel(self, begun: _Begun) -> None:
        """Pass bytes on in both directions, until one side closes."""
        answer, request = begun.answer, self._request
        server, headers = answer.response.connection, answer.response.headers
        try:
            agreed = headers.get("Upgrade", "").lower()
            if server is None or server.protocol is None or not agreed or agreed != self._head.upgrade:
                raise EndpointError("switched to a protocol that nobody asked for")
            request.upgrade(answer_headers(headers, answer.response.raw_headers))
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            for old, other in ((request.connection, server.protocol), (server.protocol, request.connection)):
                _OneWay.join(old, other.transport, over)
            await over
        except EndpointError as error:
            end_lease(begun.lease, error)
            raise
        finally:
            end_lease(begun.lease, None, begun.outcome)
            answer.leave()


class _OneWay(asyncio.Protocol):
    """One direction of a tunnel.

    Args:
        old: aiohttp's protocol of the connection that it reads.
        to: where it writes.
        over: is done when the connection is lost.
    """

    def __init__(self, old: Any, to: Any, over: "asyncio.Future[None]") -> None:
        self._old = old
        self._to = to
        self._over = over

    @classmethod
    def join(cls, old: Any, to: Any, over: "asyncio.Future[None]") -> None:
        """Take over a connection. What aiohttp has read so far is passed on first."""
        way = cls(old, to, over)
        old.set_parser(way, None)
        old.transport.set_protocol(way)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass on what came before, as aiohttp's parsers take it."""
        self._to.write(data)
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: `connection_lost` tells the end."""

    def data_received(self, data: bytes) -> None:
        """Pass data on."""
        self._to.write(data)

    def pause_writing(self) -> None:
        """Read nothing from the other side for now: this one does not read."""
        self._old.pause_writing()
        self._to.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._old.resume_writing()
        self._to.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End both."""
        self._to.close()
        if not self._over.done():
            self._over.set_result(None)
        self._old.connection_lost(exc)
