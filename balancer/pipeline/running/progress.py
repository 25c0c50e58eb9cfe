"""How far a run is, for those who wait for it.

Decides how progress is counted and shown: a bar with an ETA on a terminal, a line now and then elsewhere.
It must not know what the units of work are.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

__all__ = ["Progress"]

_LINE_EVERY_S = 10.0


class Progress:
    """Counts units of work over many problems. Thread-safe.

    Args:
        console: where to show it.
        problems: how many problems there are.
        clock: seconds.
    """

    def __init__(self, console: Console, problems: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._problems = problems
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._ahead: dict[str, int] = {}
        self._finished: set[str] = set()
        self._started_s = self._line_s = clock()
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)

    def plan(self, problem: str, ahead: int) -> None:
        """Say that `ahead` units of work are left for `problem`, as far as is known now."""
        with self._lock:
            self._ahead[problem] = ahead
            self._show()

    def advance(self, problem: str) -> None:
        """Count one unit of `problem` as done."""
        with self._lock:
            self._done += 1
            self._ahead[problem] = max(0, self._ahead.get(problem, 0) - 1)
            self._show()

    def finish(self, problem: str) -> None:
        """Count `problem` as done."""
        with self._lock:
            self._finished.add(problem)
            self._ahead[problem] = 0
            self._show()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def _show(self) -> None:
        total = self._done + sum(self._ahead.values())
        text = f"{len(self._finished)}/{self._problems} problems"
        self._bar.update(self._task, description=text, completed=self._done, total=total)
        now = self._clock()
        if self._console.is_terminal or now - self._line_s < _LINE_EVERY_S:
            return
        self._line_s = now
        spent_s = now - self._started_s
        eta = f"{spent_s / self._done * (total - self._done):.0f} s" if self._done else "unknown"
        self.say(f"{text}, {self._done}/{total} runs, {spent_s:.0f} s, ETA {eta}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
