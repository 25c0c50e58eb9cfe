"""Kinds of endpoints: those in service with the same labels and capacity, which the same requests may use.

It is counted how the endpoints of each kind stand. So why a request got none of them is known without a look at each.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from balancer.core.account import Account, EndpointKind
from balancer.core.states import Health
from balancer.strategy import Request
from balancer.values.urls import identity_of

__all__ = ["OUT", "EndpointKinds", "stands"]

OUT = ("spent", "resting", "ejected")


class EndpointKinds:
    """The endpoints in service, by kind.

    Args:
        accounts: the accounts of the ledger, by identity.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._kinds: dict[tuple[frozenset[str], int], EndpointKind] = {}
        self._out: dict[Account, None] = {}
        self._names: frozenset[str] | None = frozenset()

    def __iter__(self) -> Iterator[EndpointKind]:
        return iter(self._kinds.values())

    def put(self, account: Account) -> None:
        """Count an account in service as it stands now; O(1)."""
        labels, capacity = account.endpoint.labels, account.endpoint.capacity
        kind = account.kind
        if kind is None or kind.capacity != capacity or kind.labels != labels:
            self.drop(account)
            kind = account.kind = self._kinds.setdefault((labels, capacity), EndpointKind(labels, capacity))
        before, now = kind.members.get(account), stands(account)
        if now == before:
            return
        if before is not None:
            kind.counts[before] -= 1
        kind.members[account] = now
        kind.counts[now] += 1
        if (now in OUT) is not (account in self._out):
            self._names = None
            if account in self._out:
                del self._out[account]
            else:
                self._out[account] = None

    def drop(self, account: Account) -> None:
        """Forget an account; O(1)."""
        kind, account.kind = account.kind, None
        if kind is not None:
            kind.counts[kind.members.pop(account)] -= 1
            if not kind.members:
                del self._kinds[kind.labels, kind.capacity]
            if account in self._out:
                del self._out[account]
                self._names = None

    def clear(self) -> None:
        """Forget all, after an interrupt."""
        for account in self._accounts.values():
            account.kind = None
        self._kinds.clear()
        self._out.clear()
        self._names = None

    @property
    def size(self) -> int:
        """How many endpoints are in service; O(kinds)."""
        return sum(len(kind.members) for kind in self._kinds.values())

    @property
    def slots(self) -> int:
        """How many slots they have, by their capacity; O(kinds)."""
        return sum(kind.capacity * len(kind.members) for kind in self._kinds.values())

    @property
    def out(self) -> int:
        """How many endpoints are out of service for now: ejected, resting or spent."""
        return len(self._out)

    def out_of_service(self) -> frozenset[str]:
        """Return their names; O(1), or O(those) after a change."""
        if self._names is None:
            self._names = frozenset(account.endpoint.name for account in self._out)
        return self._names

    def suited(self, request: Request) -> list[Iterable[Account]]:
        """Return the endpoints that have what `request` asks for, free or not, in parts; O(kinds)."""
        if request.only is None:
            return [kind.members for kind in self._kinds.values() if kind.suits(request)]
        account = self._accounts.get(identity_of(request.only))
        return [] if account is None or account.kind is None else [(account,)]

    def why_not_taken(self, request: Request, hides: Callable[[Account], str] | None) -> dict[str, int]:
        """Return why no endpoint was leased for `request`: how many, by reason.

        The reasons are those of `WHY_NOT_TAKEN`, the most frequent first.

        Args:
            request: what was asked for.
            hides: see `AdmissionFilters.hides`; then this costs O(N). None: no slot is free; then it costs O(kinds).
        """
        found: Counter[str] = Counter()
        if hides is None and request.only is None:
            for kind in self._kinds.values():
                if kind.suits(request):
                    found.update(kind.counts)
            for account in filter(None, map(self._accounts.get, request.barred)):
                if account.kind is not None and account.kind.suits(request):
                    found[account.kind.members[account]] -= 1
        else:
            for account in chain.from_iterable(self.suited(request)):
                if request.admits(account.endpoint):
                    free = hides is not None and request.fits(account)
                    found[(hides(account) or "passed over") if hides and free else stands(account)] += 1
        found["unsuited"] = self.size - found.total()
        return {why: many for why, many in sorted(found.items(), key=lambda each: (-each[1], each[0])) if many}


def stands(account: Account) -> str:
    """Return why an account in service would not be leased now, if no slot of it is free."""
    record = account.record
    if not account.ceiling:
        return "spent" if account.spent else "resting" if record and record.state is Health.RESTING else "ejected"
    if account.kept:
        return "reserved"
    if record and record.half_open:
        return "on trial"
    return "limited" if account.limit < account.endpoint.capacity else "full"
