"""Strategy calls: what a strategy raises becomes an error that names the strategy and the hook."""

from typing import Literal, NoReturn

from balancer.errors import CallFromWithin, StrategyError
from balancer.strategy import Node, Strategy

__all__ = ["StrategyRaised", "has_no_room", "refuse", "tell"]

# A strategy needs a few frames. One that recurses for ever fills hundreds before it fails.
_FRAMES = 100


def has_no_room(error: BaseException) -> bool:
    """Return whether `error` says that the stack was nearly full when the current function called something.

    The same call may then succeed from elsewhere. False if the code that was called has filled the stack by itself.
    """
    if not isinstance(error, RecursionError):
        return False
    frames, traceback = 0, error.__traceback__
    while traceback is not None:
        frames, traceback = frames + 1, traceback.tb_next
    return frames < _FRAMES


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
