"""Charts, drawn by matplotlib: lines, named rows, heat maps; and their SVG for a page.

Sizes are in points of a drawing. A wide one has 576. A page shows it 1000 px wide at most, so letters are 14 px high
there, 10 px at 700 px, and 7.5 pt on A4. Words are text in the font of the page; the paper is white on any page.
matplotlib is imported when something is drawn.
"""

import hashlib
import io
import logging
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Literal

from balancer.reporting.words import shorten, visible

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = [
    "FAINT",
    "GREEN",
    "HALF",
    "HEAT",
    "INK",
    "MOST_LINES",
    "ORANGE",
    "PURPLE",
    "SKY",
    "STEPS",
    "WIDE",
    "ChartLine",
    "Drawing",
    "Kind",
    "beside",
    "boxes",
    "dot_entry",
    "dots",
    "heat_map",
    "inside",
    "line_chart",
    "rows",
    "share_bars",
    "swatch",
    "tick_entry",
    "ticks",
    "to_svg",
    "with_legend",
]

Kind = Literal["linear", "log"]
Box = tuple[float, float, float, float]
"""Left, right, and two ends on the other scale."""

INK: Final = "black"
FAINT: Final = "gray"
_PAPER: Final = "white"
HEAT: Final = "#0072b2"

# Okabe and Ito's palette ("Color Universal Design", 2008) without its yellow: told apart by colour-blind readers,
# and dark enough on white as well as light enough on black.
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
VERMILION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"

WIDE: Final = 576.0
HALF: Final = 281.0
STEPS: Final = 10  # more shades of one colour cannot be told apart
_LETTERS: Final = 8.0
_FONT: Final = "DejaVu Sans, Verdana, system-ui, sans-serif"
_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": _LETTERS,
    "axes.axisbelow": True,
    "ytick.major.pad": 6.0,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.4,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.4,
    "lines.scale_dashes": False,
    "lines.solid_capstyle": "butt",
    "text.parse_math": False,  # a name with two $ in it is a name
    "axes.formatter.useoffset": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "balancer",
}

# Colour, dashes (on, off, ... in points), marker. Neighbours differ in all three.
_LOOKS: Final[tuple[tuple[str, tuple[float, ...], str], ...]] = (
    (HEAT, (), "o"),
    (VERMILION, (7.0, 2.8), "s"),
    (GREEN, (8.4, 2.5, 1.7, 2.5), "^"),
    (PURPLE, (1.7, 2.2), "D"),
    (ORANGE, (12.6, 3.5), "v"),
    (SKY, (3.6, 2.0), "X"),
    (INK, (8.4, 2.5, 1.7, 2.5, 1.7, 2.5), "P"),
)
MOST_LINES: Final = 2 * len(_LOOKS)  # the second half looks like the first, with hollow markers
_MARKERS: Final = 12  # on a line; more would hide its dashes
_BESIDE: Final = 2.0  # points between the strokes of two lines, so that they do not overlap
_LETTERS_BESIDE: Final = 75  # of a legend of a picture of its own
_SIGN: Final = 40.0  # points for the sign of an entry of a legend, and around it
_LETTER: Final = 4.8  # points of width, at most, on average
_LINE: Final = 11.0  # points of height
_AROUND: Final = 32.0  # points of height of the scale below, and above
_MARGIN: Final = 0.04  # of a scale, so that nothing is cut
_SMALLEST: Final = 1e-100  # no figure of ours is smaller: ratios of such numbers overflow, and no scale can show them
_ONE_AT_A_TIME: Final = RLock()
_STEPS_OF_MARKS: Final = (1, 2, 2.5, 5, 10)
_CLOSE: Final = 1e-9  # numbers are at one place on a scale if they differ by a smaller part
_ROW: Final = 15.0
_NOTHING_ALPHA: Final = 0.18
_LEAST_ALPHA: Final = 0.1  # the ramp's weakest colour is well off "nothing"
_HALF_ROW: Final = 0.42

_DOT: Final[dict[str, Any]] = {"marker": "o", "markersize": 7.0, "color": ORANGE}
_HOLLOW: Final[dict[str, Any]] = {"marker": "o", "markersize": 5.4, "color": _PAPER, "markeredgecolor": INK,
                                  "markeredgewidth": 1.2}  # fmt: skip
_TICK: Final[dict[str, Any]] = {"marker": "|", "markersize": 9.0, "color": INK, "markeredgewidth": 1.6}


@contextmanager
def _styled() -> Iterator[None]:
    """Draw in our style. It is matplotlib's for the whole process, so one thread draws at a time."""
    from matplotlib import rc_context

    with _ONE_AT_A_TIME, rc_context(_STYLE):
        yield


def _drawable(text: str) -> str:
    """Return `text` on one line, without characters that cannot be seen, and not too long to draw."""
    return visible(shorten(text, 80))


@dataclass(slots=True)
class Drawing:
    """Axes with nothing around them, and what the legend above them says.

    Attributes:
        width: of the whole drawing, in points.
        height: of the axes, in points.
        legend: words, and one sign or several side by side, for each entry.
    """

    axes: "Axes"
    width: float
    height: float
    legend: Sequence[tuple[str, "tuple[Artist, ...]"]] = ()


@_styled()
def _drawing(width: float, height: float, xlabel: str, ylabel: str = "", axes: "Axes | None" = None) -> Drawing:
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # at the first time it tells that it is busy
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if axes is None:
        axes = Figure((width / 72, height / 72), dpi=72, layout="constrained").add_subplot()
        axes.tick_params(labelsize=_LETTERS)  # of marks that a caller names later, too
    axes.set_xlabel(_drawable(xlabel))
    axes.set_ylabel(_drawable(ylabel))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8 if axis is axes.xaxis and not ylabel else 6, steps=_STEPS_OF_MARKS))
        axis.set_major_formatter(FuncFormatter(_plain))
    return Drawing(axes, width, height)


def _plain(value: float, _: object) -> str:
    return f"{value:g}"


# -- SVG -----------------------------------------------------------------------------------------------


@_styled()
def to_svg(drawing: Drawing) -> str:
    """Return the drawing as an `<svg>` element: the same bytes for the same drawing."""
    written, figure = io.StringIO(), drawing.axes.figure
    words = [_drawable(entry[0]) for entry in drawing.legend]
    columns = max(1, int(drawing.width / (_SIGN + _LETTER * max(map(len, words), default=0))))
    rows = math.ceil(len(words) / columns)
    figure.set_size_inches(drawing.width / 72, (drawing.height + _AROUND + _LINE * rows) / 72)
    _put_legend(figure, drawing, loc="outside upper left", ncols=min(columns, max(1, len(words))))
    with warnings.catch_warnings(action="ignore"):  # of glyphs that are missing: the fonts of the page have them
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    found = re.sub(r"\s*\n\s*", " ", written.getvalue())
    found = re.sub(r"^.*?<svg |<style.*?</style>|<!--.*?-->", "", found)
    box = re.search(r'viewBox="[^"]*"', found)
    assert box is not None
    found = found[found.index(">") + 1 :].strip().replace("'DejaVu Sans'", _FONT).replace("xlink:href=", "href=")
    mark = hashlib.sha256(found.encode()).hexdigest()[:8]  # a page has several drawings
    found = re.sub(r'( id="|href="#|url\(#)([\w.]+)', rf"\1\2-{mark}", found)
    style = "stroke-linejoin: round; stroke-linecap: butt; white-space: pre; overflow: visible"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box[0]} role="img" style="{style}">{found}'


@_styled()
def with_legend(drawing: Drawing) -> "Axes":
    """Return the axes for a picture of their own, with the legend above."""
    words = [entry[0] for entry in drawing.legend]
    columns = next((n for n in range(len(words), 1, -1) if n * max(map(len, words)) <= _LETTERS_BESIDE), 1)
    _put_legend(drawing.axes, drawing, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1))
    return drawing.axes


def _put_legend(owner: Any, drawing: Drawing, **options: Any) -> None:
    from matplotlib.legend_handler import HandlerTuple

    if drawing.legend:
        handlers = {tuple: HandlerTuple(ndivide=None, pad=0)}
        signs = [each if len(each) > 1 else each[0] for _, each in drawing.legend]
        owner.legend(signs, [_drawable(words) for words, _ in drawing.legend], handler_map=handlers, **options)


# -- lines ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A named line.

    Attributes:
        name: its words in the legend, shown unchanged.
        xs, ys: its points, from left to right; it is interrupted where one is not finite.
        low, high: ends of an interval at each point, drawn as a vertical stroke; empty for none.

    Raises:
        ValueError: the sequences differ in length.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def __post_init__(self) -> None:
        sizes = [len(each) for each in (self.xs, self.ys, self.low, self.high)]
        if sizes[0] != sizes[1] or sizes[2:] not in ([0, 0], [sizes[0]] * 2):
            raise ValueError(
                f"line {self.name!r} has {sizes[0]} xs, {sizes[1]} ys, {sizes[2]} low and {sizes[3]} high; "
                "give the same number of each, or no low and high"
            )


@_styled()
def line_chart(
    lines: Sequence[ChartLine],
    *,
    xlabel: str,
    ylabel: str,
    width: float,
    height: float = 170.0,
    xscale: Kind = "linear",
    yscale: Kind = "linear",
    axes: "Axes | None" = None,
) -> Drawing:
    """Return a drawing of the lines, with a legend above, and light lines across both scales.

    A linear scale begins at 0, unless all lines would then be in its far half. A log scale shows only values above 0.
    Lines differ in colour, dashes and markers, so that they can be told apart in grey as well.

    Args:
        height: in points, without scale and legend.
        axes: to draw on, here and below; default: new ones.

    Raises:
        ValueError: there are more lines than `MOST_LINES`, which can be told apart.
    """
    if len(lines) > MOST_LINES:
        raise ValueError(f"found {len(lines)} lines; a chart shows at most {MOST_LINES}; draw several charts")
    drawing = _drawing(width, height, xlabel, ylabel, axes)
    _scale(drawing, "x", xscale, [x for line in lines for x in line.xs])
    _scale(drawing, "y", yscale, [y for line in lines for y in (*line.ys, *line.low, *line.high)])
    drawing.axes.grid(visible=True, color=FAINT, alpha=0.35, linewidth=0.5)
    drawing.legend = [(line.name, (_draw(drawing, line, n, len(lines)),)) for n, line in enumerate(lines)]
    return drawing


def _scale(drawing: Drawing, which: Literal["x", "y"], kind: Kind, values: Iterable[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ends = _ends_of(values, log=kind == "log")
    axis = drawing.axes.xaxis if which == "x" else drawing.axes.yaxis
    if kind == "log":
        drawing.axes.set(**{f"{which}scale": kind})
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(_plain))
        decades = LogLocator(subs=(1, 2, 5) if ends[1] < 1000 * ends[0] else (1,), numticks=9)
        axis.set_major_locator(decades if ends[1] >= 10 * ends[0] else MaxNLocator(6, steps=_STEPS_OF_MARKS))
    drawing.axes.set(**{f"{which}lim": ends})


def _ends_of(values: Iterable[float], *, log: bool) -> tuple[float, float]:
    """Return ends of a scale that shows all values, except those that it cannot show.

    A linear scale begins at 0, unless all values would then be in its far half.
    """
    shown = [value for value in values if math.isfinite(value) and (value > _SMALLEST or not log)]
    low, high = min(shown, default=1.0), max(shown, default=1.0)
    if log:
        room = (high / low) ** _MARGIN if high / low > 1 + _CLOSE else 2.0
        return low / room, high * room
    if 0 < low < high / 2:
        low = 0.0
    apart = high - low if high - low > _CLOSE * abs(high) else 0.0
    room = next((each for each in (_MARGIN * apart, abs(high) / 10) if each > _SMALLEST), 1.0)
    return low - room, high + room


def _draw(drawing: Drawing, line: ChartLine, place: int, places: int) -> "Artist":
    from matplotlib.transforms import ScaledTranslation

    axes = drawing.axes
    colour, dashes, marker = _LOOKS[place % len(_LOOKS)]
    step = max(1, math.ceil(len(line.xs) / _MARKERS))
    first = place * step // places  # not all at the same x, because lines may be close
    if line.low:
        beside = ScaledTranslation((place - (places - 1) / 2) * _BESIDE / 72, 0, axes.figure.dpi_scale_trans)
        marked = slice(first, None, step)
        axes.vlines(
            line.xs[marked], line.low[marked], line.high[marked],
            colors=colour, linewidths=1.0, transform=axes.transData + beside, zorder=1.5,
        )  # fmt: skip
    (drawn,) = axes.plot(
        line.xs, line.ys, color=colour, linewidth=1.4, linestyle=(0, dashes) if dashes else "-", marker=marker,
        markersize=5.2, markevery=(first, step), markeredgewidth=1.0,
        markerfacecolor=colour if place < len(_LOOKS) else _PAPER,
    )  # fmt: skip
    return drawn


# -- rows ----------------------------------------------------------------------------------------------


@_styled()
def rows(labels: Sequence[str], *, width: float, xlabel: str, row: float = _ROW, axes: "Axes | None" = None) -> Drawing:
    """Return a drawing with a row for each label, the first at the top, over a scale with light lines.

    Rows are at 0, 1, ... on the y scale. All parts make room for each other.
    """
    drawing = _drawing(width, row * max(1, len(labels)), xlabel, axes=axes)
    drawing.axes.set_ylim(max(1, len(labels)) - 0.4, -0.6)
    drawing.axes.set_yticks(range(len(labels)), [_drawable(label) for label in labels])
    drawing.axes.grid(visible=True, axis="x", color=FAINT, alpha=0.35, linewidth=0.5)
    return drawing


@_styled()
def share_bars(
    labels: Sequence[str],
    shares: Sequence[float],
    due: Sequence[float],
    *,
    xlabel: str,
    axes: "Axes | None" = None,
) -> Drawing:
    """Return a drawing with a row for each label: its share as a bar, and its due share by weight as a stroke.

    Args:
        shares, due: parts of all, 0..1; drawn in percent.
    """
    drawing = rows(labels, width=HALF, xlabel=f"{xlabel} (%)", axes=axes)
    boxes(drawing, [(0, 100 * share, row - 0.3, row + 0.3) for row, share in enumerate(shares)], SKY)
    ticks(drawing, [100 * part for part in due])
    drawing.axes.set_xlim(0, 108 * max(*shares, *due))
    drawing.legend = (swatch("share", SKY), tick_entry("by weight"))
    return drawing


def beside(drawing: Drawing, row: int, words: str) -> None:
    """Write `words` to the right of a row. The drawing makes room for them."""
    _write(drawing, row, words, 10.0)


def inside(drawing: Drawing, row: int, words: str) -> None:
    """Write `words` at the right end of a row."""
    _write(drawing, row, words, -4.0)


@_styled()
def _write(drawing: Drawing, row: int, words: str, aside: float) -> None:
    drawing.axes.annotate(
        _drawable(words), (1.0, row), (aside, 0.0),
        xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right" if aside < 0 else "left", va="center_baseline", annotation_clip=False,
        fontsize=drawing.axes.xaxis.label.get_size(), color=INK, parse_math=False,
    )  # fmt: skip


@_styled()
def dots(drawing: Drawing, values: Sequence[float], *, hollow: bool = False) -> None:
    """Draw a dot in each row, unless its value is NaN."""
    drawing.axes.plot(values, range(len(values)), linestyle="none", clip_on=False, **(_HOLLOW if hollow else _DOT))


@_styled()
def ticks(drawing: Drawing, values: Sequence[float]) -> None:
    """Draw a vertical stroke in each row, unless its value is NaN."""
    drawing.axes.plot(values, range(len(values)), linestyle="none", **_TICK)


@_styled()
def boxes(drawing: Drawing, corners: Sequence[Box], colour: str, alpha: float = 1.0) -> None:
    """Fill rectangles, as one shape."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = [at for left, right, low, high in corners
              for at in ((left, low), (left, high), (right, high), (right, low), (left, low))]  # fmt: skip
    if points:
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
        drawing.axes.add_patch(PathPatch(Path(points, codes), facecolor=colour, alpha=alpha, linewidth=0))


@_styled()
def swatch(words: str, *colours: str | tuple[str, float]) -> tuple[str, tuple["Artist", ...]]:
    """Return the legend entry for `boxes`: fields of these colours, or colours with alpha, side by side."""
    from matplotlib.patches import Patch

    return words, tuple(Patch(facecolor=colour, linewidth=0) for colour in colours)


def dot_entry(words: str, *, hollow: bool = False) -> tuple[str, tuple["Artist", ...]]:
    """Return the legend entry for `dots`."""
    return _sign(words, _HOLLOW if hollow else _DOT)


def tick_entry(words: str) -> tuple[str, tuple["Artist", ...]]:
    """Return the legend entry for `ticks`."""
    return _sign(words, _TICK)


@_styled()
def _sign(words: str, look: Mapping[str, Any]) -> tuple[str, tuple["Artist", ...]]:
    from matplotlib.lines import Line2D

    return words, (Line2D([], [], linestyle="none", **look),)


# -- heat maps -----------------------------------------------------------------------------------------


@_styled()
def heat_map(
    labels: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    ends: tuple[float, float],
    xlabel: str,
    label: str,
    nothing: str = "0",
    axes: "Axes | None" = None,
) -> Drawing:
    """Return a drawing with a row for each label, the first at the top, and a legend that shows the ramp.

    The ramp is one colour that gets stronger, so a map can be read in grey and on dark pages. Values are rounded to
    steps, and neighbours of the same step are one rectangle, so that a large map is a small drawing.

    Args:
        values: for each row, a value from 0 to 1 for each of the equal parts of the time. Values outside count as 0 or
            1; nan is left out. 0 is grey, so that it differs from what is left out.
        ends: start and end of the time, in the unit of `xlabel`.
        label: name of the values.
        nothing: name of a value of 0.

    Raises:
        ValueError: there is not one row of values for each label, or the time has no length.
    """
    if len(labels) != len(values):
        raise ValueError(f"found {len(values)} rows of values for {len(labels)} labels; give one for each")
    if not ends[0] < ends[1]:
        raise ValueError(f"found a time from {ends[0]} to {ends[1]}; it must end after it begins")
    drawing = rows(labels, width=WIDE, xlabel=xlabel, axes=axes)
    drawing.axes.grid(visible=False)
    drawing.axes.set_xlim(*ends)
    for step, found in sorted(_steps(values, ends).items()):
        boxes(drawing, found, *_shade(step))
    ramp = [_shade(step) for step in range(1, STEPS + 1)]
    drawing.legend = (swatch(f"{label}, from 0 to 1", *ramp), swatch(nothing, _shade(0)))
    return drawing


def _steps(values: Sequence[Sequence[float]], ends: tuple[float, float]) -> Mapping[int, list[Box]]:
    """Return the rectangles of each step, 0 (nothing) to `STEPS`."""
    found: defaultdict[int, list[Box]] = defaultdict(list)
    for row, cells in enumerate(values):
        width = (ends[1] - ends[0]) / max(1, len(cells))
        first = 0
        for step, run in groupby(cells, key=_step):
            last = first + sum(1 for _ in run)
            if step is not None:
                left, right = ends[0] + first * width, ends[0] + last * width
                found[step].append((left, right, row - _HALF_ROW, row + _HALF_ROW))
            first = last
    return found


def _step(value: float) -> int | None:
    return None if math.isnan(value) else math.ceil(STEPS * min(1.0, max(0.0, value)))


def _shade(step: int) -> tuple[str, float]:
    """Return colour and alpha of a step."""
    return (FAINT, _NOTHING_ALPHA) if step == 0 else (HEAT, _LEAST_ALPHA + (1 - _LEAST_ALPHA) * step / STEPS)
