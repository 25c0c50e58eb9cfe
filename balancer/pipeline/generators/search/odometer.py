"""Go through all sequences of choices, where what there is to choose depends on what was chosen before. Pure."""

__all__ = ["Odometer"]


class Odometer:
    """The last wheel turns first; the wheels behind one that turned are taken off, as others may be needed there."""

    def __init__(self) -> None:
        self._wheels: list[list[int]] = []  # where each stands, and how many places it has
        self._at = 0

    def pick(self, count: int) -> int:
        """Return a number from 0 to `count` - 1: the next choice of this sequence."""
        if self._at == len(self._wheels):
            self._wheels.append([0, count])
        self._at += 1
        return self._wheels[self._at - 1][0]

    def advance(self) -> bool:
        """Go on to the next sequence; False if there is none."""
        del self._wheels[self._at :]
        self._at = 0
        while self._wheels:
            self._wheels[-1][0] += 1
            if self._wheels[-1][0] < self._wheels[-1][1]:
                return True
            self._wheels.pop()
        return False
