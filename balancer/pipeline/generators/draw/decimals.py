"""Draw numbers with decimals on which programs break: halves, values that differ by the last digit, bounds but one.

Pure: values are whole numbers, in units of the last decimal. It must not know fields.
"""

import random

from balancer.pipeline.generators.draw.values import DrawLimits, How, Where, draw_number, draw_numbers

__all__ = ["draw_decimals"]

_WHOLE, _HALVES, _CLOSE = 0.2, 0.12, 0.12  # how often a list is of whole numbers, of halves, of values close together


def draw_decimals(
    count: int, limits: DrawLimits, decimals: int, where: Where, how: How, rng: random.Random
) -> list[int]:
    """Draw `count` numbers within `limits`, which are whole; all of them in units of the last of `decimals` digits."""
    scale = 10**decimals
    scaled = DrawLimits(*(bound * scale for bound in (limits.low, limits.high, limits.seen_low, limits.seen_high)))
    if where is Where.EDGE and how is How.RANDOM and rng.random() < 0.5:
        edges = _edges(scaled, scale)
        return [rng.choice(edges) for _ in range(count)]
    if how in (How.ODD_ONE, How.FEW) and rng.random() < 0.5:
        return _close(count, scaled, where, how, rng)
    kind = rng.random()
    if kind < _WHOLE:
        return [scale * draw_number(limits, where, rng) for _ in range(count)]
    if kind < _WHOLE + _HALVES and scale > 1:
        return [_within(scale * draw_number(limits, where, rng) + scale // 2, scaled, -scale) for _ in range(count)]
    if kind < _WHOLE + _HALVES + _CLOSE:
        return _close(count, scaled, where, how, rng)
    return draw_numbers(count, scaled, where, how, rng)


def _close(count: int, limits: DrawLimits, where: Where, how: How, rng: random.Random) -> list[int]:
    """Draw values that differ by the last digit, if at all: all but one the same, or any."""
    base = draw_number(limits, where, rng)
    near = [value for value in (base - 1, base, base + 1) if limits.low <= value <= limits.high]
    if how is not How.ODD_ONE:
        return [rng.choice(near) for _ in range(count)]
    values = [base] * count
    if count:
        values[rng.randrange(count)] = rng.choice(near)
    return values


def _within(value: int, limits: DrawLimits, step: int) -> int:
    """Return the value, or one a step away where that is not allowed; the greatest if neither is."""
    found = (one for one in (value, value + step) if limits.low <= one <= limits.high)
    return next(found, limits.high)


def _edges(limits: DrawLimits, scale: int) -> list[int]:
    """Return values at which rounding and comparing go wrong: next to 0, 1 and the bounds, halves, tenths."""
    low, high = limits.low, limits.high
    telling = [0, 1, -1, scale, scale - 1, scale + 1, scale // 10, 3 * scale // 10]
    halves = [scale // 2, scale // 2 - 1, 3 * scale // 2, 5 * scale // 2, -(scale // 2)]
    bounds = [low, low + 1, high, high - 1]
    return [value for value in (*telling, *halves, *bounds) if low <= value <= high] or [low]
