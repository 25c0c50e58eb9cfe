"""Sets of points on which programs break: on one line, on a circle, in a grid, far out in the corners.

Pure: limits in, pairs out. It must not know how points are written in an input. Where there is no room for so many
different points of a figure, some come again, or others take their place.
"""

import random
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import cycle, islice
from math import atan2, gcd, isqrt

__all__ = ["PointPattern", "draw_points"]

Point = tuple[int, int]
Span = tuple[int, int]  # the least and the greatest value of a coordinate
_CIRCLES = (25, 325, 5525)  # squares of radii: 12, 24 and 48 points with whole coordinates
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (1, -3), (3, 2))
_MOST_STEP, _ANY = 10**6, 10**18


class PointPattern(Enum):
    """How points lie to each other."""

    LINE = "on one line"
    NEAR_LINE = "on one line but one"
    AXIS = "on an axis"
    GRID = "a grid"
    CIRCLE = "on a circle"
    CONVEX = "corners of a convex polygon"
    NO_THREE = "no three on a line"
    CORNERS = "in the corners"


def draw_points(figure: PointPattern, count: int, x: Span, y: Span, rng: random.Random) -> list[Point]:
    """Return `count` points of a figure with coordinates within `x` and `y`, in random order or as they follow."""
    if count <= 0:
        return []
    points = list(islice(_FIGURES[figure](count, x, y, rng), count))
    points = list(islice(cycle(points), count))
    if rng.random() < 0.5 and figure is not PointPattern.CORNERS:
        rng.shuffle(points)
    return points


def _line(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield points at equal steps along a direction that there is room for."""
    steps = max(count - 1, 1)
    fitting = [way for way in _DIRECTIONS if _steps(way, x, y) >= steps]
    dx, dy = rng.choice(fitting) if fitting else max(_DIRECTIONS, key=lambda way: _steps(way, x, y))
    room = max(_steps((dx, dy), x, y) // steps, 1)
    step = rng.choice((1, room, rng.randint(1, min(room, _MOST_STEP))))
    length = min(_steps((dx * step, dy * step), x, y), steps)
    left = rng.randint(x[0], x[1] - abs(dx) * step * length)
    low = rng.randint(y[0], y[1] - abs(dy) * step * length)
    start = low if dy >= 0 else low + abs(dy) * step * length
    yield from ((left + dx * step * index, start + dy * step * index) for index in range(length + 1))


def _steps(way: Point, x: Span, y: Span) -> int:
    """Return how many steps there is room for."""
    dx, dy = abs(way[0]), abs(way[1])
    return min((x[1] - x[0]) // dx if dx else _ANY, (y[1] - y[0]) // dy if dy else _ANY)


def _near_line(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    points = list(_line(count, x, y, rng))
    at = rng.randrange(len(points))
    one, other = points[at]
    upright = points[0][0] == points[-1][0]
    if upright:
        beside = [(near, other) for near in (one - 1, one + 1) if x[0] <= near <= x[1]]
    else:
        beside = [(one, near) for near in (other - 1, other + 1) if y[0] <= near <= y[1]]
    points[at] = rng.choice(beside) if beside else points[at]
    yield from points


def _axis(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield points on the axis, or on a line beside it: at both ends, and anywhere between."""
    upright = rng.random() < 0.5
    along, across = (y, x) if upright else (x, y)
    at = min(max(0, across[0]), across[1])
    values = [along[0], along[1], *(rng.randint(*along) for _ in range(count))]
    for value in dict.fromkeys(values):
        yield (at, value) if upright else (value, at)


def _grid(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    width = min(isqrt(max(count - 1, 0)) + 1, x[1] - x[0] + 1)
    rows = min(-(-count // width), y[1] - y[0] + 1)
    room = min((x[1] - x[0]) // max(width - 1, 1), (y[1] - y[0]) // max(rows - 1, 1))
    step = max(rng.choice((1, 1, room)), 1)
    left, low = rng.randint(x[0], x[1] - step * (width - 1)), rng.randint(y[0], y[1] - step * (rows - 1))
    yield from ((left + step * column, low + step * row) for row in range(rows) for column in range(width))


def _circle(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield points that are exactly on one circle; corners of a convex polygon if they are too many for that."""
    half = min(x[1] - x[0], y[1] - y[0]) // 2
    square = next((found for found in _CIRCLES if len(_on_circle(found)) >= count), 0)
    if not square or isqrt(square) > half:
        yield from _convex(count, x, y, rng)
        return
    scale = rng.choice((1, half // isqrt(square)))
    reach = scale * isqrt(square)
    middle = rng.randint(x[0] + reach, x[1] - reach), rng.randint(y[0] + reach, y[1] - reach)
    if x[0] + reach <= 0 <= x[1] - reach and y[0] + reach <= 0 <= y[1] - reach:
        middle = 0, 0
    yield from ((middle[0] + scale * one, middle[1] + scale * other) for one, other in _on_circle(square))


def _on_circle(square: int) -> list[Point]:
    reach = isqrt(square)
    points = [(one, sign * isqrt(square - one * one)) for one in range(-reach, reach + 1) for sign in (1, -1)]
    found = {point for point in points if point[0] ** 2 + point[1] ** 2 == square}
    return sorted(found, key=lambda point: atan2(point[1], point[0]))


def _convex(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield the corners of a polygon whose sides are all different; no three on a line if there is no room for it."""
    sides = sorted(islice(_directions(), count // 4 + 1), key=lambda side: atan2(side[1], side[0]))
    across, room = sum(one + other for one, other in sides), min(x[1] - x[0], y[1] - y[0])
    if across > room:
        yield from _no_three(count, x, y, rng)
        return
    scale = rng.choice((1, room // across))
    left, low = (rng.randint(span[0], span[1] - scale * across) for span in (x, y))
    # From the lowest corner round to it again: the sides, and these turned by a quarter three times.
    at = left + scale * sum(side[1] for side in sides), low
    for _ in range(4):
        for dx, dy in sides:
            yield at
            at = at[0] + scale * dx, at[1] + scale * dy
        sides = [(-dy, dx) for dx, dy in sides]


def _directions() -> Iterator[Point]:
    """Yield directions from right to up, up left out, short ones first; no two are the same."""
    total = 1
    while True:
        yield from ((total - dy, dy) for dy in range(total) if gcd(total, dy) == 1)
        total += 1


def _no_three(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield (t, t * t modulo a prime), of which no three are on a line, as far as there is room."""
    room = min(x[1] - x[0], y[1] - y[0]) + 1
    prime = next((found for found in range(max(min(count, room), 2), room + 1) if _is_prime(found)), None)
    if prime is None:  # no prime is that large
        prime = next((found for found in range(room, 1, -1) if _is_prime(found)), 1)
    scale = rng.choice((1, max((room - 1) // max(prime - 1, 1), 1)))
    left, low = (rng.randint(span[0], span[1] - scale * (prime - 1)) for span in (x, y))
    yield from ((left + scale * index, low + scale * (index * index % prime)) for index in range(prime))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, isqrt(number) + 1))


def _corners(count: int, x: Span, y: Span, rng: random.Random) -> Iterator[Point]:
    """Yield the corners of what is allowed, then points next to them: cross products are as large as may be."""
    corners = [(x[0], y[0]), (x[1], y[1]), (x[0], y[1]), (x[1], y[0])]
    found = dict.fromkeys(corners)
    near = 2 * isqrt(count) + 1
    for _ in range(4 * count):
        one, other = rng.choice(corners)
        dx, dy = rng.randint(0, min(near, x[1] - x[0])), rng.randint(0, min(near, y[1] - y[0]))
        found.setdefault((one + dx if one == x[0] else one - dx, other + dy if other == y[0] else other - dy))
    yield from found


_FIGURES: dict[PointPattern, Callable[[int, Span, Span, random.Random], Iterator[Point]]] = {
    PointPattern.LINE: _line,
    PointPattern.NEAR_LINE: _near_line,
    PointPattern.AXIS: _axis,
    PointPattern.GRID: _grid,
    PointPattern.CIRCLE: _circle,
    PointPattern.CONVEX: _convex,
    PointPattern.NO_THREE: _no_three,
    PointPattern.CORNERS: _corners,
}
