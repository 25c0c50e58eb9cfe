"""Listener of a server that stands by: it refuses members that have the token, and says who serves."""

import asyncio
import hmac
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from balancer.cluster.tcp.codec import Closing, MessageSplitter, Opening, WireError, encoded, read_from_member
from balancer.errors import ConfigError
from balancer.values.wording import why_not_listening

__all__ = ["StandbyListener"]

_OPENING_S: Final = 10.0  # from the start of a connection to the end of its first frame
_LONGEST: Final = 16_384  # bytes of the first frame


class StandbyListener:
    """Listens while its `async with` block lasts.

    Args:
        host, port: where; port 0: a free port.
        tls: the TLS context; None: no TLS.
        token: that members must send.
        why: returns why this server lets nobody in, for those that have the token.

    Attributes:
        port: where it listens.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, token: str, why: Callable[[], str]) -> None:
        self._host = host
        self.port = port
        self._tls = tls
        self._token = token.encode()
        self._why = why
        self._lines: set[_Refusal] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> "StandbyListener":
        """Listen. Raises ConfigError."""
        loop = asyncio.get_running_loop()
        terms: dict[str, Any] = {} if self._tls is None else {"ssl_handshake_timeout": _OPENING_S}
        try:
            self._server = await loop.create_server(
                lambda: _Refusal(self._answer, self._lines), self._host, self.port, ssl=self._tls, **terms
            )
        except OSError as error:
            why = why_not_listening(error)
            raise ConfigError(f"cannot listen on {self._host} port {self.port}: {why}") from None
        listening: socket.socket = self._server.sockets[0]
        self.port = listening.getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for line in [*self._lines]:
            line.abort()

    def _answer(self, opening: Opening) -> str:
        if hmac.compare_digest(opening.token.encode(), self._token):
            return self._why()
        return "the token is wrong or missing; give token=, or set BALANCER_SERVE_TOKEN"


class _Refusal(asyncio.Protocol):
    """One connection, until it is refused."""

    def __init__(self, answer: Callable[[Opening], str], lines: "set[_Refusal]") -> None:
        self._answer = answer
        self._lines = lines
        self._splitter = MessageSplitter(_LONGEST)
        self._late = asyncio.get_running_loop().call_later(_OPENING_S, self.abort)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lines.add(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        try:
            for body in self._splitter.feed(data):
                opening = read_from_member(body)
                if isinstance(opening, Opening):
                    self._transport.write(encoded(Closing(self._answer(opening))))
                self._transport.close()
                return
        except WireError:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._late.cancel()
        self._lines.discard(self)

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()
