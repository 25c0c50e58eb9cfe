"""HTTP transport for threads: `httpx2.Client(transport=BalancedTransport(pool))`, and the same for httpx.

It uses the same driver as `Pool.call`. The lease of an answer stays out until its body ends.
"""

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from balancer.core.decisions import Run
from balancer.errors import CannotTell
from balancer.shells.acts import follow
from balancer.shells.driver import AbstractThreadDriver
from balancer.transports.exchange import RequestExchange
from balancer.transports.httpx_exchange import TransportBase
from balancer.transports.time_bound import TimeBound, bind

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Both(httpx2.BaseTransport, httpx.BaseTransport):  # type: ignore[misc]
        """The base classes of both libraries."""

else:
    _Both = object  # no base class is needed: both libraries only call the methods

__all__ = ["BalancedTransport", "ThreadRequest"]


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
        exchange = self._exchange(request, later=False)
        if exchange.plans.policy.deadline_s < math.inf:
            bind(exchange.inner)
        return ThreadRequest(exchange).answer()

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


class ThreadRequest(AbstractThreadDriver[Any]):
    """One request along its plan. An attempt that still runs at the deadline is ended, as it would be in a task.

    Args:
        exchange: the request.
    """

    _bound: TimeBound | None = None  # of the current attempt
    _run_now = Run()

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        if run.cut_s == math.inf:
            return self._attempt(run)
        self._run_now, self._bound = run, TimeBound(run.cut_s)
        try:
            with self._bound:
                return self._attempt(run)
        except Exception:
            if not self._bound.is_over:
                raise
        raise self.overrun()

    def _attempt(self, run: Run) -> Any:
        answer = follow(self._exchange.attempt(self, self.hand[0], run))
        self.hand.clear()  # now the body has the lease
        return answer

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`."""
        if self._bound is None or not isinstance(error, Exception):
            return error
        # An inner transport that keeps no bound has shorter timeouts.
        timed_out = type(error).__name__.endswith("Timeout") and self._clock() >= self.plan.until_s
        if not (self._bound.is_over or timed_out):
            return error
        return self.late() if self._run_now.cut_blames else CannotTell("it was asked too late")

    def pause(self, pause_s: float) -> None:
        """Wait so many seconds."""
        time.sleep(pause_s)
