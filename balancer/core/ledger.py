"""Who holds what. Conservation lives here.

For every endpoint: leases out = in-flight <= the limit in force when each was granted. A lease ends
exactly once. An endpoint that leaves while leased stays on the books until its last lease ends, and
gets no new one meanwhile. The ledger must not know who waits, nor how a strategy chooses.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import cast

from balancer.endpoint import Endpoint, Holder, Lease, Outcome
from balancer.errors import DuplicateEndpoint, LeaseError, StrategyError, UnknownEndpoint
from balancer.metrics import EndpointStats
from balancer.strategy import Node, Request, Strategy

__all__ = ["Account", "Ledger", "State"]


_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class State(Enum):
    """Whether an endpoint takes new leases, and what happens to it afterwards."""

    ACTIVE = "active"
    DRAINING = "draining"  # no new leases; stays listed until it is added back or removed
    RETIRING = "retiring"  # no new leases; gone when the last one ends


class Account(Node):
    """One endpoint's entry. While it is not active its limit is 0, so nothing can be leased."""

    __slots__ = ("busy_s", "failures", "leases", "overloads", "state")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.state = State.ACTIVE
        self.leases = 0
        self.failures = 0
        self.overloads = 0
        # Sum of (end - start) over its leases, with -start booked at the grant and +end at the end:
        # one addition each, and `busy_s + in_flight * now` counts the leases that are still out.
        self.busy_s = 0.0


_Picker = Callable[[Request, float], Account | None]


class Ledger:
    """The accounts, the strategy that chooses among the active ones, and the leases out.

    Attributes:
        granted: leases granted so far, which is also the id of the last one.
    """

    def __init__(self, endpoints: Iterable[Endpoint], strategy: Strategy, *, holder: Holder, now: float) -> None:
        self.granted = 0
        self._holder = holder
        self._accounts: dict[str, Account] = {}
        self._strategy = strategy
        self._pick: _Picker = _picker(strategy)
        for endpoint in endpoints:
            self.add(endpoint, now)

    # -- leases ------------------------------------------------------------------------------------

    def take(self, request: Request, now: float) -> Lease | None:
        """Lease the strategy's choice for `request`, or return None if no free slot may serve it."""
        account = self._pick(request, now)
        if account is None:
            return None
        if account.in_flight >= account.limit or not (request.open or request.admits(account.endpoint)):
            raise StrategyError(self._strategy.name, f"picked {account!r}, which cannot serve {request}")
        account.in_flight += 1
        account.leases += 1
        account.busy_s -= now
        self.granted += 1
        return Lease(self.granted, account.endpoint, now, account, self._holder)

    def end(self, lease: Lease, outcome: Outcome, now: float) -> tuple[()]:
        """End `lease`. Return nothing, as an empty tuple: the waiters that this served.

        Raises:
            LeaseError: it ended before, or was granted elsewhere. Nothing is changed.
        """
        if lease._holder is not self._holder:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; return it there")
        account: Account | None = lease.account
        if account is None:
            raise LeaseError(lease.id, f"{lease!r} was given back already; a lease ends once")
        lease.account = None
        account.in_flight -= 1
        account.busy_s += now
        if outcome is not _SUCCESS:
            account.failures += outcome is Outcome.FAILURE
            account.overloads += outcome is Outcome.OVERLOAD
        if account.limit:
            self._strategy.finish(account, outcome, now - lease.granted_s, now)
        elif account.state is State.RETIRING and not account.in_flight:
            del self._accounts[account.endpoint.url]
        return ()

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> None:
        """Take `endpoint` into service; one that is draining or retiring comes back, leases and all.

        Raises:
            DuplicateEndpoint: an active endpoint has this URL.
        """
        account = self._accounts.get(endpoint.url)
        if account is None:
            account = self._accounts[endpoint.url] = Account(endpoint)
        elif account.state is State.ACTIVE:
            raise DuplicateEndpoint(endpoint.url)
        account.endpoint = endpoint
        account.state = State.ACTIVE
        account.limit = endpoint.capacity
        self._strategy.join(account, now)

    def update(self, endpoint: Endpoint, now: float) -> None:
        """Give the endpoint of this URL a new capacity, weight or labels.

        A capacity below what is in flight takes effect as leases end.
        """
        account = self.account(endpoint.url)
        account.endpoint = endpoint
        if account.state is not State.ACTIVE:
            return
        account.limit = endpoint.capacity
        self._strategy.change(account, now)

    def stop(self, url: str, state: State, now: float) -> None:
        """Grant no new lease of `url`: `DRAINING` keeps it listed, `RETIRING` forgets it when idle."""
        account = self.account(url)
        if account.state is State.ACTIVE:
            account.limit = 0
            self._strategy.leave(account, now)
        if state is State.RETIRING or account.state is State.ACTIVE:
            account.state = state
        if account.state is State.RETIRING and not account.in_flight:
            del self._accounts[url]

    def use(self, strategy: Strategy, now: float) -> None:
        """Let `strategy` choose from now on; what is out stays out."""
        notes = [(account, account.note) for account in self.active()]
        try:
            for account, _ in notes:
                strategy.join(account, now)
        except Exception:  # the one in force goes on, and needs its notes
            for account, note in notes:
                account.note = note
            raise
        self._strategy = strategy
        self._pick = _picker(strategy)

    # -- looking -----------------------------------------------------------------------------------

    @property
    def strategy(self) -> Strategy:
        """The strategy in force."""
        return self._strategy

    def account(self, url: str) -> Account:
        """Return the account of `url`.

        Raises:
            UnknownEndpoint: no endpoint has this URL.
        """
        try:
            return self._accounts[url]
        except KeyError:
            raise UnknownEndpoint(url, self._accounts) from None

    def accounts(self) -> list[Account]:
        """Return every account, in the order they were added."""
        return list(self._accounts.values())

    def active(self) -> list[Account]:
        """Return the accounts that take new leases."""
        return [account for account in self._accounts.values() if account.state is State.ACTIVE]

    def could_serve(self, request: Request) -> bool:
        """Return whether some active endpoint, free or not, may serve `request`."""
        for account in self._accounts.values():  # not any(): a generator costs more than what it mostly finds at once
            if account.state is State.ACTIVE and (request.open or request.admits(account.endpoint)):
                return True
        return False

    def stats(self, now: float) -> list[EndpointStats]:
        """Return every account's counters; O(N)."""
        total = sum(account.leases for account in self._accounts.values()) or 1
        return [
            EndpointStats(
                url=a.endpoint.url,
                state=a.state.value,
                in_flight=a.in_flight,
                limit=a.limit,
                leases=a.leases,
                failures=a.failures,
                share=a.leases / total,
                busy_s=max(0.0, a.busy_s + a.in_flight * now),  # never -1e-13 from rounding
                overloads=a.overloads,
                capacity=a.endpoint.capacity,
                weight=a.endpoint.weight,
            )
            for a in self._accounts.values()
        ]


def _picker(strategy: Strategy) -> _Picker:
    # What a strategy picks is one of the nodes it was told to join, and those are accounts.
    return cast(_Picker, strategy.pick)
