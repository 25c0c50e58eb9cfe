"""Reservations: free slots set aside for a waiter that needs several of one endpoint.

The caller goes through the claims, the oldest first.
"""

from collections.abc import Mapping
from math import inf

from balancer.core.account import Account
from balancer.core.ledger import Ledger
from balancer.core.rules import Rules
from balancer.strategy import Request

__all__ = ["Reservations"]


class Reservations:
    """The endpoints whose free slots are reserved, each for one claim.

    Attributes:
        accounts: the reserved endpoint of each claim; oldest claim first.
    """

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self.accounts: dict[object, Account] = {}
        self._held: list[Account] = []  # all that are kept: each reserved endpoint and the others of its host
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
                self._held.append(account)
            self._ledger.refresh(self._rules.together(best), now)

    def free(self, now: float) -> dict[object, Account]:
        """End all reservations. Return what was reserved, by claim."""
        kept, self.accounts = self.accounts, {}
        held, self._held = self._held, []
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
