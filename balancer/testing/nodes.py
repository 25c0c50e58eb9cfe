"""Writable node, to drive a strategy by hand. In a pool the ledger counts, and its nodes cannot be written to."""

from typing import TYPE_CHECKING

from balancer.strategy import Node

__all__ = ["WritableNode"]


class WritableNode(Node):
    """A node without a ledger: its owner sets the slots in flight and the limit."""

    if not TYPE_CHECKING:  # a type checker lets every field be set
        __setattr__ = object.__setattr__
