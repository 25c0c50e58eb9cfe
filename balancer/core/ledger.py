"""The ledger: which leases are out, and how many slots of each endpoint are in flight.

For every endpoint, the slots of the leases that are out are its in-flight count, which was within the limit at each
grant. A lease ends exactly once. An endpoint that leaves while it is leased stays in the ledger until its last lease
ends, and gets no new one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from balancer.answers import Load
from balancer.core.account import Account, EndpointKinds
from balancer.core.events import Added, Drained, Event, Journal, LimitChanged, Removed, Spent
from balancer.core.quotas import Meter
from balancer.core.rules import Rules
from balancer.core.states import MEMBERSHIP, MembershipEvent, MembershipState
from balancer.core.strategy_calls import has_no_room, refuse, tell
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Lender, Outcome
from balancer.errors import DuplicateEndpoint, LeaseError, NoEndpoint, QuotaExceeded, StrategyError, UnknownEndpoint
from balancer.strategy import Request, Strategy
from balancer.values.urls import identity_of

__all__ = ["Ledger"]


_SUCCESS, _ACTIVE = Outcome.SUCCESS, MembershipState.ACTIVE  # looked up once: an attribute of an Enum is slow to find
_STRANGER = "picked a {}, which is not a node in service of this pool; pick one that was passed to join"


class Ledger:
    """The accounts, the strategy that chooses among the active ones, and the leases out.

    Attributes:
        strategy: the one in force. Read only.
        granted: how many leases were granted so far; also the id of the last one.
        out: the leases that are out, by id, oldest first.
        failures, overloads, ignored: how many leases ended so, also at endpoints that have gone.
        learns: True if the end of a lease may concern the rules or a timer: there are rules, or leases with limits.
        kinds: the endpoints in service, by kind. Read only.
        stranded: True if waiters may be left without an endpoint, until those have failed.
        sinks: get the leases that have ended, one for each trace. See `recording`.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        strategy: Strategy,
        *,
        lender: Lender,
        rules: Rules,
        journal: Journal,
        meters: Mapping[str, Meter],
        timed: Callable[[Lease, float], object],
        look: Callable[[], object],
        now: float,
    ) -> None:
        self.granted = 0
        self.out: dict[int, Lease] = {}
        self.failures = self.overloads = self.ignored = 0
        self.stranded = False
        self.learns = rules.any
        self.sinks: tuple[deque[Lease], ...] = ()
        self._lender = lender
        self._rules = rules
        self._journal = journal
        self._meters = meters
        self._timed = timed
        self._look = look
        self._accounts: dict[str, Account] = {}
        self.strategy = strategy
        self._limits = 0  # of all endpoints
        self._more = 0  # slots of the leases that are out, beyond one for each
        self._beyond: dict[Account, None] = {}  # those that may have more in flight than their limits
        self.kinds = EndpointKinds(self._accounts)
        self._lent: dict[object, Account] = {}  # the accounts in service, by the node that the strategy has of each
        for endpoint in endpoints:
            self.add(endpoint, now)

    # -- leases ------------------------------------------------------------------------------------

    def take(self, request: Request, now: float) -> Lease | None:
        """Lease the strategy's choice for `request`. Return None if no free slot may serve it.

        Raises:
            StrategyError: it raised, or its choice is not a node in service, or cannot serve `request`.
        """
        try:
            node = self.strategy.pick(request, now)
        except Exception as error:
            refuse(self.strategy, "pick", error)
        if node is None:
            return None
        try:
            account = self._lent[node]
        except Exception:  # the choice may be any object, also one that cannot be hashed
            raise StrategyError(self.strategy.name, _STRANGER.format(type(node).__name__)) from None
        if account.in_flight >= account.limit if request.open else not request.fits(account):
            raise StrategyError(self.strategy.name, f"picked {account.node!r}, which cannot serve {request}")
        lease = self._lend(account, 1 if request.slots == 1 else request.takes(account), request, now)
        if account.alert:
            self.refresh(self._rules.granted(account, lease), now)
            self._look()
        return lease

    def end(self, lease: Lease, outcome: Outcome, now: float, news: Sequence[Event] = ()) -> bool:
        """End `lease`, and report that to the strategy and the rules. Return whether more than its slots may be free.

        `news` are recorded once it has ended.

        Raises:
            LeaseError: it has ended, or was granted elsewhere. Nothing is changed.
            TypeError: `outcome` is not an `Outcome`. Nothing is changed.
            StrategyError: the strategy raised. The lease has ended.
        """
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; release it there")
        account: Account | None = lease.account
        if account is None:
            raise LeaseError(lease.id, getattr(lease, "fate", f"{lease!r} was already released; a lease ends once"))
        learns = self.learns
        if outcome is not _SUCCESS:
            self._count(account, outcome)
            if outcome is not Outcome.IGNORED:
                account.note_error(lease, outcome, now)
            if lease.hint is not None and lease.hint.spent:
                self._exhaust(account, now)
        elif account.record is not None and now < account.record.look_s:
            account.record.fresh += 1  # all that the rules need of most leases; see `HealthWatch`
            learns = False
        lease.account = None
        try:
            del self.out[lease.id]
            held_s = now - lease.granted_s
            account.shown["in_flight"] = account.in_flight = account.in_flight - lease.slots
            account.busy_s += held_s * lease.slots
            self._more -= lease.slots - 1
            if news:
                self._journal.happened.extend(news)
            if self.sinks:  # as mostly there are none
                lease.over = (outcome, now)
                for kept in self.sinks:
                    kept.append(lease)
            if account.state is _ACTIVE:
                try:
                    self.strategy.finish(account.node, outcome, held_s, now)
                except Exception as error:
                    refuse(self.strategy, "finish", error)
            elif account.state is MembershipState.RETIRING and not account.in_flight:
                self._forget(account)
        finally:  # the strategy may raise
            if learns:
                learns = self._learn(account, lease, outcome, now)
        return learns

    def adopt(self, name: str, slots: int, terms: LeaseTerms | None, now: float) -> Lease | None:
        """Add a lease of the endpoint `name` that is out already; None if there is no such endpoint.

        For a coordinator that restarts. No strategy chooses, and the lease may exceed the limit.
        """
        account = self._accounts.get(identity_of(name))
        if account is None:
            return None
        lease = self._lend(account, slots, Request(slots=slots, terms=terms), now)
        self._set_limit(account, account.limit)
        self.refresh(self._rules.granted(account, lease), now)
        if account.state is _ACTIVE:
            self._stand(account, now)
            tell(self.strategy, "change", account.node, now)
        return lease

    def check_out(self, lease: Lease) -> Account:
        """Return the account of a lease that is out.

        Raises:
            LeaseError: it has ended, or was granted elsewhere.
        """
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; report it there")
        account: Account | None = lease.account
        if account is None:
            raise LeaseError(lease.id, f"{lease!r} has ended; report on a call before its lease ends")
        return account

    def told(self, lease: Lease, load: Load, now: float) -> None:
        """Show the strategy the load that the endpoint of a lease reported. Raises LeaseError."""
        self.check_out(lease).shown.update(load=load, load_s=now)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool) -> None:
        """Report a ping to the rules. Does nothing if the endpoint has gone."""
        account = self._accounts.get(identity_of(name))
        if account is not None:
            self.refresh(self._rules.pinged(account, ok, now, conclusive=conclusive), now)

    def recount(self, now: float) -> None:
        """Recompute what is in flight, and make the strategy recompute what is free; O(N + leases out), and its calls.

        An interrupt may come between a lease and the count of its host. It may also leave a strategy with a wrong count
        of a slot. So the strategy gets the limit 0 for every node, and then the right limits again.
        """
        in_flight = dict.fromkeys(self._accounts.values(), 0)
        for lease in self.out.values():
            in_flight[lease.account] += lease.slots
        for account, slots in in_flight.items():
            account.shown["in_flight"] = account.in_flight = slots
        self._limits = sum(account.limit for account in in_flight)
        self._more = sum(lease.slots - 1 for lease in self.out.values())
        self._beyond = {account: None for account in in_flight if account.in_flight > account.limit}
        self.kinds.clear()
        self._rules.recount(self._accounts.values())
        for account in self.active():
            if account.node not in self._lent:
                self._join_again(account, now)
        for account in self.active():
            before = account.ceiling
            self._stand(account, now)
            self._tell_limit(account, before, now)
        for limit in (0, None):
            for account in self.active():
                account.show()
                if limit is not None:
                    account.shown["limit"] = limit
                try:
                    self.strategy.change(account.node, now)
                except Exception as error:  # a strategy that always raises must not stop the repair of the others
                    if has_no_room(error):
                        raise

    def _join_again(self, account: Account, now: float) -> None:
        """Make the strategy know an endpoint whose `add` was cut short; perhaps it knows it already."""
        self._rules.join(account, now)
        self._stand(account, now)
        try:
            self.strategy.leave(account.node, now)
        except Exception as error:  # it did not know it
            if has_no_room(error):
                raise
        self.strategy.join(account.node, now)
        self._lent[account.node] = account

    def tick(self, now: float) -> None:
        """Do what is due by time."""
        self.refresh(self._rules.tick(now), now)

    def refresh(self, accounts: Iterable[Account], now: float) -> None:
        """Report changes of these accounts to the strategy."""
        for account in accounts:
            if account.state is MembershipState.ACTIVE:
                before = account.ceiling, account.limit, account.weight
                self._stand(account, now)
                if before != (account.ceiling, account.limit, account.weight):
                    tell(self.strategy, "change", account.node, now)
                    self._tell_limit(account, before[0], now)

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float, *, slowly: bool = False) -> None:
        """Take `endpoint` into service. One that is draining or retiring comes back, with its leases.

        `slowly`: with a slow start, if health is watched.

        Raises:
            DuplicateEndpoint: an active endpoint has this name.
            ValueError: see `check`.
        """
        self.check(endpoint)
        account = self._accounts.get(endpoint.identity) or Account(endpoint)
        state = MEMBERSHIP.get((account.state, MembershipEvent.ADD))
        if state is None:
            raise DuplicateEndpoint(endpoint.name, account.endpoint.name)
        self._specify(account, endpoint)
        account.state = state
        self._accounts[endpoint.identity] = account  # once it is active: see `recount`
        account.spent = False
        account.shown.update(load=None)
        account.ceiling = 1  # so that `_stand` does not count a return from out of service
        moved = self._rules.join(account, now, slowly=slowly)
        self._stand(account, now)
        tell(self.strategy, "join", account.node, now)
        self._lent[account.node] = account  # after the strategy has it: see `recount`
        self.refresh(moved, now)
        self._journal.note(Added, now, endpoint.name)

    def update(self, endpoint: Endpoint, now: float) -> None:
        """Replace the specification of the endpoint of this name. Raises UnknownEndpoint, ValueError (see `check`).

        A capacity below what is in flight takes effect as leases end.
        """
        self.check(endpoint)
        account = self.account(endpoint.name)
        if (endpoint.headers, endpoint.quota) != (account.endpoint.headers, account.endpoint.quota):
            account.spent = False  # with another key or quota it may have another account
        self._specify(account, endpoint)
        if account.state is not MembershipState.ACTIVE:
            return
        self.stranded = True
        moved = self._rules.change(account)
        before = account.ceiling
        self._stand(account, now)
        self._tell_limit(account, before, now)
        tell(self.strategy, "change", account.node, now)
        self.refresh(moved, now)

    def check(self, endpoint: Endpoint) -> None:
        """Raise ValueError if the endpoint names a quota that the pool does not have."""
        if endpoint.quota is not None and endpoint.quota not in self._meters:
            known = ", ".join(map(repr, sorted(self._meters))) or "none"
            raise ValueError(
                f"endpoint {endpoint.name}: quota is {endpoint.quota!r}, which the pool does not have (quotas: "
                f"{known}); give the pool one of that name, quotas={{...}}"
            )

    def leave(self, name: str, event: MembershipEvent, now: float) -> None:
        """Grant no new leases of the endpoint `name`. `DRAIN` keeps it listed, `REMOVE` forgets it when idle."""
        account = self.account(name)
        was_active = account.state is _ACTIVE
        account.state = MEMBERSHIP[account.state, event]
        if was_active:
            self.stranded = True
            if not account.ceiling:
                account.out_s += now
            account.ceiling = 0
            self._set_limit(account, 0)
            self.kinds.drop(account)
            account.show()
            self._lent.pop(account.node, None)
            tell(self.strategy, "leave", account.node, now)
            self.refresh(self._rules.leave(account, now), now)
        self._journal.note(Removed if event is MembershipEvent.REMOVE else Drained, now, account.endpoint.name)
        if account.state is MembershipState.RETIRING and not account.in_flight:
            self._forget(account)

    def use(self, strategy: Strategy, now: float) -> None:
        """Replace the strategy. Leases that are out stay out."""
        notes = [(account.node, account.node.note) for account in self.active()]
        try:
            for node, _ in notes:
                tell(strategy, "join", node, now)
        except Exception:  # the old strategy stays in force, and needs its notes
            for node, note in notes:
                node.note = note
            raise
        self.strategy = strategy

    # -- looking -----------------------------------------------------------------------------------

    @property
    def calls(self) -> int:
        """How many leases have ended with an outcome other than IGNORED."""
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
        return [account for account in self._accounts.values() if account.state is MembershipState.ACTIVE]

    def lease(self, id: int) -> Lease:
        """Return the lease that is out with this id.

        Raises:
            LeaseError: there is none.
        """
        try:
            return self.out[id]
        except KeyError:
            raise LeaseError(id, "it is not out: it has ended, or was never granted; see Pool.leases()") from None

    @property
    def free(self) -> int:
        """How many slots are free, and reserved for no waiter; O(1), amortised."""
        free = self._limits - len(self.out) - self._more
        for account in list(self._beyond):
            if account.in_flight > account.limit:
                free += account.in_flight - account.limit
            else:
                del self._beyond[account]
        return free

    def could_serve(self, request: Request) -> bool:
        """Return whether some active endpoint, free or not, may serve `request`."""
        for accounts in self.kinds.suited(request):  # not any(): a generator is slower, as mostly the first one will do
            for account in accounts:
                able = not account.spent and (account.meter is None or account.meter.could_ever(request.tokens))
                if able and (request.open or request.admits(account.endpoint)):
                    return True
        return False

    def why_not(self, request: Request) -> NoEndpoint:
        """Return the error that says why no endpoint in service could ever serve `request`."""
        active = self.active()
        able = [account for account in active if request.admits(account.endpoint)]
        meters = [account.meter for account in able if account.meter is not None and not account.spent]
        short = [meter for meter in meters if not meter.could_ever(request.tokens)]
        if short:
            most = max(short, key=lambda meter: meter.most_tokens)
            needed, has = most.needs(request.tokens), int(most.most_tokens)
            return QuotaExceeded(request.labels, request.exclude, len(active), request.slots, needed, has)
        spent = [account.endpoint.name for account in able if account.spent]
        return NoEndpoint(request.labels, request.exclude, len(active), request.slots, spent, request.only)

    # -- inside ------------------------------------------------------------------------------------

    def _specify(self, account: Account, endpoint: Endpoint) -> None:
        before, account.endpoint = account.endpoint, endpoint
        if _kind_of(before) != _kind_of(endpoint):
            self.kinds.drop(account)
        account.meter = None if endpoint.quota is None else self._meters[endpoint.quota]

    def _lend(self, account: Account, slots: int, request: Request, now: float) -> Lease:
        """Lease these slots."""
        lease = Lease()
        account.shown["in_flight"] = account.in_flight = account.in_flight + slots
        self._more += slots - 1
        # No call of Python code from here to the table: an interrupt comes at a call. So a lease that is out is in the
        # table.
        lease.slots = slots
        lease.id = self.granted = number = self.granted + 1
        lease.endpoint = account.endpoint
        lease.granted_s = now
        lease.account = account
        lease.lender = self._lender
        lease.outcome = lease.hint = None
        lease.request = request
        self.out[number] = lease
        account.leases += 1
        if request.terms is not None and request.terms.timed:
            self._timed(lease, now)
        return lease

    def _tell_limit(self, account: Account, before: int, now: float) -> None:
        if before != account.ceiling:
            self._journal.note(LimitChanged, now, account.endpoint.name, account.ceiling)

    def _stand(self, account: Account, now: float) -> None:
        was_out = not account.ceiling
        account.ceiling, limit, account.weight = self._rules.standing(account, now)
        if account.spent:
            account.ceiling = limit = 0
        if was_out is bool(account.ceiling):
            account.out_s += now if was_out else -now
        self._set_limit(account, min(limit, account.in_flight) if account.kept else limit)
        self.kinds.put(account, now)
        account.show()

    def _set_limit(self, account: Account, limit: int) -> None:
        self._limits += limit - account.limit
        account.limit = limit
        if account.in_flight > limit:
            self._beyond[account] = None

    def _learn(self, account: Account, lease: Lease, outcome: Outcome, now: float) -> bool:
        """Report the end of a lease to the rules. Return False if it was only counted, as a success."""
        if outcome is _SUCCESS and self._rules.counted(account, now):
            return False
        self.refresh(self._rules.ended(account, lease, outcome, now), now)
        self._look()
        return True

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
            account.ignored += 1

    def _exhaust(self, account: Account, now: float) -> None:
        """Mark as spent, and take out of service, `account` and the others of its quota."""
        quota = account.endpoint.quota
        those = [other for other in self.active() if other is account or (quota and other.endpoint.quota == quota)]
        for other in those:
            if not other.spent:
                other.spent = True
                self.stranded = True
                self._journal.note(Spent, now, other.endpoint.name)
        self.refresh(those, now)

    def _forget(self, account: Account) -> None:
        account.state = MEMBERSHIP[account.state, MembershipEvent.IDLE]
        del self._accounts[account.endpoint.identity]
        self._rules.forget(account)


def _kind_of(endpoint: Endpoint) -> tuple[object, ...]:
    return endpoint.labels, endpoint.capacity, endpoint.group, endpoint.quota
