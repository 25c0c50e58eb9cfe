"""One request and its answer: where it goes, when it is tried again, and how its lease ends.

As with the transports, an attempt is over when the first byte of an answer's body has come. An error until then is
tried elsewhere, if the attempt plan says so. After that the answer is passed on as it comes, and the lease is held
until its end. A client never gets a part of an answer as if it were all of it.
"""

import asyncio
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from balancer.client_errors import BUSY_STATUSES, REFUSALS, asked_pause_s, is_spent
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome, may_go_elsewhere
from balancer.errors import CannotTell, EndpointError, EndpointOverloaded, QuotaSpent
from balancer.load import REPORTS
from balancer.proxy.client_body import BodyGone
from balancer.proxy.client_request import ClientRequest
from balancer.proxy.heads import ForwardedRequest, answer_headers, chunk, first_of, header_map, place_of, trailers_of
from balancer.proxy.server_side import ClosedEarly, ServerAnswer, ServerConnection, ServerConnections
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.tasks.driver import TaskDriver
from balancer.transports.exchange import MOST_BYTES
from balancer.transports.leased_body import end_lease
from balancer.transports.reports import UsageReader, hear, usage_for
from balancer.transports.resend import HALF_SENT, FinalFailure, Resend, ResendRule, Sending
from balancer.transports.sessions import IdReader, RequestSession

__all__ = ["ProxyExchange", "error_of_answer"]

_HOLD_S: Final = 10.0  # a head without a body is passed on after so long: its client may wait for the head alone
_LAST_EVENT: Final = b"[DONE]"  # OpenAI's clients close a stream of events here
_LONGEST_ERROR: Final = 2**16


def error_of_answer(status: int, headers: "header_map", content: bytes) -> EndpointError | None:
    """Return the error of an answer that may be asked for elsewhere; None: it is for the client, whatever it says.

    Args:
        status: of HTTP.
        headers: of the answer.
        content: its decoded body.
    """
    if status < 400:
        return None
    if is_spent(status, content):
        return QuotaSpent(f"answered {status}: its account has no quota left")
    if status in BUSY_STATUSES:
        return EndpointOverloaded(
            f"answered {status}", retry_after_s=asked_pause_s(headers, received=datetime.now(UTC))
        )
    return EndpointError(f"answered {status}") if status >= 500 else None


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
        forwarded: the request as servers get it.
        servers: the connections to servers.
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
        forwarded: ForwardedRequest,
        servers: ServerConnections,
        resend: Resend,
        session: RequestSession | None = None,
    ) -> None:
        super().__init__(engine, plans, asked)
        assert request.head is not None
        self._request = request
        self._head = request.head
        self._forwarded = forwarded
        self._servers = servers
        self._session = session
        key = self._head.named.get(b"idempotency-key")
        self._rule = ResendRule(resend, self._head.method.decode(), {"Idempotency-Key": key} if key else {})
        self._sending = Sending()
        self._refused: tuple[Exception, ServerAnswer] | None = None  # the last answer that was held back
        self._uploads: asyncio.Task[None] | None = None
        self.unmetered = False
        self._gone: BodyGone | None = None  # why the body of the request ended early

    @property
    def waits(self) -> bool:
        """Whether it has no slot now, and no answer was begun."""
        return not self.hand and not self._request.begun

    async def pass_on(self) -> None:
        """Carry out the request, and answer it. Raises the error that it ends with, if no answer was begun."""
        try:
            try:
                begun = await self.run()
            except Exception as error:
                self._answer_refused(error)
                return
            await self._relay(begun)
        finally:
            if self._uploads is not None:
                self._uploads.cancel()

    # -- an attempt --------------------------------------------------------------------------------

    async def attempt(self, run: Run) -> _Begun:
        """Make one attempt: up to the first byte of the answer's body."""
        lease = self.hand[0]
        self._sending = Sending()
        self._sending.heard = True
        answer: ServerAnswer | None = None
        try:
            place = place_of(lease.endpoint.url)
            connection = await self._servers.get(place)
            again = connection.used
            try:
                answer = await self._send_request(connection, lease)
                await self._hold(answer, lease)
            except ClosedEarly:
                # An idle connection that its server has just closed says nothing about the server.
                if not (again and self._may_resend()):
                    raise
                self._stop_upload()
                answer = await self._send_request(await self._servers.get(place, fresh=True), lease)
                await self._hold(answer, lease)
            outcome = self._judged(answer)
        except GeneratorExit:  # the task is collected: its driver handles the lease
            raise
        except BaseException as error:
            counts_as = self.counts_as(error)
            end_lease(lease, counts_as)
            if answer is not None:
                answer.leave()
            self._stop_upload()
            if isinstance(error, Exception) and may_go_elsewhere(error):
                why = self._rule.refuses(self._sending, error) or ("" if self._request.body.replays else HALF_SENT)
                if why:
                    raise FinalFailure(error, last_word=True) from None
            raise
        self.hand.clear()  # the relay has the lease
        return _Begun(answer, lease, outcome)

    def _may_resend(self) -> bool:
        return self._request.body.replays and (not self._rule.watches or not self._sending.begun)

    async def _send_request(self, connection: ServerConnection, lease: Lease) -> ServerAnswer:
        """Send the request. A body that is not kept whole follows in a task of its own."""
        body, head = self._request.body, self._head
        kept = body.beginning()
        whole = body.complete
        told = self._forwarded.head_for(lease.endpoint, len(kept) if whole else body.length)
        self._sending.begun = True
        self._sending.whole = whole
        answer = connection.ask(told + kept if whole else told, bodiless=head.method == b"HEAD", whole=whole)
        if not whole:
            self._uploads = asyncio.get_running_loop().create_task(self._upload(connection, kept, answer))
        return answer

    async def _upload(self, connection: ServerConnection, kept: bytes, answer: ServerAnswer) -> None:
        """Send the rest of the body, as fast as the server reads it."""
        body = self._request.body
        chunked = body.length is None
        piece, sent = kept, len(kept)
        try:
            while True:
                if piece:
                    connection.write(chunk(piece) if chunked else piece)
                await connection.drained()
                if connection.closed:
                    return
                piece, sent = await body.rest(sent), 0
                if not piece:
                    break
            if chunked:
                connection.write(b"0\r\n\r\n")
            self._sending.whole = True
            connection.sent_whole()
        except BodyGone as gone:
            self._gone = gone
            answer.leave()
            answer.fail(CannotTell("got no whole request, because its client stopped sending"))

    def _stop_upload(self) -> None:
        if self._uploads is not None:
            self._uploads.cancel()
            self._uploads = None

    async def _hold(self, answer: ServerAnswer, lease: Lease) -> None:
        """Wait for what is needed to judge an answer."""
        await answer.holding(1, _HOLD_S)
        status = answer.status
        if any(name.lower() in REPORTS for name, _ in answer.headers):
            hear(header_map(answer.headers), lease)
        if status >= 500 or status in BUSY_STATUSES or status in REFUSALS or status == 402:
            await answer.holding(MOST_BYTES)

    def _judged(self, answer: ServerAnswer) -> Outcome:
        """Return the outcome of the lease if all of `answer` arrives. Raises EndpointError to try elsewhere instead."""
        status = answer.status
        if status < 400:
            return Outcome.SUCCESS
        headers = header_map(answer.headers)
        error = error_of_answer(status, headers, _decoded(bytes(answer.held), headers.get("Content-Encoding", "")))
        if error is None:
            return Outcome.IGNORED
        self._refused = error, answer
        raise error

    # -- the answer --------------------------------------------------------------------------------

    def _answer_refused(self, error: Exception) -> None:
        """Pass on the last answer, if the request ends with it. Else raise the error."""
        last = error.error if isinstance(error, FinalFailure) else error
        if self._gone is not None:
            raise self._gone from None
        if self._refused is None or self._refused[0] is not last or not self._refused[1].complete:
            raise last
        answer = self._refused[1]
        headers = answer_headers(answer.headers)
        if first_of(headers, b"x-should-retry") is None:
            headers.append((b"X-Should-Retry", b"false"))  # it was tried as often as it may
        self._send(answer, headers)

    def _send(self, answer: ServerAnswer, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin the client's answer with what is held, and end it if that is all."""
        request = self._request
        held = bytes(answer.held)
        answer.held.clear()
        length = answer.length
        if length is None and answer.complete and not answer.bodiless and answer.status not in (204, 304):
            length = len(held)
        request.begin(answer.status, answer.reason, headers, length, held)
        answer.tail = held[-64:]
        if answer.complete:
            request.end()

    async def _relay(self, begun: _Begun) -> None:
        """Pass an answer on until its end. The lease ends then, or with what goes wrong."""
        answer, lease, request = begun.answer, begun.lease, self._request
        ids = None
        if self._session is not None and answer.status < 400:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
            ids = self._session.answered(lease.endpoint.name, headers)
        if answer.status == 101:
            await self._tunnel(begun)
            return
        usage = usage_for(lease, header_map(answer.headers))
        readers = [each for each in (usage, ids) if each is not None]
        for reader in readers:
            reader.feed(bytes(answer.held))
        relay = _Relay(request, readers)
        try:
            self._send(answer, answer_headers(answer.headers))
            if not answer.complete:
                request.feed_from(answer)
                answer.flow(relay)
                await answer.end()
                wanted = b"te" in self._head.named
                request.end(trailers_of(answer.trailers) if answer.trailers and wanted else ())
        except BaseException as error:
            whole = isinstance(error, asyncio.CancelledError) and _is_last(answer)
            if whole:
                end_lease(lease, None, begun.outcome, usage)
            else:
                end_lease(lease, error)
            answer.leave()
            self._meter(answer, usage, whole=whole)
            if isinstance(error, EndpointError):
                return  # the client sees an answer that is not whole
            raise
        end_lease(lease, None, begun.outcome, usage)
        self._meter(answer, usage, whole=True)

    def _meter(self, answer: ServerAnswer, usage: UsageReader | None, *, whole: bool) -> None:
        """Find out whether the tokens of an answer, whole or not, did not count. Other methods than POST make none."""
        asks = self._head.method == b"POST" and answer.status < 300
        self.unmetered = asks and usage is not None and (not whole or usage.tokens is None)

    async def _tunnel(self, begun: _Begun) -> None:
        """Pass bytes on in both directions, until one side closes."""
        answer, request = begun.answer, self._request
        connection = answer.connection
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            agreed = (first_of(answer.headers, b"upgrade") or b"").strip().lower()
            if connection.closed or not agreed or agreed != self._head.upgrade:
                raise EndpointError("switched to a protocol that nobody asked for")
            connection.tunnel = _OneWay(request, over)
            connection.feeder = request
            request.feed_from(answer)
            held = bytes(answer.held)
            request.upgrade(answer_headers(answer.headers), _OneWay(connection, over))
            if held:
                request.write(held)
            answer.flow(_OneWay(request, over))
            await over
        except EndpointError as error:
            end_lease(begun.lease, error)
            raise
        finally:
            end_lease(begun.lease, None, begun.outcome)
            connection.close()


class _Relay:
    """Passes the pieces of a body on, after the readers of used tokens and ids have seen them."""

    __slots__ = ("_readers", "_request")

    def __init__(self, request: ClientRequest, readers: list[UsageReader | IdReader]) -> None:
        self._request = request
        self._readers = readers

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        for reader in self._readers:
            reader.feed(piece)
        self._request.take(piece)


class _OneWay:
    """One direction of a tunnel."""

    __slots__ = ("_over", "_to")

    def __init__(self, to: ClientRequest | ServerConnection, over: "asyncio.Future[None]") -> None:
        self._to = to
        self._over = over

    def take(self, piece: bytes) -> None:
        """Pass a piece on; b"": the end."""
        if piece:
            self._to.write(piece)
        elif not self._over.done():
            self._over.set_result(None)


def _is_last(answer: ServerAnswer) -> bool:
    """Return whether a client that leaves now has all that matters."""
    return answer.complete or _LAST_EVENT in answer.tail


def _decoded(content: bytes, coding: str) -> bytes:
    """Return the decoded body of an error; b"" if it cannot be decoded, or is too long for an error."""
    if len(content) > _LONGEST_ERROR:
        return b""
    if coding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        with suppress(zlib.error):
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, _LONGEST_ERROR)
        return b""
    return content
