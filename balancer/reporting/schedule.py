"""Schedules of spans: their time, utilisation over it. Pure."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

__all__ = ["Timed", "Window", "busy_levels", "window"]


class Timed(Protocol):
    """A span with a start and an end, in seconds on one clock."""

    @property
    def started_s(self) -> float: ...

    @property
    def ended_s(self) -> float: ...


class Window(NamedTuple):
    """Start and end of a time, in seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Its length in seconds; 0 if there are no spans."""
        return max(0.0, self.end_s - self.start_s)


def window(spans: Iterable[Timed]) -> Window:
    """Return the time from the first start to the last end."""
    spans = list(spans)
    return Window(min((s.started_s for s in spans), default=0.0), max((s.ended_s for s in spans), default=0.0))


def busy_levels(spans: Iterable[Timed], within: Window, bins: int, *, capacity: int) -> list[float]:
    """Return, for each of `bins` equal parts of `within`, the share of `capacity` slots that was leased, 0..1."""
    width_s = within.length_s / bins
    if width_s <= 0:
        return [0.0] * bins
    busy_s = [0.0] * bins
    for span in spans:
        first = max(0, int((span.started_s - within.start_s) / width_s))
        last = min(bins - 1, int((span.ended_s - within.start_s) / width_s))
        for index in range(first, last + 1):
            left_s = within.start_s + index * width_s
            busy_s[index] += max(0.0, min(span.ended_s, left_s + width_s) - max(span.started_s, left_s))
    return [min(1.0, value / (width_s * max(1, capacity))) for value in busy_s]
