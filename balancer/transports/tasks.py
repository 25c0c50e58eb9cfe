"""HTTP transport for tasks: `httpx2.AsyncClient(transport=AsyncBalancedTransport(pool))`, and the same for httpx.

Tasks of asyncio and trio wait in `pool.aio`. All else is as in `balancer.transports.sync`.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from balancer.core.decisions import Run
from balancer.shells.acts import follow_in_task
from balancer.shells.tasks.driver import AbstractTaskDriver
from balancer.transports.exchange import RequestExchange
from balancer.transports.httpx_exchange import TransportBase

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Both(httpx2.AsyncBaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]
        """The base classes of both libraries."""

else:
    _Both = object  # no base class is needed: both libraries only call the methods

__all__ = ["AsyncBalancedTransport", "TaskRequest"]


class AsyncBalancedTransport(TransportBase, _Both):
    """Sends each request of an `AsyncClient` of httpx2 or httpx to an endpoint of a pool, as `BalancedTransport` does.

    A cancelled task releases what it holds at once, as neither success nor failure. An attempt that still runs at the
    deadline is ended, and the client gets its own `ReadTimeout`.
    """

    _INNER = "AsyncHTTPTransport"
    __doc__ += f"\n{TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and TransportBase.__doc__ else ""

    async def handle_async_request(self, request: Any) -> Any:
        """Return the answer of some endpoint. Its body holds the lease. Raises as `BalancedTransport` does."""
        return await TaskRequest(self._exchange(request, later=True)).answer()

    async def aclose(self) -> None:
        """Close all connections. The pool stays open."""
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


class TaskRequest(AbstractTaskDriver[Any]):
    """One request along its plan, in a task.

    Args:
        exchange: the request.
    """

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    async def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return await self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    async def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        answer = await follow_in_task(self._exchange.attempt(self, self.hand[0]))
        self.hand.clear()  # now the body has the lease
        return answer
