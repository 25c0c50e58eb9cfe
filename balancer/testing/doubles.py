"""Doubles to drive parts of the core by hand: a lender that is never asked, and a node that can be written to."""

from typing import TYPE_CHECKING

from balancer.answers import Load
from balancer.endpoint import Lease, Outcome
from balancer.strategy import Node

__all__ = ["FakeLender", "WritableNode"]


class FakeLender:
    """Stands for a shell, of which a lease only needs a reference."""

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Refuse: the test returns leases to the core directly."""
        raise AssertionError("the test releases leases by itself")

    def used(self, lease: Lease, tokens: int) -> None:
        """Refuse, as `release`."""
        raise AssertionError("the test reports to the core by itself")

    def told(self, lease: Lease, load: Load) -> None:
        """Refuse, as `release`."""
        raise AssertionError("the test reports to the core by itself")


class WritableNode(Node):
    """A node without a ledger: its owner sets the slots in flight and the limit. The nodes of a pool are read-only."""

    if not TYPE_CHECKING:  # a type checker lets every field be set
        __setattr__ = object.__setattr__
