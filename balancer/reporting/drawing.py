"""Drawings: shapes over two scales, words beside them, a legend above; and their SVG.

A drawing is data until `to_svg` is called, so scales may still change when shapes have been added. Words are text in
the font of the page. There are no ids, so a page may have any number of drawings. Its theme sets the colours.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import pairwise
from typing import Final

from balancer.reporting.scales import Scale
from balancer.reporting.style import FAINT, FONT, HALF, INK, LETTERS, LINE, drawable, width_of

__all__ = [
    "Box",
    "Boxes",
    "Drawing",
    "LegendEntry",
    "Line",
    "Marker",
    "Markers",
    "Strokes",
    "Text",
    "narrow_svg",
    "to_svg",
]

Box = tuple[float, float, float, float]
"""Left, right, and two ends on the other scale."""

# Shapes of markers as paths from their middle, one unit from it to an edge.
_SHAPES: Final = {
    "o": ((0, -1), "a1 1 0 0 1 0 2a1 1 0 0 1 0-2"),
    "s": ((-0.9, -0.9), "h1.8v1.8h-1.8"),
    "^": ((0, -1), "l1 1.9h-2"),
    "v": ((0, 1), "l1-1.9h-2"),
    "D": ((0, -1.2), "l1.2 1.2l-1.2 1.2l-1.2-1.2"),
    "X": ((0, -0.4), "l.6-.6l.5 .5l-.6 .6l.6 .6l-.5 .5l-.6-.6l-.6 .6l-.5-.5l.6-.6l-.6-.6l.5-.5"),
    "P": ((-0.4, -1), "h.8v.6h.6v.8h-.6v.6h-.8v-.6h-.6v-.8h.6"),
    "|": ((0, -1), "v2"),
}
_PAD: Final = 6.0  # between words and what they are about
_GAP: Final = 11.0  # between entries of a legend
_SWATCH: Final = 10.0
_BEYOND: Final = 10_000.0  # units: farther away nothing differs
_LEAST: Final = 100.0  # units of width for shapes


@dataclass(frozen=True, slots=True)
class Marker:
    """A sign at a point: its shape, distance from its middle to an edge, colours inside and of the edge."""

    shape: str
    size: float
    face: str
    edge: str
    edge_width: float = 1.0


@dataclass(frozen=True, slots=True)
class Boxes:
    """Filled rectangles, drawn as one shape."""

    corners: Sequence[Box]
    colour: str
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, interrupted where one has no place on a scale. Dashes are on, off, ... in units."""

    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    width: float
    dashes: tuple[float, ...] = ()
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Strokes:
    """Vertical lines, so many units to the right of their place."""

    xs: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    colour: str
    aside: float


@dataclass(frozen=True, slots=True)
class Markers:
    """Equal signs at points."""

    xs: Sequence[float]
    ys: Sequence[float]
    marker: Marker


@dataclass(frozen=True, slots=True)
class Text:
    """Words that begin, or with `ends` end, so many units to the right of a point. `x` None: of the last end."""

    x: float | None
    y: float
    words: str
    aside: float
    ends: bool = False


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """An entry of a legend: fields of colour and alpha side by side, a line, a marker, as it has them; and words."""

    words: str
    fields: Sequence[tuple[str, float]] = ()
    line: Line | None = None
    marker: Marker | None = None

    @property
    def sign_width(self) -> float:
        """The width of what is before the words, in units."""
        if self.line:
            return 3.2 * _SWATCH
        return max(_SWATCH, 0.8 * _SWATCH * len(self.fields))


@dataclass(slots=True)
class Drawing:
    """Shapes over two scales.

    Attributes:
        width: in units, of all.
        height: in units, of the part with the shapes.
    """

    width: float
    height: float
    x: Scale = field(default_factory=Scale)
    y: Scale = field(default_factory=Scale)
    shapes: list[Boxes | Line | Strokes | Markers | Text] = field(default_factory=list)
    legend: Sequence[LegendEntry] = ()


def to_svg(drawing: Drawing) -> str:
    """Return the drawing as an `<svg>` element: the same bytes for the same drawing."""
    y_marks = drawing.y.marks()
    left, right = _margins(drawing, y_marks)
    rows = list(_legend_rows(drawing))
    top = LINE * len(rows) + _PAD
    area = _Area(drawing, max(1.0, drawing.width - left - right))
    x_marks = drawing.x.marks(area.width)
    bottom = (LINE if x_marks else 0.0) + (LINE if drawing.x.label else 0.0) + 2
    size = f"{_number(drawing.width)} {_number(top + drawing.height + bottom)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="{FONT}" font-size="{LETTERS:g}" '
        f'fill="{INK}" role="img" style="white-space: pre">',
        *(part for n, row in enumerate(rows) for part in _legend_row(row, LINE * n + LINE / 2)),
        f'<g transform="translate({_number(left)} {_number(top)})">',
        *area.scales(x_marks, y_marks, left),
        *(part for shape in drawing.shapes for part in area.drawn(shape)),
        "</g></svg>",
    ]
    return "\n".join(parts)


def narrow_svg(drawing: Drawing) -> str:
    """Return the same for a narrow window, half as wide as a page; "" if its words leave too little room there."""
    if HALF - sum(_margins(drawing, drawing.y.marks())) < _LEAST:
        return ""
    return to_svg(replace(drawing, width=HALF))


def _margins(drawing: Drawing, y_marks: Sequence[tuple[float, str]]) -> tuple[float, float]:
    """Return the room to the left and to the right of the shapes, for words."""
    left = max((width_of(drawable(words)) for _, words in y_marks), default=0.0) + _PAD
    left += LINE if drawing.y.label else 0.0
    rights = [each.aside + width_of(drawable(each.words)) for each in drawing.shapes if isinstance(each, Text)
              and each.x is None and not each.ends]  # fmt: skip
    return left, max([_PAD, *rights, *(width_of(words) / 2 for _, words in drawing.x.marks()[-1:])])


class _Area:
    """The part of a drawing with its shapes, from (0, 0) to its width and height."""

    def __init__(self, drawing: Drawing, width: float) -> None:
        self.width = width
        self._height = drawing.height
        self._x, self._y = drawing.x, drawing.y

    def scales(
        self, x_marks: Sequence[tuple[float, str]], y_marks: Sequence[tuple[float, str]], left: float
    ) -> Iterator[str]:
        """Yield the marks of both scales with their lines, and what the scales are called."""
        below = self._height + LINE - 2
        lines = [f"M{_number(self._at_x(x))} 0v{_number(self._height)}" for x, _ in x_marks if self._x.grid]
        lines += [f"M0 {_number(self._at_y(y))}h{_number(self.width)}" for y, _ in y_marks if self._y.grid]
        if lines:
            yield f'<path d="{"".join(lines)}" stroke="{FAINT}" stroke-width=".5" stroke-opacity=".35"/>'
        yield from (_text(self._at_x(x), below, words, "middle") for x, words in x_marks)
        yield from (_text(-_PAD, self._at_y(y) + _DOWN, words, "end") for y, words in y_marks)
        if self._x.label:
            yield _text(self.width / 2, below + (LINE if x_marks else 0.0), self._x.label, "middle")
        if self._y.label:
            turned = f"rotate(-90) translate({_number(-self._height / 2)} {_number(LETTERS - left)})"
            yield f'<g transform="{turned}">{_text(0, 0, self._y.label, "middle")}</g>'

    def drawn(self, shape: Boxes | Line | Strokes | Markers | Text) -> Iterator[str]:
        """Yield the elements of a shape."""
        match shape:
            case Boxes():
                yield from self._boxes(shape)
            case Line():
                yield from self._line(shape)
            case Strokes():
                yield from self._strokes(shape)
            case Markers():
                points = zip(map(self._at_x, shape.xs), map(self._at_y, shape.ys), strict=True)
                inside = [(x, y) for x, y in points if self._has(x, y)]
                yield from _signs(inside, shape.marker)
            case Text():
                x = self.width if shape.x is None else self._at_x(shape.x)
                anchor = "end" if shape.ends else "start"
                yield _text(x + shape.aside, self._at_y(shape.y) + _DOWN, shape.words, anchor)

    def _at_x(self, value: float) -> float:
        return self.width * self._x.part(value)

    def _at_y(self, value: float) -> float:
        return self._height * (1 - self._y.part(value))

    def _has(self, x: float, y: float) -> bool:
        return -0.01 <= x <= self.width + 0.01 and -0.01 <= y <= self._height + 0.01

    def _boxes(self, shape: Boxes) -> Iterator[str]:
        found = []
        for left, right, bottom, top in shape.corners:
            x, y = _number(self._at_x(left)), _number(self._at_y(top))
            to_x, to_y = _number(self._at_x(right)), _number(self._at_y(bottom))
            found.append(f"M{x} {y}H{to_x}V{to_y}H{x}z")
        if found:
            yield f'<path d="{"".join(found)}" fill="{shape.colour}"{_alpha("fill", shape.alpha)}/>'

    def _line(self, shape: Line) -> Iterator[str]:
        found, last = [], (math.nan, math.nan)
        points = list(zip(map(self._at_x, shape.xs), map(self._at_y, shape.ys), strict=True))
        for (x, y), (to_x, to_y) in pairwise(points):
            inside = self._cut(x, y, to_x, to_y)
            if inside is not None:
                start, end = inside
                found.append("" if start == last else f"M{_number(start[0])} {_number(start[1])}")
                found.append(f"L{_number(end[0])} {_number(end[1])}")
                last = end
        if found:
            yield f'<path d="{"".join(found)}" fill="none"{_stroke(shape)}/>'

    def _cut(
        self, x: float, y: float, to_x: float, to_y: float
    ) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Return the part of a line that is inside (Liang and Barsky, 1984), or None."""
        if math.isnan(x + y + to_x + to_y):
            return None
        enters, leaves = 0.0, 1.0
        for first, way, most in ((x, to_x - x, self.width), (y, to_y - y, self._height)):
            if not way:
                if not 0 <= first <= most:
                    return None
                continue
            ends = sorted((-first / way, (most - first) / way))
            enters, leaves = max(enters, ends[0]), min(leaves, ends[1])
        if enters > leaves:
            return None
        start, end = ((x + part * (to_x - x), y + part * (to_y - y)) for part in (enters, leaves))
        return start, (to_x, to_y) if leaves == 1 else end

    def _strokes(self, shape: Strokes) -> Iterator[str]:
        found = []
        for x, low, high in zip(shape.xs, shape.lows, shape.highs, strict=True):
            at, ends = self._at_x(x), sorted((self._at_y(low), self._at_y(high)))
            top, bottom = max(0.0, ends[0]), min(self._height, ends[1])
            if top <= bottom and self._has(at, top) and not math.isnan(sum(ends)):
                found.append(f"M{_number(at + shape.aside)} {_number(top)}V{_number(bottom)}")
        if found:
            yield f'<path d="{"".join(found)}" stroke="{shape.colour}"/>'


_DOWN: Final = 0.36 * LETTERS  # from the middle of letters to their line


def _text(x: float, y: float, words: str, anchor: str) -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{_number(x)}" y="{_number(y)}"{where}>{escape(drawable(words))}</text>'


def _number(value: float) -> str:
    """Return a length in units, as short as can be."""
    return f"{max(-_BEYOND, min(_BEYOND, value)):.2f}".rstrip("0").rstrip(".")


def _alpha(what: str, alpha: float) -> str:
    return "" if alpha == 1 else f' {what}-opacity="{alpha:.2g}"'


def _stroke(line: Line) -> str:
    dashes = f' stroke-dasharray="{" ".join(f"{each:g}" for each in line.dashes)}"' if line.dashes else ""
    return f' stroke="{line.colour}" stroke-width="{line.width:g}"{_alpha("stroke", line.alpha)}{dashes}'


def _signs(points: Iterable[tuple[float, float]], marker: Marker) -> Iterator[str]:
    """Yield equal markers as one path. It is scaled, as its shape is of one unit."""
    (from_x, from_y), shape = _SHAPES[marker.shape]
    size = marker.size
    path = "".join(f"M{_number(x / size + from_x)} {_number(y / size + from_y)}{shape}z" for x, y in points)
    if path:
        edge = f'stroke="{marker.edge}" stroke-width="{marker.edge_width / size:.2g}"'
        yield f'<path transform="scale({size:g})" d="{path}" fill="{marker.face}" {edge}/>'


# -- legend --------------------------------------------------------------------------------------------


def _legend_rows(drawing: Drawing) -> Iterator[list[tuple[float, LegendEntry]]]:
    """Yield the entries of each line with their places: side by side if there is room, else in equal columns."""
    widths = [each.sign_width + _PAD + width_of(drawable(each.words)) + _GAP for each in drawing.legend]
    if sum(widths) <= drawing.width:
        columns, places = len(widths), [sum(widths[:n]) for n in range(len(widths))]
    else:
        columns = max(1, int(drawing.width / max(widths)))
        places = [drawing.width * n / columns for n in range(columns)]
    for first in range(0, len(widths), max(1, columns)):
        yield list(zip(places, drawing.legend[first : first + columns], strict=False))


def _legend_row(row: Iterable[tuple[float, LegendEntry]], y: float) -> Iterator[str]:
    for x, entry in row:
        cell = entry.sign_width / max(1, len(entry.fields))
        for n, (colour, alpha) in enumerate(entry.fields):
            corner = f"M{_number(x + n * cell)} {_number(y - 4)}h{_number(cell)}v8h-{_number(cell)}z"
            yield f'<path d="{corner}" fill="{colour}"{_alpha("fill", alpha)}/>'
        if entry.line:
            yield f'<path d="M{_number(x)} {_number(y)}h{_number(entry.sign_width)}"{_stroke(entry.line)}/>'
        if entry.marker:
            yield from _signs([(x + entry.sign_width / 2, y)], entry.marker)
        yield _text(x + entry.sign_width + _PAD, y + _DOWN, entry.words, "start")
