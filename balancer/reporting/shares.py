"""Shares beside what was due: a bar and an upright stroke in each row.

Importing this imports matplotlib, so only what draws may import it. It must not know what is shared.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from balancer.reporting import rows
from balancer.reporting.legend import legend
from balancer.reporting.style import HALF_IN, SKY

__all__ = ["share_bars"]


def share_bars(labels: Sequence[str], shares: Sequence[float], due: Sequence[float], *, xlabel: str) -> Figure:
    """Return a figure with a row for each label: its share as a bar, and what is due to it by weight as a stroke.

    Args:
        shares, due: parts of all, 0..1; drawn in percent.
    """
    drawing, ax = rows.rows(labels, width_in=HALF_IN, xlabel=f"{xlabel} (%)")
    rows.boxes(ax, [(0, 100 * share, row - 0.3, row + 0.3) for row, share in enumerate(shares)], SKY)
    rows.ticks(ax, [100 * part for part in due])
    ax.set_xlim(0, 108 * max(*shares, *due))
    legend(drawing, (rows.swatch("share", SKY), rows.tick_entry("by weight")))
    return drawing
