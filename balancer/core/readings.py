"""Snapshots: rows of leases and counters of endpoints, read from the ledger."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from balancer.core.account import Account
from balancer.core.ledger import Ledger
from balancer.core.metrics import EndpointStats, LeaseRow, PoolStats, WaitHistogram, WaitRow, figures_of
from balancer.core.states import SPENT, Health, MembershipState
from balancer.core.waiters import WaitQueue
from balancer.endpoint import Lease
from balancer.values.redaction import plain_name

__all__ = ["Snapshot", "endpoint_stats", "lease_rows", "pool_counts", "stats_of", "summary", "wait_rows"]

_MOST_LISTED = 2000  # waiters
_MOST_NAMED = 3  # endpoints out of service, in the one-line text


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pool at one instant.

    Attributes:
        at_s: the time, by the pool's clock.
        stats: what `Pool.stats` returns.
        waits: how long the grants so far waited.
        leases: those that are out; empty unless asked for.
        also: the result of the `also` function.
        waiters: those that wait, by holder; empty unless leases were asked for.
    """

    at_s: float
    stats: PoolStats
    waits: WaitHistogram
    leases: tuple[LeaseRow, ...] = ()
    also: object = None
    waiters: tuple[WaitRow, ...] = ()


def lease_rows(ledger: Ledger, now: float) -> list[LeaseRow]:
    """Return a row for each lease that is out, oldest first."""
    return [
        LeaseRow(
            id=lease.id,
            endpoint=lease.endpoint.name,
            holder=lease.holder,
            since_s=lease.granted_s,
            age_s=now - lease.granted_s,
            slots=lease.slots,
            where=getattr(lease, "where", ""),
        )
        for lease in ledger.out.values()
    ]


def wait_rows(queue: WaitQueue) -> list[WaitRow]:
    """Return a row for each holder that waits, the longest wait first; of the first 2000 waiters of a longer queue."""
    found: dict[str, tuple[int, float]] = {}
    for waiter in islice(queue, _MOST_LISTED):
        terms = waiter.request.terms
        holder = terms.holder if terms is not None else ""
        many, since_s = found.get(holder, (0, waiter.since_s))
        found[holder] = many + 1, min(since_s, waiter.since_s)
    return sorted((WaitRow(holder, *each) for holder, each in found.items()), key=lambda row: row.since_s)


def _counted(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of the figures that are counted somewhere, and what reads them there, all at once."""
    places = {name: figure.at for name, figure in figures_of(kind).items() if figure.at}
    return tuple(places), attrgetter(*places.values())


_OF_ENDPOINT: Final = _counted(EndpointStats)
_OF_POOL: Final = _counted(PoolStats)


def pool_counts(core: object) -> dict[str, int]:
    """Return the figures of a pool that its core counts, by name."""
    names, read = _OF_POOL
    return dict(zip(names, read(core), strict=True))


def endpoint_stats(ledger: Ledger, now: float) -> list[EndpointStats]:
    """Return the figures of every account; O(N + leases out)."""
    return stats_of(ledger.accounts(), ((lease.account, lease) for lease in ledger.out.values()), now)


def stats_of(accounts: Sequence[Account], leases: Iterable[tuple[Account, Lease]], now: float) -> list[EndpointStats]:
    """Return the figures of every account. `leases`: those that are out. O(N + leases out)."""
    held_s = dict.fromkeys(accounts, 0.0)
    out = dict.fromkeys(accounts, 0)
    for account, lease in leases:
        out[account] += 1
        held_s[account] += (now - lease.granted_s) * lease.slots
    total = sum(account.leases for account in accounts) or 1
    names, read = _OF_ENDPOINT
    return [
        EndpointStats(
            **dict(zip(names, read(a), strict=True)),
            url=a.endpoint.url,
            name=a.endpoint.name,
            state=a.state.value,
            successes=a.leases - out[a] - a.failures - a.overloads - a.ignored,
            share=a.leases / total,
            busy_s=a.busy_s + held_s[a],
            health=SPENT if a.spent else a.record.state.value if a.record else "",
            why_out=_why_out(a),
            back_in_s=_back_in_s(a, now),
            spared=a.record.spared if a.record else "",
            out_s=max(0.0, a.out_s + now if a.state is MembershipState.ACTIVE and not a.ceiling else a.out_s),
        )
        for a in accounts
    ]


def _why_out(account: Account) -> str:
    record = account.record
    if account.spent:
        return "its account has no quota left"
    if record is None or record.fit:
        return ""
    if record.state is Health.RESTING:
        return "it asked for a rest"
    return record.why or "it was ejected when it left"


def _back_in_s(account: Account, now: float) -> float | None:
    record = account.record
    if account.spent or record is None or record.state not in (Health.EJECTED, Health.RESTING):
        return None
    return None if record.until_s == math.inf else max(0.0, record.until_s - now)


def _named(texts: Iterable[str]) -> str:
    """Return the texts in brackets, if they are few."""
    told = list(texts)
    return f" ({', '.join(told)})" if len(told) <= _MOST_NAMED else ""


def summary(ledger: Ledger, *, waiting: int, closed: bool) -> str:
    """Return a one-line text: endpoints by health, slots in flight, waiters and outcomes."""
    accounts = ledger.accounts()
    counts = Counter(account.state for account in accounts)
    states = ", ".join(f"{counts[state]} {state.value}" for state in MembershipState if counts[state])
    busy = sum(account.in_flight for account in accounts)
    slots = sum(account.limit for account in accounts)
    out = [
        account.endpoint.name for account in accounts if account.state is MembershipState.ACTIVE and not account.ceiling
    ]
    facts = [f"{busy}/{slots} in flight", f"{waiting} waiting", f"{ledger.granted} granted"]
    if ledger.calls:
        facts.append(f"{ledger.calls} calls: {ledger.failures} failures ({ledger.failures / ledger.calls:.1%})")
        facts.append(f"{ledger.overloads} overloads")
    facts += ["closed"] * closed
    records = [(account.endpoint.name, account.record) for account in accounts if account.record]
    trial = [name for name, record in records if record.half_open and name not in out]
    spared = [f"{plain_name(name)}: {record.spared}" for name, record in records if record.spared]
    states += f", {len(out)} of them out of service{_named(map(plain_name, out))}" if out else ""
    states += f", {len(trial)} on trial{_named(map(plain_name, trial))}" if trial else ""
    if spared:
        states += f", {len(spared)} would be ejected{_named(spared)}, but no more may be (max_ejected_share)"
    return f"{ledger.strategy.name}: {states or 'no endpoints'}; {', '.join(facts)}"
