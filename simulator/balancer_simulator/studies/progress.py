"""Progress display of a study."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console

from balancer.reporting.progress import ProgressDisplay

__all__ = ["StudyProgress", "working"]


class StudyProgress:
    """Shows how many runs are done. Pass it to `run_study` as `progress`, in a `with` block.

    Args:
        console: where to show it; default: standard error. A notebook gets lines, because a bar there needs ipywidgets.
        clock: seconds.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = ProgressDisplay(console or _standard_error(), unit="runs", clock=clock, transient=True)

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` runs are done."""
        self._display.show(done, total)

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, traceback)


def working(title: str) -> ProgressDisplay:
    """Return a display of work that counts nothing: what is done, and for how long. Use it as a `with` block."""
    return ProgressDisplay(_standard_error(), title=title, transient=True)


def _standard_error() -> Console:
    """Return a console on standard error, plain in a notebook, because Jupyter claims that its stream is a terminal."""
    console = Console(stderr=True)
    return Console(stderr=True, force_jupyter=False, force_terminal=False) if console.is_jupyter else console
