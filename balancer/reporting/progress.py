"""Progress display: a bar on a terminal, elsewhere a line now and then. With the time left, and what is being done.

A thread shows it again every second, so a line comes at least every ten seconds, whatever the work does. The estimate
is pure: time arrives as `spent_s`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from balancer.reporting.words import seconds

__all__ = ["Left", "ProgressDisplay", "TimeLeft", "left_words"]

_LINE_EVERY_S: Final = 8.0  # with a second between two looks, and one to spare: at most ten
_BEAT_S: Final = 1.0
_BASIS_S: Final = 5.0  # the start says little: processes start, programs are compiled
_LEAST_DONE: Final = 2  # units
_BASIS_SHARE: Final = 0.05  # of the units, but no more than
_ENOUGH_DONE: Final = 100
_PARTS: Final = 10  # of the time so far, whose rates are compared
_RECENT: Final = 5  # parts that the estimate is from
_POINTS: Final = 120  # that are remembered, and up to twice as many
_WITHIN: Final = 1.8  # standard deviations: nine times of ten, for so few parts
_FASTER: Final = 1.5  # rates are skewed: they may become much higher, and not much lower
_WIDE: Final = 6.0  # times the lower end: a wider interval tells nothing
_LEAST_S: Final = 1.0
_SOON_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Left:
    """An estimate of the seconds left, with an interval that holds it nine times of ten.

    `bounded`: whether a time budget bounds it, so that `high_s` tells something even if it is far from `low_s`.
    """

    s: float
    low_s: float
    high_s: float
    bounded: bool = False

    @property
    def words(self) -> str:
        """E.g. "about 3 min 20 s left (2 min 30 s to 5 min)"; of a wide interval only the end that tells something."""
        if self.high_s < _LEAST_S:
            return "nearly done"
        low, high = (seconds(_rounded(each)) for each in (self.low_s, self.high_s))
        if self.high_s > _WIDE * max(self.low_s, _LEAST_S):
            if self.low_s >= _LEAST_S and not self.bounded:
                return f"at least {low} left"
            return f"up to {high} left" if self.bounded or self.high_s <= _SOON_S else "time left not known yet"
        told = f"about {seconds(_rounded(self.s))} left"
        return told if low == high else f"{told} ({low} to {high})"


def left_words(left: Left | None, *, all_seen: bool = True) -> str:
    """Return the time left in words. `all_seen`: False if work of a kind that is not known yet is to come."""
    if left is None:
        return "time left not known yet"
    if not all_seen and left.low_s >= _LEAST_S:
        return f"at least {seconds(_rounded(left.low_s))} left"
    return left.words if all_seen else "time left not known yet"


def _rounded(value_s: float) -> float:
    """Return whole seconds; above a minute two digits, because an estimate is no more exact."""
    step = 1 if value_s < 20 else 5 if value_s < 120 else 10 if value_s < 600 else 60
    return float(round(value_s / step) * step)


class TimeLeft:
    """Estimate for one piece of work: the units left at the recent rate. The recent half of the time counts.

    The interval is wider where the rate has varied, and holds what the mean rate so far would give as well.
    """

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = [(0.0, 0.0)]  # seconds, units done
        self._last = 0.0, 0.0, 0.0

    def look(self, spent_s: float, done: float, left: float) -> None:
        """Update: `done` units took `spent_s` seconds since the beginning, and `left` are to be done."""
        self._last = spent_s, done, left
        if spent_s - self._points[-1][0] >= spent_s / _POINTS:
            self._points.append((spent_s, done))
            if len(self._points) > 2 * _POINTS:
                del self._points[1::2]

    @property
    def left(self) -> Left | None:
        """The estimate at the last look; None while too little is done."""
        spent_s, done, left = self._last
        if not left:
            return Left(0.0, 0.0, 0.0) if done else None
        enough = max(_LEAST_DONE, min(_ENOUGH_DONE, _BASIS_SHARE * (done + left)))
        if spent_s < _BASIS_S or done < enough:
            return None
        return _left_at(self._rates(spent_s, done), spent_s / _PARTS, left)

    def _rates(self, spent_s: float, done: float) -> list[float]:
        """Return the rate in each part of the time."""
        points = [*self._points, (spent_s, done)]
        at = [_at(points, spent_s * part / _PARTS) for part in range(_PARTS + 1)]
        return [(after - before) / (spent_s / _PARTS) for before, after in pairwise(at)]


def _at(points: list[tuple[float, float]], at_s: float) -> float:
    """Return the units done at a time, between two points on a line."""
    for (from_s, before), (to_s, after) in pairwise(points):
        if at_s <= to_s:
            return before + (after - before) * max(0.0, at_s - from_s) / max(to_s - from_s, 1e-9)
    return points[-1][1]


def _left_at(rates: list[float], part_s: float, left: float) -> Left | None:
    """Return the estimate from the rates of the parts of the time so far."""
    recent = fmean(rates[-_RECENT:])
    if recent <= 0:
        return None
    left_s, mean_s = left / recent, left / fmean(rates)
    to_come = max(1.0, left_s / part_s)  # parts
    off = _WITHIN * stdev(rates) / fmean(rates) * math.sqrt(1 / _RECENT + 1 / to_come)
    low_s, high_s = left_s / (1 + _FASTER * off), left_s / max(1 - off, 1 / _WIDE**2)
    return Left(left_s, min(low_s, mean_s), max(high_s, mean_s))


class ProgressDisplay:
    """Shows how many units are done, how long the rest may take, and what is being done. Use it as a `with` block.

    Args:
        console: where to show it.
        unit: what is counted, in the plural; "": nothing.
        title: what is done, before anything is counted.
        clock: seconds.
        transient: whether the bar disappears at the end.
        beat: is called every second, to show what has changed; None: what was shown last is shown again.
    """

    def __init__(
        self,
        console: Console,
        *,
        unit: str = "",
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
        transient: bool = False,
        beat: Callable[[], object] | None = None,
    ) -> None:
        self._unit = unit
        self._clock = clock
        self._lock = threading.Lock()
        self._time_left = TimeLeft()
        self._shown = _Shown(title=title)
        self._started_s = self._line_s = clock()
        self._with_bar = console.is_terminal or console.is_jupyter
        counts = (BarColumn(), MofNCompleteColumn()) if unit else ()
        self._bar = _Bar(
            TextColumn("{task.description}"),
            *counts,
            TimeElapsedColumn(),
            console=console,
            disable=not self._with_bar,
            transient=transient,
        )
        self._task = self._bar.add_task(title or "starting", total=None)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, args=(beat or self.beat,), name="progress", daemon=True)

    def show(
        self,
        done: int,
        total: int,
        *,
        title: str = "",
        all_seen: bool = True,
        left: str = "",
        doing: str = "",
    ) -> None:
        """Show that `done` of `total` units are done. Thread-safe.

        Args:
            title: text before the figures.
            all_seen: False if the rest may hold work of a new kind.
            left: the time left in words, instead of the estimate from the units.
            doing: what is being done now.
        """
        with self._lock:
            self._shown = _Shown(done, total, title, all_seen, left, doing)
            self._present()

    def beat(self) -> None:
        """Show again what was shown last, at the time that it is now. Thread-safe."""
        with self._lock:
            self._present()

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._started_s

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        # In a log a line is never wrapped.
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=not self._with_bar)

    def _present(self) -> None:
        now_s, shown = self._clock(), self._shown
        spent_s = now_s - self._started_s
        left = ""
        if shown.total is not None:
            self._time_left.look(spent_s, shown.done, shown.total - shown.done)
            left = shown.left or left_words(self._time_left.left, all_seen=shown.all_seen)
        if self._with_bar:
            self._bar.below = left, shown.doing
            self._bar.update(
                self._task,
                description=shown.title or self._unit or "starting",
                completed=shown.done,
                total=shown.total,
            )
        elif now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            counts = [] if shown.total is None else [f"{shown.done}/{shown.total} {self._unit}"]
            self.say(", ".join(filter(None, [shown.title, *counts, f"{spent_s:.0f} s", left, shown.doing])))

    def _go_on(self, beat: Callable[[], object]) -> None:
        while not self._over.wait(_BEAT_S):
            beat()

    def __enter__(self) -> Self:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._bar.stop()


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown. See `ProgressDisplay.show`; `total`: None before anything is counted."""

    done: int = 0
    total: int | None = None
    title: str = ""
    all_seen: bool = True
    left: str = ""
    doing: str = ""


class _Bar(Progress):
    """The bar of a terminal, with lines below it: the time left, and what is being done."""

    below: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.below if line)
