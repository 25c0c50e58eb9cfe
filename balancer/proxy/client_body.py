"""The body of a request: kept as far as it may be sent again, else passed on as it comes.

A body is read before a lease is asked for, so that a slow client holds no slot. Up to a limit it is kept, and can be
sent as often as needed. Of a larger one the beginning is kept until the rest is sent: then it can be sent once only.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import StreamReader

from balancer.proxy.refusals import Refusal

__all__ = ["BodyGone", "ClientBody", "KeptBytes", "too_large"]

_MUCH: Final = 2**16  # bytes that are always kept
_RATE: Final = 1024  # bytes a second of a body, beyond which it may take as long as it wants


class BodyGone(Refusal):
    """The rest of a body will not come."""


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
        """Return how many bytes of a body may be kept now."""
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
        while not self.complete and len(self._data) <= self._every.room():  # others come at the same time
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
            raise BodyGone(408, "the body of the request did not come in time") from None
        except Exception as error:  # as aiohttp's parser found it
            raise BodyGone(400, f"the body of the request is no valid HTTP/1.1: {error}") from None
        self._left_s += len(piece) / _RATE - (loop.time() - began_s)
        self._came += len(piece)
        if self._came > self._most:
            raise too_large(self._most)
        return piece


def too_large(most: int) -> BodyGone:
    """Return the refusal of a body that is too large."""
    return BodyGone(413, f"the body of the request has more than {most} bytes")
