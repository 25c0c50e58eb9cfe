"""Styles of made-up inputs: size, values and arrangement. The most useful ones come first. Pure tables."""

import random
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.values import How, Where

__all__ = [
    "AS_SEEN",
    "MOST",
    "ONE_TIME",
    "Size",
    "Style",
    "large_styles",
    "small_styles",
    "stream_of",
    "style_of",
    "telling_styles",
    "without",
]

MOST = 10**9  # as many as allowed
_MOST_SKIPPED = 300  # styles in a row that are left out, after which no others are expected


@dataclass(frozen=True, slots=True)
class Size:
    """Least and greatest number of each counted thing, cut to the field's range."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Style:
    """A way to make up an input.

    Args:
        name: for people.
        size: of lists, tables and graphs.
        where, how: each field takes one of each.
        shape: of graphs.
        blocks: number of test cases, if the format has any.
    """

    name: str
    size: Size
    where: tuple[Where, ...]
    how: tuple[How, ...] = (How.RANDOM,)
    shape: Shape | None = None
    blocks: Size = Size(1, 6)


AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN,))  # for values that a change of a known input needs in addition
_ONE, _FEW, _SMALL = Size(1, 1), Size(2, 6), Size(5, 12)
_ALL = Size(MOST, MOST)
_ONE_BLOCK = Size(1, 1)
_ANYWHERE = (Where.FULL, Where.OVERFLOW, Where.LOG, Where.EDGE, Where.HIGH, Where.LOW, Where.TINY, Where.SEEN)
_ANYHOW = (
    How.RANDOM,
    How.RANDOM,
    How.EQUAL,
    How.FEW,
    How.SORTED,
    How.REVERSED,
    How.RAMP,
    How.ODD_ONE,
    How.HASHED,
    How.PERIODIC,
)


_LARGE = (
    Style("most, anywhere", _ALL, (Where.FULL,), shape=Shape.PATH, blocks=_ONE_BLOCK),
    Style("most, greatest values", _ALL, (Where.HIGH,), blocks=_ONE_BLOCK),
    Style("most, greatest and alike", _ALL, (Where.HIGH,), (How.EQUAL, How.HASHED), Shape.BIPARTITE, _ONE_BLOCK),
    Style("most, few values", _ALL, (Where.TINY,), (How.RANDOM, How.EQUAL), Shape.STAR, _ONE_BLOCK),
    Style("most, without gaps", _ALL, (Where.FULL,), (How.RAMP,), blocks=_ONE_BLOCK),
    Style("most, sorted", _ALL, (Where.FULL,), (How.SORTED,), Shape.COMPLETE, _ONE_BLOCK),
    Style("most, all equal", _ALL, (Where.FULL, Where.LOW), (How.EQUAL,), Shape.TREE, _ONE_BLOCK),
    Style("most, reversed", _ALL, (Where.FULL,), (How.REVERSED,), Shape.DEEP, _ONE_BLOCK),
    Style("most cases", _FEW, (Where.FULL, Where.TINY), blocks=_ALL),
    Style("most, the same hash", _ALL, (Where.FULL,), (How.HASHED,), Shape.DEEP, _ONE_BLOCK),
    Style("most, extremes in turn", _ALL, (Where.FULL,), (How.ALTERNATING,), Shape.BINARY, _ONE_BLOCK),
    Style("most, repeating", _ALL, (Where.TINY,), (How.PERIODIC,), Shape.CYCLE, _ONE_BLOCK),
    Style("most, all but one", _ALL, (Where.EDGE, Where.TINY), (How.ODD_ONE,), Shape.TREE, _ONE_BLOCK),
    Style("most, sums that overflow", _ALL, (Where.OVERFLOW,), (How.RANDOM,), Shape.BIPARTITE, _ONE_BLOCK),
)
_LARGE_NAMES = frozenset({"large", *(style.name for style in _LARGE)})


def telling_styles() -> Iterator[Style]:
    """Yield styles of small inputs at the limits of what is valid."""
    yield Style("least", _ONE, (Where.LOW,))
    yield Style("greatest values", _FEW, (Where.HIGH,))
    yield Style("where programs break", Size(8, 40), (Where.EDGE,))
    yield Style("one, anywhere", _ONE, (Where.FULL, Where.EDGE))
    yield Style("all equal", _FEW, (Where.SEEN, Where.TINY), (How.EQUAL,))
    yield Style("next to the greatest values", _SMALL, (Where.TOP,))
    yield Style("extremes in turn", _SMALL, (Where.FULL,), (How.ALTERNATING,))
    yield Style("reversed", _SMALL, (Where.FULL, Where.SEEN), (How.REVERSED,))
    yield Style("sums and products that overflow", _SMALL, (Where.OVERFLOW,))
    yield Style("none", Size(0, 0), (Where.LOW, Where.SEEN))
    yield Style("consecutive", Size(5, 50), (Where.SEEN,), (How.RAMP,))
    yield Style("complete graph", Size(4, 7), (Where.TINY,), shape=Shape.COMPLETE)
    yield Style("many small cases", _FEW, (Where.TINY,), _ANYHOW, blocks=Size(20, 100))


def large_styles(rng: random.Random) -> Iterator[Style]:
    """Yield styles of large inputs, without end: against slow programs, small arrays, deep recursion and overflow.

    The first ones have the greatest size and different structures, those worst for slow programs first.
    """
    yield from _LARGE
    sizes = (_ALL, _ALL, _ALL, Size(10**4, 10**4), Size(10**5, 10**5), Size(10**3, 10**3))
    while True:
        shape = rng.choice(list(Shape))
        yield Style("large", rng.choice(sizes), _ANYWHERE, _ANYHOW, shape, _ONE_BLOCK)


def small_styles(rng: random.Random) -> Iterator[Style]:
    """Yield styles of small random inputs, without end. Many of them, with many ties, find the most errors."""
    while True:
        yield Style("random tiny", Size(1, 4), (Where.TINY,))
        yield Style(
            "random small",
            Size(3, 8),
            (Where.TINY, Where.SEEN),
            shape=rng.choice([None, *Shape]),
        )
        yield Style("random", Size(2, 6), (Where.FULL, Where.LOG, Where.EDGE))
        yield Style(
            "random mixed",
            Size(1, 10),
            _ANYWHERE,
            _ANYHOW,
            rng.choice(list(Shape)),
        )
        yield Style("random few values", Size(4, 20), (Where.TINY,), _ANYHOW, blocks=Size(10, 50))
        yield Style("random medium", Size(10, 60), (Where.SEEN, Where.TINY, Where.LOG), _ANYHOW)


_SIZES = re.compile(r"(?: (?:[a-z]|field \d+)=-?\d+)+$")


def style_of(detail: str) -> str:
    """Return the name of an input's style, from the detail of its origin, without the sizes."""
    return _SIZES.sub("", detail)


def without(left_out: Set[str], styles: Iterable[Style]) -> Iterator[Style]:
    """Yield styles without those of some names. End when no others come: some streams have no end."""
    skipped = 0
    for style in styles:
        skipped = skipped + 1 if style.name in left_out else 0
        if skipped > _MOST_SKIPPED:
            return
        if not skipped:
            yield style


def stream_of(style: str) -> str:
    """Return the stream of a style: telling, large, small, constants or change."""
    if style.startswith("constant "):
        return "constants"
    if style.startswith("random"):
        return "small"
    if style in _LARGE_NAMES:
        return "large"
    return "telling" if style in _TELLING_NAMES else "change"


_TELLING_NAMES = frozenset(style.name for style in telling_styles())
ONE_TIME = _TELLING_NAMES | frozenset(style.name for style in _LARGE)  # styles that are used once
