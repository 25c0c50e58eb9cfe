"""Who holds what. Conservation lives here.

For every endpoint: leases out = in-flight <= the limit in force when each was granted. A lease ends
exactly once. An endpoint that leaves while leased stays on the books until its last lease ends, and
gets no new one meanwhile. The ledger must not know who waits, nor how a strategy chooses.
"""

from collections.abc import Callable, Iterable
from typing import cast

from balancer.core.account import Account, State
from balancer.core.events import Added, Drained, Journal, LimitChanged, Removed
from balancer.core.rules import Rules
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import DuplicateEndpoint, LeaseError, StrategyError, UnknownEndpoint
from balancer.settings.urls import identity_of
from balancer.strategy import Request, Strategy

__all__ = ["Ledger"]


_SUCCESS, _ACTIVE = Outcome.SUCCESS, State.ACTIVE  # looked up once: an attribute of an Enum is slow to find


_Picker = Callable[[Request, float], Account | None]


class Ledger:
    """The accounts, the strategy that chooses among the active ones, and the leases out.

    Attributes:
        granted: leases granted so far, which is also the id of the last one.
        out: the leases that are out, by id, oldest first.
        failures, overloads, ignored: leases that ended so, with those of endpoints that have gone.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        strategy: Strategy,
        *,
        lender: Lender,
        rules: Rules,
        journal: Journal,
        timed: Callable[[Lease, float], object],
        now: float,
    ) -> None:
        self.granted = 0
        self.out: dict[int, Lease] = {}
        self.failures = self.overloads = self.ignored = 0
        self._lender = lender
        self._rules = rules
        self._journal = journal
        self._timed = timed
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
        if request.open:
            if account.in_flight >= account.limit:
                raise self._broken(request, account)
            lease = Lease()
            lease.slots = 1
            account.in_flight += 1
        else:
            if not request.fits(account):
                raise self._broken(request, account)
            slots = request.takes(account)
            lease = Lease()
            lease.slots = slots
            account.in_flight += slots
        # No call from here to the table: an interrupt comes at a call, and finds a lease that is out in the table.
        lease.id = self.granted = number = self.granted + 1
        lease.endpoint = account.endpoint
        lease.granted_s = now
        lease.account = account
        lease.lender = self._lender
        lease.outcome = lease.hint = None
        lease.terms = terms = request.terms
        self.out[number] = lease
        account.leases += 1
        if terms is not None and terms.timed:
            self._timed(lease, now)
        if account.alert:
            self.refresh(self._rules.granted(account, lease), now)
        return lease

    def end(self, lease: Lease, outcome: Outcome, now: float) -> tuple[()]:
        """End `lease`. Return nothing, as an empty tuple: the waiters that this served.

        Raises:
            LeaseError: it ended before, or was granted elsewhere. Nothing is changed.
            TypeError: `outcome` is no outcome; likewise.
        """
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; return it there")
        account: Account | None = lease.account
        if account is None:
            raise LeaseError(lease.id, getattr(lease, "fate", f"{lease!r} was given back already; a lease ends once"))
        if outcome is not _SUCCESS:
            self._count(account, outcome)
        lease.account = None
        del self.out[lease.id]
        held_s = now - lease.granted_s
        if lease.slots == 1:  # a product of a whole number and a float is slow
            account.in_flight -= 1
            account.busy_s += held_s
        else:
            account.in_flight -= lease.slots
            account.busy_s += held_s * lease.slots
        if account.state is _ACTIVE:
            self._strategy.finish(account, outcome, held_s, now)
        elif account.state is State.RETIRING and not account.in_flight:
            self._forget(account)
        return ()

    def learn(self, account: Account, lease: Lease, outcome: Outcome, now: float) -> None:
        """Let the rules learn how a lease of `account` ended."""
        self.refresh(self._rules.ended(account, lease, outcome, now), now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool) -> None:
        """Let the rules learn from an active probe; of an endpoint that has gone, nothing."""
        account = self._accounts.get(identity_of(name))
        if account is not None:
            self.refresh(self._rules.pinged(account, ok, now, conclusive=conclusive), now)

    def recount(self) -> None:
        """Count anew what is in flight on hosts: an interrupt may come between a lease and its count there; O(N)."""
        self._rules.recount(self._accounts.values())

    def tick(self, now: float) -> None:
        """Let time do what is due."""
        self.refresh(self._rules.tick(now), now)

    def refresh(self, accounts: Iterable[Account], now: float) -> None:
        """Let the strategy know of the accounts that stand otherwise than it was told."""
        for account in accounts:
            if account.state is State.ACTIVE:
                before = account.ceiling, account.limit, account.weight
                self._stand(account, now)
                if before != (account.ceiling, account.limit, account.weight):
                    self._strategy.change(account, now)
                    self._tell_limit(account, before[0], now)

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> None:
        """Take `endpoint` into service; one that is draining or retiring comes back, leases and all.

        Raises:
            DuplicateEndpoint: an active endpoint has this name.
        """
        account = self._accounts.get(endpoint.identity)
        if account is None:
            account = self._accounts[endpoint.identity] = Account(endpoint)
        elif account.state is State.ACTIVE:
            raise DuplicateEndpoint(endpoint.name, account.endpoint.name)
        account.endpoint = endpoint
        account.state = State.ACTIVE
        account.ceiling = 1  # not out of service, whatever it was
        moved = self._rules.join(account, now)
        self._stand(account, now)
        self._strategy.join(account, now)
        self.refresh(moved, now)
        self._journal.note(Added, now, endpoint.name)

    def update(self, endpoint: Endpoint, now: float) -> None:
        """Give the endpoint of this name a new capacity, weight or labels.

        A capacity below what is in flight takes effect as leases end.
        """
        account = self.account(endpoint.name)
        account.endpoint = endpoint
        if account.state is not State.ACTIVE:
            return
        moved = self._rules.change(account)
        before = account.ceiling
        self._stand(account, now)
        self._tell_limit(account, before, now)
        self._strategy.change(account, now)
        self.refresh(moved, now)

    def stop(self, name: str, state: State, now: float) -> None:
        """Grant no new lease of the endpoint `name`: `DRAINING` keeps it listed, `RETIRING` forgets it when idle."""
        account = self.account(name)
        was_active = account.state is State.ACTIVE
        if was_active or state is State.RETIRING:
            account.state = state
        if was_active:
            if not account.ceiling:
                account.out_s += now
            account.limit = account.ceiling = 0
            self._strategy.leave(account, now)
            self.refresh(self._rules.leave(account, now), now)
        self._journal.note(Removed if state is State.RETIRING else Drained, now, account.endpoint.name)
        if account.state is State.RETIRING and not account.in_flight:
            self._forget(account)

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

    @property
    def calls(self) -> int:
        """How many leases have ended with an outcome that says something of their endpoint."""
        return self.granted - len(self.out) - self.ignored

    def account(self, name: str) -> Account:
        """Return the account of the endpoint `name`.

        Raises:
            UnknownEndpoint: no endpoint has this name.
        """
        try:
            return self._accounts[identity_of(name)]
        except KeyError:
            raise UnknownEndpoint(name, [account.endpoint.name for account in self.accounts()]) from None

    def accounts(self) -> list[Account]:
        """Return every account, in the order they were added."""
        return list(self._accounts.values())

    def active(self) -> list[Account]:
        """Return the accounts that take new leases."""
        return [account for account in self._accounts.values() if account.state is State.ACTIVE]

    def lease(self, id: int) -> Lease:
        """Return the lease that is out under this id.

        Raises:
            LeaseError: there is none.
        """
        try:
            return self.out[id]
        except KeyError:
            raise LeaseError(id, "it is not out: it has ended, or was never granted; see Pool.leases()") from None

    def unfit(self) -> int:
        """Return how many active endpoints serve nobody for now, because of their health; O(N)."""
        return sum(account.state is _ACTIVE and not account.ceiling for account in self._accounts.values())

    def could_serve(self, request: Request) -> bool:
        """Return whether some active endpoint, free or not, may serve `request`."""
        for account in self._accounts.values():  # not any(): a generator costs more than what it mostly finds at once
            if account.state is State.ACTIVE and (request.open or request.admits(account.endpoint)):
                return True
        return False

    # -- inside ------------------------------------------------------------------------------------

    def _tell_limit(self, account: Account, before: int, now: float) -> None:
        if before != account.ceiling:
            self._journal.note(LimitChanged, now, account.endpoint.name, account.ceiling)

    def _stand(self, account: Account, now: float) -> None:
        was_out = not account.ceiling
        account.ceiling, account.limit, account.weight = self._rules.standing(account, now)
        if was_out is bool(account.ceiling):
            account.out_s += now if was_out else -now
        if account.kept:
            account.limit = min(account.limit, account.in_flight)

    def _count(self, account: Account, outcome: Outcome) -> None:
        if not isinstance(outcome, Outcome):
            raise TypeError(f"outcome is {outcome!r}; it takes an Outcome, e.g. Outcome.FAILURE")
        if outcome is Outcome.FAILURE:
            self.failures += 1
            account.failures += 1
        elif outcome is Outcome.OVERLOAD:
            self.overloads += 1
            account.overloads += 1
        else:
            self.ignored += 1

    def _forget(self, account: Account) -> None:
        del self._accounts[account.endpoint.identity]
        self._rules.forget(account)

    def _broken(self, request: Request, account: Account) -> StrategyError:
        return StrategyError(self._strategy.name, f"picked {account!r}, which cannot serve {request}")


def _picker(strategy: Strategy) -> _Picker:
    # What a strategy picks is one of the nodes it was told to join, and those are accounts.
    return cast(_Picker, strategy.pick)
