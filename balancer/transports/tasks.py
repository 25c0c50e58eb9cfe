"""HTTP transport for tasks: `httpx2.AsyncClient(transport=AsyncBalancedTransport(pool))`, and the same for httpx.

Decides how a task reads an answer up to its first byte, and what becomes of a lease whose task goes. Tasks of asyncio
and of trio wait in `pool.aio`; all else is as in `balancer.transports.sync`.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from balancer.core.decisions import Run
from balancer.endpoint import Lease, outcome_of
from balancer.shells.tasks.driver import TaskDriver
from balancer.transports.errors import MOST_BYTES
from balancer.transports.exchange import RequestExchange, TransportBase, reads_more

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Both(httpx2.AsyncBaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]
        """What either library takes."""

else:
    _Both = object  # neither is needed to be one: both ask for the methods only

__all__ = ["AsyncBalancedTransport"]


class AsyncBalancedTransport(TransportBase, _Both):
    """Sends each request of an `AsyncClient` of httpx2 or httpx to an endpoint of a pool, as `BalancedTransport` does.

    A task that is cancelled gives back what it holds, at once, as neither success nor failure of the endpoint. An
    attempt that still runs at the deadline is ended; the client gets its own `ReadTimeout`.
    """

    _INNER = "AsyncHTTPTransport"
    __doc__ += f"\n{TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and TransportBase.__doc__ else ""

    async def handle_async_request(self, request: Any) -> Any:
        """Return the answer of some endpoint; its body holds the lease. Raises as `BalancedTransport` does."""
        exchange = self._exchange(request)
        inner = self._inner(exchange.http)

        async def make(run: Run, hand: list[Lease]) -> Any:
            lease = hand[0]
            answer = await _attempt(exchange, inner, lease, drive.counts_as)
            hand.clear()  # the body has it from now on
            return answer

        drive: TaskDriver[Any] = TaskDriver(self._pool.engine, exchange.plan, exchange.asked, make)
        try:
            return await drive.run()
        except Exception as error:
            ended = error
        return exchange.came_to(ended)

    async def aclose(self) -> None:
        """Close all connections; the pool stays open."""
        for inner in self._inners():
            await inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


async def _attempt(
    exchange: RequestExchange, inner: Any, lease: Lease, counts_as: Callable[[BaseException], BaseException]
) -> Any:
    """Send the request to the leased endpoint, and return its answer with the lease; else the lease has ended."""
    stream = None
    try:
        answer = await inner.handle_async_request(exchange.sent_to(lease))
        stream = answer.stream
        refusal = exchange.refusal(answer, lease)
        pieces, outcome, first = aiter(stream), outcome_of(refusal), b""
        if refusal is not None and reads_more(refusal):
            first = await _beginning(pieces)
            outcome = exchange.judged(answer, refusal, first[:MOST_BYTES])
        found = first or await _first(pieces)
        return exchange.handed_on(answer, lease, outcome, pieces, found, later=True)
    except GeneratorExit:  # the task is collected: its drive sees to the lease, and nothing may be waited for
        raise
    except BaseException as error:
        failed = exchange.failed(error, lease, counts_as(error))  # first: what follows may be cancelled
        if stream is not None:
            with suppress(Exception):
                await stream.aclose()
        if failed is error:
            raise
        raise failed from None


async def _first(pieces: Any) -> bytes | None:
    async for piece in pieces:
        if piece:
            found: bytes = piece
            return found
    return None


async def _beginning(pieces: Any) -> bytes:
    """Return a body, or the beginning of one that is longer than any error."""
    content = bytearray()
    async for piece in pieces:
        content += piece
        if len(content) > MOST_BYTES:
            break
    return bytes(content)
