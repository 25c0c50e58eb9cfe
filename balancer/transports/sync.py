"""HTTP transport for threads: `httpx2.Client(transport=BalancedTransport(pool))`, and the same for httpx.

It uses the same driver as `Pool.call`. The lease of an answer stays out until its body ends.
"""

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.errors import CannotTell
from balancer.shells.acts import follow
from balancer.shells.driver import AbstractThreadDriver
from balancer.shells.engine import Engine
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

__all__ = ["BalancedTransport", "BoundDriver"]


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
        if exchange.plans.policy.deadline_s < math.inf:
            bind(inner)

        def send(drive: BoundDriver, lease: Lease, run: Run) -> Any:
            return follow(exchange.attempt(inner, drive, lease, run))

        drive = BoundDriver(self._pool.engine, exchange.plans, exchange.asked, send)
        try:
            return drive.run()
        except Exception as error:
            ended = error
        return exchange.came_to(ended, drive)

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


class BoundDriver(AbstractThreadDriver[Any]):
    """One request along its plan. An attempt that still runs at the deadline is ended, as it would be in a task.

    Args:
        engine, plans, asked: as for `CallDriver`.
        send: makes one attempt, given this driver, the lease and the run. The answer keeps the lease. If it raises an
            error, it has ended the lease by `counts_as` of the error.
    """

    def __init__(
        self, engine: Engine, plans: AttemptPlans, asked: LeaseRequest, send: "Callable[[BoundDriver, Lease, Run], Any]"
    ) -> None:
        super().__init__(engine, plans, asked)
        self._send = send

    def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        self._run_now, self._bound = run, TimeBound(run.cut_s)
        try:
            with self._bound:
                answer = self._send(self, self.hand[0], run)
        except Exception:
            if not self._bound.is_over:
                raise
        else:
            self.hand.clear()  # now the body has the lease
            return answer
        raise self.overrun()

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`."""
        if not self._bound.is_over or not isinstance(error, Exception):
            return error
        return self.late() if self._run_now.cut_blames else CannotTell("it was asked too late")

    def pause(self, pause_s: float) -> None:
        """Wait so many seconds."""
        time.sleep(pause_s)
