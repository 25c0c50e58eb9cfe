"""Admission filters: failover groups and quotas.

A group gives way to the next one when none of its endpoints can serve the request: they are out of service, or have
been full for `spill_after_s`.

They decide which of the endpoints that could serve a request may do so now. A strategy gets a request that excludes the
other endpoints, so no strategy knows about groups or quotas.

If a quota is short, it is kept for the oldest claim, as slots are for a claim that needs several. Otherwise callers
that ask for few tokens could starve a caller that asks for many. The caller of this module goes through the claims, the
oldest first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

from balancer.core.account import Account
from balancer.core.ledger import Ledger
from balancer.core.metrics import QuotaStats
from balancer.core.quotas import Meter
from balancer.endpoint import Endpoint, Lease
from balancer.settings.rules import QuotaSettings
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds

__all__ = ["AdmissionFilters"]

_NONE = frozenset[str]()


class FailoverGroups:
    """The groups of the endpoints in service, the lowest first.

    Args:
        spill_after_s: for how many seconds a group may be full before the next one is used. None: for any time.

    Attributes:
        levels: for each group its endpoints, and the identities of the endpoints of all higher groups.
    """

    def __init__(self, spill_after_s: float | None) -> None:
        self._spill_s = inf if spill_after_s is None else spill_after_s
        self.levels: list[tuple[Sequence[Account], frozenset[str]]] = []

    @property
    def several(self) -> bool:
        """True if there is more than one group."""
        return len(self.levels) > 1

    def arrange(self, accounts: Iterable[Account]) -> None:
        """Set which endpoints are in service, and in which groups."""
        by_group: dict[int, list[Account]] = {}
        began = not self.several
        for account in accounts:
            if began:
                account.full_s = inf  # not observed so far
            by_group.setdefault(account.endpoint.group, []).append(account)
        self.levels = []
        above = _NONE
        for group in sorted(by_group, reverse=True):
            self.levels.insert(0, (by_group[group], above))
            above |= {account.endpoint.identity for account in by_group[group]}

    def observe(self, now: float) -> None:
        """Record which endpoints have no free slot, and since when; O(N). Call it at the end of a change.

        So a slot that came free and was given to a waiter within one change does not count as free.
        """
        for accounts, _ in self.levels:
            for account in accounts:
                if account.in_flight < account.limit:
                    account.full_s = inf
                elif account.full_s == inf:
                    account.full_s = now

    def gives_way_s(self, accounts: Sequence[Account], request: Request, since_s: float) -> float:
        """Return when the endpoints of a group will have been unable to take `request` for `spill_after_s`.

        Args:
            accounts: the endpoints of one group. None of them can take the request now.
            request: what is asked for.
            since_s: when the request arrived. No endpoint was free for it since then.
        """
        last = -inf
        for account in accounts:
            if account.fit and request.admits(account.endpoint):
                full_s = min(account.full_s, since_s)
                last = max(last, full_s + self._spill_s)
        return last


class AdmissionFilters:
    """The groups and the quotas of one pool. Either may be absent.

    Args:
        ledger: the pool's ledger.
        quotas: by name.
        spill_after_s: see `FailoverGroups`.

    Attributes:
        any: True if there is a quota, or more than one group.
        due_s: when time alone lets a claim in that called `stand`; inf: never.
        kept: the quotas that are kept, and the claim of each.

    Raises:
        ValueError: `spill_after_s` is out of range.
        TypeError: a quota is not `QuotaSettings`.
    """

    def __init__(self, ledger: Ledger, quotas: Mapping[str, QuotaSettings], spill_after_s: float | None) -> None:
        if spill_after_s is not None:
            checked("spill_after_s", spill_after_s, seconds)
        for name, quota in quotas.items():
            if not isinstance(quota, QuotaSettings):
                raise TypeError(f"quotas: {name} is {quota!r}; it takes balancer.QuotaSettings(...)")
        self.any = False
        self.due_s = inf
        self.kept: dict[Meter, object] = {}
        self._ledger = ledger
        self._groups = FailoverGroups(spill_after_s)
        self._named = {name: Meter(name, quota) for name, quota in quotas.items()}
        self._meters: list[Meter] = []
        self._group: int | None = None  # the group of all endpoints, if there is only one group

    # -- membership --------------------------------------------------------------------------------

    def check(self, endpoint: Endpoint) -> None:
        """Raise ValueError if the endpoint names a quota that the pool does not have."""
        if endpoint.quota is not None and endpoint.quota not in self._named:
            known = ", ".join(map(repr, sorted(self._named))) or "none"
            raise ValueError(
                f"endpoint {endpoint.name}: quota is {endpoint.quota!r}, which the pool does not have (quotas: "
                f"{known}); give the pool one of that name, quotas={{...}}"
            )

    def concerns(self, endpoint: Endpoint) -> bool:
        """Return whether this endpoint brings a quota, or a second group."""
        alike = self._group is None or endpoint.group == self._group
        self._group = endpoint.group
        return not alike or endpoint.quota is not None

    def arrange(self) -> None:
        """Read from the ledger which endpoints there are now; O(N)."""
        accounts = self._ledger.accounts()
        members: dict[Meter, list[str]] = {}
        for account in accounts:
            account.meter = self._named[account.endpoint.quota] if account.endpoint.quota is not None else None
            if account.meter is not None:
                members.setdefault(account.meter, []).append(account.endpoint.identity)
        for meter, names in members.items():
            meter.names = frozenset(names)
        self._meters = list(members)
        active = self._ledger.active()
        self._groups.arrange(active)
        if active:
            self._group = active[-1].endpoint.group
        self.any = bool(self._meters) or self._groups.several
        if not self.any:
            self.free()

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has a quota."""
        return bool(self._meters)

    # -- leases ------------------------------------------------------------------------------------

    def take(self, request: Request, since_s: float, now: float) -> Lease | None:
        """Lease from the lowest group that can serve `request` now; None if no group can.

        Args:
            request: what is asked for.
            since_s: when the request arrived; `now` for one that has not waited.
            now: the time.
        """
        for allowed in self._ways(request, since_s, now):
            lease = self._ledger.take(allowed, now)
            if lease is not None:
                meter: Meter | None = lease.account.meter
                if meter is not None:
                    lease.charge = meter.take(request.tokens, now)
                return lease
        return None

    def is_late(self, now: float) -> bool:
        """Return whether `due_s` has passed."""
        return now >= self.due_s

    def observe(self, now: float) -> None:
        """Record which endpoints are full. Call it at the end of a change."""
        if self._groups.several:
            self._groups.observe(now)

    def recount(self) -> None:
        """Recompute the quotas, after an interrupt."""
        for meter in self._meters:
            meter.recount()

    # -- claims ------------------------------------------------------------------------------------

    def free(self) -> None:
        """Keep no quota for any claim, and clear `due_s`."""
        self.kept.clear()
        self.due_s = inf

    def within_reach(self, request: Request, since_s: float, now: float) -> Request:
        """Return `request`, limited to the endpoints that it waits for: in its groups, not kept for older claims.

        Also sets `due_s` to the time when its next group opens.
        """
        request = self._feasible(request)
        above = _NONE
        for accounts, above in self._groups.levels if self._groups.several else ():
            opens_s = self._groups.gives_way_s(accounts, request, since_s)
            if opens_s > now:
                if above:
                    self.due_s = min(self.due_s, opens_s)
                break
        for meter in self.kept:
            above |= meter.names
        return request.passing(above)

    def stand(self, claim: object, request: Request, now: float, kept: Account | None) -> None:
        """Keep a quota for a claim that could not be served, and set `due_s` to the time when it has room. O(N).

        The quota is the first one to have room, of those that alone keep the claim from a slot. If slots are reserved
        for the claim, it is the quota of their endpoint.

        Args:
            claim: the claim.
            request: what it may wait for; see `within_reach`.
            now: the time.
            kept: the endpoint whose slots are reserved for the claim, if it needs several.
        """
        if not self._meters:
            return
        first, first_s = kept.meter if kept is not None else None, inf
        for account in self._ledger.active():
            meter = account.meter
            fits = request.fits(account)
            if meter is None or meter in self.kept or not (fits or (account.kept and request.admits(account.endpoint))):
                continue
            room_s = meter.room_s(request.tokens, now)
            if now < room_s < self.due_s:
                self.due_s = room_s
            if kept is None and fits and room_s < first_s:
                first, first_s = meter, room_s
        if first is not None and first not in self.kept:
            self.kept[first] = claim

    # -- looking -----------------------------------------------------------------------------------

    def short(self, request: Request, now: float) -> tuple[str, ...]:
        """Return a text for each quota that keeps `request` from a free slot; O(N), for a wait that timed out."""
        meters = {account.meter: None for account in self._ledger.active() if request.fits(account)}
        return tuple(
            meter.short_of(request.tokens, now)
            for meter in meters
            if meter is not None and (meter in self.kept or not meter.has_room(request.tokens, now))
        )

    def hides(self, request: Request, since_s: float, now: float) -> Callable[[Account], str]:
        """Return what tells why an endpoint that fits `request` may not serve it now.

        Its answer is "quota", "group", or "" for an endpoint that may.
        """
        ways, shut = list(self._ways(request, since_s, now)), self._shut(request, now)

        def why(account: Account) -> str:
            if account.endpoint.identity in shut:
                return "quota"
            return "" if any(way.fits(account) for way in ways) else "group"

        return why

    def usage(self, now: float) -> list[QuotaStats]:
        """Return how much of each quota is used, in the order of their endpoints; O(N + calls in the windows)."""
        names: dict[Meter, list[str]] = {meter: [] for meter in self._meters}
        for account in self._ledger.accounts():
            if account.meter in names:
                names[account.meter].append(account.endpoint.name)
        return [meter.usage(tuple(those), now) for meter, those in names.items()]

    # -- inside ------------------------------------------------------------------------------------

    def _ways(self, request: Request, since_s: float, now: float) -> Iterator[Request]:
        """Yield `request` for its lowest group, then for that group and each further group that is open."""
        request, shut = self._feasible(request), self._shut(request, now)
        if not self._groups.several:
            yield request.passing(shut)
            return
        for accounts, above in self._groups.levels:
            yield request.passing(shut | above)
            if self._groups.gives_way_s(accounts, request, since_s) > now:
                return

    def _feasible(self, request: Request) -> Request:
        """Return `request` without the endpoints whose whole quota is smaller than its tokens."""
        if request.tokens is None:
            return request
        names = _NONE
        for meter in self._meters:
            if not meter.could_ever(request.tokens):
                names |= meter.names
        return request.passing(names)

    def _shut(self, request: Request, now: float) -> frozenset[str]:
        """Return the endpoints whose quota has no room for `request`, or is kept."""
        shut = _NONE
        for meter in self._meters:
            if meter in self.kept or not meter.has_room(request.tokens, now):
                shut |= meter.names
        return shut
