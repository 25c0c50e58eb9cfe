"""Costs: the money that calls cost, by the prices of their endpoints, for each endpoint and each holder.

A core has an object of this class only once one of its endpoints has prices. A call costs by the prices at its grant,
when its lease has ended.
"""

from balancer.core.account import Account
from balancer.endpoint import Lease, Outcome

__all__ = ["Costs"]


class Costs:
    """What the calls of a pool have cost.

    Attributes:
        total: of all calls, also at endpoints that have gone.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._used: dict[int, tuple[int, int]] = {}  # tokens so far, and those of the answer; by the id of a lease out

    def used(self, lease: Lease, tokens: int, output: int) -> None:
        """Set how many tokens the call of a lease that is out has used so far, and how many of them the answer has."""
        if lease.endpoint.prices is not None:
            self._used[lease.id] = tokens, output

    def ended(self, lease: Lease, account: Account, outcome: Outcome, held_s: float) -> float:
        """Count the cost of a lease that has ended after `held_s`, and return it."""
        tokens, output = self._used.pop(lease.id, (0, 0))
        prices = lease.endpoint.prices
        if prices is None:
            return 0.0
        cost = prices.cost(int(outcome is Outcome.SUCCESS), held_s * lease.slots, tokens - output, output)
        self.total += cost
        account.cost += cost
        return cost
