"""Numeric tolerance in doubles: numbers that are close beyond doubt.

Decides when the rounding of doubles leaves no doubt that two numbers are close; whatever is in doubt is for exact
arithmetic to say. Pure. It must not know what a token is, nor what counts when numbers are neither.

A token that Python reads as a double is at most half a unit in the last place away from it: 2**-53 of its value. The
slack below is twice what all roundings of a comparison add up to, so an answer given here is the exact one.
"""

from decimal import Decimal
from math import inf

__all__ = ["Nearness"]

_SLACK = 2.0**-51
_LEAST = 1e-300  # far above the smallest doubles, whose rounding is no share of their value
_MOST = Decimal("1e300")
_LESS = 1 - 2.0**-50


class Nearness:
    """A tolerance, as doubles know it.

    Args:
        relative: largest error allowed, as a share of the expected value; None: not allowed.
        absolute: largest error allowed; None: not allowed. Either is enough.
    """

    __slots__ = ("_absolute", "_relative", "_usable")

    def __init__(self, relative: Decimal | None, absolute: Decimal | None) -> None:
        self._relative = _least(relative)
        self._absolute = _least(absolute)
        self._usable = all(each is None or each <= _MOST for each in (relative, absolute))

    def differing(self, wanted: list[float], given: list[float]) -> list[int]:
        """Return the places, in order, where two lists of one length are not close beyond doubt."""
        if not self._usable:
            return list(range(len(wanted)))
        relative, absolute = self._relative, self._absolute
        return [
            index
            for index, (want, got) in enumerate(zip(wanted, given, strict=True))
            # Where a number is not finite, neither is the error, and it is below no bound.
            if not (
                (error := abs(want - got) + (abs(want) + abs(got)) * _SLACK + _LEAST) <= absolute
                or error <= relative * abs(want) < inf
            )
        ]


def _least(tolerance: Decimal | None) -> float:
    """Return what is within `tolerance` at the least; nothing is within None."""
    return -1.0 if tolerance is None else float(tolerance) * _LESS
