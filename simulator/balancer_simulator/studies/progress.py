"""Progress displays, on standard error."""

from rich.console import Console

from balancer.reporting.progress import ProgressDisplay

__all__ = ["study_progress", "working"]


def study_progress() -> ProgressDisplay:
    """Return a display of how many runs are done. Use it as a `with` block, and its `show` as `progress`."""
    return ProgressDisplay(Console(stderr=True), unit="runs", transient=True)


def working(title: str) -> ProgressDisplay:
    """Return a display of work that counts nothing: what is done, and for how long. Use it as a `with` block."""
    return ProgressDisplay(Console(stderr=True), title=title, transient=True)
