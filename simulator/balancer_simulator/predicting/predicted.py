"""Predicted figures of one run, each with its interval; of a next run, beside those of today and of the trace."""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["FAR", "Predicted", "PredictedRun"]

FAR: Final = 0.15
"""A fit is off if a figure of calls or waits differs by more than this part."""

_FEW: Final = 0.02  # share of all requests: so many more losses harm nobody


@dataclass(frozen=True, slots=True)
class Predicted:
    """A figure: its most likely value, and the ends of an interval that holds it with a certainty of 95%."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class PredictedRun:
    """Prediction of one run: of the rest of one that goes on, or of the next one.

    Attributes:
        at_s: duration of the run so far; 0 of a next one.
        remaining: number of requests that are not over yet.
        figures: by name, see `FIGURES` and `NEXT_FIGURES`; `makespan_s` is that of the whole run.
        outages: by endpoint without an outage so far, how much longer the run would last if it were down for
            `outage_s`.
        outage_s: the length of such an outage.
        today: of a next run with changes: the figures without them, from the same fits and requests.
        recorded: of a next run: the figures of the trace.
        changes: in words.
        draws: number of resampled fits.
        remarks: assumptions and warnings, a sentence each.
        repeated: times that differ much if outages and slow spells come when they came in the trace.
        off: of a next run: what `FitCheck.lines` says of its fit; () if the fit is like its trace.
    """

    at_s: float
    remaining: int
    figures: dict[str, Predicted]
    outages: dict[str, float] = field(default_factory=dict)
    outage_s: float = 0.0
    today: dict[str, Predicted] = field(default_factory=dict)
    recorded: dict[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    draws: int = 0
    remarks: tuple[str, ...] = ()
    repeated: dict[str, Predicted] = field(default_factory=dict)
    off: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The most likely end of the run, in seconds after its first request. Raises KeyError if it has no end."""
        return self.figures["makespan_s"].value

    @property
    def low(self) -> float:
        """The lower end of the interval of `value`."""
        return self.figures["makespan_s"].low

    @property
    def high(self) -> float:
        """The upper end of the interval of `value`."""
        return self.figures["makespan_s"].high

    def outside(self) -> dict[str, tuple[float, Predicted]]:
        """Return what the record has and a run like it hardly would, by the name of the figure.

        A figure differs by more than `FAR`, and its interval does not hold the recorded one. Of waits, what is less
        than that part of a mean call harms nobody; of losses, two in a hundred.
        """
        call_s = self.recorded.get("sojourn_mean_s", 0.0)
        found = {}
        for name, each in (self.today or self.figures).items():
            was = self.recorded.get(name)
            least = FAR * call_s if name.startswith("wait") else _FEW if name == "lost" else 0.0
            if was is not None and not each.holds(was) and abs(each.value - was) > max(FAR * was, least):
                found[name] = (was, each)
        return found

    def holds(self, makespan_s: float) -> bool:
        """Return whether the interval of the end holds `makespan_s`."""
        return self.figures["makespan_s"].holds(makespan_s)
