"""Admission filters: failover groups, quotas and reserved slots.

A group gives way to the next one when none of its endpoints can serve the request: they are out of service, or have
been full for `spill_after_s`.

They decide which of the endpoints that could serve a request may do so now. A strategy gets a request that excludes the
other endpoints, so no strategy knows about groups or quotas.

If a quota is short, it is kept for the oldest claim, as slots are for a claim that needs several. Otherwise callers
that ask for few tokens could starve a caller that asks for many. The caller of this module goes through the claims, the
oldest first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf

from balancer.core.account import Account, EndpointKind
from balancer.core.ledger import Ledger
from balancer.core.metrics import QuotaStats
from balancer.core.quotas import Meter
from balancer.core.rules import Rules
from balancer.endpoint import Lease
from balancer.settings.rules import QuotaSettings
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds

__all__ = ["AdmissionFilters", "Reservations", "meters_of"]


def meters_of(quotas: Mapping[str, QuotaSettings]) -> dict[str, Meter]:
    """Return a meter for each quota. Raises TypeError if one is not `QuotaSettings`."""
    for name, quota in quotas.items():
        if not isinstance(quota, QuotaSettings):
            raise TypeError(f"quotas: {name} is {quota!r}; it takes balancer.QuotaSettings(...)")
    return {name: Meter(name, quota) for name, quota in quotas.items()}


class AdmissionFilters:
    """The groups and the quotas of one pool. Either may be absent.

    Nothing here looks at each endpoint. A call costs O(kinds + quotas), and one step for each endpoint with a free slot
    that the request may not use.

    Args:
        ledger: the pool's ledger.
        spill_after_s: for how many seconds a group may be full before the next one is used. None: for any time.

    Attributes:
        any: True if there is a quota, or more than one group.
        due_s: when time alone lets a claim in that called `stand`; inf: never.
        kept: the quotas that are kept, and the claim of each.

    Raises:
        ValueError: `spill_after_s` is out of range.
    """

    def __init__(self, ledger: Ledger, spill_after_s: float | None) -> None:
        if spill_after_s is not None:
            checked("spill_after_s", spill_after_s, seconds)
        self._spill_s = inf if spill_after_s is None else spill_after_s
        self.any = False
        self.due_s = inf
        self.kept: dict[Meter, object] = {}
        self._kinds = ledger.kinds
        self._ledger = ledger
        self._levels: list[tuple[float, list[EndpointKind]]] = []  # the groups, the lowest first; of the last one: inf

    def arrange(self, now: float) -> None:
        """Look which groups and quotas there are, after a change of the endpoints; O(kinds)."""
        groups: dict[float, list[EndpointKind]] = {}
        for kind in self._kinds:
            groups.setdefault(kind.group, []).append(kind)
        self._levels = sorted(groups.items())
        if self._levels:
            self._levels[-1] = inf, self._levels[-1][1]
        self.any = bool(self._kinds.meters) or len(self._levels) > 1
        self._kinds.watch(self.any, now)
        if not self.any:
            self.free()

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint in service has a quota."""
        return bool(self._kinds.meters)

    # -- leases ------------------------------------------------------------------------------------

    def take(self, request: Request, since_s: float, now: float) -> Lease | None:
        """Lease from the lowest group that can serve `request` now; None if no group can.

        Args:
            request: what is asked for.
            since_s: when the request arrived; `now` for one that has not waited.
            now: the time.
        """
        for allowed, kinds in self._ways(request, since_s, now):
            lease = self._ledger.take(allowed, now) if self._may_find(allowed, kinds) else None
            if lease is not None:
                self._kinds.settle(lease.account, now)
                meter: Meter | None = lease.account.meter
                if meter is not None:
                    lease.charge = meter.take(request.tokens, now)
                return lease
        return None

    def is_late(self, now: float) -> bool:
        """Return whether `due_s` has passed."""
        return now >= self.due_s

    def recount(self, now: float) -> None:
        """Recompute the quotas, after an interrupt."""
        self.arrange(now)
        for meter in self._kinds.meters:
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
        feasible, upto = self._feasible(request), inf
        for group, kinds in self._levels if request.only is None else ():
            opens_s = self._gives_way_s(kinds, feasible, since_s)
            if opens_s > now:
                upto = group
                if upto < inf:
                    self.due_s = min(self.due_s, opens_s)
                break
        return feasible.passing(feasible.shut.union(meter.name for meter in self.kept), upto)

    def stand(
        self, claim: object, request: Request, now: float, kept: Account | None, reserved: Iterable[Account]
    ) -> None:
        """Keep a quota for a claim that could not be served, and set `due_s` to the time when it has room.

        The quota is the first one to have room, of those that alone keep the claim from a slot. If slots are reserved
        for the claim, it is the quota of their endpoint.

        Args:
            claim: the claim.
            request: what it may wait for; see `within_reach`.
            now: the time.
            kept: the endpoint whose slots are reserved for the claim, if it needs several.
            reserved: all endpoints with reserved slots.
        """
        first, first_s = kept.meter if kept is not None else None, inf
        held = {account.meter for account in reserved if request.admits(account.endpoint)}
        for meter in self._kinds.meters:
            fits = meter.name not in request.shut and any(map(request.fits, meter.free))
            if meter in self.kept or not (fits or meter in held):
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
        """Return a text for each quota that keeps `request` from a free slot."""
        return tuple(
            meter.short_of(request.tokens, now)
            for meter in self._kinds.meters
            if (meter in self.kept or not meter.has_room(request.tokens, now)) and any(map(request.fits, meter.free))
        )

    def hides(self, request: Request, since_s: float, now: float) -> Callable[[Account], str]:
        """Return what tells why an endpoint that fits `request` may not serve it now.

        Its answer is "quota", "group", or "" for an endpoint that may.
        """
        ways, shut = [way for way, _ in self._ways(request, since_s, now)], self._shut(request, now)

        def why(account: Account) -> str:
            if account.endpoint.quota in shut:
                return "quota"
            return "" if any(way.fits(account) for way in ways) else "group"

        return why

    def usage(self, now: float) -> list[QuotaStats]:
        """Return how much of each quota is used, in the order of their endpoints; O(N + calls in the windows)."""
        names: dict[Meter, list[str]] = {}
        for account in self._ledger.accounts():
            if account.meter is not None:
                names.setdefault(account.meter, []).append(account.endpoint.name)
        return [meter.usage(tuple(those), now) for meter, those in names.items()]

    # -- inside ------------------------------------------------------------------------------------

    def _ways(self, request: Request, since_s: float, now: float) -> Iterator[tuple[Request, list[EndpointKind]]]:
        """Yield `request` for its lowest group, then for that group and each further one that is open; also its kinds.

        A request for one endpoint waits for no group.
        """
        shut = self._shut(request, now)
        if request.only is not None:
            yield request.passing(shut), [*self._kinds]
            return
        feasible = self._feasible(request)
        for group, kinds in self._levels:
            yield request.passing(shut, group), kinds
            if self._gives_way_s(kinds, feasible, since_s) > now:
                return

    def _may_find(self, request: Request, kinds: Iterable[EndpointKind]) -> bool:
        """Return False if no endpoint with a free slot can be picked, so that the strategy does not look in vain."""
        if not any(kind.free and kind.suits(request) for kind in kinds):
            return False
        if not request.shut:
            return True
        shut = sum(len(meter.free) for meter in self._kinds.meters if meter.name in request.shut)
        return shut < sum(len(kind.free) for kind in self._kinds)

    def _gives_way_s(self, kinds: Iterable[EndpointKind], request: Request, since_s: float) -> float:
        """Return when the endpoints of a group will have been unable to take `request` for `spill_after_s`.

        Args:
            kinds: of one group. None of their endpoints can take the request now.
            request: what is asked for.
            since_s: when the request arrived. No endpoint was free for it since then.
        """
        last = -inf
        for kind in kinds:
            if kind.suits(request):
                last = max(last, min(kind.full_s(request), since_s) + self._spill_s)
        return last

    def _feasible(self, request: Request) -> Request:
        """Return `request` without the endpoints whose whole quota is smaller than its tokens."""
        return request.passing(frozenset(m.name for m in self._kinds.meters if not m.could_ever(request.tokens)))

    def _shut(self, request: Request, now: float) -> frozenset[str]:
        """Return the quotas that have no room for `request`, or are kept."""
        meters = self._kinds.meters
        return frozenset(m.name for m in meters if m in self.kept or not m.has_room(request.tokens, now))


class Reservations:
    """The endpoints whose free slots are reserved, each for one claim.

    Attributes:
        accounts: the reserved endpoint of each claim; oldest claim first.
        held: all that are kept: each reserved endpoint and the others of its host.
    """

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self.accounts: dict[object, Account] = {}
        self.held: list[Account] = []
        self._ledger = ledger
        self._rules = rules

    def keep(
        self, claim: object, request: Request, now: float, before: Mapping[object, Account], *, stay: bool = False
    ) -> None:
        """Reserve the free slots of one endpoint for `claim`, so that later claims do not take them one by one. O(N).

        It is the endpoint that misses the fewest slots for `request`. Of equals, one that was reserved `before` is
        preferred. With `stay`, it is the endpoint that `claim` had before, unless an older claim has it now. So no slot
        that was reserved before becomes free.
        """
        best = before.get(claim) if stay else None
        if best is None or best.kept:
            best = self._nearest(request, set(before.values()))
        if best is not None:
            self.accounts[claim] = best
            for account in self._rules.together(best):
                account.kept = True
                self.held.append(account)
            self._ledger.refresh(self._rules.together(best), now)

    def free(self, now: float) -> dict[object, Account]:
        """End all reservations. Return what was reserved, by claim."""
        kept, self.accounts = self.accounts, {}
        held, self.held = self.held, []
        for account in held:
            account.kept = False
        self._ledger.refresh(held, now)
        return kept

    def _nearest(self, request: Request, before: set[Account]) -> Account | None:
        """Return the account that misses the fewest slots for `request`, of those that are not reserved."""
        best, least = None, inf
        for account in self._ledger.accounts():
            if account.ceiling and not account.kept and request.admits(account.endpoint):
                missing = account.in_flight + request.takes(account) - account.limit - (account in before) / 2
                if missing < least:
                    best, least = account, missing
        return best
