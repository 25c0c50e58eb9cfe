"""A budget of bytes that are held for clients: when it is exceeded, the largest holder is cancelled.

Decides that it is the largest one that may go: who holds little is not driven out by who holds much. It must not know
what the bytes are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

__all__ = ["ByteBudget", "HeldBytes"]


@dataclass(eq=False, slots=True)
class HeldBytes:
    """What is held for one.

    Attributes:
        scope: cancelled when it has to go.
        data: what is held; `size` goes on counting when it is given away.
        fixed: it need not go any more.
        gone: it had to go.
    """

    scope: anyio.CancelScope
    data: bytearray = field(default_factory=bytearray)
    fixed: bool = False
    gone: bool = False
    size: int = 0


class ByteBudget:
    """Everything that is held. Used from the event loop only.

    Args:
        most: bytes of all together.
        report: called with the number of bytes that are held, whenever it changes.
    """

    def __init__(self, most: int, report: Callable[[float], None]) -> None:
        self._most = most
        self._report = report
        self._all: set[HeldBytes] = set()
        self._held = 0

    @contextmanager
    def hold(self) -> Iterator[HeldBytes]:
        """Hold something for the length of a `with` block; it is cancelled, within `scope`, when it has to go."""
        held = HeldBytes(anyio.CancelScope())
        self._all.add(held)
        try:
            yield held
        finally:
            self._all.discard(held)
            self._count(held, 0)
            held.data = bytearray()

    def add(self, to: HeldBytes, data: bytes, *, most: int | None = None) -> None:
        """Hold more; see `grow`."""
        to.data += data
        self.grow(to, len(data), most=most)

    def grow(self, to: HeldBytes, by: int, *, most: int | None = None) -> None:
        """Count more; the largest ones go while all have more than `most` bytes, by default what there may be."""
        self._count(to, to.size + by)
        while self._held > (self._most if most is None else most):
            movable = [each for each in self._all if each.size and not each.fixed]
            if not movable:
                return
            largest = max(movable, key=lambda each: each.size)
            largest.gone = True
            largest.data = bytearray()
            self._count(largest, 0)
            largest.scope.cancel()

    def _count(self, held: HeldBytes, size: int) -> None:
        self._held += size - held.size
        held.size = size
        self._report(self._held)
