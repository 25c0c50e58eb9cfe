"""A request of a client, and the answer that it gets, on the connection on which it came."""

from collections.abc import Sequence
from typing import Final, Protocol

from balancer.proxy.client_body import ClientBody
from balancer.proxy.heads import BadRequest, Header, RequestHead, answer_head, chunk, dated

__all__ = ["AnsweredOn", "ByteSink", "ClientRequest", "Feeder"]

_NO_BODY: Final = (204, 304)


class Feeder(Protocol):
    """What sends something to a connection, and can be told to wait."""

    def pause(self) -> None:
        """Send nothing for now."""
        ...

    def resume(self) -> None:
        """Send again."""
        ...


class ByteSink(Protocol):
    """Where the bytes of an answer or of a tunnel go; of a tunnel, b"" at their end."""

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        ...


class AnsweredOn(Protocol):
    """The connection on which a request came.

    Attributes:
        peer: the address of the client.
        secure: whether it has TLS.
    """

    peer: str
    secure: bool

    @property
    def stopping(self) -> bool:
        """Whether no further request is served."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def feed_from(self, feeder: Feeder | None) -> None:
        """Let `feeder` wait while the client does not read."""
        ...

    def hold(self, why: str, *, on: bool) -> None:
        """Read nothing while there is a reason for that."""
        ...

    def tunnel_to(self, sink: ByteSink) -> None:
        """Pass on all that comes from now on, and what came before."""
        ...


class ClientRequest:
    """One request of a client, and the answer that it gets.

    Attributes:
        head: its head; None if it could not be read.
        body: its body.
        bad: why it is refused; None: it is not, so far.
        peer: the address of the client.
        secure: whether the connection has TLS.
        holder: the name of the client's tenant; "" at first.
        begun: whether an answer was begun.
        ended: whether the whole answer was sent.
        keeps: whether the connection may serve a further request.
        framed: whether a client sees that the answer is not whole, if the connection ends before its end.
    """

    def __init__(
        self, connection: AnsweredOn, head: RequestHead | None, body: ClientBody, bad: BadRequest | None = None
    ) -> None:
        self.head = head
        self.body = body
        self.bad = bad
        self.peer = connection.peer
        self.secure = connection.secure
        self.holder = ""
        self.begun = self.ended = self.framed = False
        self.keeps = head is not None and head.keeps
        self.status = 0
        self._connection = connection
        self._chunked = False
        self._bodiless = False
        self._asks_first = head is not None and head.named.get(b"expect", b"").lower() == b"100-continue"

    async def read_body(self) -> None:
        """Wait until the body is kept, or as much of it as may be. Raises BodyGone."""
        if self._asks_first and not self.body.complete and not self.begun:
            self._asks_first = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
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
        if not self.body.complete or self._connection.stopping:
            self.keeps = False
        if not self.keeps:
            framing.append((b"Connection", b"close"))
        told = answer_head(status, reason, headers, framing)
        if content and not self._bodiless:
            told += chunk(content) if self._chunked else content
        self._connection.write(told)

    def take(self, piece: bytes) -> None:
        """Send the next piece of the body."""
        if not self._bodiless:
            self._connection.write(chunk(piece) if self._chunked else piece)

    def end(self, trailers: Sequence[Header] = ()) -> None:
        """End the answer: all of it was sent."""
        if self._chunked:
            self._connection.write(b"".join((b"0\r\n", *(b"%b: %b\r\n" % each for each in trailers), b"\r\n")))
        self.ended = True

    def answer(self, status: int, content: bytes, headers: Sequence[Header] = ()) -> None:
        """Send a whole answer of the proxy's own."""
        self.begin(status, b"", [*headers, dated()], len(content), content)
        self.end()

    def feed_from(self, feeder: Feeder | None) -> None:
        """Let `feeder` wait while the client does not read."""
        self._connection.feed_from(feeder)

    def upgrade(self, headers: Sequence[Header], sink: ByteSink) -> None:
        """Accept the upgrade to another protocol. From now on the client's bytes go to `sink`."""
        self.begun = self.ended = True
        self.keeps = False
        self.status = 101
        self._connection.write(
            answer_head(101, b"", headers, [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")])
        )
        self._connection.tunnel_to(sink)

    def write(self, data: bytes) -> None:
        """Send bytes of the other protocol."""
        self._connection.write(data)

    def pause(self) -> None:
        """Read nothing of the other protocol for now."""
        self._connection.hold("tunnel", on=True)

    def resume(self) -> None:
        """Read again."""
        self._connection.hold("tunnel", on=False)
