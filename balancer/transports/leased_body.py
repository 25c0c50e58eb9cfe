"""Response body with its lease: the lease is held until the body ends.

Decides with which outcome the lease ends: read to its end it is what the status says, an error while it is read is what
that error says of the endpoint, and a body that is closed before its end says nothing (IGNORED), unless all that
matters had come. Once the first byte has come the request goes nowhere else. What a body says of the tokens that were
used is told when all of it has come; one that ends earlier may have used more, and counts as was estimated.

Nothing here is done when a body is collected unread: that may happen within a call of the pool, in the same thread. A
lease that nobody refers to any more is given back by its pool (docs/decisions/core.md), as IGNORED.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from balancer.endpoint import Lease, Outcome
from balancer.errors import LeaseError, PoolForked
from balancer.transports.errors import redacted
from balancer.transports.reports import UsageReader

__all__ = ["AsyncLeasedBody", "BegunBody", "LeasedBody", "ThreadLeasedBody", "end_lease", "leased_body_class"]

_LAST_EVENT = b"[DONE]"  # OpenAI's clients close a stream of events at this one, without reading on
_TAIL = 64


def end_lease(
    lease: Lease, error: BaseException | None = None, outcome: Outcome | None = None, tokens: int | None = None
) -> None:
    """End `lease` if it is still out: after `error`, or with `outcome`. Never raises: an answer is worth more."""
    if lease.ended:
        return
    with suppress(LeaseError, PoolForked):
        if error is not None:
            lease.release_after(error)
        else:
            lease.release(outcome, tokens=tokens)


@dataclass(frozen=True, slots=True)
class BegunBody:
    """A body that has begun to come.

    Attributes:
        inner: the body as the transport below reads it.
        pieces: its iterator, of which `first` was taken.
        first: the piece that has come already; None: the body has ended without any.
        usage: reads it for the tokens of the call; None: they count for nothing.
        length: how many bytes it is to have; None: not known.
    """

    inner: Any
    pieces: Any
    first: bytes | None
    usage: UsageReader | None
    length: int | None = None


class LeasedBody:
    """A body that comes piece by piece, and its lease.

    Args:
        lease: ends with the body.
        outcome: what it ends with if all of the body comes.
        begun: the body.
    """

    def __init__(self, lease: Lease, outcome: Outcome, begun: BegunBody) -> None:
        self._lease: Lease | None = lease
        self._outcome = outcome
        self._inner = begun.inner
        self._pieces = begun.pieces
        self._first = begun.first
        self._left = begun.length
        self._usage = begun.usage
        self._tail = b""
        self._over = False
        if begun.first is None:
            self._end_whole()

    def end_read(self, content: bytes) -> None:
        """End it: all of it, which is `content`, is with its reader already."""
        if self._usage is not None:
            self._usage.feed(content)
        self._end_whole()

    def _take_first(self) -> bytes | None:
        first, self._first = self._first, None
        if first is not None:
            self._count(first)
        return first

    def _count(self, piece: bytes) -> None:
        self._tail = (self._tail + piece)[-_TAIL:]
        if self._left is not None:
            self._left -= len(piece)
        if self._usage is not None:
            self._usage.feed(piece)

    def _end(
        self, error: BaseException | None = None, outcome: Outcome | None = None, tokens: int | None = None
    ) -> None:
        self._over = True
        lease, self._lease = self._lease, None
        lender: Any = lease.lender if lease is not None else None
        # Within a call of the pool an owner of the body was collected, which closes it. Then the lease is let go of,
        # and its pool finds it.
        if lease is not None and not lender.engine.is_inside:
            end_lease(lease, error, outcome, tokens)

    def _fail(self, error: BaseException) -> None:
        """End it after `error`, which is raised in other words if it quotes a secret of the endpoint."""
        shown = (
            error if not isinstance(error, Exception) or self._lease is None else redacted(error, self._lease.endpoint)
        )
        self._end(shown)
        if shown is not error:
            raise shown from None

    def _end_unread(self) -> None:
        """End it as it is: closed by its reader."""
        if self._left == 0 or _LAST_EVENT in self._tail:
            self._end_whole()
        else:
            self._end(outcome=Outcome.IGNORED)

    def _end_whole(self) -> None:
        """End it: all of it has come, or all that matters."""
        self._end(outcome=self._outcome, tokens=None if self._usage is None else self._usage.tokens)


class _Pieces:
    """Iterates over a held body. It is an object of its own, for Python closes an iterator that has a `close`."""

    __slots__ = ("_body",)

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._body.next_piece()
        return piece


class _LaterPieces:
    __slots__ = ("_body",)

    def __init__(self, body: Any) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece: bytes = await self._body.next_piece()
        return piece


class ThreadLeasedBody(LeasedBody):
    """For threads: iterable, and can be closed."""

    def __iter__(self) -> Iterator[bytes]:
        return _Pieces(self)

    def next_piece(self) -> bytes:
        """Return the next piece."""
        if self._first is not None:
            return self._take_first() or b""
        if self._over:
            raise StopIteration
        try:
            piece: bytes = next(self._pieces)
        except StopIteration:
            self._end_whole()
            raise
        except BaseException as error:
            self._fail(error)
            raise
        self._count(piece)
        return piece

    def close(self) -> None:
        """End it where it is."""
        self._end_unread()
        self._inner.close()


class AsyncLeasedBody(LeasedBody):
    """For tasks."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _LaterPieces(self)

    async def next_piece(self) -> bytes:
        """Return the next piece."""
        if self._first is not None:
            return self._take_first() or b""
        if self._over:
            raise StopAsyncIteration
        try:
            piece: bytes = await anext(self._pieces)
        except StopAsyncIteration:
            self._end_whole()
            raise
        except BaseException as error:
            self._fail(error)
            raise
        self._count(piece)
        return piece

    async def aclose(self) -> None:
        """End it where it is."""
        self._end_unread()  # first: whatever comes of the rest, a task that is cancelled included
        await self._inner.aclose()


@lru_cache(4)
def leased_body_class(http: ModuleType, *, later: bool) -> Any:
    """Return the class of held bodies of `http`'s own kind, which it insists on; `later`: for tasks."""
    kinds = (AsyncLeasedBody, http.AsyncByteStream) if later else (ThreadLeasedBody, http.SyncByteStream)
    return type(kinds[0].__name__, kinds, {})
