"""Heat maps: how much of something there was, for each row and each part of a time.

The ramp is one colour that gets stronger, so a map can be read in grey, and on dark pages too. Values are put into
steps, and neighbours of the same step are one rectangle: a map of any size is a small drawing. Importing this imports
matplotlib, so only modules that draw may import it. What the values are of, the caller knows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from balancer.reporting.rows import FRAME_IN, Box, boxes, dress_rows
from balancer.reporting.style import FAINT, HEAT, INK, LETTERS, ROW_IN, blank, drawable, dress

__all__ = ["STEPS", "heat_map"]

STEPS: Final = 10  # more shades of one colour cannot be told apart
_BAR_IN: Final = 0.1
_LEAST: Final = 0.1  # the ramp's weakest colour is well off "nothing"
_NOTHING_ALPHA: Final = 0.18
_GAP: Final = 0.02  # between grey and the ramp, of the ramp
_HALF_ROW: Final = 0.42


def heat_map(
    labels: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    ends: tuple[float, float],
    xlabel: str,
    label: str,
    width_in: float,
    row_in: float = ROW_IN,
    nothing: str = "0",
) -> tuple[Figure, Axes]:
    """Return a figure and its axes: a row for each label, the first at the top, and a colour bar above.

    Args:
        values: for each row, a value from 0 to 1 for each of the equal parts of the time; beyond that is as 0
            or 1, nan is left out. 0 is grey, so that it differs from what is left out.
        ends: from when to when, in the unit of `xlabel`.
        label: what the values are.
        nothing: what a value of 0 is called, under the grey beside the colour bar.

    Raises:
        ValueError: there is not one row of values for each label, or the time has no length.
    """
    if len(labels) != len(values):
        raise ValueError(f"found {len(values)} rows of values for {len(labels)} labels; give one for each")
    if not ends[0] < ends[1]:
        raise ValueError(f"found a time from {ends[0]} to {ends[1]}; it must end after it begins")
    drawing = blank(width_in, FRAME_IN + _BAR_IN + row_in * len(labels))
    heights = (_BAR_IN, row_in * max(1, len(labels)))
    grid = drawing.add_gridspec(2, 2, height_ratios=heights, width_ratios=(1, 1))
    ax = drawing.add_subplot(grid[1, :])
    dress_rows(ax, labels, xlabel=drawable(xlabel))
    ax.grid(visible=False)
    _fill(ax, _steps(values, ends))
    ax.set_xlim(ends)
    _bar(drawing.add_subplot(grid[0, 0]), drawable(label), drawable(nothing))
    return drawing, ax


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


def _fill(ax: Axes, steps: Mapping[int, Iterable[Box]]) -> None:
    for step, found in sorted(steps.items()):
        if step == 0:
            boxes(ax, found, FAINT, alpha=_NOTHING_ALPHA)
        else:
            boxes(ax, found, HEAT, alpha=_LEAST + (1 - _LEAST) * step / STEPS)


def _bar(ax: Axes, label: str, nothing: str) -> None:
    """Draw grey and the ramp, with their scale above and what it is of at their right."""
    dress(ax, grid="x")
    ax.grid(visible=False)
    grey = (-1 / STEPS - _GAP, -_GAP)
    ramp = {step: [((step - 1) / STEPS, step / STEPS, 0.0, 1.0)] for step in range(1, STEPS + 1)}
    _fill(ax, {0: [(*grey, 0.0, 1.0)], **ramp})
    ax.set(xlim=(grey[0], 1), ylim=(0, 1))
    ax.xaxis.tick_top()
    ax.tick_params(top=False)
    ax.set_xticks([sum(grey) / 2, 0.5, 1.0], [nothing, "0.5", "1"], color=INK, **LETTERS)
    ax.set_yticks([])
    ax.text(1.03, 0.5, label, ha="left", va="center", color=INK, **LETTERS)
