"""The body of a request: kept as far as it may be sent again, else passed on as it comes.

A body is read before a lease is asked for, so that a slow client holds no slot. Up to a limit it is kept, and can be
sent as often as needed. Of a larger one the beginning is kept until the rest is sent: then it can be sent once only.
Reading stops while much is unread, so that a slow server does not fill the memory.
"""

import asyncio
from collections.abc import Callable

from balancer.proxy.heads import Header

__all__ = ["BodyGone", "ClientBody", "KeptBytes"]

MUCH = 2**16  # bytes that are always kept, and that may be unread before the client has to wait


class BodyGone(Exception):
    """The rest of a body will not come: the client has gone, was too slow, or sent too much."""


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
        return self._each if self.kept + self._each <= self._most else min(self._each, MUCH)


class ClientBody:
    """The body of one request, filled by the client's connection and read by an exchange.

    Args:
        kept: counts what is kept.
        length: how long it will be; None: unknown.
        want: called with whether more of it should be read from the client.

    Attributes:
        complete: all of it has come.
        trailers: those that came after it.
    """

    def __init__(self, kept: KeptBytes, length: int | None, want: Callable[[bool], object]) -> None:
        self.length = length
        self.complete = length == 0
        self.trailers: list[Header] = []
        self._every = kept
        self._want = want
        self._room = 0 if self.complete else kept.room()
        self._data = bytearray()  # one buffer, as a piece may be a single byte
        self._counted = 0
        self._cut = False  # True once a part of it was dropped
        self._gone: BodyGone | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def replays(self) -> bool:
        """True while it can be sent from its beginning."""
        return not self._cut

    @property
    def content(self) -> bytes | None:
        """All of it, if it is kept whole; else None."""
        return bytes(self._data) if self.complete and not self._cut else None

    def feed(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._data += piece
        if not self._cut:
            self._counted += len(piece)
            self._every.kept += len(piece)
        self._look()

    def end(self) -> None:
        """All of it has come."""
        self.complete = True
        self._want(True)
        self._look()

    def fail(self, why: str) -> None:
        """The rest will not come."""
        if not self.complete:
            self._gone = BodyGone(why)
            self._look()

    def close(self) -> None:
        """Forget what is kept."""
        self._drop(len(self._data))

    async def begun(self) -> None:
        """Wait until all of it is kept, or as much as may be. Raises BodyGone."""
        while not self.complete and len(self._data) <= self._room:
            await self._more()

    def beginning(self) -> bytes:
        """Return what is kept."""
        return bytes(self._data)

    async def rest(self, sent: int = 0) -> bytes:
        """Return the next part, after the first `sent` bytes; b"" at the end. Raises BodyGone.

        From now on the body cannot be sent again.
        """
        self._drop(sent)
        while not self._data and not self.complete:
            self._want(True)
            await self._more()
        found = bytes(self._data)
        self._data.clear()
        return found

    def _drop(self, size: int) -> None:
        self._cut = True
        self._every.kept -= self._counted
        self._counted = 0
        del self._data[:size]

    def _look(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if len(self._data) > (MUCH if self._cut else self._room) and not self.complete:
            self._want(False)

    async def _more(self) -> None:
        if self._gone is not None:
            raise self._gone
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._gone is not None:
            raise self._gone
