"""Endpoint rules: how health, concurrency limits and host caps set an endpoint's slots and weight.

The rules return the accounts that have changed; the ledger reports the changes to the strategy.
"""

import random
from collections.abc import Iterable, Mapping
from math import inf
from weakref import WeakValueDictionary

from balancer.core.account import Account, Aimd, HostGroup
from balancer.core.events import Ejected, Journal, Probing, Rested, Restored, Spared
from balancer.core.health import HealthWatch
from balancer.core.states import Health, HealthRecord, MembershipState
from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.values.numbers import checked, whole

__all__ = ["Rules"]

Moved = Iterable[Account]

_ABSENT = (Health.EJECTED, Health.HALF_OPEN, Health.RESTING)
_NEWS = {
    Health.EJECTED: Ejected,
    Health.HALF_OPEN: Probing,
    Health.RESTING: Rested,
    Health.SLOW_START: Restored,
    Health.HEALTHY: Restored,
}


class Rules:
    """Health, limits and host caps of one pool; any of them may be absent.

    Args:
        health: None: endpoints are never ejected.
        limits: None or "fixed": the capacity of each endpoint.
        host_caps: slots by host; "*" is for each host without a cap of its own.
        rng: for jitter.
        journal: records events of health.

    Methods that may change accounts return them, some perhaps twice.

    Attributes:
        ejections: how often an endpoint was ejected, also ones that have gone.
    """

    def __init__(
        self,
        health: HealthSettings | None,
        limits: LimitSettings | None,
        host_caps: Mapping[str, int],
        rng: random.Random,
        journal: Journal,
    ) -> None:
        self._watch = HealthWatch(health, rng) if health else None
        self._limits = limits if limits and limits.kind == "aimd" else None
        self._caps = dict(host_caps)
        self.ejections = 0
        self._journal = journal
        self._hosts: WeakValueDictionary[str, HostGroup] = WeakValueDictionary()  # the members hold them
        for host, cap in self._caps.items():
            checked(f"host_caps: {host}", cap, whole)

    @property
    def any(self) -> bool:
        """True if there is any rule."""
        return bool(self._watch or self._limits or self._caps)

    @property
    def due_s(self) -> float:
        """When `tick` has something to do next; inf: never."""
        return self._watch.due_s if self._watch else inf

    # -- membership --------------------------------------------------------------------------------

    def join(self, account: Account, now: float, *, slowly: bool = False) -> Moved:
        """Take an account into service, with new health and a new adaptive limit; `slowly`: with a slow start.

        An endpoint that was ejected when it left begins with a probe: a drain must not be a way around its health.
        """
        if self._limits:
            account.aimd = Aimd(self._limits)
        if self._watch:
            doubted = account.health in (Health.EJECTED, Health.HALF_OPEN)
            account.record = self._watch.join(account, now, slowly=slowly, doubted=doubted)
            account.health = account.record.state
        return [*self.change(account), *self._moved(now)]

    def change(self, account: Account) -> list[Account]:
        """Apply a new specification."""
        if account.aimd:
            account.aimd.cap(account.endpoint.capacity)
        moved: list[Account] = []
        group = self._group(account.endpoint.host or account.endpoint.name)
        if group is not account.host:
            moved = self._change_host(account, group)
        self._look(account)
        return moved

    def leave(self, account: Account, now: float) -> Moved:
        """Take an account out of service. Its leases still count for its host."""
        if account.record and self._watch:
            self._watch.leave(account.record, now)
            account.record = None
        account.aimd = None
        return self._moved(now)

    def forget(self, account: Account) -> None:
        """Remove an account for good; it has no leases."""
        self._quit(account)

    def recount(self, accounts: Iterable[Account]) -> None:
        """Recompute what is in flight on each host."""
        for host in self._hosts.values():
            host.in_flight = 0
        for account in accounts:
            if account.host is not None:
                account.host.in_flight += account.in_flight

    # -- leases ------------------------------------------------------------------------------------

    def granted(self, account: Account, lease: Lease) -> Moved:
        """Record a lease of an account with `alert`."""
        if account.record and self._watch:
            self._watch.granted(account.record, lease)
        if account.host is None:
            return ()
        account.host.in_flight += lease.slots
        return [*account.host.members]

    def ended(self, account: Account, lease: Lease, outcome: Outcome, now: float) -> Moved:
        """Record the end of a lease; `account.in_flight` is lowered already."""
        moved: list[Account] = []
        if account.host is not None:
            account.host.in_flight -= lease.slots
            moved += account.host.members
        if account.aimd is not None:
            used, capacity = account.in_flight + lease.slots, account.endpoint.capacity
            if account.aimd.ended(lease, outcome, now, used=used, capacity=capacity):
                moved.append(account)
        if account.record is not None and self._watch:
            self._watch.ended(account.record, lease, outcome, now)
            moved += self._moved(now)
        return moved

    def counted(self, account: Account, now: float) -> bool:
        """Count a success, if that is all it needs; see `HealthWatch.counted`."""
        return account.record is not None and self._watch is not None and self._watch.counted(account.record, now)

    def pinged(self, account: Account, ok: bool, now: float, *, conclusive: bool) -> Moved:
        """Record a ping; see `HealthWatch.pinged`."""
        if account.record and self._watch:
            self._watch.pinged(account.record, ok, now, conclusive=conclusive)
        return self._moved(now)

    def tick(self, now: float) -> Moved:
        """Do what is due."""
        if self._watch:
            self._watch.tick(now)
        return self._moved(now)

    # -- standing ----------------------------------------------------------------------------------

    def standing(self, account: Account, now: float) -> tuple[int, int, float]:
        """Return the ceiling, the limit and the weight of an account in service."""
        most: float = account.endpoint.capacity
        if account.aimd is not None:
            most = min(most, account.aimd.limit)
        if account.record is not None and self._watch:
            most = min(most, self._watch.most(account.record))
            weight = account.endpoint.weight * self._watch.ramp(account.record, now)
        else:
            weight = account.endpoint.weight
        if account.host is None:
            return int(most), int(most), weight
        ceiling = int(min(most, account.host.cap))
        return ceiling, min(ceiling, account.in_flight + account.host.free), weight

    def together(self, account: Account) -> Moved:
        """Return the accounts that share slots: those of one host."""
        return (account,) if account.host is None else [*account.host.members]

    # -- inside ------------------------------------------------------------------------------------

    def _group(self, host: str) -> HostGroup | None:
        cap = self._caps.get(host, self._caps.get("*"))
        if cap is None:
            return None
        group = self._hosts.get(host)
        if group is None:
            group = self._hosts[host] = HostGroup(cap)
        return group

    def _change_host(self, account: Account, group: HostGroup | None) -> list[Account]:
        before = account.host
        self._quit(account)
        account.host = group
        if group is not None:
            group.members[account] = None
            group.in_flight += account.in_flight
        return [member for host in (before, group) if host is not None for member in host.members]

    def _quit(self, account: Account) -> None:
        if account.host is not None:
            del account.host.members[account]
            account.host.in_flight -= account.in_flight  # a lease that ends at this moment is still to be subtracted

    def _moved(self, now: float) -> list[Account]:
        if self._watch is None:
            return []
        for record in self._watch.spared:
            facts = record.spared, self._watch.allowed, self._watch.watched
            self._journal.note(Spared, now, record.key.endpoint.name, *facts)
        self._watch.spared.clear()
        if not self._watch.moved:
            return []
        moved = [record.key for record in self._watch.moved if record.key.state is MembershipState.ACTIVE]
        self._watch.moved.clear()
        for account in moved:
            self._look(account)
            self._tell(account, now)
        return moved

    def _tell(self, account: Account, now: float) -> None:
        """Count and record a change of an account's health."""
        before, health = account.health, account.record.state if account.record else None
        if health is before or health is None:
            return
        account.health = health
        if health is Health.EJECTED:
            self.ejections += 1
            account.ejections += 1
        if before in _ABSENT or health in _ABSENT:  # the end of a slow start is not an event
            self._journal.note(_NEWS[health], now, account.endpoint.name, *_facts(account.record, now))

    def _look(self, account: Account) -> None:
        """Set whether the rules must see every grant and every end."""
        half_open = account.record is not None and account.record.half_open
        account.alert = half_open or account.host is not None
        if account.record is not None and self._watch:
            self._watch.listen(account.record, each=account.host is not None or account.aimd is not None)


def _facts(record: HealthRecord | None, now: float) -> tuple[object, ...]:
    """Return what an event of the present health tells beyond the endpoint."""
    if record is None:
        return ()
    for_s = record.until_s - now if record.until_s < inf else None
    if record.state is Health.EJECTED:
        return record.why, for_s
    return (for_s,) if record.state is Health.RESTING else ()
