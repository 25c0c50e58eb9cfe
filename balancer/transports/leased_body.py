"""Response bodies with a lease: the lease is held until the body ends.

The outcome of the lease: of a body that is read to its end, the one of the status; of an error while reading, the one
of that error; of a body that is closed before its end, IGNORED, unless all that matters had arrived. After the first
byte, the request goes nowhere else. The used tokens are reported when the whole body has arrived. A body that ends
earlier may have used more, so the estimate counts.

Nothing happens when an unread body is collected, as that may be inside a call of the pool in the same thread. Its lease
is then abandoned, and its pool ends it as IGNORED (docs/decisions/core.md).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from balancer.endpoint import Lease, Outcome
from balancer.errors import LeaseError, PoolForked
from balancer.transports.forwarding import redacted
from balancer.transports.reports import UsageReader
from balancer.transports.sessions import IdReader

__all__ = ["BegunBody", "LeasedBody", "end_lease", "leased_body_class"]

_LAST_EVENT = b"[DONE]"  # OpenAI's clients close a stream of events here, without reading on
_TAIL = 64


def end_lease(
    lease: Lease,
    error: BaseException | None = None,
    outcome: Outcome | None = None,
    usage: UsageReader | None = None,
) -> None:
    """End `lease` if it is still out: after `error`, or with `outcome`. Never raises, as the answer matters more.

    `usage` has read the whole body.
    """
    if lease.ended:
        return
    with suppress(LeaseError, PoolForked):
        if error is not None:
            lease.release_after(error)
        else:
            lease.release(outcome, tokens=None if usage is None else usage.tokens)


class BegunBody(NamedTuple):
    """A body of which the first piece has arrived.

    Attributes:
        inner: the body of the inner transport.
        pieces: its iterator, from which `first` was taken.
        first: the piece that has arrived; None: the body ended without any.
        usage: reads the tokens of the call from it; None: they do not count.
        ids: reads the ids that it gives; None: they are not kept.
        length: how many bytes it will have; None: unknown.
    """

    inner: Any
    pieces: Any
    first: bytes | None
    usage: UsageReader | None
    ids: IdReader | None = None
    length: int | None = None


class LeasedBody:
    """A body that arrives in pieces, and its lease.

    Args:
        lease: ends with the body.
        outcome: the outcome of the lease if all of the body arrives.
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
        self._readers = [each for each in (begun.usage, begun.ids) if each is not None]
        self._tail = b""
        self._over = False
        if begun.first is None:
            self._end_whole()

    def end_read(self, content: bytes) -> None:
        """End it: all of it, which is `content`, is with its reader already."""
        for reader in self._readers:
            reader.feed(content)
        self._end_whole()

    def _count(self, piece: bytes) -> None:
        self._tail = (self._tail + piece)[-_TAIL:]
        if self._left is not None:
            self._left -= len(piece)
        for reader in self._readers:
            reader.feed(piece)

    def _end(
        self, error: BaseException | None = None, outcome: Outcome | None = None, usage: UsageReader | None = None
    ) -> None:
        self._over = True
        lease, self._lease = self._lease, None
        lender: Any = lease.lender if lease is not None else None
        # The owner of the body was collected inside a call of the pool, which closes the body. Then drop the lease: its
        # pool will find it.
        if lease is not None and not lender.is_inside():
            end_lease(lease, error, outcome, usage)

    def _fail(self, error: BaseException) -> None:
        """End the lease after `error`, which may be the end of the body.

        Raises the error in other words if it quotes a secret of the endpoint.
        """
        if isinstance(error, StopIteration | StopAsyncIteration):
            self._end_whole()
            return
        shown = error
        if isinstance(error, Exception) and self._lease is not None:
            shown = redacted(error, self._lease.endpoint)
        self._end(shown)
        if shown is not error:
            raise shown from None

    def _end_unread(self) -> None:
        """End the lease: the reader closed the body."""
        if self._left == 0 or _LAST_EVENT in self._tail:
            self._end_whole()
        else:
            self._end(outcome=Outcome.IGNORED)

    def _end_whole(self) -> None:
        """End the lease: all of the body has arrived, or all that matters."""
        self._end(outcome=self._outcome, usage=self._usage)

    # -- for a thread, and for a task --------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._next_piece, None)  # not this object: Python closes an iterator that has a `close`

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _LaterPieces(self)

    def _next_piece(self) -> bytes:
        first, self._first = self._first, None
        if first is None and self._over:
            raise StopIteration
        try:
            piece: bytes = next(self._pieces) if first is None else first
            self._count(piece)
        except BaseException as error:  # also of a piece that is no bytes
            self._fail(error)
            raise
        return piece

    async def next_piece(self) -> bytes:
        """Return the next piece, in a task."""
        first, self._first = self._first, None
        if first is None and self._over:
            raise StopAsyncIteration
        try:
            piece: bytes = await anext(self._pieces) if first is None else first
            self._count(piece)
        except BaseException as error:  # also of a piece that is no bytes
            self._fail(error)
            raise
        return piece

    def close(self) -> None:
        """Close the body before its end."""
        self._end_unread()
        self._inner.close()

    async def aclose(self) -> None:
        """Close the body before its end, in a task."""
        self._end_unread()  # first: the rest may fail, or the task may be cancelled
        await self._inner.aclose()


class _LaterPieces:
    """Iterates over a leased body. A separate object, as Python closes an iterator that has an `aclose`."""

    __slots__ = ("_body",)

    def __init__(self, body: LeasedBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._body.next_piece()


@lru_cache(4)
def leased_body_class(http: ModuleType) -> Any:
    """Return the class of leased bodies that is of `http`'s own kind."""
    return type("LeasedBody", (LeasedBody, http.SyncByteStream, http.AsyncByteStream), {})
