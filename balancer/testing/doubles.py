"""A lender that is never asked: it stands for a shell where a test makes the calls of the core itself."""

from balancer.answers import Load
from balancer.endpoint import Lease, Outcome

__all__ = ["FakeLender"]


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
