"""HTTP transport for tasks: `httpx2.AsyncClient(transport=AsyncBalancedTransport(pool))`, and the same for httpx.

Decides nothing. Tasks of asyncio and of trio wait in `pool.aio`; all else is as in `balancer.transports.sync`.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.shells.acts import follow_in_task
from balancer.shells.tasks.driver import TaskDriver
from balancer.transports.exchange import TransportBase

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
            answer = await follow_in_task(exchange.attempt(inner, hand[0], later=True, counts_as=drive.counts_as))
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
