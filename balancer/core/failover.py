"""Failover groups: which of them a request may use.

A group gives way to the next one when none of its endpoints can serve the request: they are out of service, or have
been full for `spill_after_s`.
"""

from collections.abc import Iterable, Sequence
from math import inf

from balancer.core.account import Account
from balancer.strategy import Request

__all__ = ["FailoverGroups"]

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
