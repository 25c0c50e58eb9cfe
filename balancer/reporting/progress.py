"""Progress display: a bar on a terminal, elsewhere a line from time to time. With an estimate of the time left.

The estimate waits until enough is done, and changes slowly. It is pure: time arrives as `now_s`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from balancer.reporting.words import seconds

__all__ = ["ProgressDisplay", "TimeLeft"]

_LINE_EVERY_S: Final = 10.0
_BASIS_S: Final = 5.0  # the start says little: processes start, programs are compiled
_LEAST_DONE: Final = 2
_BASIS_SHARE: Final = 0.05  # of the units, but no more than
_ENOUGH_DONE: Final = 100
_SMOOTHED_OVER_S: Final = 15.0
_TURN_S: Final = 10.0  # in this time the estimate at most doubles or halves, apart from the passing of time
_LEAST_S: Final = 1.0


class ProgressDisplay:
    """Shows how many units are done and how long the rest may take. Use it as a `with` block.

    Not thread-safe: the caller makes one call at a time.

    Args:
        console: where to show it.
        unit: what is counted, in the plural.
        clock: seconds.
        transient: whether the bar disappears at the end.
    """

    def __init__(
        self, console: Console, *, unit: str, clock: Callable[[], float] = time.monotonic, transient: bool = False
    ) -> None:
        self._console = console
        self._unit = unit
        self._clock = clock
        self._time_left = TimeLeft()
        self._started_s = self._line_s = clock()
        self._with_bar = console.is_terminal or console.is_jupyter
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not self._with_bar,
            transient=transient,
        )
        self._task = self._bar.add_task("starting", total=None, left="")

    def show(self, done: int, total: int, *, title: str = "", all_seen: bool = True, forecast: str = "") -> None:
        """Show that `done` of `total` units are done.

        Args:
            title: text before the figures.
            all_seen: False if the rest may hold work of a new kind.
            forecast: a forecast of the time left, instead of the estimate.
        """
        now = self._clock()
        spent_s = now - self._started_s
        self._time_left.look(spent_s, done, total - done)
        left = forecast or self._time_left.words(all_seen=all_seen)
        if self._with_bar:
            self._bar.update(self._task, description=title or self._unit, completed=done, total=total, left=left)
        elif now - self._line_s >= _LINE_EVERY_S:
            self._line_s = now
            self.say(f"{title}{', ' if title else ''}{done}/{total} {self._unit}, {spent_s:.0f} s, {left}")

    def look(self, done: int, left: int, *, all_seen: bool = True) -> tuple[float, float | None, str]:
        """Return the seconds of work so far, the estimated seconds left (None: unknown), and the latter in words.

        Between two calls of `show` the estimate follows the clock.
        """
        spent_s = self._clock() - self._started_s
        self._time_left.look(spent_s, done, left)
        return spent_s, self._time_left.estimate_s, self._time_left.words(all_seen=all_seen)

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        # In a log a line is never wrapped.
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=not self._with_bar)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()


@dataclass(slots=True)
class TimeLeft:
    """Estimate for one piece of work: the mean time of the done units, times the units left, smoothed.

    Attributes:
        estimate_s: at the last look; None while too little is done.
    """

    estimate_s: float | None = None
    _looked_s: float = 0.0

    def look(self, spent_s: float, done: int, left: int) -> None:
        """Update: `done` units took `spent_s` seconds since the beginning, and `left` are to be done."""
        if self.estimate_s is None:
            enough = max(_LEAST_DONE, min(_ENOUGH_DONE, _BASIS_SHARE * (done + left)))
            if spent_s < _BASIS_S or done < enough:
                return
            self.estimate_s = spent_s / done * left
        else:
            self.estimate_s = self._nearer(spent_s / done * left, spent_s - self._looked_s) if left else 0.0
        self._looked_s = spent_s

    def _nearer(self, found_s: float, passed_s: float) -> float:
        """Return the last estimate, `passed_s` later, moved part of the way to `found_s`."""
        expected_s = max(_LEAST_S, (self.estimate_s or 0.0) - passed_s)
        way = math.log(max(_LEAST_S, found_s) / expected_s) * -math.expm1(-passed_s / _SMOOTHED_OVER_S)
        most = math.log(2.0) * min(1.0, passed_s / _TURN_S)
        return expected_s * math.exp(max(-most, min(most, way)))

    def words(self, *, all_seen: bool = True) -> str:
        """Return e.g. "about 3 min 20 s left".

        Args:
            all_seen: False if some kind of work is still to come and may take longer: then it is "at least".
        """
        if self.estimate_s is None:
            return "time left not known yet"
        if self.estimate_s < _LEAST_S:
            return "nearly done"
        return f"{'about' if all_seen else 'at least'} {seconds(_rounded(self.estimate_s))} left"


def _rounded(value_s: float) -> float:
    """Return whole seconds; above a minute two digits, because an estimate is no more exact."""
    step = 1 if value_s < 20 else 5 if value_s < 120 else 10 if value_s < 600 else 60
    return float(round(value_s / step) * step)
