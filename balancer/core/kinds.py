"""Kinds of endpoints: those in service with the same labels, capacity and group, which the same requests may use.

It is counted how the endpoints of each kind stand. So why a request got none of them is known without a look at each.
If there are groups or quotas, it is also kept which have a free slot, and since when the others have none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from balancer.core.account import Account, EndpointKind
from balancer.core.quotas import Meter
from balancer.core.states import Health
from balancer.strategy import Request
from balancer.values.urls import identity_of

__all__ = ["OUT", "EndpointKinds", "stands"]

OUT = ("spent", "resting", "ejected")


class EndpointKinds:
    """The endpoints in service, by kind.

    Args:
        accounts: the accounts of the ledger, by identity.

    Attributes:
        meters: how many endpoints in service each quota has.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._kinds: dict[tuple[frozenset[str], int, int], EndpointKind] = {}
        self.meters: Counter[Meter] = Counter()
        self._watched = False
        self._freed: dict[Account, None] = {}  # in this change
        self._out: dict[Account, None] = {}
        self._names: frozenset[str] | None = frozenset()

    def __iter__(self) -> Iterator[EndpointKind]:
        return iter(self._kinds.values())

    def put(self, account: Account, now: float) -> None:
        """Count an account in service as it stands now; O(1). If its endpoint is another one, it was dropped before."""
        kind = account.kind
        if kind is None:
            key = account.endpoint.labels, account.endpoint.capacity, account.endpoint.group
            kind = account.kind = self._kinds.setdefault(key, EndpointKind(*key))
            if account.meter is not None:
                self.meters[account.meter] += 1
        if self._watched:
            self.settle(account, now)
        before, stand = kind.members.get(account), stands(account)
        if stand == before:
            return
        if before is not None:
            kind.counts[before] -= 1
        kind.members[account] = stand
        kind.counts[stand] += 1
        if (stand in OUT) is not (account in self._out):
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
            kind.free.pop(account, None)
            kind.full.pop(account, None)
            if account.meter is not None:
                account.meter.free.pop(account, None)
                self.meters[account.meter] -= 1
                self.meters += Counter()  # without those that have none
            if not kind.members:
                del self._kinds[kind.labels, kind.capacity, kind.group]
            if account in self._out:
                del self._out[account]
                self._names = None

    def clear(self) -> None:
        """Forget all, after an interrupt."""
        for account in self._accounts.values():
            account.kind = None
            if account.meter is not None:
                account.meter.free.clear()
        self._kinds.clear()
        self.meters.clear()
        self._out.clear()
        self._names = None

    # -- for groups and quotas ---------------------------------------------------------------------

    def watch(self, wanted: bool, now: float) -> None:
        """Keep from now on, or no longer, which endpoints have a free slot; O(N) if that changes."""
        if wanted and not self._watched:
            for kind in self._kinds.values():
                kind.full.clear()  # as it was when it was watched last
            for account in chain.from_iterable(kind.members for kind in self._kinds.values()):
                self.settle(account, now)
        self._watched = wanted

    def settle(self, account: Account, now: float) -> None:
        """Note whether an account has a free slot; O(1). Needed after each change of what is in flight."""
        kind, meter = account.kind, account.meter
        if kind is None:
            return
        free = [kind.free] if meter is None else [kind.free, meter.free]
        fit = account.fit
        if account.in_flight < account.limit:
            for those in free:
                those[account] = None
            self._freed[account] = None
        else:
            for those in free:
                those.pop(account, None)
            if fit:
                kind.full.setdefault(account, now)
        if not fit:
            kind.full.pop(account, None)

    def observe(self) -> None:
        """End a change: what came free, and was not handed on, is full no more; O(those)."""
        for account in self._freed:
            if account.kind is not None and account in account.kind.free:
                account.kind.full.pop(account, None)
        self._freed.clear()

    # -- looking -----------------------------------------------------------------------------------

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
