"""A node that can be written to, for whoever drives a strategy by hand.

Decides nothing. In a pool the ledger counts, and its nodes cannot be written to.
"""

from typing import TYPE_CHECKING

from balancer.strategy import Node

__all__ = ["WritableNode"]


class WritableNode(Node):
    """A node without a ledger: who made it counts what is in flight, and sets its limit."""

    if not TYPE_CHECKING:  # a type checker lets every field be set
        __setattr__ = object.__setattr__
