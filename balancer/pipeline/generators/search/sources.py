"""The sources of inputs that a search goes through, batch by batch, and its budget of time and runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from balancer.pipeline.proposing.toolbox import Comparer

__all__ = ["InputSource", "MadeInput", "SearchBudget"]


@dataclass(frozen=True, slots=True)
class MadeInput:
    """An input that was made up.

    Attributes:
        kind: the way in which it was made, for the source.
        detail: what it is, for people.
        data: the input.
    """

    kind: str
    detail: str
    data: bytes


class InputSource(Protocol):
    """Where the inputs of a search come from."""

    def batch(self) -> list[MadeInput]:
        """Return the next inputs, none of them twice; an empty list once there are no more."""
        ...

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Hear which inputs of a batch are valid; None: not known."""
        ...

    def found(self, data: bytes) -> None:
        """Hear of an input on which submissions differ."""
        ...


class SearchBudget:
    """How much a search may still spend.

    Args:
        comparer: counts the inputs that programs are run on.
        seconds, runs: so long, and so many of them, from now on.
        clock: seconds.
    """

    def __init__(self, comparer: Comparer, seconds: float, runs: int, clock: Callable[[], float]) -> None:
        self._comparer = comparer
        self._clock = clock
        self._until_s = clock() + seconds
        self._runs = comparer.runs + runs

    @property
    def left(self) -> bool:
        """Whether there is time left, and a run."""
        return self._clock() < self._until_s and self._comparer.runs < self._runs
