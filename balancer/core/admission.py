"""Admission filters: failover groups that are closed, quotas that are used up.

Decides which of the endpoints that could serve a request may, and when that changes by itself. The strategy chooses
among these: it is shown the request as one that excludes the others, so no strategy knows of groups or quotas. Where a
quota is short, it is kept for the oldest claim, as slots are for a claim that needs several: a caller who asks for few
tokens must not live on what another one waits for. It must not know the queue: its user goes through the claims, the
oldest first.
"""

from collections.abc import Callable, Iterator, Mapping
from math import inf

from balancer.core.account import Account
from balancer.core.failover import FailoverGroups
from balancer.core.ledger import Ledger
from balancer.core.metrics import QuotaStats
from balancer.core.quotas import Meter
from balancer.endpoint import Endpoint, Lease
from balancer.settings.rules import QuotaSettings
from balancer.strategy import ANY, Request
from balancer.values.numbers import checked, seconds

__all__ = ["AdmissionFilters"]

_NONE = frozenset[str]()
_EACH = "*"


class AdmissionFilters:
    """The groups and the quotas of one pool; either may be absent.

    Args:
        ledger: the books.
        quotas: by name; "*" stands for each endpoint that names none: it has one of its own.
        spill_after_s: see `FailoverGroups`.

    Attributes:
        any: True if there is a quota, or more than one group.
        due_s: when time alone lets somebody in who was told to `stand`; inf: never.
        kept: the quotas that are kept, for claims of those that stand.

    Raises:
        ValueError: `spill_after_s` is out of range, or a quota is not settings.
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
        self._each = quotas.get(_EACH)
        self._groups = FailoverGroups(spill_after_s)
        self._named = {name: Meter(name, quota) for name, quota in quotas.items() if name != _EACH}
        self._own: dict[str, Meter] = {}
        self._meters: list[Meter] = []
        self._group: int | None = None  # that of all endpoints, while there are no several
        self._last = ANY, _NONE, ANY

    # -- membership --------------------------------------------------------------------------------

    def check(self, endpoint: Endpoint) -> None:
        """Refuse an endpoint whose quota there is not. Raises ValueError."""
        if endpoint.quota is not None and endpoint.quota not in self._named:
            known = ", ".join(map(repr, sorted(self._named))) or "none"
            raise ValueError(
                f"endpoint {endpoint.name}: quota is {endpoint.quota!r}, which the pool does not have (quotas: "
                f"{known}); give the pool one of that name, quotas={{...}}"
            )

    def concerns(self, endpoint: Endpoint) -> bool:
        """Return whether this endpoint, alone among those there are, may make a difference."""
        alike = self._group is None or endpoint.group == self._group
        self._group = endpoint.group
        return not alike or endpoint.quota is not None or self._each is not None

    def arrange(self, now: float) -> None:
        """Learn which endpoints there are now; O(N)."""
        accounts = self._ledger.accounts()
        members: dict[Meter, list[str]] = {}
        for account in accounts:
            account.meter = self._meter_of(account)
            if account.meter is not None:
                members.setdefault(account.meter, []).append(account.endpoint.identity)
        for meter, names in members.items():
            meter.names = frozenset(names)
        self._meters = list(members)
        self._own = {name: meter for name, meter in self._own.items() if meter in members or not meter.is_idle(now)}
        active = self._ledger.active()
        self._groups.arrange(active)
        if active:
            self._group = active[-1].endpoint.group
        self.any = bool(self._meters) or self._groups.several
        if not self.any:
            self.free()

    def _meter_of(self, account: Account) -> Meter | None:
        endpoint = account.endpoint
        if endpoint.quota is not None:
            return self._named[endpoint.quota]
        if self._each is None:
            return None
        return self._own.setdefault(endpoint.identity, Meter(endpoint.name, self._each))

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has one."""
        return bool(self._meters)

    # -- leases ------------------------------------------------------------------------------------

    def take(
        self, take: Callable[[Request, float], Lease | None], request: Request, since_s: float, now: float
    ) -> Lease | None:
        """Lease what `request` may use now, of the lowest group that will do.

        Args:
            take: leases the strategy's choice.
            request: what is asked for.
            since_s: since when; a request that has not waited: now.
            now: the time.
        """
        for allowed in self._ways(request, since_s, now):
            lease = take(allowed, now)
            if lease is not None:
                meter: Meter | None = lease.account.meter
                if meter is not None:
                    lease.charge = meter.take(request.tokens, now)
                return lease
        return None

    def is_late(self, now: float) -> bool:
        """Return whether time alone would let somebody in by now, and nobody has looked yet."""
        return now >= self.due_s

    def observe(self, now: float) -> None:
        """See who is full; to be called when a change is over."""
        if self._groups.several:
            self._groups.observe(now)

    def recount(self) -> None:
        """Count the quotas anew, after an interrupt."""
        for meter in self._meters:
            meter.recount()

    # -- claims ------------------------------------------------------------------------------------

    def free(self) -> None:
        """Keep nothing for anybody, and forget when something is due."""
        self.kept.clear()
        self.due_s = inf

    def within_reach(self, request: Request, since_s: float, now: float) -> Request:
        """Return `request` as one for the endpoints that it waits for: of its groups, and not kept for older claims.

        Note when its next group opens.
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
        """Keep a quota for a claim that could not be served, and note when it has room. O(N).

        It is the one that has room first, of those that are all it misses; with slots `kept`, that of their endpoint.

        Args:
            claim: whose.
            request: what it may wait for; see `within_reach`.
            now: the time.
            kept: the endpoint whose slots are kept for it, if it needs several.
        """
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
        """Return in words which quotas keep `request` from slots that are free; O(N), for a wait that is over."""
        meters = {account.meter: None for account in self._ledger.active() if request.fits(account)}
        return tuple(
            meter.short_of(request.tokens, now)
            for meter in meters
            if meter is not None and (meter in self.kept or not meter.has_room(request.tokens, now))
        )

    def usage(self, now: float) -> list[QuotaStats]:
        """Return how much of each quota is used, in the order of their endpoints; O(N + calls in the windows)."""
        names: dict[Meter, list[str]] = {meter: [] for meter in self._meters}
        for account in self._ledger.accounts():
            if account.meter in names:
                names[account.meter].append(account.endpoint.name)
        return [meter.usage(tuple(those), now) for meter, those in names.items()]

    # -- inside ------------------------------------------------------------------------------------

    def _ways(self, request: Request, since_s: float, now: float) -> Iterator[Request]:
        """Yield what `request` may be served by: by its lowest group, then by that and each that is open besides."""
        request, shut = self._feasible(request), self._shut(request, now)
        if not self._groups.several:
            yield request.passing(shut)
            return
        for accounts, above in self._groups.levels:
            yield self._passing(request, shut | above if shut else above)
            if self._groups.gives_way_s(accounts, request, since_s) > now:
                return

    def _feasible(self, request: Request) -> Request:
        """Return `request` as one that passes over the endpoints whose whole quota is less than it reserves."""
        if request.tokens is None:
            return request
        names = _NONE
        for meter in self._meters:
            if not meter.could_ever(request.tokens):
                names |= meter.names
        return request.passing(names)

    def _passing(self, request: Request, names: frozenset[str]) -> Request:
        """Return `request` as one that passes over `names`; nearly always both are what they were the last time."""
        asked, passed, made = self._last
        if asked is not request or passed is not names:
            made = request.passing(names)
            self._last = request, names, made
        return made

    def _shut(self, request: Request, now: float) -> frozenset[str]:
        """Return the endpoints whose quota has no room for `request`, or is kept."""
        shut = _NONE
        for meter in self._meters:
            if meter in self.kept or not meter.has_room(request.tokens, now):
                shut |= meter.names
        return shut
