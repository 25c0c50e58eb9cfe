"""How far a study is: a bar with an ETA on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["StudyProgress"]

_LINE_EVERY_S: Final = 10.0


class StudyProgress:
    """Shows how many runs are done; hand it to `run_study` as `progress`, in a `with` block.

    Args:
        console: where to show it; default: standard error; a notebook gets lines, as a bar there needs ipywidgets.
        clock: seconds.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or _standard_error()
        self._clock = clock
        self._started_s = self._line_s = clock()
        shown = self._console.is_terminal or self._console.is_jupyter
        self._lines = not shown
        self._bar = Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task("runs", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` runs are done."""
        self._bar.update(self._task, completed=done, total=total)
        now = self._clock()
        if self._lines and now - self._line_s >= _LINE_EVERY_S:
            self._line_s = now
            spent_s = now - self._started_s
            left_s = spent_s / done * (total - done)
            self._console.print(f"{done}/{total} runs, {spent_s:.0f} s, ETA {left_s:.0f} s", highlight=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()


def _standard_error() -> Console:
    """Return what writes to standard error, plainly in a notebook: Jupyter says that its stream is a terminal."""
    console = Console(stderr=True)
    return Console(stderr=True, force_jupyter=False, force_terminal=False) if console.is_jupyter else console
