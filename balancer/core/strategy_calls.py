"""Strategy calls: what a strategy raises becomes an error that names the strategy and the hook."""

from typing import Literal, NoReturn

from balancer.core.room import has_no_room
from balancer.errors import CallFromWithin, StrategyError
from balancer.strategy import Node, Strategy

__all__ = ["StrategyRaised", "refuse", "tell"]


class StrategyRaised(StrategyError):
    """A hook of a strategy raised, so its counts may be wrong: the core must be repaired. Its cause is that error.

    A `StrategyError` of exactly that class says that nothing was changed.
    """

    def __init__(self, strategy: str, hook: str, error: Exception) -> None:
        self.hook = hook
        self.reason = f"raised {error!r} in {hook}"
        super().__init__(strategy, self.reason)


def refuse(strategy: Strategy, hook: str, error: Exception) -> NoReturn:
    """Raise `StrategyRaised` for what the hook raised; what may not be the fault of the strategy is raised as it is."""
    if isinstance(error, MemoryError | StrategyError | CallFromWithin) or has_no_room(error):
        raise error
    raise StrategyRaised(strategy.name, hook, error) from error


def tell(strategy: Strategy, hook: Literal["join", "leave", "change"], node: Node, now: float) -> None:
    """Call a hook about a node. Raises StrategyRaised."""
    try:
        getattr(strategy, hook)(node, now)
    except Exception as error:
        refuse(strategy, hook, error)
