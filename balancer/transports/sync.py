"""HTTP transport for threads: `httpx2.Client(transport=BalancedTransport(pool))`, and the same for httpx.

It uses the same driver as `Pool.call`. The lease of an answer stays out until its body ends.
"""

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.errors import CannotTell
from balancer.pool.pool import Pool
from balancer.shells.acts import follow
from balancer.shells.driver import ThreadDriver
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.exchange import TransportBase
from balancer.transports.time_bound import TimeBound, bind

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Both(httpx2.BaseTransport, httpx.BaseTransport):  # type: ignore[misc]
        """The base classes of both libraries."""

else:
    _Both = object  # no base class is needed: both libraries only call the methods

__all__ = ["BalancedTransport", "CountsAs", "answered"]


T = TypeVar("T")

CountsAs = Callable[[BaseException], BaseException]
"""Returns the error that ends a lease, for the error of its attempt."""


class BalancedTransport(TransportBase, _Both):
    """Sends each request of an httpx2 or httpx client to an endpoint of a pool. Thread-safe, as such a client is.

    The host of a request is a placeholder: `http://pool/v1/models` goes to "v1/models" below the URL of the leased
    endpoint. Each request holds one lease until the body of its answer is read or closed. Before the first byte of a
    body, a failed request is tried elsewhere, as `Pool.call` would; after it, never. An attempt that still runs at the
    deadline is ended, and the client gets its own `ReadTimeout`.

    Closing the transport closes connections, not the pool.
    """

    _INNER = "HTTPTransport"
    __doc__ += f"\n{TransportBase.__doc__.partition(chr(10))[2]}" if __doc__ and TransportBase.__doc__ else ""

    def handle_request(self, request: Any) -> Any:
        """Return the answer of some endpoint. Its body holds the lease.

        Raises the errors of the client's library: its transport errors, and `PoolTimeout` if no endpoint came free in
        time.
        """
        exchange = self._exchange(request)
        inner = self._inner(exchange.http)
        if exchange.plan.terms.deadline_s < math.inf:
            bind(inner)

        def attempt(lease: Lease, run: Run, counts_as: CountsAs) -> Any:
            return follow(exchange.attempt(inner, lease, run, counts_as=counts_as))

        try:
            return answered(self._pool, exchange.plan, exchange.asked, attempt)
        except Exception as error:
            ended = error
        return exchange.came_to(ended)

    def close(self) -> None:
        """Close all connections. The pool stays open."""
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


def answered(pool: Pool, plan: AttemptPlan, asked: LeaseRequest, attempt: Callable[[Lease, Run, CountsAs], T]) -> T:
    """Return the answer of an attempt along `plan`. Its body keeps the lease. Raises the error that ends the plan.

    An attempt that still runs at its deadline is ended, as it would be in a task: `DeadlinePassed`.

    Args:
        pool: leases the endpoints.
        plan: a new plan.
        asked: what its leases ask for.
        attempt: makes one attempt. If it raises an error, it has ended the lease by what that error counts as, which
            its third argument returns.
    """

    def make(run: Run, hand: list[Lease]) -> T:
        bound = TimeBound(run.cut_s)

        def counts_as(error: BaseException) -> BaseException:
            if not bound.is_over or not isinstance(error, Exception):
                return error
            return driver.late() if run.cut_blames else CannotTell("it was asked too late")

        try:
            with bound:
                answer = attempt(hand[0], run, counts_as)
        except Exception:
            if not bound.is_over:
                raise
        else:
            hand.clear()  # now the body has the lease
            return answer
        raise driver.overrun()

    driver: ThreadDriver[T] = ThreadDriver(pool.engine, plan, asked, make, sleep=time.sleep)
    return driver.run()
