"""Predictions of a run's end: what each session predicted, and what came; data, and in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from balancer.reporting.words import seconds

__all__ = ["EndPrediction", "prediction_line", "prediction_lines"]

_OLD_S: Final = 10.0  # a prediction that took longer says so


@dataclass(frozen=True, slots=True)
class EndPrediction:
    """What was predicted, and what came. All in seconds since its session began.

    Attributes:
        at_s: when it was predicted.
        end_s, low_s, high_s: when the session would be over, and an interval of 95%.
        calls: from how many.
        advice: a setting that would be quicker; "": none.
        came_s: when it was over; None if it was stopped, or goes on.
        session: which session it was, from 1.
    """

    at_s: float
    end_s: float
    low_s: float
    high_s: float
    calls: int
    advice: str = ""
    came_s: float | None = None
    session: int = 1


def prediction_lines(made: Iterable[EndPrediction]) -> list[str]:
    """Return a line for each: what was predicted when, and what came; and in which session, if not all in the first."""
    made = tuple(made)
    several = any(each.session != 1 for each in made)
    return [
        f"{f'session {each.session}: ' if several else ''}{prediction_line(each)}; "
        + ("it was stopped, or goes on" if each.came_s is None else f"it was over after {seconds(round(each.came_s))}")
        for each in made
    ]


def prediction_line(made: EndPrediction, ago_s: float = 0.0) -> str:
    """Return what was predicted, and when; and how long ago that was, if it took so long that it matters."""
    low, end, high = (seconds(round(each)) for each in (made.low_s, made.end_s, made.high_s))
    advice = f"; {made.advice}" if made.advice else ""
    ago = f" ({seconds(round(ago_s))} ago)" if ago_s >= _OLD_S else ""
    return (
        f"predicted after {seconds(round(made.at_s))}{ago}, from {made.calls} calls: over after {end} "
        f"({low} to {high} with 95%){advice}"
    )
