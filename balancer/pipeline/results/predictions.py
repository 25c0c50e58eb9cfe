"""Predictions of a run's end: what each session predicted, and the real end. Data and text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from balancer.reporting.words import seconds

__all__ = ["EndPrediction", "prediction_line", "prediction_lines"]

_OLD_S: Final = 10.0  # older predictions show their age


@dataclass(frozen=True, slots=True)
class EndPrediction:
    """A prediction of a session's end, and the real end, in seconds since the session began.

    Attributes:
        at_s: time of the prediction.
        end_s, low_s, high_s: predicted end of the session, and its 95% interval.
        calls: number of calls that it is based on.
        advice: a faster setting; "": none.
        came_s: the real end; None if the session was stopped or still runs.
        session: its number, from 1.
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
    """Return a line for each prediction with its time and the real end, and its session if there are several."""
    made = tuple(made)
    several = any(each.session != 1 for each in made)
    return [
        f"{f'session {each.session}: ' if several else ''}{prediction_line(each)}; "
        + ("it was stopped, or still runs" if each.came_s is None else f"it ended after {seconds(round(each.came_s))}")
        for each in made
    ]


def prediction_line(made: EndPrediction, ago_s: float = 0.0) -> str:
    """Return the prediction as a line, with its age if that matters."""
    low, end, high = (seconds(round(each)) for each in (made.low_s, made.end_s, made.high_s))
    advice = f"; {made.advice}" if made.advice else ""
    ago = f" ({seconds(round(ago_s))} ago)" if ago_s >= _OLD_S else ""
    return (
        f"predicted after {seconds(round(made.at_s))}{ago}, from {made.calls} calls: end after {end} "
        f"({low} to {high} with 95%){advice}"
    )
