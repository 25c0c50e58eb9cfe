"""Failover groups: which of them a request may use.

Decides when a group gives way to the next one: when none of its endpoints can serve the request, because they are out
of service, or have been unable to take it for `spill_after_s`. It must not know quotas, strategies or the queue.
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
        spill_after_s: for so long a group may be full before the next one is used; None: however long.

    Attributes:
        levels: for each group its endpoints, and the identities of those of all higher groups.
    """

    def __init__(self, spill_after_s: float | None) -> None:
        self._spill_s = inf if spill_after_s is None else spill_after_s
        self.levels: list[tuple[Sequence[Account], frozenset[str]]] = []

    @property
    def several(self) -> bool:
        """True if there is more than one."""
        return len(self.levels) > 1

    def arrange(self, accounts: Iterable[Account]) -> None:
        """Learn which endpoints are in service, and in which groups."""
        by_group: dict[int, list[Account]] = {}
        began = not self.several
        for account in accounts:
            if began:
                account.full_s = inf  # nobody has looked so far
            by_group.setdefault(account.endpoint.group, []).append(account)
        self.levels = []
        above = _NONE
        for group in sorted(by_group, reverse=True):
            self.levels.insert(0, (by_group[group], above))
            above |= {account.endpoint.identity for account in by_group[group]}

    def observe(self, now: float) -> None:
        """See who has no free slot, and since when; O(N). To be called when a change is over.

        A slot that came free and was handed on within one change was never free.
        """
        for accounts, _ in self.levels:
            for account in accounts:
                if account.in_flight < account.limit:
                    account.full_s = inf
                elif account.full_s == inf:
                    account.full_s = now

    def gives_way_s(self, accounts: Sequence[Account], request: Request, since_s: float) -> float:
        """Return when these, the endpoints of a group, will have been unable to take `request` for long enough.

        Args:
            accounts: of one group; it is known that none of them can take it now.
            request: what is asked for.
            since_s: when it was first asked for: it has found none of them free since then.
        """
        last = -inf
        for account in accounts:
            if account.fit and request.admits(account.endpoint):
                full_s = min(account.full_s, since_s)
                last = max(last, full_s + self._spill_s)
        return last
