"""A request of a client: its body, kept as far as it may be sent again, and the answer that it gets.

A body is read before a lease is asked for, so that a slow client holds no slot. Up to a limit it is kept, and can be
sent as often as needed. Of a larger one the beginning is kept until the rest is sent: then it can be sent once only.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from aiohttp import StreamReader, web

from balancer.proxy.heads import BadRequest, Header, RequestHead, answer_head, chunk, dated, request_head

__all__ = ["AnsweredOn", "BodyGone", "ClientBody", "ClientRequest", "KeptBytes"]

_MUCH: Final = 2**16  # bytes that are always kept
_RATE: Final = 1024  # bytes a second of a body, beyond which it may take as long as it wants
_NO_BODY: Final = (204, 304)


class BodyGone(Exception):
    """The rest of a body will not come. Field: `bad`, why."""

    def __init__(self, bad: BadRequest) -> None:
        super().__init__(bad.why)
        self.bad = bad


class KeptBytes:
    """How many bytes of bodies are kept, of all requests together.

    Args:
        most: the limit for all.
        each: the limit for one.
    """

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self.kept = 0

    def room(self) -> int:
        """Return how many bytes of a further body may be kept."""
        return self._each if self.kept + self._each <= self._most else min(self._each, _MUCH)


class ClientBody:
    """The body of one request.

    Args:
        kept: counts what is kept.
        source: where it comes from.
        most: the largest body.
        within_s: the time that it has, apart from one second for each KiB. Only waits for the client count.

    Attributes:
        replays: True while it can be sent from its beginning.
    """

    def __init__(self, kept: KeptBytes, source: StreamReader, most: int, within_s: float) -> None:
        self.replays = True
        self._every = kept
        self._source = source
        self._most = most
        self._left_s = within_s
        self._data = bytearray()  # one buffer, as a piece may be a single byte
        self._came = 0

    @property
    def complete(self) -> bool:
        """Whether all of it has been read."""
        return self._source.at_eof()

    @property
    def content(self) -> bytes | None:
        """All of it, if it is kept whole; else None."""
        return bytes(self._data) if self.complete and self.replays else None

    @property
    def kept(self) -> bytes:
        """What is kept of it."""
        return bytes(self._data)

    async def begun(self) -> None:
        """Wait until all of it is kept, or as much as may be. Raises BodyGone."""
        room = self._every.room()
        while not self.complete and len(self._data) <= room:
            piece = await self._piece()
            self._data += piece
            self._every.kept += len(piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield all of it, from its beginning. From now on it cannot be sent again. Raises BodyGone."""
        piece = self.kept
        self.close()
        yield piece
        while not self.complete:
            yield await self._piece()

    def close(self) -> None:
        """Forget what is kept."""
        if self.replays:
            self.replays = False
            self._every.kept -= len(self._data)
            self._data.clear()

    async def _piece(self) -> bytes:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                piece = await self._source.readany()
        except TimeoutError:
            raise BodyGone(BadRequest("the body of the request did not come in time", 408)) from None
        except Exception as error:  # as aiohttp's parser found it
            raise BodyGone(BadRequest(f"the body of the request is no valid HTTP/1.1: {error}")) from None
        self._left_s += len(piece) / _RATE - (loop.time() - began_s)
        self._came += len(piece)
        if self._came > self._most:
            raise BodyGone(too_large(self._most))
        return piece


class AnsweredOn(Protocol):
    """The connection on which a request came: the client's address, and whether it has TLS."""

    peer: str
    secure: bool
    transport: asyncio.Transport | None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def drained(self) -> None:
        """Wait until the client has read most of what was sent."""
        ...


class ClientRequest:
    """One request of a client, and the answer that it gets.

    Attributes:
        head: its head; None if it is refused.
        bad: why it is refused; None: it is not.
        connection: on which it came.
        holder: the name of the client's tenant; "" at first.
        status: of its answer.
        begun: whether an answer was begun.
        ended: whether the whole answer was sent.
        keeps: whether the connection may serve a further request.
        framed: whether a client sees that the answer is not whole, if the connection ends before its end.
    """

    def __init__(self, connection: AnsweredOn, came: web.BaseRequest, body: ClientBody, head_bytes: int) -> None:
        self.connection = connection
        self.body = body
        self.holder = ""
        self.status = 0
        self.begun = self.ended = self.framed = False
        self.head: RequestHead | None = None
        self.bad: BadRequest | None = None
        self._chunked = self._bodiless = False
        try:
            self.head = head = request_head(came, head_bytes)
            if head.length is not None and head.length > body._most:
                raise too_large(body._most)
        except BadRequest as bad:
            self.head, self.bad = None, bad
        self.keeps = self.head is not None and self.head.keeps

    async def read_body(self) -> None:
        """Wait until the body is kept, or as much of it as may be. Raises BodyGone."""
        if self.body.complete:
            return
        if self.head is not None and self.head.named.get(b"expect", b"").lower() == b"100-continue":
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self.body.begun()

    def begin(
        self, status: int, reason: bytes, headers: Sequence[Header], length: int | None, content: bytes = b""
    ) -> None:
        """Send the head of the answer, and the beginning of its body.

        Args:
            status, reason, headers: of the answer, without those that frame it.
            length: how long the body is; None: unknown.
            content: its beginning.
        """
        self.begun = True
        self.status = status
        head = self.head
        self._bodiless = status in _NO_BODY or (head is not None and head.method == b"HEAD")
        framing: list[Header] = []
        if length is not None:
            if status != 204:
                framing.append((b"Content-Length", b"%d" % length))
        elif not self._bodiless:
            if head is not None and head.version == "1.1":
                self._chunked = True
                framing.append((b"Transfer-Encoding", b"chunked"))
            else:
                self.keeps = False
        self.framed = self._chunked or length is not None
        if not self.body.complete:
            self.keeps = False
        if not self.keeps:
            framing.append((b"Connection", b"close"))
        told = answer_head(status, reason, headers, framing)
        if content and not self._bodiless:
            told += chunk(content) if self._chunked else content
        self.connection.write(told)

    async def take(self, piece: bytes) -> None:
        """Send the next piece of the body, once the client has read most of what came before."""
        if not self._bodiless:
            self.connection.write(chunk(piece) if self._chunked else piece)
            await self.connection.drained()

    def end(self) -> None:
        """End the answer: all of it was sent."""
        if self._chunked:
            self.connection.write(b"0\r\n\r\n")
        self.ended = True

    def answer(self, status: int, content: bytes, headers: Sequence[Header] = ()) -> None:
        """Send a whole answer of the proxy's own."""
        self.begin(status, b"", [*headers, dated()], len(content), content)
        self.end()

    def upgrade(self, headers: Sequence[Header]) -> None:
        """Accept the upgrade to another protocol."""
        self.begun = self.ended = True
        self.keeps = False
        self.status = 101
        accepted = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
        self.connection.write(answer_head(101, b"", headers, accepted))


def too_large(most: int) -> BadRequest:
    """Return the refusal of a body that is too large."""
    return BadRequest(f"the body of the request has more than {most} bytes", 413)
