"""HTTP transport for threads: `httpx2.Client(transport=BalancedTransport(pool))`, and the same for httpx.

Decides nothing. The attempt plan decides where a request goes and when it is tried again, through the same driver as
`Pool.call`; only the lease of an answer that is handed on stays out, until its body ends.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.pool.pool import Pool
from balancer.shells.acts import follow
from balancer.shells.driver import ThreadDriver
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.exchange import TransportBase

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Both(httpx2.BaseTransport, httpx.BaseTransport):  # type: ignore[misc]
        """What either library takes."""

else:
    _Both = object  # neither is needed to be one: both ask for the methods only

__all__ = ["BalancedTransport", "answered"]


T = TypeVar("T")


class BalancedTransport(TransportBase, _Both):
    """Sends each request of an httpx2 or httpx client to an endpoint of a pool. Thread-safe, as such a client is.

    The host of a request is a placeholder: `http://pool/v1/models` goes to "v1/models" below the URL of the endpoint
    that is leased. One lease is held for each request, until the body of its answer is read or closed. Until the first
    byte of a body has come a request is tried elsewhere, as `Pool.call` would; never after.

    Closing it closes connections, not the pool.
    """

    _INNER = "HTTPTransport"
    __doc__ += f"\n{TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and TransportBase.__doc__ else ""

    def handle_request(self, request: Any) -> Any:
        """Return the answer of some endpoint; its body holds the lease.

        Raises what the client's library raises: its transport errors, `PoolTimeout` if no endpoint came free in time.
        """
        exchange = self._exchange(request)
        inner = self._inner(exchange.http)

        def attempt(lease: Lease, run: Run) -> Any:
            return follow(exchange.attempt(inner, lease, run))

        try:
            return answered(self._pool, exchange.plan, exchange.asked, attempt)
        except Exception as error:
            ended = error
        return exchange.came_to(ended)

    def close(self) -> None:
        """Close all connections; the pool stays open."""
        for inner in self._inners():
            inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


def answered(pool: Pool, plan: AttemptPlan, asked: LeaseRequest, attempt: Callable[[Lease, Run], T]) -> T:
    """Return the answer that an attempt along `plan` came to; its body keeps the lease. Raises what the plan ends with.

    Args:
        pool: leases the endpoints.
        plan: fresh.
        asked: what its leases are asked for.
        attempt: makes one; if it raises, its lease has ended.
    """

    def make(run: Run, hand: list[Lease]) -> T:
        lease = hand[0]
        answer = attempt(lease, run)
        hand.clear()  # the body has it from now on
        return answer

    driver: ThreadDriver[T] = ThreadDriver(pool.engine, plan, asked, make, sleep=time.sleep)
    return driver.run()
