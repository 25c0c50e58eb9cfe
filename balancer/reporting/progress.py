"""Progress display: a bar on a terminal, elsewhere a line now and then. With the time left, and what is being done.

A thread shows it again every second, so a line comes at least every ten seconds, whatever the work does. The time left
is that of the units left, at the pace of those that are done.
"""

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from balancer.reporting.words import seconds

__all__ = ["ProgressDisplay", "left_words", "time_left_s"]

_LINE_EVERY_S: Final = 8.0  # with a second between two looks, and one to spare: at most ten
_BEAT_S: Final = 1.0
_BASIS_S: Final = 5.0  # the start says little: processes start, programs are compiled
_LEAST_DONE: Final = 2  # units
_LEAST_S: Final = 1.0


def time_left_s(spent_s: float, done: int, left: int) -> float | None:
    """Return the seconds that `left` units take at the pace of those that are done; None while too little is done."""
    if done and not left:
        return 0.0
    return left * spent_s / done if spent_s >= _BASIS_S and done >= _LEAST_DONE else None


def left_words(left_s: float | None) -> str:
    """Return the time left in words, with two digits above a minute, because it is no more exact."""
    if left_s is None:
        return "time left not known yet"
    if left_s < _LEAST_S:
        return "nearly done"
    step = 1 if left_s < 20 else 5 if left_s < 120 else 10 if left_s < 600 else 60
    return f"about {seconds(float(round(left_s / step) * step))} left"


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
        self._shown: tuple[int, int | None, str, str, str] = (0, None, title, "", "")
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

    def show(self, done: int, total: int, *, title: str = "", left: str = "", doing: str = "") -> None:
        """Show that `done` of `total` units are done. Thread-safe.

        Args:
            title: text before the figures.
            left: the time left in words, instead of the estimate from the units.
            doing: what is being done now.
        """
        with self._lock:
            self._shown = done, total, title, left, doing
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
        now_s, (done, total, title, left, doing) = self._clock(), self._shown
        spent_s = now_s - self._started_s
        if total is not None:
            left = left or left_words(time_left_s(spent_s, done, total - done))
        if self._with_bar:
            self._bar.below = left, doing
            self._bar.update(self._task, description=title or self._unit or "starting", completed=done, total=total)
        elif now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            counts = [] if total is None else [f"{done}/{total} {self._unit}"]
            self.say(", ".join(filter(None, [title, *counts, f"{spent_s:.0f} s", left, doing])))

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


class _Bar(Progress):
    """The bar of a terminal, with lines below it: the time left, and what is being done."""

    below: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.below if line)
