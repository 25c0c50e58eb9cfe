"""Another pool, whose leases must be refused; and a lender that stands for a shell in a test.

Decides nothing of the pool under test.
"""

from balancer.core import Core
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.load import Load
from balancer.strategy import Node, Request, Strategy

__all__ = ["FakeLender", "other_pool"]


class FakeLender:
    """Stands for a shell: all that a lease needs of it is that it is somebody."""

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Refuse: whoever drives the core gives leases back to it directly."""
        raise AssertionError("the shadow gives leases back by itself")

    def used(self, lease: Lease, tokens: int) -> None:
        """Refuse; likewise."""
        raise AssertionError("the shadow tells the core by itself")

    def told(self, lease: Lease, load: Load) -> None:
        """Refuse; likewise."""
        raise AssertionError("the shadow tells the core by itself")


class _Only(Strategy):
    """Chooses the only endpoint of another pool, which is not under test."""

    name = "only"

    def __init__(self) -> None:
        self._node: Node | None = None

    def join(self, node: Node, now: float) -> None:
        self._node = node

    def leave(self, node: Node, now: float) -> None:
        self._node = None

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        return self._node if self._node is not None and request.fits(self._node) else None

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        pass


def other_pool() -> Core:
    """Return a pool of one endpoint with one slot, which is not under test."""
    return Core([Endpoint("stranger")], _Only(), lender=FakeLender(), now=0.0)
