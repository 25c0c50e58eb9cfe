"""Progress display: a bar on a terminal, a line now and then elsewhere.

Decides how it looks and how often a line comes. It must not know what the units of work are, nor how they are counted.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from balancer.reporting.time_left import TimeLeft

__all__ = ["ProgressDisplay"]

_LINE_EVERY_S: Final = 10.0


class ProgressDisplay:
    """Shows how many units are done, of how many, and how long the rest may take; to be used as a `with` block.

    Not thread-safe: the caller makes one call at a time.

    Args:
        console: where to show it.
        unit: what is counted, in the plural.
        clock: seconds.
        transient: whether the bar goes away at the end.
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
            title: what stands before the figures.
            all_seen: False if the rest may hold work of a kind that was not met so far.
            forecast: what a forecast says is left, in place of the estimate.
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
        """Return for how many seconds it has been at work, how many more it takes (None: not known yet), and in words.

        Between two calls of `show` the estimate goes on by the clock.
        """
        spent_s = self._clock() - self._started_s
        self._time_left.look(spent_s, done, left)
        return spent_s, self._time_left.estimate_s, self._time_left.words(all_seen=all_seen)

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        # In a log a line stays one line, however long it is.
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=not self._with_bar)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
