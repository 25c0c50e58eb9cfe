"""The core a shell drives: leases for those who ask, a hand-off for those who wait.

Decides when a waiter is served and when it fails. After every call this holds: no waiter could use a
slot that is free (work conservation), so a new request that finds a free slot overtakes nobody.
The core must not know clocks, threads or sockets; it is not thread-safe, and calls nothing but the
strategy's methods.

Methods that can end waiters return those that ended. Their `lease` or `error` is set; the shell wakes
them once it has let go of its lock.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from balancer.core.ledger import Ledger, State
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Endpoint, Holder, Lease, Outcome
from balancer.errors import AcquireTimeout, BalancerError, NoEndpoint, PoolClosed, StrategyError, TooManyWaiters
from balancer.metrics import EndpointStats, WaitHistogram
from balancer.strategy import Request, Strategy

__all__ = ["Core"]

Ended = Sequence[Waiter]


class Core:
    """Ledger, waiters and strategy behind one set of calls.

    Args:
        endpoints: those in service from the start; URLs must differ.
        strategy: chooses; it must be fresh.
        holder: who the leases go back to (the shell).
        max_waiters: how many may wait at once; None for any number.
        now: the shell's clock.

    Raises:
        DuplicateEndpoint: two endpoints have one URL.
        ValueError: `max_waiters` is negative.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        strategy: Strategy,
        *,
        holder: Holder,
        max_waiters: int | None = None,
        now: float,
    ) -> None:
        if max_waiters is not None and max_waiters < 0:
            raise ValueError(f"max_waiters is {max_waiters}; it must be >= 0, or None for no limit")
        self._ledger = Ledger(endpoints, strategy, holder=holder, now=now)
        self._waiters = WaitQueue()
        self._max_waiters = max_waiters
        self._waits = WaitHistogram()
        self._timed_out = 0
        self._closed = False
        # Nobody waits for a slot that is free, so to acquire is to take; and while nobody waits at all, to
        # release is to end. The aliases save two calls a lease.
        self.acquire: Callable[[Request, float], Lease | None] = self._ledger.take
        """Return a lease at once, or None if it takes waiting (see `wait`); PoolClosed once it is closed."""
        self.release: Callable[[Lease, Outcome, float], Ended] = self._ledger.end
        """End a lease and hand its slot on; LeaseError, and nothing changed, if it is not out."""

    # -- leases ------------------------------------------------------------------------------------

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request that `acquire` could not serve.

        Raises:
            NoEndpoint: nobody in service could ever serve it.
            TooManyWaiters: the queue is full.
        """
        if not self._ledger.could_serve(request):
            raise self._no_endpoint(request)
        full = self._max_waiters is not None and self._waiters.size >= self._max_waiters
        if full and deadline_s > now:  # one that will not wait is no burden: it gets its time-out
            raise TooManyWaiters(self._waiters.size, self._max_waiters or 0)
        self.release = self._end_and_hand_off
        return self._waiters.push(request, now, deadline_s, priority, wake)

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> None:
        """Let `waiter` give up, because its time ran out or because its caller is gone.

        Does nothing to one that has ended: its lease is then its owner's to use or to give back.
        """
        if waiter.ended:
            return
        self._waiters.discard(waiter)
        if timed_out:
            self._expire(waiter, now)
        else:
            waiter.error = BalancerError("the wait was cancelled")

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> Ended:
        """Take an endpoint into service, or back into it. Raises DuplicateEndpoint if it is active already."""
        self._ledger.add(endpoint, now)
        return self._hand_off(now)

    def update(self, endpoint: Endpoint, now: float) -> Ended:
        """Replace the spec of the endpoint with this URL. Raises UnknownEndpoint if there is none."""
        self._ledger.update(endpoint, now)
        return [*self._fail_stranded(now), *self._hand_off(now)]

    def drain(self, url: str, now: float) -> Ended:
        """Grant no new lease of `url`, but keep it listed. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(url, State.DRAINING, now)
        return self._fail_stranded(now)

    def remove(self, url: str, now: float) -> Ended:
        """Grant no new lease of `url` and forget it once idle. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(url, State.RETIRING, now)
        return self._fail_stranded(now)

    def set_strategy(self, strategy: Strategy, now: float) -> Ended:
        """Let a fresh `strategy` choose from now on; leases and waiters carry over."""
        self._ledger.use(strategy, now)
        return self._hand_off(now)

    def close(self) -> Ended:
        """Fail every waiter and every later acquire; leases out may still be returned."""
        self._closed = True
        self.acquire = _refuse
        return self._fail(list(self._waiters), PoolClosed)

    # -- looking -----------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiters.size

    @property
    def ledger(self) -> Ledger:
        """Who holds what; to look at, not to change."""
        return self._ledger

    def counters(self, now: float) -> tuple[list[EndpointStats], dict[str, int], WaitHistogram]:
        """Return what `PoolStats.of` needs, copied, so that the sums can be done outside a lock."""
        totals = {"acquired": self._ledger.granted, "timed_out": self._timed_out, "waiting": self._waiters.size}
        return self._ledger.stats(now), totals, self._waits.copy()

    def __repr__(self) -> str:
        accounts = self._ledger.accounts()
        counts = Counter(account.state for account in accounts)
        states = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
        busy = sum(account.in_flight for account in accounts)
        slots = sum(account.limit for account in accounts)
        return (
            f"{self._ledger.strategy.name}: {states or 'no endpoints'}; {busy}/{slots} in flight, "
            f"{self._waiters.size} waiting, {self._ledger.granted} granted{', closed' if self._closed else ''}"
        )

    # -- inside ------------------------------------------------------------------------------------

    def _end_and_hand_off(self, lease: Lease, outcome: Outcome, now: float) -> Ended:
        self._ledger.end(lease, outcome, now)
        # No waiter could use a slot that was free before, so the one that came free now serves one at most.
        ended = self._serve_head(now) or self._hand_off(now, most=1)
        if not self._waiters.size:
            self.release = self._ledger.end
        return ended

    def _serve_head(self, now: float) -> Ended:
        """Serve the head of the queue if that is plainly who is next: nearly always all ask for the same."""
        head = self._waiters.sole_head
        if head is None or now >= head.deadline_s:
            return ()
        self._serve(head, now)
        if not head.ended:
            return ()
        self._waiters.discard(head)
        return [head]

    def _hand_off(self, now: float, *, most: int | None = None) -> list[Waiter]:
        """Serve those who can be served, oldest claim first, but not more than `most`."""
        ended: list[Waiter] = []
        served = 0
        for waiter in self._waiters.candidates():
            if now >= waiter.deadline_s:
                self._expire(waiter, now)
            else:
                self._serve(waiter, now)
            if waiter.lease is not None or waiter.error is not None:
                self._waiters.discard(waiter)
                ended.append(waiter)
                served += waiter.lease is not None
                if served == most:
                    break
        return ended

    def _serve(self, waiter: Waiter, now: float) -> None:
        try:
            waiter.lease = self._ledger.take(waiter.request, now)
        except Exception as error:
            # The strategy's fault. It is told to the waiter it failed to serve, not to whoever gave the slot
            # back; and those who were served already must still be woken.
            strategy = self._ledger.strategy.name
            waiter.error = error if isinstance(error, StrategyError) else StrategyError(strategy, f"raised {error!r}")
        if waiter.lease is not None:
            self._waits.add(now - waiter.since_s)

    def _expire(self, waiter: Waiter, now: float) -> None:
        self._timed_out += 1
        waiter.error = AcquireTimeout(now - waiter.since_s, waiter.deadline_s - waiter.since_s)

    def _fail_stranded(self, now: float) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        ended: list[Waiter] = []
        for request in self._waiters.requests():
            if not self._ledger.could_serve(request):
                ended += self._fail(self._waiters.asking(request), partial(self._no_endpoint, request))
        return ended

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            self._waiters.discard(waiter)
            waiter.error = error()  # one each: a raised error carries its own traceback
        return waiters

    def _no_endpoint(self, request: Request) -> NoEndpoint:
        return NoEndpoint(request.labels, request.exclude, len(self._ledger.active()))


def _refuse(request: Request, now: float) -> Lease | None:
    raise PoolClosed
