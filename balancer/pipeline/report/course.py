"""How kills came over time, and by whom: one chart.

Decides which generators have a line of their own, and the scale. It must not know a page.
"""

from collections import Counter
from collections.abc import Sequence

from balancer.pipeline.results.run_result import FirstKill
from balancer.reporting import style
from balancer.reporting.chart import Chart
from balancer.reporting.lines import ChartLine, line_chart
from balancer.reporting.svg import to_svg

__all__ = ["kills_over_time"]

_MOST = 5  # generators with a line of their own
_LEAST_S = 0.01
_OWN = "own data"


def kills_over_time(kills: Sequence[FirstKill]) -> Chart:
    """Return the chart: wrong submissions killed against the seconds for which their problem had been at work.

    Args:
        kills: by time; at least one.
    """
    by = Counter(_by(kill) for kill in kills)
    shown = [name for name, _ in sorted(by.items(), key=lambda each: (-each[1], each[0]))[:_MOST]]
    end_s = 1.05 * max(_LEAST_S, kills[-1].at_s)  # so that the last step is seen
    lines = [_steps("all", kills, end_s)]
    if len(by) > 1:
        lines += [_steps(name, [kill for kill in kills if _by(kill) == name], end_s) for name in shown]
    drawing, ax = line_chart(
        lines,
        xlabel="time that the problem had been at work (s)",
        ylabel="wrong submissions killed",
        width_in=style.WIDE_IN,
        height_in=2.6,
        xscale="log",
    )
    ax.set_ylim(bottom=0)
    left_out = f" Shown are the {_MOST} of {len(by)} that killed most." if len(by) > _MOST else ""
    caption = (
        "Of all problems together, each by its own clock; a kill belongs to whoever made the first case that "
        f"rejects the submission.{left_out}"
    )
    return Chart("Kills over time", caption, to_svg(drawing, "course"))


def _by(kill: FirstKill) -> str:
    return _OWN if kill.sample else kill.generator


def _steps(name: str, kills: Sequence[FirstKill], end_s: float) -> ChartLine:
    xs: list[float] = []
    ys: list[float] = []
    for number, kill in enumerate(kills):
        at_s = max(_LEAST_S, kill.at_s)
        xs += [at_s, at_s]
        ys += [number, number + 1]
    return ChartLine(name, [*xs, end_s], [*ys, len(kills)])
